//! A listener of the configuration as the accept path wants to be told.

use std::time::Duration;

use crate::config::model::{Address, ListenerConfig};
use crate::listen::{self, H2Settings, HeadLimits, Settings};

/// The settings of a listener.
pub fn of(config: &ListenerConfig) -> Settings {
    Settings {
        http2: config.http2,
        header_timeout: config.header_timeout,
        body_timeout: config.body_timeout,
        body_rate_min: config.body_rate_min,
        idle_timeout: config.idle_timeout,
        head: HeadLimits {
            header_bytes_max: config.header_bytes_max,
            headers_max: config.headers_max,
            uri_max: config.uri_max,
        },
        connections_max: config.connections_max,
        connections_per_ip_max: config.connections_per_ip_max,
        trusted_proxies: config.trusted_proxies.clone(),
        proxy_protocol: config.proxy_protocol,
        h2: H2Settings {
            streams_max: config.h2.streams_max,
            header_list_max: bytes(config.header_bytes_max),
            stream_window: bytes(config.h2.stream_window),
            connection_window: bytes(config.h2.connection_window),
        },
        ..Settings::new(&*config.name, address(&config.address))
    }
}

/// Settings of a listener that serves operators: few connections, small heads, short waits.
pub fn admin(name: &str, at: &Address) -> Settings {
    Settings {
        http2: false,
        header_timeout: Duration::from_secs(5),
        body_timeout: Duration::from_secs(5),
        connections_max: 256,
        ..Settings::new(name, address(at))
    }
}

fn bytes(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn address(address: &Address) -> listen::Address {
    match address {
        Address::Tcp(address) => listen::Address::Tcp(*address),
        Address::Unix(path) => listen::Address::Unix(path.clone()),
    }
}
