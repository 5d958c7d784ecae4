//! Leaves that only the gateway's own tables have: match lines, addresses, file references.

mod health;
mod redis;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use http::StatusCode;
use plugins::contract::leaf::{Format, LeafError, check};
use plugins::contract::units::Time;
use plugins::leaf;

use super::model::{Address, HostPolicy, RetryOn, TargetHost};
use crate::routing::pattern::{HostPattern, Matcher, PathPattern, PatternError};

pub(super) use health::{CheckPath, StatusRange};
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
    ("socket-path", check::<SocketPath>),
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

/// Where a listener listens.
#[derive(Debug, Clone)]
pub(super) struct ListenAddress(pub(super) Address);

/// Where a target is.
#[derive(Debug, Clone)]
pub(super) struct HostPort {
    /// As written.
    pub(super) text: String,
    /// As meant.
    pub(super) host: TargetHost,
}

/// The `Host` that an upstream sees.
#[derive(Debug, Clone)]
pub(super) struct HostChoice(pub(super) HostPolicy);

/// A name that a certificate may have: of a host, or an IP address.
#[derive(Debug, Clone)]
pub(super) struct CertificateName(pub(super) String);
/// The name of a cookie that the gateway sets.
#[derive(Debug, Clone)]
pub(super) struct CookieName(pub(super) String);

/// A DNS server.
#[derive(Debug, Clone)]
pub(super) struct NameServer(pub(super) SocketAddr);

/// Where the access log goes.
#[derive(Debug, Clone)]
pub(super) struct LogPath(pub(super) super::model::AccessLogPath);

/// The path of a unix socket.
#[derive(Debug, Clone)]
pub(super) struct SocketPath(pub(super) PathBuf);

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
leaf!(
    ListenAddress,
    "listen-address",
    "an address to listen at: \"0.0.0.0:8080\" or \"unix:/run/gateway.sock\""
);
leaf!(
    HostPort,
    "host-port",
    "a host and a port: \"orders.internal:9000\""
);
leaf!(
    HostChoice,
    "host-policy",
    "\"client\", \"target\" or a host name"
);
leaf!(CookieName, "cookie-name", "the name of a cookie: \"lb\"");
leaf!(
    CertificateName,
    "certificate-name",
    "the name of a host: \"orders.internal\""
);
leaf!(
    NameServer,
    "name-server",
    "the address of a DNS server: \"10.0.0.2\" or \"10.0.0.2:5353\""
);
leaf!(
    LogPath,
    "log-path",
    "\"stdout\", \"off\" or the path of a file"
);
leaf!(
    SocketPath,
    "socket-path",
    "the path of a unix socket: \"/run/gateway/control.sock\""
);

impl FromStr for CookieName {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        // A token (RFC 6265 section 4.1.1), as a method is.
        match http::Method::from_bytes(text.as_bytes()) {
            Ok(_token) => Ok(Self(text.to_owned())),
            Err(_) => Err(
                LeafError::new(format!("`{text}` cannot be the name of a cookie"))
                    .help("write letters, digits, `-` and `_`"),
            ),
        }
    }
}

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

impl FromStr for ListenAddress {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path, "unix:").map(Address::Unix).map(Self);
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self(Address::Tcp(address)));
        }
        let error = LeafError::new(format!("`{text}` is not an address to listen at"));
        Err(match text.rsplit_once(':') {
            Some(("" | "*", port)) if is_port(port) => {
                error.help(format!("write \"0.0.0.0:{port}\" for every interface"))
            }
            Some(("localhost", port)) if is_port(port) => {
                error.help(format!("write \"127.0.0.1:{port}\""))
            }
            None if is_port(text) => error.help(format!("write \"0.0.0.0:{text}\"")),
            _ => error.help(
                "write an IP address and a port, \"0.0.0.0:8080\", or \"unix:/run/gateway.sock\"",
            ),
        })
    }
}

impl FromStr for SocketPath {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        socket_path(text, "").map(Self)
    }
}

