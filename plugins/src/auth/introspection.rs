//! `introspection`: tokens that only their issuer can read, who is asked about each (RFC 7662).
//!
//! ```toml
//! [route.orders]
//! match = "/orders/**"
//! upstream = "orders"
//!
//! [route.orders.auth]
//! introspection = {
//!   url = "https://idp.example.com/introspect", client-id = "gateway", client-secret = "env:IDP_SECRET", cache = "30s",
//! }
//! ```
//!
//! Only the answer `"active": true` is a yes. Any other answer of JSON is a no; no answer, another status or something
//! else than JSON is neither, and `on-error` says what follows. A yes is remembered for `cache` and never beyond `exp`;
//! a token that is withdrawn meanwhile passes for as long. A no is remembered for five seconds at most. Requests that ask
//! the same at the same time share one call.

mod answer;
mod config;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Uri, header};
use url::form_urlencoded::{Serializer, byte_serialize};

use super::calls::{Busy, Calls};
use super::challenge::Challenges;
use super::credential::{Credential, Presented, Sources};
use super::jwt::fault::Fault;
use super::jwt::key::sha256;
use super::jwt::mapping::Mapping;
use super::jwt::verdicts::{Digest, Verdicts};
use super::jwt::{identify, refuse};
use super::verdict::{OnError, Reason, Verdict};
use crate::contract::consumers::Directory;
use crate::contract::identity::Identity;
use crate::contract::prelude::*;
use crate::contract::services::{CallLimits, Clock, Outbound, Services};
use answer::{Claims, NoAnswer, Terms};

pub use config::{IntrospectionConfig, RawIntrospection};

/// The longest token that is asked about.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// The largest answer.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// How long a no is remembered, at most.
const NO_MAX: Duration = Duration::from_secs(5);

/// A provider of this kind.
pub(super) struct Introspection {
    name: Arc<str>,
    sources: Sources,
    challenges: Challenges,
    url: Uri,
    authorization: HeaderValue,
    limits: CallLimits,
    cache: Duration,
    on_error: OnError,
    terms: Terms,
    mapping: Mapping,
    calls: Calls<(Digest, u64), Outcome>,
    yes: Verdicts<Identity>,
    no: Verdicts<Fault>,
    clock: Arc<dyn Clock>,
    outbound: Arc<dyn Outbound>,
}

/// What asking brought.
#[derive(Clone)]
enum Outcome {
    Yes(Arc<Identity>),
    No(Arc<Fault>),
    NoAnswer(NoAnswer),
}

impl Introspection {
    pub(super) fn compile(
        config: &IntrospectionConfig,
        name: &Arc<str>,
        services: &Services,
    ) -> Result<Self, CompileError> {
        let secret = services.files.secret(&config.client_secret);
        let place = config.client_secret.span();
        let secret = secret.map_err(|error| CompileError::from_error(&error).at(place))?;
        Ok(Self {
            name: Arc::clone(name),
            sources: config.sources.clone(),
            challenges: Challenges::bearer(name),
            url: config.url.clone(),
            authorization: authorization(&config.client_id, secret.expose())?,
            limits: CallLimits {
                time: config.timeout,
                bytes: ANSWER_BYTES_MAX,
            },
            cache: config.cache,
            on_error: config.on_error,
            terms: config.terms.clone(),
            mapping: config.mapping.clone(),
            calls: Calls::default(),
            yes: Verdicts::default(),
            no: Verdicts::default(),
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

    pub(super) fn presented<'a>(&self, request: &RequestView<'a>) -> Presented<'a> {
        self.sources.read(request)
    }

    pub(super) async fn judge(
        &self,
        credential: &Credential<'_>,
        request: &RequestView<'_>,
        consumers: &Directory,
    ) -> Verdict {
        if credential.bytes().len() > TOKEN_BYTES_MAX {
            return refuse(&Fault::TooLarge(TOKEN_BYTES_MAX), request);
        }
        let digest = sha256(credential.bytes());
        let generation = (0, consumers.generation());
        let now = self.clock.now();
        if let Some(identity) = self.yes.find(&digest, generation, now) {
            return Verdict::Accepted(identity.into());
        }
        if let Some(fault) = self.no.find(&digest, generation, now) {
            return refuse(&fault, request);
        }
        let Some(token) = credential.text() else {
            return Verdict::Rejected(Reason::Malformed);
        };
        let key = (digest, consumers.generation());
        let ask = async || self.outcome(token, digest, consumers).await;
        match self.calls.shared(key, ask).await {
            Ok(Outcome::Yes(identity)) => Verdict::Accepted(identity.into()),
            Ok(Outcome::No(fault)) => refuse(&fault, request),
            Ok(Outcome::NoAnswer(why)) => {
                request.facts.note(|| why.to_string());
                Verdict::Unavailable(self.on_error)
            }
            Err(Busy) => Verdict::Busy,
        }
    }

    /// Asks, and remembers what is said.
    async fn outcome(&self, token: &str, digest: Digest, consumers: &Directory) -> Outcome {
        let answer = match self.ask(token).await {
            Ok(answer) => answer,
            Err(error) => {
                let provider = &self.name;
                tracing::warn!(%provider, %error, "Cannot ask the issuer about a token");
                return Outcome::NoAnswer(error);
            }
        };
        let now = self.clock.now();
        let generation = (0, consumers.generation());
        let identity = self.terms.judge(answer, now).and_then(|(claims, until)| {
            let identity = identify(&self.name, &self.mapping, claims, consumers)?;
            Ok((Arc::new(identity), until))
        });
        match identity {
            Ok((identity, until)) => {
                let until = remembered_until(now, self.cache, until);
                let known = Arc::clone(&identity);
                self.yes
                    .remember(digest, token.len(), generation, until, known);
                Outcome::Yes(identity)
            }
            Err(fault) => {
                let fault = Arc::new(fault);
                let until = remembered_until(now, self.cache.min(NO_MAX), None);
                let known = Arc::clone(&fault);
                self.no.remember(digest, 0, generation, until, known);
                Outcome::No(fault)
            }
        }
    }

    async fn ask(&self, token: &str) -> Result<Claims, NoAnswer> {
        let form = Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("token_type_hint", "access_token")
            .finish();
        let request = Request::post(self.url.clone())
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(Bytes::from(form))
            .map_err(|_| NoAnswer::Request)?;
        let answer = self.outbound.send(request, self.limits).await?;
        answer::read(&answer)
    }
}

/// Until when something is remembered: not at all where that is now.
fn remembered_until(now: SystemTime, keep: Duration, end: Option<SystemTime>) -> SystemTime {
    let kept = now.checked_add(keep).unwrap_or(now);
    end.map_or(kept, |end| kept.min(end))
}

/// Who we are to the issuer (RFC 6749 section 2.3.1): both parts are encoded as in a form, then as Basic.
fn authorization(client_id: &str, secret: &str) -> Result<HeaderValue, CompileError> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let both = STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(secret)));
    let value = HeaderValue::try_from(format!("Basic {both}"));
    let mut value = value.map_err(|error| CompileError::from_error(&error))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
