//! Why a valid configuration cannot be built.

use std::path::PathBuf;
use std::sync::Arc;

use plugins::contract::place::Span;
use plugins::contract::plugin::CompileError as PluginError;

use crate::routing::Conflict;
use crate::store::StoreSecret;
use crate::upstream::UpstreamError;

/// Largest file that `body-file` may name.
pub(super) const BODY_FILE_MAX: u64 = 16 << 20;

/// Why a valid configuration cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A file that it names cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Where it is named.
        span: Span,
        /// Why.
        error: std::io::Error,
    },
    /// A file that it names is too large.
    #[error("{} is larger than {} MiB", path.display(), BODY_FILE_MAX >> 20)]
    FileTooLarge {
        /// Which.
        path: PathBuf,
        /// Where it is named.
        span: Span,
    },
    /// A plugin cannot be built.
    #[error("route `{route}`: {error}")]
    Plugin {
        /// On which route.
        route: Arc<str>,
        /// The route's table.
        span: Span,
        /// Why.
        error: PluginError,
    },
    /// A store cannot be built.
    #[error("store `{}`: {}", .0.store, .0.error)]
    Store(StoreSecret),
    /// An upstream cannot be built.
    #[error("upstream `{upstream}`: {error}")]
    Upstream {
        /// Which.
        upstream: Arc<str>,
        /// The place that is to blame.
        span: Span,
        /// Why.
        error: UpstreamError,
    },
    /// Routes exclude each other; validation finds these first.
    #[error("{0}")]
    Routes(Conflict),
}

impl CompileError {
    /// Where the configuration says what cannot be built.
    pub fn span(&self) -> Option<&Span> {
        match self {
            Self::File { span, .. }
            | Self::FileTooLarge { span, .. }
            | Self::Plugin { span, .. }
            | Self::Store(StoreSecret { span, .. })
            | Self::Upstream { span, .. } => Some(span),
            Self::Routes(_) => None,
        }
    }
}
