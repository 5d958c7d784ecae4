//! Answers that are kept: what may be kept and how long (pure), where (zones of memory, and directories), and how Pingora's cache engine gets at
//! them.
//!
//! `proxy::cache` is the only user on the data path. Nothing here names a session.

pub mod body;
pub mod directives;
pub mod disk;
pub mod entry;
pub mod freshness;
pub mod key;
pub mod notice;
pub mod policy;
pub mod purge;
pub mod query;
pub mod ready;
pub mod storable;
pub mod storage;
pub mod vary;
pub mod zone;
