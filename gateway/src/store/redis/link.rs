//! A connection to one Redis, or connections to a cluster.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, Pipeline, RedisConnectionInfo, RedisFuture, RedisResult, TlsCertificates,
    TlsMode, Value,
};

use super::Settings;
use crate::config::model::StoreTls;

/// How long the probe stays in the store, in milliseconds.
const PROBE: u32 = 1_000;

/// Cloning it clones handles: commands of all clones share the connection.
#[derive(Clone)]
pub(super) enum Link {
    One(MultiplexedConnection),
    Cluster(Box<ClusterConnection>),
}

impl Link {
    /// Connects, and writes something: a server that answers PING may still be loading, or a replica.
    pub(super) async fn open(settings: &Settings) -> RedisResult<Self> {
        let mut link = if settings.config.cluster {
            let client = cluster(settings)?;
            Self::Cluster(Box::new(client.get_async_connection().await?))
        } else {
            // Every call has its own limit of time, so the library's are left out.
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(None)
                .set_response_timeout(None);
            let client = single(settings)?;
            let opened = client.get_multiplexed_async_connection_with_config(&config);
            Self::One(opened.await?)
        };
        let mut probe = redis::cmd("SET");
        probe.arg("gateway:probe").arg(1).arg("PX").arg(PROBE);
        probe.query_async::<()>(&mut link).await?;
        Ok(link)
    }
}

fn single(settings: &Settings) -> RedisResult<Client> {
    let config = &settings.config;
    let (host, port) = config.nodes.first().cloned().unwrap_or_default();
    let info = info(host, port, settings)?;
    match &config.tls {
        Some(tls) => Client::build_with_tls(info, certificates(tls)),
        None => Client::open(info),
    }
}

fn cluster(settings: &Settings) -> RedisResult<ClusterClient> {
    let config = &settings.config;
    let nodes = config.nodes.iter().cloned();
    let nodes = nodes.map(|(host, port)| info(host, port, settings));
    let mut builder = ClusterClient::builder(nodes.collect::<RedisResult<Vec<_>>>()?)
        .tcp_settings(tcp())
        .retries(2)
        .connection_timeout(super::CONNECT)
        .response_timeout(config.timeout);
    if let Some(user) = &config.username {
        builder = builder.username(user);
    }
    if let Some(password) = &settings.password {
        builder = builder.password(password.expose());
    }
    if let Some(tls) = &config.tls {
        builder = builder.tls(TlsMode::Secure).certs(certificates(tls));
    }
    builder.build()
}

fn info(host: String, port: u16, settings: &Settings) -> RedisResult<ConnectionInfo> {
    let config = &settings.config;
    let address = match config.tls {
        None => ConnectionAddr::Tcp(host, port),
        Some(_) => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        },
    };
    let mut redis = RedisConnectionInfo::default().set_db(config.database.into());
    if let Some(user) = &config.username {
        redis = redis.set_username(user);
    }
    if let Some(password) = &settings.password {
        redis = redis.set_password(password.expose());
    }
    let info = address.into_connection_info()?;
    Ok(info.set_redis_settings(redis).set_tcp_settings(tcp()))
}

/// A command is one small write and waits for its answer: nothing is gained by holding it back.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn certificates(tls: &StoreTls) -> TlsCertificates {
    let identity = tls.identity.as_ref().map(|identity| ClientTlsConfig {
        client_cert: identity.cert.to_vec(),
        client_key: identity.key.to_vec(),
    });
    TlsCertificates {
        client_tls: identity,
        root_cert: tls.ca.as_ref().map(|ca| ca.to_vec()),
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(command),
            Self::Cluster(connections) => connections.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connections) => connections.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connections) => connections.get_db(),
        }
    }
}
