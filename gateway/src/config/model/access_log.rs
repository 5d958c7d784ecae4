//! What one line of the access log holds.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use plugins::contract::value::Value;

/// `[access-log]`
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLogConfig {
    /// Where it goes.
    pub path: AccessLogPath,
    /// Share of requests with a status below 400 that are logged, 0 to 1. Failures are always logged.
    pub sample: f64,
    /// Whether the query is logged.
    pub query: bool,
    /// What a line holds.
    pub fields: LogFields,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogPath {
    /// Standard output.
    Stdout,
    /// Nowhere.
    Off,
    /// A file, opened for appending; reopened on SIGUSR1.
    File(PathBuf),
}

/// The fields of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFields {
    /// One bit for each of [`LogField`].
    known: u32,
    /// What else a request says, in the order of the configuration.
    pub values: Box<[LogValue]>,
}

/// A value of the request in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogValue {
    /// As configured: `header.user-agent`.
    pub name: Box<str>,
    /// What stands before the value: `,"header.user-agent":`.
    pub key: Box<[u8]>,
    /// What is looked up.
    pub value: Value,
}

impl LogFields {
    /// Every field that the gateway knows of itself.
    pub fn all() -> Self {
        Self {
            known: u32::MAX,
            values: Box::default(),
        }
    }

    /// These, and these values of the request.
    pub fn only(fields: impl IntoIterator<Item = LogField>, values: Box<[LogValue]>) -> Self {
        let known = fields
            .into_iter()
            .fold(0, |known, field| known | field.bit());
        Self { known, values }
    }

    /// Whether a line holds this one.
    pub const fn has(&self, field: LogField) -> bool {
        self.known & field.bit() != 0
    }
}

macro_rules! fields {
    ($($variant:ident $name:literal $what:literal)*) => {
        /// What the gateway knows of a request at its end, in the order of a line.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum LogField { $(#[doc = $what] $variant,)* }

        impl LogField {
            /// All of them, in the order of a line.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As configurations and lines say.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

fields! {
    RequestId "request_id" "Its id."
    Client "client" "The client behind trusted proxies."
    Listener "listener" "Name of the listener."
    Method "method" "Method."
    Host "host" "Host in lower case."
    Path "path" "The path as received."
    Protocol "protocol" "Version of HTTP."
    Route "route" "Name of the route."
    Auth "auth" "Which provider has said who asked."
    Consumer "consumer" "Name of the consumer who asked."
    Status "status" "Status of the answer."
    GrpcStatus "grpc_status" "The status of gRPC that a call got from the gateway instead."
    Code "code" "Which refusal or failure it was."
    Shadowed "shadowed" "Refusals that a policy in shadow would have made."
    Upstream "upstream" "Name of the upstream."
    Target "target" "Address of the target."
    Attempts "attempts" "Attempts at targets."
    Retried "retried" "What the last repeated attempt had failed of."
    NotRetried "not_retried" "Why the last failed attempt was not repeated."
    Hedge "hedge" "Whose answer it was, where a second target was asked."
    Fallback "fallback" "Where the request ended when its upstream had failed."
    Cache "cache" "What the cache did."
    CacheReason "cache_reason" "Why it did not do more."
    BytesIn "bytes_in" "Bytes of the request's body."
    BytesOut "bytes_out" "Bytes of the answer's body."
    TotalMs "total_ms" "From the first byte of the request to the last of the answer."
    UpstreamMs "upstream_ms" "Of it, waiting for the upstream."
    HopMs "hop_ms" "Of it, the gateway's own share."
}

impl LogField {
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

// One bit each.
const _: () = assert!(LogField::ALL.len() <= 32);

impl FromStr for LogField {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let known = Self::ALL.iter().find(|field| field.name() == text);
        known.copied().ok_or(())
    }
}

impl fmt::Display for LogField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
