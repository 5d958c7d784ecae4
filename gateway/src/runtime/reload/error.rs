//! Why a configuration was not applied, as data and for people.

use std::path::PathBuf;
use std::sync::Arc;

use plugins::contract::place::Span;
use plugins::contract::report::Report;

use crate::admin::AdminError;
use crate::config::render::{self, Colour};
use crate::config::{Failure, Loaded};
use crate::listen::BindError;
use crate::runtime::compile::CompileError;

/// Why a configuration was not applied. The old one serves on.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It has mistakes.
    #[error("the configuration has mistakes")]
    Config(Box<Failure>),
    /// It has none, but cannot be built.
    #[error("{error}")]
    Compile {
        /// Why.
        error: CompileError,
        /// Where it is written.
        loaded: Arc<Loaded>,
    },
    /// A certificate cannot be used.
    #[error("a certificate cannot be used")]
    Tls {
        /// What is wrong.
        report: Report,
        /// Where it is written.
        loaded: Arc<Loaded>,
    },
    /// An address cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin listener cannot be set up.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The directory of a zone cannot be used.
    #[error("cannot use the directory {}: {error}", path.display())]
    CacheDisk {
        /// Its path.
        path: PathBuf,
        /// Where it is written.
        span: Span,
        /// Why.
        error: std::io::Error,
        /// Where that is.
        loaded: Arc<Loaded>,
    },
    /// The access log cannot be opened.
    #[error("cannot open the access log {}", path.display())]
    AccessLog {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
}

impl ReloadError {
    /// The error for people: with source lines where it has a place.
    pub fn render(&self) -> String {
        match self {
            Self::Config(failure) => render::text(&failure.report, &failure.sources, Colour::No),
            Self::Compile { error, loaded } => match error.span() {
                Some(span) => {
                    let mut report = Report::default();
                    report.error(span.clone(), "config.cannot-build", error.to_string());
                    render::text(&report, &loaded.sources, Colour::No)
                }
                None => format!("error: {error}"),
            },
            Self::CacheDisk { span, loaded, .. } => {
                let mut report = Report::default();
                report.error(span.clone(), "cache.directory", self.to_string());
                render::text(&report, &loaded.sources, Colour::No)
            }
            Self::Tls { report, loaded } => render::text(report, &loaded.sources, Colour::No),
            Self::Bind(_) | Self::Admin(_) | Self::AccessLog { .. } => {
                let cause = std::error::Error::source(self)
                    .map(|cause| format!(": {cause}"))
                    .unwrap_or_default();
                format!("error: {self}{cause}")
            }
        }
    }
}
