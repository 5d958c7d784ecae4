//! Active checks, outlier ejection and breakers: what targets hear of them, and who gets requests meanwhile.

mod breaker;
mod checks;
mod many;
mod outlier;

use std::net::SocketAddr;

use harness::{Backend, Config, Gateway, wait};
use serde_json::Value;

/// One route to an upstream `orders` of these targets (`@upstream.0@`, …), with further keys.
fn config(keys: &str, targets: &[SocketAddr]) -> Config {
    let listed: Vec<String> = (0..targets.len())
        .map(|number| format!("\"@upstream.{number}@\""))
        .collect();
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n\
         [upstream.orders]\ntargets = [{}]\n{keys}\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n",
        listed.join(", ")
    );
    let config = Config::new(text);
    targets
        .iter()
        .enumerate()
        .fold(config, |config, (number, addr)| {
            config.upstream(&number.to_string(), *addr)
        })
}

/// What `/upstreams` says of the upstream.
fn upstream(gateway: &Gateway) -> Value {
    gateway.admin_get("/upstreams").json()[0].clone()
}

/// What `/upstreams` says of a target.
fn target(gateway: &Gateway, number: usize) -> Value {
    upstream(gateway)["targets"][number].clone()
}

/// Waits until a target stands so, and says what `/upstreams` knows of it then.
#[track_caller]
fn wait_standing(gateway: &Gateway, number: usize, standing: &str) -> Value {
    let what = format!("target {number} to be {standing}");
    wait::until_some(wait::DEADLINE, &what, || {
        Some(target(gateway, number)).filter(|target| target["standing"] == standing)
    })
}

/// Requests that a backend got from clients, not from checks.
fn served(backend: &Backend) -> usize {
    let requests = backend.requests();
    requests
        .iter()
        .filter(|request| !request.target.starts_with("/healthz"))
        .count()
}

fn healthy(gateway: &Gateway, addr: SocketAddr) -> u64 {
    let label = format!("target=\"{addr}\"");
    gateway.metric("gateway_upstream_healthy", &[&label])
}
