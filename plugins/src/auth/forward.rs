//! `forward`: a service that is asked about each request, before it goes anywhere.
//!
//! ```toml
//! [route.orders]
//! match = "/orders/**"
//! upstream = "orders"
//!
//! [route.orders.auth]
//! forward = { url = "http://127.0.0.1:9091/verify", send = ["cookie"], receive = ["x-user"], subject = "x-user" }
//! ```
//!
//! The service gets a `GET` with the headers of `send` and `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`. A 2xx
//! is a yes; the headers of `receive` go to the upstream and are claims. A 401 or 403, or a redirect (302, 303, 307), is the
//! service's answer to the client: status, body, `WWW-Authenticate`, `Location`, `Set-Cookie`, `Content-Type`,
//! `Cache-Control`; refusals count as `auth.refused`. Anything else is no answer, and `on-error` says what follows.
//!
//! The service is asked whatever the request shows, also nothing; beside providers that see a credential, it is not.
//! Where cookies are sent and no `Authorization`, methods that change something need a page of our own origin (`auth.origin`).
//! With `cache`, a yes holds for requests that send the very same, and those that do so at one time share one call.

mod config;
mod question;

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, header};
use serde_json::{Map, Value as Json};

use super::calls::{Busy, Calls};
use super::challenge::Challenges;
use super::consumer::adopt;
use super::credential::{Credential, Presented, Source, Sources};
use super::jwt::verdicts::{Digest, Verdicts};
use super::refusals::REFUSED;
use super::verdict::{Accepted, Extra, Verdict};
use crate::contract::consumers::Directory;
use crate::contract::identity::Identity;
use crate::contract::prelude::*;
use crate::contract::services::{CallError, CallLimits, Clock, Outbound, Services};
use question::Question;

pub use config::{ForwardConfig, RawForward};

/// The largest answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What a client gets of the service's own answer.
const HANDED_BACK: &[HeaderName] = &[
    header::WWW_AUTHENTICATE,
    header::LOCATION,
    header::SET_COOKIE,
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
];

/// A provider of this kind.
pub(super) struct Forward {
    name: Arc<str>,
    sources: Sources,
    challenges: Challenges,
    config: ForwardConfig,
    limits: CallLimits,
    calls: Calls<Digest, Outcome>,
    yes: Verdicts<Yes>,
    clock: Arc<dyn Clock>,
    outbound: Arc<dyn Outbound>,
}

/// What asking brought.
#[derive(Clone)]
enum Outcome {
    Yes(Arc<Yes>),
    /// For the client.
    Answer(Arc<Response<Bytes>>),
    NoAnswer(NoAnswer),
}

/// Somebody, without a consumer yet.
struct Yes {
    identity: Identity,
    upstream: Vec<(HeaderName, HeaderValue)>,
}

/// Why there is neither a yes nor a no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum NoAnswer {
    #[error("the service was not heard: {0}")]
    Call(#[from] CallError),
    #[error("the service cannot be asked about this request")]
    Request,
    #[error("the service answered with the status {0}")]
    Status(StatusCode),
    #[error("the service's answer has a header of `receive` more than once, or not as text")]
    Header,
}

