//! `[store.NAME]` as data. Secrets stay references.

use serde_json::{Value, json};

use super::duration;
use crate::config::model::{StoreConfig, StoreTls};

pub(super) fn store(config: &StoreConfig) -> Value {
    let StoreConfig {
        name: _,
        span: _,
        nodes,
        cluster,
        database,
        username,
        password,
        timeout,
        tls,
    } = config;
    let node = |(host, port): &(String, u16)| json!({ "host": host, "port": port });
    json!({
        "nodes": nodes.iter().map(node).collect::<Vec<_>>(),
        "cluster": cluster,
        "database": database,
        "username": username,
        "password": password.as_ref().map(ToString::to_string),
        "timeout": duration(*timeout),
        "tls": tls.as_ref().map(self::tls),
    })
}

fn tls(config: &StoreTls) -> Value {
    json!({
        "own-authorities": config.ca.is_some(),
        "certificate": config.identity.is_some(),
    })
}
