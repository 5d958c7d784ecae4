//! End-to-end tests: one binary, a module a subject. `tests/README.md` says how to run one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the verdict, also in the functions that tests share"
)]

mod access_log;
mod actions;
mod admin;
mod ambiguous_answers;
mod authorize;
mod balancing;
mod bodies;
mod browser;
mod cache;
mod cache_disk;
mod cache_suite;
mod check;
mod chunked;
mod conf;
mod connections;
mod departures;
mod desync;
mod explain;
mod failures;
mod fallbacks;
mod fixture;
mod forward_auth;
mod forwarding;
mod grpc;
mod grpc_web;
mod handover;
mod harness_self;
mod health;
mod hedging;
mod http2_limits;
mod idempotency;
mod introspection;
mod jwt;
mod limits;
mod listeners;
mod malformed;
mod metrics;
mod mirrors;
mod names;
mod notify;
mod oidc;
mod overload;
mod paths;
mod plugins;
mod pool;
mod proxy_protocol;
mod quota;
mod rate_limit;
mod redis;
mod reload;
mod replies;
mod retries;
mod rewriting;
mod routing;
mod shutdown;
mod slowness;
mod streams;
mod throttle;
mod tls;
mod tools;
mod upgrades;
mod upstream_h2;
mod upstream_tls;
mod versions;
