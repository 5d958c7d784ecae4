//! Who asks, as `proxy::request` finds it, and how that was found.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};

use super::ask::Question;
use super::reply::ID;
use super::story::Client;
use crate::decide::REQUEST_ID;
use crate::proxy::{client_addr, request_id};
use crate::runtime::Listener;

/// The client behind the connection's other end, and the request's id.
pub(super) fn find(
    listener: &Listener,
    peer: Option<IpAddr>,
    headers: &HeaderMap,
) -> (Client, HeaderValue) {
    let found = client_addr::resolve(peer, headers, &listener.trusted_proxies, listener.trusts);
    let said = client_addr::secure(headers).filter(|_| found.trusted);
    let secure = said.unwrap_or(listener.secure);
    let sent = headers.get(&REQUEST_ID).filter(|_| found.trusted);
    let id = sent
        .and_then(request_id::accept)
        .unwrap_or(HeaderValue::from_static(ID));
    let how = how(
        &found,
        peer,
        listener.trusts,
        headers.contains_key("x-forwarded-for"),
    );
    let client_addr::Client { address, trusted } = found;
    (
        Client {
            address,
            peer,
            trusted,
            secure,
            how,
        },
        id,
    )
}

fn how(
    client: &client_addr::Client,
    peer: Option<IpAddr>,
    trusts: bool,
    forwarded: bool,
) -> String {
    let who = peer.map_or("the unix socket's other end".to_owned(), |peer| {
        peer.to_string()
    });
    match (client.trusted, forwarded) {
        (true, true) if client.address == peer => {
            format!("{who} is a trusted proxy, but its X-Forwarded-For names no client")
        }
        (true, true) => format!("from X-Forwarded-For: {who} is a trusted proxy"),
        (true, false) => format!("{who} is a trusted proxy that forwards no address"),
        (false, true) if trusts => {
            format!("the peer; {who} is no trusted proxy, so X-Forwarded-For is not believed")
        }
        (false, true) => {
            "the peer; no proxy is trusted here, so X-Forwarded-For is not believed".to_owned()
        }
        (false, false) => "the peer".to_owned(),
    }
}

/// Why a question about `https` is answered as one about `http`.
pub(super) fn scheme_note(question: &Question, client: &Client) -> Option<String> {
    (question.https && !client.secure).then(|| {
        "this listener speaks plain http: to be asked by https, a trusted proxy must say so \
         (--from its address, -H 'x-forwarded-proto: https')"
            .to_owned()
    })
}
