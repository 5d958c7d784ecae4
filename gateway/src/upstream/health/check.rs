//! One check of one address, under one deadline. Its connection is its own and ends with it.

use std::net::SocketAddr;
use std::time::Duration;

use ::http::HeaderValue;
use pingora::connectors::TransportConnector;
use pingora::protocols::{ALPN, Stream};
use pingora::upstreams::peer::{HttpPeer, Peer};
use pingora::{Error as PingoraError, ErrorType};
use tokio::time::timeout;

use super::{grpc, http};
use crate::config::model::{CheckConfig, HealthConfig, HostPolicy};

/// Where a check goes.
pub(in crate::upstream) struct Door {
    /// The address.
    pub(in crate::upstream) address: SocketAddr,
    /// For Pingora, as requests use it.
    pub(in crate::upstream) peer: HttpPeer,
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("the connection was refused")]
    Refused,
    #[error("no connection within the connect timeout")]
    ConnectLate,
    #[error("no connection: {0}")]
    Connect(String),
    #[error("the exchange broke: {0}")]
    Broken(String),
    #[error("the status was {0}")]
    Status(u16),
    #[error("the answer lacks the text")]
    Text,
    #[error("the answer is no answer of the gRPC health protocol")]
    NoGrpc,
    #[error("grpc-status {0}")]
    GrpcStatus(String),
    #[error("the service is {0}")]
    NotServing(&'static str),
}

/// Asks one address. `target` is how the configuration, or a record of its service, writes it.
pub(super) async fn check(
    connector: &TransportConnector,
    door: Door,
    config: &HealthConfig,
    target: &str,
) -> Result<(), CheckError> {
    let asked = ask(connector, door, config, target);
    timeout(config.timeout, asked)
        .await
        .unwrap_or(Err(CheckError::Late(config.timeout)))
}

async fn ask(
    connector: &TransportConnector,
    mut door: Door,
    config: &HealthConfig,
    target: &str,
) -> Result<(), CheckError> {
    if matches!(config.check, CheckConfig::Grpc { .. }) {
        door.peer.options.alpn = ALPN::H2;
    }
    let stream = connector
        .new_stream(&door.peer)
        .await
        .map_err(|error| not_connected(&error))?;
    let secure = door.peer.tls();
    match &config.check {
        CheckConfig::Tcp => Ok(()),
        CheckConfig::Grpc {
            service,
            host,
            headers,
        } => {
            let request = grpc::request(secure, &self::host(host, target), headers)?;
            grpc::ask(stream, request, service).await
        }
        CheckConfig::Http(check) => {
            let host = self::host(&check.host, target);
            if speaks_http2(&stream, &door.peer) {
                http::over_http2(stream, check, &host, secure).await
            } else {
                http::over_http1(stream, check, &host).await
            }
        }
    }
}

/// What was agreed on, or, without TLS, what requests speak unasked.
fn speaks_http2(stream: &Stream, peer: &HttpPeer) -> bool {
    if peer.tls() {
        return stream.selected_alpn_proto() == Some(ALPN::H2);
    }
    peer.options.alpn.get_min_http_version() == 2
}

fn host(policy: &HostPolicy, target: &str) -> HeaderValue {
    let text = match policy {
        HostPolicy::Literal(host) => return host.clone(),
        HostPolicy::Client | HostPolicy::Target => target.to_owned(),
    };
    // A host and a port: always a value.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn not_connected(error: &PingoraError) -> CheckError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Pingora has some thirty kinds; all others are told by name"
    )]
    match error.etype() {
        ErrorType::ConnectRefused => CheckError::Refused,
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => CheckError::ConnectLate,
        kind => CheckError::Connect(kind.as_str().to_owned()),
    }
}

/// The exchange broke.
pub(super) fn broken(error: impl std::fmt::Display) -> CheckError {
    CheckError::Broken(error.to_string())
}
