//! stub
pub mod model;
pub mod secret;
pub mod source;
pub mod env;
/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub config: model::Config,
    /// Where it is written.
    pub sources: source::SourceMap,
    /// Warnings.
    pub report: plugins::contract::report::Report,
}
