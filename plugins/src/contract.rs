//! What a plugin promises and what it is promised: the trait, the views, the answers, the complaints.
//!
//! Imports nothing from the plugins themselves, so that it can become a package of its own.

pub mod build;
pub mod consumers;
pub mod facts;
pub mod file;
pub mod flow;
pub mod identity;
pub mod leaf;
pub mod mode;
pub mod place;
pub mod plugin;
pub mod policy;
pub mod report;
pub mod secret;
pub mod services;
pub mod template;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod token;
pub mod units;
pub mod value;
pub mod view;

/// Everything that the file of a plugin needs.
pub mod prelude {
    pub use super::build::{Build, Pool};
    pub use super::facts::Facts;
    pub use super::file::FileRef;
    pub use super::flow::{Flow, Refusal, Reply, ReplyBody, Terms};
    pub use super::leaf::LeafError;
    pub use super::mode::Mode;
    pub use super::place::{At, Span};
    pub use super::plugin::{BodyChunk, CompileError, Done, Plugin};
    pub use super::report::Report;
    pub use super::secret::{Secret, SecretRef};
    pub use super::services::Services;
    pub use super::template::{Place, Template};
    pub use super::units::{Size, Time};
    pub use super::value::{Value, ValueError};
    pub use super::view::{ClientCertificate, RequestBody, RequestView, ResponseView};
    pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
    pub use pingora_http::{RequestHeader, ResponseHeader};
    pub use schemars::JsonSchema;
    pub use serde::Deserialize;
}
