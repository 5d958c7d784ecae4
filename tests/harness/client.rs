//! Clients: HTTP/1.1 with keep-alive, HTTP/2, both with TLS or without, and bare bytes for what no client should send.

mod from;
mod h2_stream;
mod h2c;
mod http1;
mod raw;
mod tls;

pub use from::{connect_from, try_connect_from};
pub use h2_stream::H2Stream;
pub use h2c::{H2Request, H2c};
pub use http1::Client;
pub use raw::{RawResult, raw, raw_until, reading};
pub use tls::{Shaken, Tls};

use crate::wire::Headers;

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// `HTTP/1.1`, `HTTP/1.0` or `HTTP/2`.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// Fields in wire order.
    pub headers: Headers,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Fields after a chunked or HTTP/2 body.
    pub trailers: Headers,
    /// 1xx answers that came before, in order.
    pub interim: Vec<(u16, Headers)>,
}

impl Response {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {:?}", self.text()))
    }

    /// `code` of a problem answer; empty when there is none.
    pub fn code(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}
