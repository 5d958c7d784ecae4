//! `[store.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use plugins::contract::file::FileRef;
use plugins::contract::place::At;

use super::upstream::tls::read_as;
use super::{Context, bounds};
use crate::config::model::{StoreConfig, StoreIdentity, StoreTls};
use crate::config::pem;
use crate::config::raw::{Either, RawRedis, RawRedisTls, RawStore, Switch};
use crate::config::secret::SecretRef;

/// All stores in the order of their names.
pub(super) fn all(
    raw: BTreeMap<String, At<RawStore>>,
    context: &mut Context<'_>,
) -> Vec<StoreConfig> {
    raw.into_iter()
        .filter_map(|(name, table)| store(&name, table, context))
        .collect()
}

fn store(name: &str, table: At<RawStore>, context: &mut Context<'_>) -> Option<StoreConfig> {
    let span = table.span();
    let redis = table.into_inner().redis.into_inner();
    let place = place(&redis, context)?;
    if let (Some(user), None) = (&redis.username, &redis.password) {
        context
            .report
            .error(
                user.span(),
                "store.username",
                "a user without password is nobody",
            )
            .help("add password = \"env:NAME\"");
    }
    let timeout = bounds::STORE_TIMEOUT.duration(redis.timeout.as_ref(), context.report);
    Some(StoreConfig {
        name: name.into(),
        span,
        nodes: place.nodes,
        cluster: place.cluster,
        database: place.database,
        username: redis.username.map(At::into_inner),
        password: redis.password.map(|secret| password(secret, context)),
        timeout,
        tls: redis.tls.and_then(|tls| self::tls(tls, context)),
    })
}

/// A password in a file that changes is another password: the store is connected to anew.
fn password(secret: At<SecretRef>, context: &mut Context<'_>) -> SecretRef {
    let secret = context.secret(secret);
    if let SecretRef::File(path) = &secret {
        context.watch(path);
    }
    secret
}

/// Where a store is.
struct Place {
    nodes: Vec<(String, u16)>,
    cluster: bool,
    database: u16,
}

fn place(redis: &RawRedis, context: &mut Context<'_>) -> Option<Place> {
    let urls = match &*redis.url {
        Either::Short(url) => {
            return Some(Place {
                nodes: vec![(url.host.clone(), url.port)],
                cluster: false,
                database: url.database,
            });
        }
        Either::Long(urls) => urls,
    };
    if urls.is_empty() {
        context
            .report
            .error(redis.url.span(), "store.no-node", "a cluster without nodes")
            .help("name one node at least; it knows the others");
        return None;
    }
    for url in urls.iter().filter(|url| url.database != 0) {
        context
            .report
            .error(
                url.span(),
                "store.database",
                "a cluster has one database, number 0",
            )
            .help("leave the number out");
    }
    let nodes = urls.iter().map(|url| (url.host.clone(), url.port));
    Some(Place {
        nodes: nodes.collect(),
        cluster: true,
        database: 0,
    })
}

fn tls(raw: At<Switch<RawRedisTls>>, context: &mut Context<'_>) -> Option<StoreTls> {
    let span = raw.span();
    let raw = match raw.into_inner() {
        Switch::Plain(false) => return None,
        Switch::Plain(true) => {
            return Some(StoreTls {
                ca: None,
                identity: None,
            });
        }
        Switch::With(raw) => raw,
    };
    let ca = raw.ca.and_then(|file| bytes(&file, pem::roots, context));
    let identity = match (raw.cert, raw.key) {
        (None, None) => None,
        (Some(cert), Some(key)) => {
            let cert = bytes(&cert, pem::certificates, context);
            let key = bytes(&key, pem::private_key, context);
            cert.zip(key).map(|(cert, key)| StoreIdentity { cert, key })
        }
        (cert, key) => {
            let missing = if cert.is_none() { "cert" } else { "key" };
            let there = cert.or(key).map_or(span, |file| file.span());
            context
                .report
                .error(there, "tls.half", format!("`{missing}` is missing"))
                .help("a client's certificate needs both `cert` and `key`");
            None
        }
    };
    Some(StoreTls { ca, identity })
}

/// The file as it is, if it can be understood.
fn bytes<T>(
    file: &At<FileRef>,
    understand: impl FnOnce(&[u8]) -> Result<T, pem::PemError>,
    context: &mut Context<'_>,
) -> Option<Arc<[u8]>> {
    read_as(file, understand, context).map(|read| read.bytes.as_ref().into())
}