impl Forward {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "all kinds are made in the same way"
    )]
    pub(super) fn compile(
        config: &ForwardConfig,
        name: &Arc<str>,
        services: &Services,
    ) -> Result<Self, CompileError> {
        let authorization = config.send.contains(&header::AUTHORIZATION);
        let place = authorization.then_some(Source::Header(header::AUTHORIZATION));
        Ok(Self {
            name: Arc::clone(name),
            sources: Sources::new(place),
            challenges: Challenges::none(),
            limits: CallLimits {
                time: config.timeout,
                bytes: ANSWER_BYTES_MAX,
            },
            config: config.clone(),
            calls: Calls::default(),
            yes: Verdicts::default(),
            clock: Arc::clone(&services.clock),
            outbound: Arc::clone(&services.outbound),
        })
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    pub(super) fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    /// The request itself, whatever it holds: what counts is for the service to know.
    pub(super) fn presented<'a>(&self, request: &RequestView<'a>) -> Presented<'a> {
        let sends = |name: HeaderName| {
            self.config.send.contains(&name) && request.headers.contains_key(name)
        };
        if request
            .headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .count()
            > 1
        {
            return Presented::Several;
        }
        // The browser adds cookies by itself; other sites' pages must not be able to use that.
        let cookies = sends(header::COOKIE) && !sends(header::AUTHORIZATION);
        Presented::One(Credential::new("", Source::Request { cookies }))
    }

    pub(super) async fn judge(
        &self,
        _credential: &Credential<'_>,
        request: &RequestView<'_>,
        consumers: &Directory,
    ) -> Verdict {
        let question = Question::about(request, &self.config.send);
        let outcome = if self.config.cache.is_zero() {
            self.calls.one(async || self.outcome(&question).await).await
        } else {
            self.remembered(&question).await
        };
        match outcome {
            Ok(Outcome::Yes(yes)) => Verdict::Accepted(self.accepted(&yes, consumers)),
            Ok(Outcome::Answer(answer)) => {
                request
                    .facts
                    .note(|| format!("the service answers the client: {}", answer.status()));
                Verdict::Answer(Box::new(handed_back(&answer)))
            }
            Ok(Outcome::NoAnswer(why)) => {
                request.facts.note(|| why.to_string());
                Verdict::Unavailable(self.config.on_error)
            }
            Err(Busy) => Verdict::Busy,
        }
    }

    async fn remembered(&self, question: &Question<'_>) -> Result<Outcome, Busy> {
        let digest = question.digest();
        let now = self.clock.now();
        if let Some(yes) = self.yes.find(&digest, (0, 0), now) {
            return Ok(Outcome::Yes(yes));
        }
        let ask = async || self.outcome(question).await;
        let outcome = self.calls.shared(digest, ask).await?;
        if let (Outcome::Yes(yes), Some(until)) = (&outcome, now.checked_add(self.config.cache)) {
            let known = Arc::clone(yes);
            self.yes
                .remember(digest, question.len(), (0, 0), until, known);
        }
        Ok(outcome)
    }

    async fn outcome(&self, question: &Question<'_>) -> Outcome {
        match self.ask(question).await {
            Ok(outcome) => outcome,
            Err(error) => {
                let provider = &self.name;
                tracing::warn!(%provider, %error, "Cannot ask the service about a request");
                Outcome::NoAnswer(error)
            }
        }
    }

    async fn ask(&self, question: &Question<'_>) -> Result<Outcome, NoAnswer> {
        let asked = question
            .request(&self.config.url)
            .ok_or(NoAnswer::Request)?;
        let answer = self.outbound.send(asked, self.limits).await?;
        match answer.status() {
            status if status.is_success() => {
                let yes = self.yes(&answer, question)?;
                Ok(Outcome::Yes(Arc::new(yes)))
            }
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT => Ok(Outcome::Answer(Arc::new(answer))),
            status => Err(NoAnswer::Status(status)),
        }
    }

    fn yes(&self, answer: &Response<Bytes>, question: &Question<'_>) -> Result<Yes, NoAnswer> {
        let mut claims = Map::new();
        let mut upstream = Vec::new();
        for name in &self.config.receive {
            let mut values = answer.headers().get_all(name).iter();
            let (value, more) = (values.next(), values.next());
            let Some(value) = value else { continue };
            let text = std::str::from_utf8(value.as_bytes()).ok();
            let text = text.filter(|_| more.is_none()).ok_or(NoAnswer::Header)?;
            claims.insert(name.as_str().to_owned(), Json::from(text));
            upstream.push((name.clone(), value.clone()));
        }
        let said = self.config.subject.as_ref();
        let said = said.and_then(|name| claims.get(name.as_str())?.as_str());
        // Two of whom nothing is said are different people if what they sent differs.
        let subject = said.map_or_else(|| question.fingerprint(), str::to_owned);
        let mut identity = Identity::new(Arc::clone(&self.name), None, subject);
        identity.claims = claims;
        Ok(Yes { identity, upstream })
    }

    fn accepted(&self, yes: &Yes, consumers: &Directory) -> Accepted {
        let mut identity = yes.identity.clone();
        if let Some(consumer) = consumers.by_subject(&self.name, &identity.subject) {
            adopt(&mut identity, consumer);
        }
        let extra = Extra {
            upstream: yes.upstream.clone(),
            ..Extra::default()
        };
        Accepted {
            identity: Arc::new(identity),
            extra: Some(Box::new(extra)),
        }
    }
}

/// The service's answer as ours.
fn handed_back(answer: &Response<Bytes>) -> Reply {
    let is_refusal = answer.status().is_client_error();
    let mut reply = Reply::refusal(&REFUSED);
    reply.status = answer.status();
    reply.refusal = reply.refusal.filter(|_| is_refusal);
    if !is_refusal || !answer.body().is_empty() {
        reply.body = ReplyBody::Bytes(answer.body().clone());
    }
    let says_more = matches!(reply.body, ReplyBody::Bytes(_));
    for name in HANDED_BACK {
        // The problem that we write has a type of its own.
        if *name == header::CONTENT_TYPE && !says_more {
            continue;
        }
        for value in answer.headers().get_all(name) {
            reply.headers.push((name.clone(), value.clone()));
        }
    }
    reply
}

#[cfg(test)]
mod tests;
