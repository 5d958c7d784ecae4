//! Leaves that only the gateway's own tables have: match lines, addresses, file references.

mod address;
mod directory;
mod health;
mod log;
mod name;
mod redis;

use std::str::FromStr;

use http::StatusCode;
use plugins::contract::leaf::{Format, LeafError, check};
use plugins::contract::units::Time;
use plugins::leaf;

use super::model::RetryOn;
use crate::routing::pattern::{HostPattern, Matcher, PathPattern, PatternError};

pub(super) use address::{HostPort, ListenAddress, NameServer, SocketPath};
pub(super) use directory::DirectoryPath;
pub(super) use health::{CheckPath, StatusRange};
pub(super) use log::{LogEntry, LogPath};
pub(super) use name::{CertificateName, CookieName, HostChoice};
pub(super) use redis::RedisUrl;

/// Grammars of these leaves, beside those that the plugins define.
pub(super) const FORMATS: &[Format] = &[
    ("match-line", check::<MatchLine>),
    ("match-path", check::<MatchPath>),
    ("match-host", check::<MatchHost>),
    ("listen-address", check::<ListenAddress>),
    ("host-port", check::<HostPort>),
    ("host-policy", check::<HostChoice>),
    ("certificate-name", check::<CertificateName>),
    ("cookie-name", check::<CookieName>),
    ("name-server", check::<NameServer>),
    ("log-path", check::<LogPath>),
    ("log-field", check::<LogEntry>),
    ("socket-path", check::<SocketPath>),
    ("directory-path", check::<DirectoryPath>),
    ("redis-url", check::<RedisUrl>),
    ("policy-name", check::<PolicyName>),
    ("retry-cause", check::<RetryCause>),
    ("dropped", check::<Dropped>),
    ("cache-time", check::<CacheTime>),
    ("check-path", check::<CheckPath>),
    ("status-range", check::<StatusRange>),
];

/// `match = "GET api.example.com/orders/{id}"`
#[derive(Debug, Clone)]
pub(super) struct MatchLine(pub(super) Matcher);

/// `path` of a match table.
#[derive(Debug, Clone)]
pub(super) struct MatchPath(pub(super) PathPattern);

/// `host` of a match table.
#[derive(Debug, Clone)]
pub(super) struct MatchHost(pub(super) HostPattern);

/// The name of a policy, or `none`.
#[derive(Debug, Clone)]
pub(super) struct PolicyName;

/// What is tried again.
#[derive(Debug, Clone)]
pub(super) struct RetryCause(pub(super) RetryOn);

/// How long answers are kept; none: not at all.
#[derive(Debug, Clone)]
pub(super) struct CacheTime(pub(super) Option<Time>);

/// The word that drops a default.
#[derive(Debug, Clone)]
pub(super) struct Dropped;

leaf!(
    RetryCause,
    "retry-cause",
    "\"connect-failure\", \"reset\", \"timeout\" or a status: \"503\""
);
leaf!(Dropped, "dropped", "\"none\"");
leaf!(CacheTime, "cache-time", "a time (\"60s\") or \"none\"");
leaf!(
    MatchLine,
    "match-line",
    "what the route matches: \"GET,POST api.example.com/orders/{id}\""
);
leaf!(MatchPath, "match-path", "a path: \"/orders/{id}\"");
leaf!(MatchHost, "match-host", "a host: \"api.example.com\"");

impl FromStr for MatchLine {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        Matcher::parse_line(text).map(Self).map_err(pattern)
    }
}

impl FromStr for MatchPath {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        PathPattern::parse(text).map(Self).map_err(pattern)
    }
}

impl FromStr for MatchHost {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        HostPattern::parse(text).map(Self).map_err(pattern)
    }
}

fn pattern(error: PatternError) -> LeafError {
    LeafError {
        message: error.message,
        help: error.help,
        at: Some(error.at),
    }
}

impl FromStr for RetryCause {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        match text {
            "connect-failure" => Ok(Self(RetryOn::ConnectFailure)),
            "reset" => Ok(Self(RetryOn::Reset)),
            "timeout" => Ok(Self(RetryOn::Timeout)),
            _ => match text.parse::<StatusCode>() {
                Ok(status) if status.is_client_error() || status.is_server_error() => {
                    Ok(Self(RetryOn::Status(status)))
                }
                _ => Err(LeafError::new(format!("`{text}` is no reason to try again")).help(
                    "write \"connect-failure\", \"reset\", \"timeout\" or a status from \"400\" to \"599\"",
                )),
            },
        }
    }
}

impl FromStr for CacheTime {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        match text {
            "none" => Ok(Self(None)),
            _ => text.parse().map(|time| Self(Some(time))),
        }
    }
}

impl FromStr for Dropped {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        if text == "none" {
            return Ok(Self);
        }
        Err(
            LeafError::new(format!("`{text}` is neither a table nor \"none\""))
                .help("write a table, or \"none\" to drop the default"),
        )
    }
}

impl FromStr for PolicyName {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        if text == "none" || name_error(text).is_none() {
            return Ok(Self);
        }
        Err(
            LeafError::new(format!("`{text}` is not the name of a policy"))
                .help("write a name, \"none\", or a table: { … }"),
        )
    }
}

/// Why a text cannot name an object (rule 1 of the language).
pub(super) fn name_error(name: &str) -> Option<&'static str> {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if matches!(name, "none" | "any") {
        return Some("`none` and `any` have a meaning of their own");
    }
    if name.len() > 63 {
        return Some("a name has at most 63 letters");
    }
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    (!starts || !name.bytes().all(rest))
        .then_some("a name starts with a small letter and holds small letters, digits and `-`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_targets() {
        for good in [
            "10.0.0.1:80",
            "[::1]:9000",
            "orders.internal:9000",
            "a_b:1",
            "x.:1",
        ] {
            assert!(good.parse::<HostPort>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "a:",
            "a:0",
            "10.0.0.256:80",
            "a b:1",
            "-a:1",
            "::1:80",
            "a..b:1",
        ] {
            assert!(bad.parse::<HostPort>().is_err(), "{bad}");
        }
        let help = |text: &str| text.parse::<HostPort>().unwrap_err().help.unwrap();
        assert_eq!(help("https://a.example/x"), "write \"a.example:443\"");
    }

    #[test]
    fn reads_listen_addresses() {
        for good in ["0.0.0.0:80", "[::]:0", "unix:/run/x"] {
            assert!(good.parse::<ListenAddress>().is_ok(), "{good}");
        }
        let help = |text: &str| text.parse::<ListenAddress>().unwrap_err().help.unwrap();
        assert_eq!(help(":80"), "write \"0.0.0.0:80\" for every interface");
        assert_eq!(help("localhost:80"), "write \"127.0.0.1:80\"");
        assert_eq!(help("8080"), "write \"0.0.0.0:8080\"");
    }

    #[test]
    fn refuses_names_that_are_no_names() {
        for bad in ["", "A", "1a", "a_b", "none", "any", "a.b", "-a"] {
            assert!(name_error(bad).is_some(), "{bad}");
        }
        assert_eq!(name_error("a-1"), None);
    }
}
