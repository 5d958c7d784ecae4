//! The gateway: everything between a listening socket and an upstream.

pub mod listen;
