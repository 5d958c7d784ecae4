use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::*;
use crate::config::model::{Balance, Forwarded, HostPolicy, Protocol, TargetConfig};

pub(super) fn target(address: &str, weight: u32) -> TargetConfig {
    let host = match address.parse() {
        Ok(address) => TargetHost::Address(address),
        Err(_) => TargetHost::Name {
            name: address.split(':').next().unwrap().to_owned(),
            port: 80,
        },
    };
    TargetConfig {
        address: address.into(),
        host,
        weight,
        backup: false,
        span: 0..0,
    }
}

pub(super) fn config(targets: Vec<TargetConfig>) -> UpstreamConfig {
    UpstreamConfig {
        name: "orders".into(),
        span: 0..0,
        targets,
        balance: Balance::RoundRobin,
        tls: None,
        protocol: Protocol::Http1,
        sticky_cookie: None,
        slow_start: None,
        panic_threshold: 0.0,
        connections_max: None,
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(30),
        write_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_mins(1),
        host: HostPolicy::Client,
        resolve_every: Duration::from_secs(30),
        forwarded: Forwarded::Legacy,
        health: None,
        outlier: None,
        breaker: None,
    }
}

pub(super) fn compile(config: &UpstreamConfig) -> Upstream {
    compile_after(config, None)
}

pub(super) fn compile_after(config: &UpstreamConfig, previous: Option<&Upstream>) -> Upstream {
    Upstream::compile(config, &Metrics::default(), previous).unwrap()
}

/// Looked up: each entry stands for these hosts.
fn settle(upstream: &Upstream, hosts: Vec<Vec<Host>>) {
    let known = upstream.ready.load_full();
    upstream.settle(hosts, &known.members, &Metrics::default(), None);
}

fn upstream(targets: Vec<TargetConfig>) -> Upstream {
    compile(&config(targets))
}

fn any(upstream: &Upstream) -> Pick {
    upstream.pick(&Wish::at(Instant::now())).unwrap()
}

#[test]
fn picks_in_turn_by_weight() {
    let upstream = upstream(vec![target("127.0.0.1:1", 3), target("127.0.0.1:2", 1)]);
    let mut picked: BTreeMap<Arc<str>, u32> = BTreeMap::new();
    for _ in 0..400 {
        *picked
            .entry(any(&upstream).attempt.target().address.clone())
            .or_default() += 1;
    }
    let counts: Vec<u32> = picked.into_values().collect();
    assert_eq!(counts, [300, 100]);
}

#[test]
fn an_unresolved_name_is_not_picked() {
    let upstream = upstream(vec![target("nowhere.invalid:80", 1)]);
    assert!(upstream.pick(&Wish::at(Instant::now())).is_err());
    assert!(upstream.states()[0].addresses.is_empty());
}

#[test]
fn a_reload_keeps_the_addresses_of_a_name() {
    let old = upstream(vec![target("a.invalid:80", 1)]);
    settle(
        &old,
        vec![vec![Host::itself(vec!["127.0.0.1:80".parse().unwrap()])]],
    );
    let new = compile_after(&config(vec![target("a.invalid:80", 2)]), Some(&old));
    assert_eq!(new.states()[0].addresses, ["127.0.0.1:80".parse().unwrap()]);
}

#[tokio::test]
async fn looks_names_up() {
    let upstream = upstream(vec![target("localhost:80", 1)]);
    let names = Arc::new(names::Names::new(Arc::default()));
    names.configure(&[]);
    upstream.resolve(&names).await;
    let addresses = upstream.states().remove(0).addresses;
    assert!(addresses.iter().all(|address| address.ip().is_loopback()) && !addresses.is_empty());
}

#[test]
fn another_target_each_time_as_long_as_there_is_another() {
    for balance in [Balance::RoundRobin, Balance::Random] {
        let mut config = config(vec![target("127.0.0.1:1", 9), target("127.0.0.1:2", 1)]);
        config.balance = balance;
        let upstream = compile(&config);
        let mut tried = Vec::new();
        for _ in 0..2 {
            let wish = Wish {
                tried: &tried,
                ..Wish::at(Instant::now())
            };
            let pick = upstream.pick(&wish).unwrap();
            let again = tried
                .iter()
                .any(|tried| Arc::ptr_eq(tried, pick.attempt.target()));
            assert!(!again);
            tried.push(pick.attempt.target().clone());
        }
        let wish = Wish {
            tried: &tried,
            ..Wish::at(Instant::now())
        };
        assert!(upstream.pick(&wish).is_ok(), "nobody else is left");
    }
}

#[test]
fn an_attempt_counts_until_it_is_over() {
    let upstream = upstream(vec![target("127.0.0.1:1", 1)]);
    let count = || upstream.targets()[0].in_flight.count();
    let mut first = any(&upstream).attempt;
    let second = any(&upstream).attempt;
    assert_eq!(count(), 2);
    first.end();
    first.end();
    assert_eq!(count(), 1, "an end counts once");
    drop(first);
    drop(second);
    assert_eq!(count(), 0);
}

#[test]
fn a_reload_keeps_what_is_known_of_a_target() {
    let old = upstream(vec![target("127.0.0.1:1", 1)]);
    let pick = any(&old);
    let targets = vec![target("127.0.0.1:1", 2), target("127.0.0.1:2", 1)];
    let new = compile_after(&config(targets), Some(&old));
    assert!(Arc::ptr_eq(&new.targets()[0], pick.attempt.target()));
    assert_eq!(new.targets()[0].in_flight.count(), 1);
}

