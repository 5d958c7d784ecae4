//! End-to-end tests: one binary, a module a subject. `tests/README.md` says how to run one.

mod access_log;
mod admin;
mod check;
mod fixture;
mod harness_self;
mod limits;
mod listeners;
mod malformed;
mod metrics;
mod notify;
mod paths;
mod reload;
mod routing;
mod shutdown;
