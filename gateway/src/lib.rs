//! The gateway: everything but the entry point.

pub mod config;
pub mod routing;
