//! Calls to absolute URLs for plugins: identity providers, authorisation services.
//!
//! Whoever answers is not trusted: an answer has a time, a size, and is never followed to another place.

use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri, header};
use pingora::http::RequestHeader;
use pingora::prelude::HttpPeer;
use pingora::{ErrorType, prelude::Error};
use plugins::contract::services::{Boxed, CallError, CallLimits, Outbound};

use super::addresses::Addresses;
use super::{Answer, Client, Limits};
use crate::config::model::TargetHost;
use crate::upstream::names::Names;
use crate::upstream::peer;

thread_local! {
    // Pooled connections belong to the runtime of the thread that opened them.
    static CLIENT: OnceCell<Arc<Client>> = const { OnceCell::new() };
}

/// Calls by the client of whichever thread asks.
pub struct Caller {
    addresses: Addresses,
}

/// Whom a URL names.
struct Party {
    host: TargetHost,
    /// The name that its certificate must have, and the `Host`.
    name: String,
    authority: String,
    tls: bool,
}

impl Caller {
    /// Looks names up by these.
    pub fn new(names: Arc<Names>) -> Self {
        Self {
            addresses: Addresses::new(names),
        }
    }

    async fn call(
        &self,
        request: Request<Bytes>,
        bytes: usize,
        time: Duration,
    ) -> Result<Response<Bytes>, CallError> {
        let party = Party::of(request.uri())?;
        let addresses = self.addresses.of(&party.host, &party.authority).await;
        let addresses = addresses.map_err(|_| CallError::Name)?;
        let mut last = CallError::Name;
        for address in addresses {
            let peer = peer::to_party(address, party.tls, &party.name, time);
            let (head, body) = head(&request, &party)?;
            let limits = Limits { time, bytes };
            let client = CLIENT.with(|client| client.get_or_init(Arc::default).clone());
            match answer(&client, &peer, head, body, limits).await {
                // Nothing was said yet: the next address may be reached.
                Err(CallError::Connect) => last = CallError::Connect,
                answered => return answered,
            }
        }
        Err(last)
    }
}

impl Outbound for Caller {
    fn send(
        &self,
        request: Request<Bytes>,
        limits: CallLimits,
    ) -> Boxed<'_, Result<Response<Bytes>, CallError>> {
        Box::pin(async move {
            let call = self.call(request, limits.bytes, limits.time);
            match tokio::time::timeout(limits.time, call).await {
                Ok(answered) => answered,
                Err(_elapsed) => Err(CallError::Timeout),
            }
        })
    }
}

impl Party {
    fn of(uri: &Uri) -> Result<Self, CallError> {
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(CallError::Url),
        };
        let authority = uri.authority().ok_or(CallError::Url)?;
        // A user and a password have no place in a URL of ours.
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(CallError::Url);
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let name = authority.host().trim_matches(['[', ']']).to_owned();
        let host = match name.parse::<IpAddr>() {
            Ok(ip) => TargetHost::Address(SocketAddr::new(ip, port)),
            Err(_) => TargetHost::Name {
                name: name.clone(),
                port,
            },
        };
        Ok(Self {
            host,
            name,
            authority: authority.to_string(),
            tls,
        })
    }
}

fn head(request: &Request<Bytes>, party: &Party) -> Result<(RequestHeader, Bytes), CallError> {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let fields = request.headers();
    let build = RequestHeader::build_no_case(
        request.method().clone(),
        target.as_bytes(),
        Some(fields.len() + 3),
    );
    let mut head = build.map_err(|_| CallError::Url)?;
    for (name, value) in fields {
        let appended = head.append_header(name.clone(), value.clone());
        appended.map_err(|_| CallError::Url)?;
    }
    let host = head.insert_header(header::HOST, party.authority.as_str());
    host.map_err(|_| CallError::Url)?;
    let body = request.body().clone();
    if !body.is_empty() {
        let length = head.insert_header(header::CONTENT_LENGTH, body.len());
        length.map_err(|_| CallError::Url)?;
    }
    Ok((head, body))
}

async fn answer(
    client: &Client,
    peer: &HttpPeer,
    head: RequestHeader,
    body: Bytes,
    limits: Limits,
) -> Result<Response<Bytes>, CallError> {
    let Answer {
        status,
        headers,
        body,
    } = client
        .send(peer, head, body, limits)
        .await
        .map_err(|error| failure(&error))?;
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "Pingora has many ways to break off, and no more than these matter here"
)]
fn failure(error: &Error) -> CallError {
    match error.etype() {
        ErrorType::ConnectTimedout
        | ErrorType::ConnectRefused
        | ErrorType::ConnectNoRoute
        | ErrorType::ConnectError
        | ErrorType::BindError
        | ErrorType::SocketError
        | ErrorType::TLSHandshakeFailure
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::InvalidCert => CallError::Connect,
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => CallError::Timeout,
        ErrorType::Custom("answer-too-large") => CallError::TooLarge,
        _ => CallError::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_whom_a_url_names() {
        let party = |url: &'static str| Party::of(&Uri::from_static(url));
        let named = party("https://idp.example.com/keys").unwrap();
        let TargetHost::Name { name, port } = &named.host else {
            unreachable!("a name is looked up")
        };
        assert_eq!((&**name, *port, named.tls), ("idp.example.com", 443, true));
        let literal = party("http://[::1]:8080/").unwrap();
        assert_eq!(
            literal.host,
            TargetHost::Address("[::1]:8080".parse().unwrap())
        );
        assert_eq!(literal.authority, "[::1]:8080");
        for wrong in ["ftp://a/", "/path", "http://u:p@a/"] {
            assert_eq!(party(wrong).err(), Some(CallError::Url), "{wrong}");
        }
    }
}
