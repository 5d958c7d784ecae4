//! One line of the access log. The fields and their order are part of the documentation: change both together.
//!
//! Everything that a client, an upstream or a route's name can hold is escaped, so nobody forges a line.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::clock;
use crate::config::model::{LogField as Field, LogFields};
use crate::text::AddressText;

/// What is known about a request at its end.
pub struct Line<'a> {
    /// When it ended.
    pub time: SystemTime,
    /// Its id.
    pub request_id: &'a str,
    /// The client behind trusted proxies.
    pub client: Option<IpAddr>,
    /// Name of the listener.
    pub listener: &'a str,
    /// Method; empty when the request line could not be read.
    pub method: &'a str,
    /// Host in lower case; empty when there was none.
    pub host: &'a str,
    /// The path as received.
    pub path: &'a [u8],
    /// The query, where the configuration wants it.
    pub query: Option<&'a [u8]>,
    /// `HTTP/1.1`, `HTTP/2` …
    pub protocol: &'a str,
    /// Name of the route.
    pub route: Option<&'a str>,
    /// Which provider has said who asked.
    pub auth: Option<&'a str>,
    /// Name of the consumer who asked.
    pub consumer: Option<&'a str>,
    /// Status of the answer; 499 when the client went away before any.
    pub status: u16,
    /// The status of gRPC that a call got from the gateway instead.
    pub grpc_status: Option<u16>,
    /// Which refusal or failure it was.
    pub code: Option<&'a str>,
    /// Refusals that a policy in shadow would have made.
    pub shadowed: &'a [&'static str],
    /// Name of the upstream.
    pub upstream: Option<&'a str>,
    /// Address of the target of the last attempt.
    pub target: Option<&'a str>,
    /// Attempts at targets.
    pub attempts: u32,
    /// What the last repeated attempt had failed of.
    pub retried: Option<&'static str>,
    /// Why the last failed attempt was not repeated, where a retry policy would have.
    pub not_retried: Option<&'static str>,
    /// Whose answer it was, where a second target was asked as well: `won` by the second, or `lost`.
    pub hedge: Option<&'static str>,
    /// Where the request ended when its upstream had failed for good.
    pub fallback: Option<&'static str>,
    /// What the cache did, where it was asked.
    pub cache: Option<&'static str>,
    /// Why it did not do more.
    pub cache_reason: Option<&'static str>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// From the first byte of the request to the last of the answer.
    pub total: Duration,
    /// Of it, from picking a target to the last byte of its response.
    pub upstream_time: Option<Duration>,
    /// Of it, our own share.
    pub hop: Duration,
    /// What else the request says: keys with comma and colon, and values.
    pub values: Vec<(&'a [u8], Cow<'a, str>)>,
}

/// A key with its comma and colon, joined by the compiler.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":").as_bytes()
    };
}

