//! The gateway's plugins, and the contract between a plugin and the gateway.
//!
//! A plugin decides about a request and may change heads and bodies. It never sees the server: no session,
//! no socket, no peer. What it may use is in [`contract`]; the order of the plugins is the one list in [`chain`].

pub mod auth;
pub mod authorize;
pub mod chain;
pub mod concurrency;
pub mod contract;
pub mod cors;
pub mod headers;
pub mod idempotency;
pub mod ip_filter;
pub mod limit;
pub mod protect;
pub mod quota;
pub mod rate_limit;
pub mod throttle;
