//! What end-to-end tests are made of: a real gateway process, scripted backends, honest and hostile clients.
//!
//! ```text
//!   client ──▶ gateway (process, TOML in a temp dir) ──▶ backend (threads, scripted)
//!     │            │ admin listener, logs                    │ every request recorded
//!     └────────────┴───────────── the test ─────────────────┘
//! ```
//!
//! Nothing here knows the gateway's insides. A broken expectation panics: that is how a test fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code: a panic is the verdict, and stderr is where cargo shows it"
)]

pub mod backend;
pub mod browser;
pub mod client;
pub mod config;
pub mod dns;
pub mod gateway;
pub mod idp;
pub mod ports;
pub mod redis;
pub mod tls;
pub mod tokens;
pub mod tool;
pub mod visitor;
pub mod wait;
pub mod wire;

pub use backend::{
    Backend, Ending, Gate, GrpcHealth, H2Backend, H2Call, H2Script, Handshake, Recorded, Script,
    Serving, TlsFront,
};
pub use browser::Browser;
pub use client::{
    Client, H2Request, H2Stream, H2c, RawResult, Response, Shaken, Tls, connect_from, raw,
    raw_until, try_connect_from,
};
pub use config::Config;
pub use dns::Dns;
pub use gateway::{Exit, Gateway, Instance, Reloads, Stranger, cli, cli_in};
pub use idp::Idp;
pub use redis::{FakeRedis, Redis, Says};
pub use tls::{Authority, Identity};
pub use visitor::{Page, Visitor};
pub use wire::Headers;
