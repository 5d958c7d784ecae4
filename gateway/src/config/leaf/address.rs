//! Where something listens or is reached.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use plugins::contract::leaf::LeafError;
use plugins::leaf;

use crate::config::model::{Address, TargetHost};

/// Where a listener listens.
#[derive(Debug, Clone)]
pub(in crate::config) struct ListenAddress(pub(in crate::config) Address);

/// Where a target is.
#[derive(Debug, Clone)]
pub(in crate::config) struct HostPort {
    /// As written.
    pub(in crate::config) text: String,
    /// As meant.
    pub(in crate::config) host: TargetHost,
}

/// A DNS server.
#[derive(Debug, Clone)]
pub(in crate::config) struct NameServer(pub(in crate::config) SocketAddr);

/// The path of a unix socket.
#[derive(Debug, Clone)]
pub(in crate::config) struct SocketPath(pub(in crate::config) PathBuf);

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
    NameServer,
    "name-server",
    "the address of a DNS server: \"10.0.0.2\" or \"10.0.0.2:5353\""
);

leaf!(
    SocketPath,
    "socket-path",
    "the path of a unix socket: \"/run/gateway/control.sock\""
);

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

pub(super) fn is_port(text: &str) -> bool {
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
pub(super) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-')
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    // All digits and dots: an address with a mistake in it, which no resolver should see.
    let numeric = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    !numeric && name.len() <= 253 && name.split('.').all(label)
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

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
