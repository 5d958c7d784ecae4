//! The effective configuration as data: every value that is in force, defaults filled in, section by section.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::store::store;
use super::{duration, health, route};
use crate::config::Loaded;
use crate::config::model::{
    AccessLogConfig, AccessLogPath, AdminConfig, Balance, CacheZoneConfig, CertificateConfig,
    ClientsConfig, Config, Forwarded, HostPolicy, ListenerConfig, LogField, NamedFile, Protocol,
    StickyCookie, TlsConfig, TlsVersion, UpstreamConfig, UpstreamTls,
};
use crate::config::source::SourceFile;
use crate::routing::path::Tolerance;

pub(super) fn config(loaded: &Loaded) -> Value {
    let Config {
        server,
        listeners,
        upstreams,
        cache_zones,
        stores,
        routes,
        consumers,
        overload,
        admin,
        access_log,
    } = &loaded.config;
    json!({
        "server": {
            "workers": server.workers,
            "shutdown-grace": duration(server.shutdown_grace),
            "connections-max": server.connections_max,
            "upstream-idle-max": server.upstream_idle_max,
            "resolvers": server.resolvers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "control-socket": server.control_socket,
        },
        "listeners": by_name(listeners.iter().map(|one| (&*one.name, listener(one)))),
        "upstreams": by_name(upstreams.iter().map(|one| (&*one.name, upstream(one)))),
        "cache-zones": by_name(cache_zones.iter().map(|one| (&*one.name, cache_zone(one)))),
        "stores": by_name(stores.iter().map(|one| (&*one.name, store(one)))),
        "routes": by_name(routes.iter().map(|one| (&*one.name, route(one, loaded)))),
        // How many: their names are nobody's business.
        "consumers": consumers.len(),
        "overload": overload.as_ref().map(super::overload::overload),
        "admin": admin.as_ref().map(self::admin),
        "access-log": self::access_log(access_log),
        "files": loaded.sources.files().iter().map(SourceFile::name).collect::<Vec<_>>(),
    })
}

fn by_name<'a>(all: impl Iterator<Item = (&'a str, Value)>) -> Value {
    Value::Object(
        all.map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>(),
    )
}

fn listener(config: &ListenerConfig) -> Value {
    json!({
        "address": config.address.to_string(),
        "tls": config.tls.as_ref().map(listener_tls),
        "redirect-https": config.redirect_https,
        "http2": config.http2,
        "trusted-proxies": config.trusted_proxies.iter().map(|network| network.net().to_string()).collect::<Vec<_>>(),
        "proxy-protocol": config.proxy_protocol,
        "connections-max": config.connections_max,
        "connections-per-ip-max": config.connections_per_ip_max,
        "header-timeout": duration(config.header_timeout),
        "body-timeout": duration(config.body_timeout),
        "body-rate-min": config.body_rate_min,
        "idle-timeout": duration(config.idle_timeout),
        "header-bytes-max": config.header_bytes_max,
        "headers-max": config.headers_max,
        "uri-max": config.uri_max,
        "encoded-slash": tolerance(config.path_policy.encoded_slash),
        "path-params": tolerance(config.path_policy.path_params),
        "h2": {
            "streams-max": config.h2.streams_max,
            "stream-window": config.h2.stream_window,
            "connection-window": config.h2.connection_window,
        },
    })
}

fn listener_tls(config: &TlsConfig) -> Value {
    let path = |file: &NamedFile| file.path.display().to_string();
    let certificate = |one: &CertificateConfig| {
        json!({
            "cert": path(&one.cert),
            "key": one.key.to_string(),
            "ocsp": one.ocsp.as_ref().map(path),
        })
    };
    let auth = |clients: &ClientsConfig| {
        if clients.required {
            "required"
        } else {
            "optional"
        }
    };
    json!({
        "certificates": config.certificates.iter().map(certificate).collect::<Vec<_>>(),
        "client-ca": config.clients.as_ref().map(|clients| path(&clients.authorities)),
        "client-auth": config.clients.as_ref().map(auth),
        "version-min": match config.version_min {
            TlsVersion::Tls12 => "1.2",
            TlsVersion::Tls13 => "1.3",
        },
        "handshake-timeout": duration(config.handshake_timeout),
        "hsts": config.hsts.map(duration),
    })
}