/// The path of a socket; the system takes at most 107 bytes.
fn socket_path(path: &str, scheme: &str) -> Result<PathBuf, LeafError> {
    if !path.starts_with('/') {
        return Err(
            LeafError::new("the path of a socket starts with `/`").help(format!(
                "write for example \"{scheme}/run/gateway/gateway.sock\""
            )),
        );
    }
    if path.len() > 107 {
        return Err(LeafError::new("the path of a socket has at most 107 bytes"));
    }
    Ok(path.into())
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

impl FromStr for HostPort {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let wrong = |message: String| {
            Err(LeafError::new(message)
                .help("write a host and a port, for example \"orders.internal:9000\""))
        };
        if let Ok(address) = text.parse::<SocketAddr>() {
            if address.port() == 0 {
                return wrong(format!("nobody can be reached at port 0 of `{text}`"));
            }
            return Ok(Self {
                text: text.to_owned(),
                host: TargetHost::Address(address),
            });
        }
        if let Some(name) = text.strip_prefix("srv:") {
            return service(text, name);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let error = LeafError::new("a target has no scheme").at(0..scheme.len() + 3);
            let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
            return Err(error.help(format!("write \"{}\"", with_port(scheme, host))));
        }
        let Some((name, port)) = text.rsplit_once(':') else {
            return wrong(format!("`{text}` has no port"));
        };
        match port.parse::<u16>() {
            Ok(port) if port > 0 && is_host_name(name) => Ok(Self {
                text: text.to_owned(),
                host: TargetHost::Name {
                    name: name.to_ascii_lowercase(),
                    port,
                },
            }),
            Ok(_) if !is_host_name(name) => wrong(format!("`{name}` is not the name of a host")),
            _ => wrong(format!("`{port}` is not a port")),
        }
    }
}

/// `srv:_http._tcp.example.com`; the port is in the records.
fn service(text: &str, name: &str) -> Result<HostPort, LeafError> {
    let labels = name.split('.').collect::<Vec<_>>();
    match labels.as_slice() {
        [service, protocol, ..]
            if service.starts_with('_') && protocol.starts_with('_') && is_host_name(name) =>
        {
            Ok(HostPort {
                text: text.to_owned(),
                host: TargetHost::Service {
                    name: name.to_ascii_lowercase(),
                },
            })
        }
        _ => Err(
            LeafError::new(format!("`{name}` is not the name of a service"))
                .help("write for example \"srv:_http._tcp.orders.internal\", without a port"),
        ),
    }
}

fn with_port(scheme: &str, host: &str) -> String {
    match (host.contains(':'), scheme) {
        (true, _) => host.to_owned(),
        (false, "https") => format!("{host}:443"),
        (false, _) => format!("{host}:80"),
    }
}

/// A name as DNS takes it, underscores allowed: containers and SRV names have them.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-')
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    // All digits and dots: an address with a mistake in it, which no resolver should see.
    let numeric = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    !numeric && name.len() <= 253 && name.split('.').all(label)
}

impl FromStr for HostChoice {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        match text {
            "client" => return Ok(Self(HostPolicy::Client)),
            "target" => return Ok(Self(HostPolicy::Target)),
            _ => {}
        }
        let authority = text.parse::<http::uri::Authority>();
        let value = http::HeaderValue::from_str(text);
        match (authority, value) {
            (Ok(authority), Ok(value)) if !authority.as_str().contains('@') => {
                Ok(Self(HostPolicy::Literal(value)))
            }
            _ => Err(LeafError::new(format!("`{text}` is not a host"))
                .help("write \"client\", \"target\" or a host name")),
        }
    }
}

impl FromStr for CertificateName {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        if text.parse::<std::net::IpAddr>().is_ok() || is_host_name(text) {
            let name = text.strip_suffix('.').unwrap_or(text);
            return Ok(Self(name.to_ascii_lowercase()));
        }
        let error = LeafError::new(format!("no certificate can have the name `{text}`"));
        Err(match text.rsplit_once(':') {
            Some((name, port)) if is_port(port) => error.help(format!("write \"{name}\"")),
            _ => error.help("write the name of a host, without port: \"orders.internal\""),
        })
    }
}

impl FromStr for NameServer {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let with_port = text.parse::<SocketAddr>().ok();
        let plain = || {
            text.parse::<std::net::IpAddr>()
                .ok()
                .map(|ip| (ip, 53).into())
        };
        with_port.or_else(plain).map(Self).ok_or_else(|| {
            LeafError::new(format!("`{text}` is not the address of a DNS server"))
                .help("write an IP address, \"10.0.0.2\", or one with a port, \"10.0.0.2:5353\"")
        })
    }
}

impl FromStr for LogPath {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        use super::model::AccessLogPath as Path;
        match text {
            "stdout" => Ok(Self(Path::Stdout)),
            "off" => Ok(Self(Path::Off)),
            // A mistyped word must not become a file's name.
            _ if text.contains('/') => Ok(Self(Path::File(text.into()))),
            _ => Err(LeafError::new(format!(
                "`{text}` is neither \"stdout\" nor \"off\" nor a path"
            ))
            .help(format!(
                "write a path with a slash, for example \"./{text}\""
            ))),
        }
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

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
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
