//! The gateway: everything but the entry point.

pub mod cli;
pub mod config;
pub mod routing;
