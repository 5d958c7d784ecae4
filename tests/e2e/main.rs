//! End-to-end tests: one binary, a module a subject. `tests/README.md` says how to run one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the verdict, also in the functions that tests share"
)]

mod actions;
mod bodies;
mod failures;
mod fixture;
mod forwarding;
mod harness_self;
mod paths;
mod plugins;
mod replies;
mod routing;
mod upgrades;