impl Line<'_> {
    /// Appends the line with its end: the time, and what `fields` wants of the rest.
    pub fn write_to(&self, fields: &LogFields, out: &mut Vec<u8>) {
        out.reserve(512 + self.path.len());
        out.extend_from_slice(b"{\"time\":\"");
        clock::write(self.time, out);
        out.push(b'"');
        self.asked(fields, out);
        self.answered(fields, out);
        self.forwarded(fields, out);
        self.measured(fields, out);
        self.values(out);
        out.extend_from_slice(b"}\n");
    }

    /// Who asked for what.
    fn asked(&self, fields: &LogFields, out: &mut Vec<u8>) {
        if fields.has(Field::RequestId) {
            plain(out, key!("request_id"), self.request_id);
        }
        if fields.has(Field::Client) {
            self.client(out);
        }
        if fields.has(Field::Listener) {
            plain(out, key!("listener"), self.listener);
        }
        if fields.has(Field::Method) {
            text(out, key!("method"), self.method.as_bytes());
        }
        if fields.has(Field::Host) {
            text(out, key!("host"), self.host.as_bytes());
        }
        if fields.has(Field::Path) {
            text(out, key!("path"), self.path);
        }
        optional(out, key!("query"), self.query);
        if fields.has(Field::Protocol) {
            plain(out, key!("protocol"), self.protocol);
        }
        if let Some(route) = self.route.filter(|_| fields.has(Field::Route)) {
            plain(out, key!("route"), route);
        }
        if let Some(auth) = self.auth.filter(|_| fields.has(Field::Auth)) {
            plain(out, key!("auth"), auth);
        }
        if let Some(consumer) = self.consumer.filter(|_| fields.has(Field::Consumer)) {
            plain(out, key!("consumer"), consumer);
        }
    }

    /// What the answer was, and why.
    fn answered(&self, fields: &LogFields, out: &mut Vec<u8>) {
        if fields.has(Field::Status) {
            number(out, key!("status"), u64::from(self.status));
        }
        if let Some(status) = self.grpc_status.filter(|_| fields.has(Field::GrpcStatus)) {
            number(out, key!("grpc_status"), u64::from(status));
        }
        if let Some(code) = self.code.filter(|_| fields.has(Field::Code)) {
            plain(out, key!("code"), code);
        }
        if fields.has(Field::Shadowed) {
            self.shadowed(out);
        }
    }

    /// Where the answer came from.
    fn forwarded(&self, fields: &LogFields, out: &mut Vec<u8>) {
        if let Some(upstream) = self.upstream.filter(|_| fields.has(Field::Upstream)) {
            plain(out, key!("upstream"), upstream);
        }
        let target = self.target.filter(|_| fields.has(Field::Target));
        optional(out, key!("target"), target.map(str::as_bytes));
        if fields.has(Field::Attempts) {
            number(out, key!("attempts"), u64::from(self.attempts));
        }
        let mut some = |field: Field, key: &[u8], value: Option<&str>| {
            if fields.has(field) {
                optional(out, key, value.map(str::as_bytes));
            }
        };
        some(Field::Retried, key!("retried"), self.retried);
        some(Field::NotRetried, key!("not_retried"), self.not_retried);
        some(Field::Hedge, key!("hedge"), self.hedge);
        some(Field::Fallback, key!("fallback"), self.fallback);
        some(Field::Cache, key!("cache"), self.cache);
        some(Field::CacheReason, key!("cache_reason"), self.cache_reason);
    }

    /// How much it was and how long it took.
    fn measured(&self, fields: &LogFields, out: &mut Vec<u8>) {
        if fields.has(Field::BytesIn) {
            number(out, key!("bytes_in"), self.bytes_in);
        }
        if fields.has(Field::BytesOut) {
            number(out, key!("bytes_out"), self.bytes_out);
        }
        if fields.has(Field::TotalMs) {
            millis(out, key!("total_ms"), self.total);
        }
        if let Some(time) = self.upstream_time.filter(|_| fields.has(Field::UpstreamMs)) {
            millis(out, key!("upstream_ms"), time);
        }
        if fields.has(Field::HopMs) {
            millis(out, key!("hop_ms"), self.hop);
        }
    }

    /// What else the request says.
    fn values(&self, out: &mut Vec<u8>) {
        for (key, value) in &self.values {
            text(out, key, value.as_bytes());
        }
    }

    fn client(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(key!("client"));
        match self.client {
            Some(address) => {
                out.push(b'"');
                out.extend_from_slice(AddressText::of(address).as_bytes());
                out.push(b'"');
            }
            None => out.extend_from_slice(b"null"),
        }
    }

    fn shadowed(&self, out: &mut Vec<u8>) {
        if self.shadowed.is_empty() {
            return;
        }
        out.extend_from_slice(key!("shadowed"));
        for (index, code) in self.shadowed.iter().enumerate() {
            out.push(if index == 0 { b'[' } else { b',' });
            string(out, code.as_bytes());
        }
        out.push(b']');
    }
}

/// A string that the gateway made or the configuration's grammar keeps free of anything to escape.
fn plain(out: &mut Vec<u8>, key: &[u8], value: &str) {
    debug_assert!(value.bytes().all(is_plain), "{value:?}");
    out.extend_from_slice(key);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

fn text(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.extend_from_slice(key);
    string(out, value);
}

fn optional(out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    if let Some(value) = value {
        text(out, key, value);
    }
}

fn number(out: &mut Vec<u8>, key: &[u8], value: u64) {
    out.extend_from_slice(key);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Milliseconds with three decimals.
fn millis(out: &mut Vec<u8>, key: &[u8], value: Duration) {
    let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
    number(out, key, micros / 1_000);
    let digit = |unit: u64| b'0' + u8::try_from(micros / unit % 10).unwrap_or_default();
    out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
}

/// The bytes that stand for themselves in a JSON string.
#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler, where a wrong index is an error"
)]
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        plain[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};

#[expect(
    clippy::indexing_slicing,
    reason = "the table has an entry for every byte"
)]
fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

/// A JSON string. Bytes that are not UTF-8 become U+FFFD.
fn string(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    if value.iter().copied().all(is_plain) {
        out.extend_from_slice(value);
    } else {
        escaped(out, &String::from_utf8_lossy(value));
    }
    out.push(b'"');
}

fn escaped(out: &mut Vec<u8>, value: &str) {
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', if c == '"' { b'"' } else { b'\\' }]),
            // Control characters, and the two line ends that JSON allows but line-based readers may split at.
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
            }
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests;
