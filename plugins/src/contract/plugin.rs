//! The trait that a plugin is.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::{Future, ready};
use std::time::Duration;

use bytes::Bytes;
use pingora_http::RequestHeader;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::build::Build;
use super::consumers::Mentioned;
use super::file::FileRef;
use super::flow::{Flow, Refusal};
use super::mode::Mode;
use super::place::{At, Span};
use super::policy::Placed;
use super::report::Report;
use super::services::Services;
use super::value::Value;
use super::view::{RequestView, ResponseView};

/// Something that a route can be configured to do to its requests and responses.
///
/// Built at reload and shared by all requests, hence `&self` everywhere: what differs per request is in `State`.
/// Requests go down the list of plugins, responses come back up.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// The key on a route, the table `[NAME.…]`, the metric label, the log field.
    const NAME: &'static str;
    /// Every refusal that the plugin can make.
    const REFUSALS: &'static [&'static Refusal];
    /// Whether one route can carry it only once (then `[always]` and a route's own exclude each other).
    const SINGLE: bool = false;
    /// The table as written.
    type Raw: DeserializeOwned + JsonSchema;
    /// The table as meant.
    type Config: Clone + PartialEq + Debug + Send + Sync;
    /// What it remembers of one request.
    type State: Default + Send + Sync;
    /// What its policies share across routes and hand over across reloads, nearly always a
    /// [`Pool`](super::build::Pool); `()` for those that share nothing.
    type Shared: Default + Send + Sync;

    /// Turns the table as written into the table as meant, and reports every mistake. No I/O, no clock.
    fn validate(raw: At<Self::Raw>, report: &mut Report) -> Option<Self::Config>;

    /// What several policies that one layer names mean together: all must pass, unless the plugin says otherwise.
    fn gather(
        found: Vec<Placed<Self::Config>>,
        _named: &BTreeMap<String, At<Self::Config>>,
        _report: &mut Report,
    ) -> Vec<Placed<Self::Config>> {
        found
    }

    /// What a route has when both `[defaults]` and the route say something. Replaces, unless the plugin merges.
    fn over(own: Self::Config, _default: &Self::Config) -> Self::Config {
        own
    }

    /// Whether it refuses or only observes.
    fn mode(_config: &Self::Config) -> Mode {
        Mode::Enforce
    }

    /// The values of the request that it reads, so that a route which cannot have one is refused at load.
    fn needs(_config: &Self::Config) -> Vec<At<Value>> {
        Vec::new()
    }

    /// The files that it reads: when one of them changes, the configuration is a new one.
    fn files(_config: &Self::Config) -> Vec<At<FileRef>> {
        Vec::new()
    }

    /// The `[store.NAME]` that it uses, each with the place that names it.
    fn stores(_config: &Self::Config) -> Vec<At<String>> {
        Vec::new()
    }

    /// The consumers and groups that it names, so that nobody waits for somebody who does not exist.
    fn mentions(_config: &Self::Config) -> Mentioned {
        Mentioned::default()
    }

    /// Builds what requests use. May read the files and secrets that it names; starts nothing and calls nobody.
    fn compile(config: &Self::Config, build: &mut Build<'_, Self>) -> Result<Self, CompileError>;

    /// Waits for what the shared parts should know before the snapshot goes live, for example keys of others. Whoever
    /// waits too long (2 s) is left behind.
    fn prepare(_shared: &Self::Shared, _services: &Services) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// The snapshot goes live: starts the tasks of what is new among the shared parts.
    fn activate(_shared: &Self::Shared, _services: &Services) {}

    /// Why the gateway should get no requests yet, one sentence each; nearly always nothing.
    fn unready(_shared: &Self::Shared) -> Vec<String> {
        Vec::new()
    }

    /// Decides about the request. The only hook that may wait.
    fn on_request(
        &self,
        _request: &RequestView<'_>,
        _state: &mut Self::State,
    ) -> impl Future<Output = Flow> + Send {
        ready(Flow::Continue)
    }

    /// Changes the outgoing head, down the list; of several policies of one plugin the first comes last and so has the
    /// last word. Runs once **per attempt** on a fresh copy: it must be idempotent, and it is the place to reset what
    /// [`on_request_body`](Plugin::on_request_body) counts.
    fn on_upstream_request(
        &self,
        _request: &RequestView<'_>,
        _head: &mut RequestHeader,
        _state: &mut Self::State,
    ) {
    }

    /// Sees a piece of the request's body. Runs again from the start on a repeated attempt.
    fn on_request_body(&self, _chunk: &mut BodyChunk<'_>, _state: &mut Self::State) -> Flow {
        Flow::Continue
    }

    /// Changes the answer's head, whoever made it: an upstream, the cache or the gateway. Runs also where
    /// [`on_request`](Plugin::on_request) did not, because an earlier plugin refused.
    fn on_response(
        &self,
        _request: &RequestView<'_>,
        _response: &mut ResponseView<'_>,
        _state: &mut Self::State,
    ) {
    }

    /// Sees a piece of the answer's body.
    fn on_response_body(&self, _chunk: &mut BodyChunk<'_>, _state: &mut Self::State) {}

    /// The request is over, well or badly. Runs exactly once for every request that had a route.
    fn on_done(&self, _done: &Done, _state: &Self::State) {}
}

/// A piece of a body.
pub struct BodyChunk<'a> {
    /// The bytes; a plugin may replace them. `None` at a bare end of stream.
    pub bytes: &'a mut Option<Bytes>,
    /// Whether this is the last piece.
    pub end: bool,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// Status sent to the client; `None` when the client was gone before any.
    pub status: Option<u16>,
    /// Whether the answer went out whole.
    pub complete: bool,
    /// Whether fields followed the answer's body.
    pub trailers: bool,
    /// From the first byte of the request to the end of the answer.
    pub total: Duration,
}

/// Why a plugin could not be built from a valid table: a file that is missing, a key that does not parse.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong, for the operator.
    pub message: String,
    /// Where it is written, if not simply on the route.
    pub span: Option<Span>,
}

impl CompileError {
    /// From whatever a library says.
    pub fn from_error(error: &impl std::fmt::Display) -> Self {
        Self {
            message: error.to_string(),
            span: None,
        }
    }

    /// Says where it is written.
    pub fn at(self, span: Span) -> Self {
        Self {
            span: Some(span),
            ..self
        }
    }
}
