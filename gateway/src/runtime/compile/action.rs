//! What a route does with a request that may pass.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use plugins::contract::place::Span;
use tokio::sync::Semaphore;

use super::CompileError;
use super::error::BODY_FILE_MAX;
use crate::config::model::{
    Action as ActionConfig, Dispatch, FallbackConfig, RespondBody, RespondConfig, RouteConfig,
    SplitConfig, UpstreamId,
};
use crate::observe::metrics::Metrics;
use crate::runtime::action::{Action, Arm, Choice, Fallback, Forward, Mirror, Respond};
use crate::upstream::Upstream;

/// Copies of one route's requests that may be under way; more are dropped.
const MIRRORED_MAX: usize = 64;

pub(super) fn action(
    config: &RouteConfig,
    upstreams: &[Arc<Upstream>],
    metrics: &Metrics,
) -> Result<Action, CompileError> {
    let mut arms = Arms {
        route: &config.name,
        upstreams,
        metrics,
        found: Vec::new(),
    };
    let choice = match &config.action {
        ActionConfig::Redirect { to, status } => {
            return Ok(Action::Redirect {
                to: to.clone(),
                status: *status,
            });
        }
        ActionConfig::Respond(respond) => return self::respond(respond).map(Action::Respond),
        ActionConfig::Upstream(dispatch) => arms.dispatch(dispatch),
        ActionConfig::Split(split) => arms.split(split),
    };
    let choices = arms.found.len();
    let fallback = match &config.fallback {
        None => None,
        Some(FallbackConfig::Upstream(id)) => Some(Fallback::Arm(arms.add(*id))),
        Some(FallbackConfig::Respond(respond)) => Some(Fallback::Reply(self::respond(respond)?)),
    };
    let mirror = config.mirror.and_then(|id| {
        Some(Mirror {
            upstream: upstreams.get(id.0)?.clone(),
            metrics: metrics.mirror(&config.name),
            permits: Arc::new(Semaphore::new(MIRRORED_MAX)),
            time: config.timeout,
        })
    });
    Ok(Action::Forward(Forward {
        arms: arms.found,
        choice,
        choices,
        fallback,
        mirror,
    }))
}

fn respond(config: &RespondConfig) -> Result<Respond, CompileError> {
    let (body, kind) = match &config.body {
        RespondBody::Empty => (Bytes::new(), None),
        RespondBody::Text(text) => (Bytes::from(text.clone()), Some("text/plain; charset=utf-8")),
        RespondBody::File { path, span } => (read(path, span)?, Some("application/octet-stream")),
    };
    let mut headers: Vec<(HeaderName, HeaderValue)> = config.headers.clone();
    if let Some(kind) =
        kind.filter(|_| !headers.iter().any(|(name, _)| name == header::CONTENT_TYPE))
    {
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static(kind)));
    }
    Ok(Respond {
        status: config.status,
        headers,
        body,
    })
}

fn read(path: &PathBuf, span: &Span) -> Result<Bytes, CompileError> {
    let failed = |error| CompileError::File {
        path: path.clone(),
        span: span.clone(),
        error,
    };
    if std::fs::metadata(path).map_err(failed)?.len() > BODY_FILE_MAX {
        return Err(CompileError::FileTooLarge {
            path: path.clone(),
            span: span.clone(),
        });
    }
    std::fs::read(path).map(Bytes::from).map_err(failed)
}

/// Collects the upstreams of a route, each once.
struct Arms<'a> {
    route: &'a Arc<str>,
    upstreams: &'a [Arc<Upstream>],
    metrics: &'a Metrics,
    found: Vec<Arm>,
}

impl Arms<'_> {
    fn add(&mut self, id: UpstreamId) -> usize {
        #[expect(
            clippy::indexing_slicing,
            reason = "validate made the id from this very list"
        )]
        let upstream = &self.upstreams[id.0];
        if let Some(known) = self
            .found
            .iter()
            .position(|arm| Arc::ptr_eq(&arm.upstream, upstream))
        {
            return known;
        }
        let seconds = self
            .metrics
            .upstream_seconds(self.route, &upstream.config.name);
        self.found.push(Arm {
            upstream: upstream.clone(),
            seconds,
        });
        self.found.len() - 1
    }

    fn dispatch(&mut self, dispatch: &Dispatch<UpstreamId>) -> Choice {
        match dispatch {
            Dispatch::Always(id) => {
                self.add(*id);
                Choice::Only
            }
            Dispatch::By {
                value,
                map,
                otherwise,
            } => Choice::By {
                value: value.clone(),
                map: map
                    .iter()
                    .map(|(text, id)| (text.clone(), self.add(*id)))
                    .collect(),
                otherwise: otherwise.map(|id| self.add(id)),
            },
        }
    }

    fn split(&mut self, split: &SplitConfig) -> Choice {
        let mut sum = 0;
        let mut cumulative = Vec::new();
        for (id, weight) in &split.arms {
            self.add(*id);
            sum += weight;
            cumulative.push(sum);
        }
        Choice::Split {
            cumulative,
            sticky: split.sticky.clone(),
            pick: split.pick.clone(),
        }
    }
}
