//! What operators see: metrics with their names and handles, and the access log.

pub mod access_log;
pub mod cache;
pub mod collect;
pub mod histogram;
pub mod log;
pub mod metrics;
pub mod status;