fn upstream(config: &UpstreamConfig) -> Value {
    let mut described = upstream_settings(config);
    let targets = config
        .targets
        .iter()
        .map(|target| json!({ "address": &*target.address, "weight": target.weight, "backup": target.backup }));
    if let Value::Object(all) = &mut described {
        all.insert("targets".into(), targets.collect());
    }
    described
}

/// Everything of an upstream but its targets.
pub(super) fn upstream_settings(config: &UpstreamConfig) -> Value {
    let mut described = json!({
        "balance": config.balance.name(),
        "hash-on": match &config.balance {
            Balance::Hash(value) => Some(value.to_string()),
            Balance::RoundRobin | Balance::Random | Balance::LeastRequest | Balance::Ewma => None,
        },
        "tls": config.tls.as_ref().map(tls),
        "protocol": match config.protocol {
            Protocol::Http1 => "http/1.1",
            Protocol::H2 => "h2",
            Protocol::Auto => "auto",
        },
        "sticky-cookie": config.sticky_cookie.as_ref().map(sticky_cookie),
        "slow-start": duration(config.slow_start.unwrap_or_default()),
        "panic-threshold": config.panic_threshold,
        "connections-max": config.connections_max,
        "connect-timeout": duration(config.connect_timeout),
        "read-timeout": duration(config.read_timeout),
        "write-timeout": duration(config.write_timeout),
        "idle-timeout": duration(config.idle_timeout),
        "host": match &config.host {
            HostPolicy::Client => "client".into(),
            HostPolicy::Target => "target".into(),
            HostPolicy::Literal(host) => String::from_utf8_lossy(host.as_bytes()),
        },
        "resolve-every": duration(config.resolve_every),
        "forwarded": match config.forwarded {
            Forwarded::Legacy => "legacy",
            Forwarded::Ietf => "ietf",
            Forwarded::Both => "both",
            Forwarded::None => "none",
        },
    });
    if let Value::Object(all) = &mut described {
        all.extend(health::settings(config));
    }
    described
}

/// Where keys are, never what they are.
fn tls(config: &UpstreamTls) -> Value {
    let identity = config.identity.as_ref();
    json!({
        "server-name": config.server_name.as_deref(),
        "ca": config.ca.as_ref().map(|ca| ca.path.display().to_string()),
        "cert": identity.map(|identity| identity.cert_path.display().to_string()),
        "key": identity.map(|identity| identity.key_path.display().to_string()),
        "verify": config.verify,
    })
}

fn sticky_cookie(cookie: &StickyCookie) -> Value {
    json!({
        "name": &*cookie.name,
        // The reference, never the key.
        "key": cookie.key.as_ref().map(ToString::to_string),
        "max-age": cookie.max_age.map(duration),
    })
}

fn admin(config: &AdminConfig) -> Value {
    json!({
        "address": config.address.to_string(),
        // The references, "env:NAME" or "file:/path": whoever sees this page must not see the tokens.
        "tokens": {
            "read": config.read_token.as_ref().map(ToString::to_string),
            "write": config.write_token.as_ref().map(ToString::to_string),
        },
        "probes": config.probes.as_ref().map(ToString::to_string),
        "metrics": config.metrics.as_ref().map(ToString::to_string),
        "tls": config.tls.as_ref().map(listener_tls),
    })
}

fn access_log(config: &AccessLogConfig) -> Value {
    let path = match &config.path {
        AccessLogPath::Stdout => Path::new("stdout"),
        AccessLogPath::Off => Path::new("off"),
        AccessLogPath::File(path) => path,
    };
    let known = LogField::ALL
        .iter()
        .filter(|field| config.fields.has(**field));
    let values = config.fields.values.iter().map(|value| &*value.name);
    let fields: Vec<&str> = known.map(|field| field.name()).chain(values).collect();
    json!({
        "path": path.display().to_string(),
        "sample": config.sample,
        "query": config.query,
        "fields": fields,
    })
}

fn tolerance(tolerance: Tolerance) -> &'static str {
    match tolerance {
        Tolerance::Refuse => "refuse",
        Tolerance::Keep => "keep",
    }
}

fn cache_zone(zone: &CacheZoneConfig) -> Value {
    let disk = zone.disk.as_ref();
    json!({
        "memory": zone.memory,
        "disk": disk.map(|disk| json!({ "path": disk.path.display().to_string(), "size": disk.size })),
    })
}