#[test]
fn no_more_requests_than_the_upstream_may_have() {
    let mut config = config(vec![target("127.0.0.1:1", 1), target("127.0.0.1:2", 1)]);
    config.connections_max = Some(2);
    let upstream = compile(&config);
    let refused = |upstream: &Upstream| upstream.pick(&Wish::at(Instant::now())).err();
    let (first, second) = (any(&upstream), any(&upstream));
    assert_eq!(refused(&upstream), Some(Unavailable::Full));
    drop(first);
    let third = any(&upstream);
    config.connect_timeout = Duration::from_secs(3);
    let reloaded = compile_after(&config, Some(&upstream));
    assert_eq!(refused(&reloaded), Some(Unavailable::Full));
    drop((second, third));
    assert_eq!(refused(&reloaded), None);
}

#[test]
fn a_refused_pick_takes_no_place() {
    let mut config = config(vec![target("nowhere.invalid:80", 1)]);
    config.connections_max = Some(1);
    let upstream = compile(&config);
    for _ in 0..3 {
        let refused = upstream.pick(&Wish::at(Instant::now())).err();
        assert_eq!(refused, Some(Unavailable::NoTarget));
    }
}

/// An upstream whose first target is a service, which stands for nobody yet.
fn with_service(mut others: Vec<TargetConfig>) -> Upstream {
    let mut service = target("srv:_http._tcp.orders.test", 1);
    service.host = TargetHost::Service {
        name: "_http._tcp.orders.test".to_owned(),
    };
    others.insert(0, service);
    upstream(others)
}

/// A record: priority, weight, `host:port`, and the address it leads to.
fn record(priority: u16, weight: u16, named: &str, address: &str) -> Host {
    Host {
        named: Some(named.into()),
        addresses: address.parse().into_iter().collect(),
        priority,
        weight,
    }
}

fn picks(upstream: &Upstream, count: usize) -> BTreeMap<String, u32> {
    let mut picked = BTreeMap::new();
    for _ in 0..count {
        let address = any(upstream).attempt.target().address.to_string();
        *picked.entry(address).or_default() += 1;
    }
    picked
}

fn counts<const N: usize>(counts: [(&str, u32); N]) -> BTreeMap<String, u32> {
    let owned = |(address, count): (&str, u32)| (address.to_owned(), count);
    counts.into_iter().map(owned).collect()
}

#[test]
fn every_record_of_a_service_is_a_target() {
    let upstream = with_service(Vec::new());
    let states = upstream.states();
    assert_eq!(&*states[0].address, "srv:_http._tcp.orders.test");
    assert!(!states[0].is_healthy() && states.len() == 1);
    let first = vec![
        record(10, 3, "a.test:80", "127.0.0.1:80"),
        record(10, 1, "b.test:80", "127.0.0.2:80"),
        record(20, 0, "spare.test:80", "127.0.0.3:80"),
    ];
    settle(&upstream, vec![first.clone()]);
    let two = [("a.test:80", 30), ("b.test:80", 10)];
    assert_eq!(picks(&upstream, 40), counts(two));
    let service = upstream.states().remove(2).service;
    assert_eq!(service.as_deref(), Some("srv:_http._tcp.orders.test"));

    let [a, b] = [0, 1].map(|index| upstream.targets()[index].clone());
    let now = Instant::now();
    a.standing.set_down(Some("refused".into()), now);
    assert_eq!(picks(&upstream, 8), counts([("b.test:80", 8)]));
    b.standing.set_down(Some("refused".into()), now);
    assert_eq!(picks(&upstream, 8), counts([("spare.test:80", 8)]));

    // Who is named again is the same target, and stands as he stood.
    let then = vec![first[1].clone(), record(10, 1, "c.test:80", "127.0.0.4:80")];
    settle(&upstream, vec![then]);
    assert!(Arc::ptr_eq(&upstream.targets()[0], &b));
    assert_eq!(picks(&upstream, 8), counts([("c.test:80", 8)]));
    assert_eq!(upstream.count(), 2);
}

#[test]
fn a_service_keeps_its_share_beside_other_targets() {
    let upstream = with_service(vec![target("127.0.0.9:80", 1)]);
    let records = vec![
        record(0, 0, "a.test:80", "127.0.0.1:80"),
        record(0, 0, "b.test:80", "127.0.0.2:80"),
        record(0, 0, "127.0.0.9:80", "127.0.0.9:80"),
        record(0, 0, "lost.test:80", ""),
    ];
    let itself = Host::itself(vec!["127.0.0.9:80".parse().unwrap()]);
    settle(&upstream, vec![records, vec![itself]]);
    let half = [("127.0.0.9:80", 20), ("a.test:80", 10), ("b.test:80", 10)];
    assert_eq!(picks(&upstream, 40), counts(half));
    assert_eq!(
        upstream.count(),
        4,
        "nobody is there twice, and who is lost is seen"
    );
}

#[test]
fn a_host_that_takes_no_connection_is_passed_over() {
    let upstream = with_service(Vec::new());
    let records = vec![
        record(0, 9, "a.test:80", "127.0.0.1:80"),
        record(0, 1, "b.test:80", "127.0.0.2:80"),
    ];
    settle(&upstream, vec![records]);
    // Not the first turn, at which everybody is forgiven.
    let mut picked = (0..4).map(|_| any(&upstream).attempt);
    let a = picked.find(|attempt| &*attempt.target().address == "a.test:80");
    assert!(a.unwrap().address_refused(), "there is another host");
    assert_eq!(picks(&upstream, 10), counts([("b.test:80", 10)]));
    assert!(
        !any(&upstream).attempt.address_refused(),
        "now nobody is left"
    );
    assert_eq!(picks(&upstream, 10).len(), 2, "and all are tried again");
}
