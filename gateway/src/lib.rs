//! The gateway: everything between a listening socket and an upstream.

pub mod admin;
pub mod cache;
pub mod cli;
pub mod client;
pub mod config;
pub mod decide;
pub mod demo;
pub mod listen;
pub mod observe;
pub mod overload;
pub mod proxy;
pub mod routing;
pub mod run;
pub mod runtime;
pub mod store;
pub mod text;
pub mod upstream;
