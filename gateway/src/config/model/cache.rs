//! `cache = …` and `[cache-zone.NAME]` as meant.

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderName;
use plugins::contract::place::Span;
use plugins::contract::value::Value;

use crate::cache::policy::Rules;
use crate::cache::query::QueryRule;
use crate::routing::pattern::Condition;

/// `cache` of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheConfig {
    /// What decides about storing and lifetimes.
    pub rules: Rules,
    /// Where answers are kept: the name of a zone.
    pub zone: Arc<str>,
    /// Largest content that is kept.
    pub object_max: usize,
    /// Which parameters make another request.
    pub query: QueryRule,
    /// Values of the request that make another one.
    pub vary_on: Vec<Value>,
    /// Whether answers may serve every identity.
    pub shared: bool,
    /// Requests that meet any of these pass by.
    pub bypass: Vec<Condition>,
    /// Fields of answers that name their tags.
    pub tags_from: Vec<HeaderName>,
}

/// `[cache-zone.NAME]`
#[derive(Debug, Clone, PartialEq)]
pub struct CacheZoneConfig {
    /// Its name.
    pub name: Arc<str>,
    /// Where the table starts; `None` for the zone that is there without being written.
    pub span: Option<Span>,
    /// How much it may hold.
    pub memory: usize,
    /// Where it keeps what is to outlive the process.
    pub disk: Option<CacheDiskConfig>,
    /// By which store it tells other gateways what is purged or changed.
    pub store: Option<Arc<str>>,
}

/// `disk` of a zone.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheDiskConfig {
    /// The directory.
    pub path: PathBuf,
    /// Where that is written.
    pub span: Span,
    /// How much it may hold.
    pub size: u64,
}
