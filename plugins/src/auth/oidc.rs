//! `oidc`: login of browsers by `OpenID` Connect, authorization code with PKCE, and a session in a cookie.
//!
//! ```toml
//! [auth.people]
//! oidc = {
//!   issuer = "https://idp.example.com", client-id = "app", client-secret = "env:IDP_SECRET",
//!   external-url = "https://app.example.com", cookie-keys = ["env:COOKIE_KEY"],
//!   scopes = ["profile", "offline_access"], groups = "claim.groups",
//! }
//! ```
//!
//! * Whoever asks for a page without a session is sent to the provider's login and comes back to that page; a script, a
//!   form that is sent and anything else that a redirect would break gets 401 `auth.missing`.
//! * A session that is over, cannot be read or was ended is like none for a page, and 401 `auth.invalid` for the rest.
//! * Tokens that have expired are refreshed where the provider gave a refresh token (`offline_access`), once for all
//!   requests that need it at the same time; otherwise, and where it refuses, the session is over. While it cannot be asked:
//!   503 `auth.unavailable`.
//! * `callback-path` and `logout-path` are answered here on every route that has this `auth`, so one of them must match
//!   them. A logout is a POST from a page of ours (else 403 `auth.origin`, 405 `auth.logout-method`). A login that goes wrong is 400
//!   `auth.login-failed`, one that the provider refused 403 `auth.login-denied`.
//! * With `forward-token = true` the upstream gets the session's access token as `Authorization: Bearer`, always a fresh one.
//! * The session is in the cookie, encrypted, or in a `store`: then the cookie only names it, and one that ended cannot be
//!   brought back.
//!
//! All URLs are made of `external-url`, never of what a client sends as `Host`.

mod config;
mod discovery;
mod flow;
mod sessions;
mod tokens;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::header::AUTHORIZATION;
use quick_cache::sync::Cache;
use serde_json::{Map, Value as Json};

use super::calls::Calls;
use super::challenge::Challenges;
use super::credential::{Credential, Presented, Source, Sources};
use super::jwt::claims::Rules;
use super::jwt::header::TokenType;
use super::jwt::verify::Terms;
use super::jwt::{identify, refuse};
use super::session::cookies::Cookies;
use super::session::{SECRET_BYTES_MIN, Seal, Session, seconds};
use super::verdict::{Accepted, Extra, OnError, Reason, Verdict};
use crate::contract::consumers::Directory;
use crate::contract::identity::Identity;
use crate::contract::prelude::*;
use crate::contract::services::Store;
use discovery::Known;
use sessions::NoSession;
use tokens::LoginError;

pub use config::{OidcConfig, RawOidc};

/// Refreshed sessions that are remembered for requests that still carry the old cookie: a refresh token often counts only
/// once.
const REFRESHED_MAX: usize = 10_000;
/// What clocks may differ by.
const LEEWAY: std::time::Duration = std::time::Duration::from_secs(30);
/// The longest ID token.
const TOKEN_BYTES_MAX: usize = 32 << 10;

type Refreshed = Result<Arc<Session>, LoginError>;

/// A provider of this kind.
pub(super) struct Oidc {
    name: Arc<str>,
    config: OidcConfig,
    secret: Secret,
    seal: Seal,
    cookies: Cookies,
    sources: Sources,
    challenges: Challenges,
    terms: Terms,
    services: Services,
    store: Option<Arc<dyn Store>>,
    known: ArcSwapOption<Known>,
    refreshing: Calls<[u8; 32], Refreshed>,
    refreshed: Cache<[u8; 32], Arc<Session>>,
}

impl Oidc {
    pub(super) fn compile(
        config: &OidcConfig,
        name: &Arc<str>,
        services: &Services,
    ) -> Result<Self, CompileError> {
        let secret = |of: &At<SecretRef>| {
            let read = services.files.secret(of);
            read.map_err(|error| CompileError::from_error(&error).at(of.span()))
        };
        let keys = config.cookie_keys.iter().map(|key| {
            let text = secret(key)?;
            if text.expose().len() < SECRET_BYTES_MIN {
                let short =
                    "a key for cookies has at least 32 bytes: `openssl rand -base64 32` makes one";
                return Err(CompileError::from_error(&short).at(key.span()));
            }
            Ok(text)
        });
        let keys: Vec<Secret> = keys.collect::<Result<_, _>>()?;
        let cookies = Cookies::new(&config.cookie, config.secure);
        let realm = [("realm", &**name), ("cookie-name", cookies.name())];
        Ok(Self {
            name: name.clone(),
            secret: secret(&config.client_secret)?,
            seal: Seal::new(name, keys.iter().map(|key| key.expose().as_bytes())),
            sources: Sources::new(cookies.names().map(|name| Source::Cookie(name.into()))),
            challenges: Challenges::new("Cookie", &realm),
            terms: Terms {
                algorithms: config.algorithms.clone().into(),
                types: TokenType::Usual,
                bytes_max: TOKEN_BYTES_MAX,
                rules: Rules {
                    issuer: config.issuer.clone(),
                    audience: [config.client_id.clone()].into(),
                    leeway: LEEWAY,
                    age_max: None,
                    required: ["iat".into(), "sub".into()].into(),
                },
            },
            // `explain` has no stores. That there is one of this name was made sure of at load.
            store: config
                .store
                .as_ref()
                .and_then(|name| services.stores.get(name.as_str()).cloned()),
            // Not the files and consumers of this day: it outlives them.
            services: Services {
                clock: services.clock.clone(),
                outbound: services.outbound.clone(),
                tasks: services.tasks.clone(),
                ..Services::nothing()
            },
            known: ArcSwapOption::empty(),
            refreshing: Calls::default(),
            refreshed: Cache::new(REFRESHED_MAX),
            cookies,
            config: config.clone(),
        })
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    pub(super) fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    /// The origin under which browsers know us.
    pub(super) fn origin(&self) -> &str {
        &self.config.origin
    }

    pub(super) fn presented<'a>(&self, request: &RequestView<'a>) -> Presented<'a> {
        let source = || Source::Cookie(self.cookies.name().into());
        match self.cookies.read(request) {
            Ok(None) => Presented::Absent,
            Ok(Some(text)) => Presented::One(Credential::new(text, source())),
            Err(ValueError::Repeated) => Presented::Several,
            // Something is there: to be told that it is no session.
            Err(ValueError::Missing | ValueError::NotText | ValueError::NotPath) => {
                Presented::One(Credential::new("", source()))
            }
        }
    }

    pub(super) async fn judge(
        &self,
        credential: &Credential<'_>,
        request: &RequestView<'_>,
        consumers: &Directory,
    ) -> Verdict {
        let session = match self.find(credential.text().unwrap_or_default()).await {
            Ok(session) => session,
            Err(none) => return self.without(&none, request),
        };
        // A session from before tokens were forwarded has none: to be refreshed like one that has expired.
        let lacks_token = self.config.forward_token && session.access.is_none();
        if !lacks_token && !session.is_stale(self.services.clock.now()) {
            return self.accepted(&session, Vec::new(), request, consumers);
        }
        match self.refresh(&session).await {
            Ok(fresh) => match self.renew(&fresh).await {
                Ok(set_cookie) => self.accepted(&fresh, set_cookie, request, consumers),
                Err(none) => self.without(&none, request),
            },
            Err(error) if error.is_passing() => {
                request.facts.note(|| error.to_string());
                Verdict::Unavailable(OnError::Deny)
            }
            Err(error) => {
                request.facts.note(|| error.to_string());
                self.again(Reason::Expired, request)
            }
        }
    }

    pub(super) fn declared(
        &self,
        claims: &Map<String, Json>,
        request: &RequestView<'_>,
        consumers: &Directory,
    ) -> Verdict {
        match identify(&self.name, &self.config.mapping, claims.clone(), consumers) {
            Ok(identity) => identity.into(),
            Err(fault) => refuse(&fault, request),
        }
    }

    pub(super) async fn prepare(&self, _services: &Services) {
        if self.known.load().is_none()
            && self.discover().await.is_ok()
            && let Some(known) = self.known.load_full()
        {
            known.keys.prepare().await;
        }
    }

    pub(super) fn activate(self: &Arc<Self>, _services: &Services) {
        let task = discovery::keep_known(Arc::downgrade(self));
        self.services.tasks.spawn(Box::pin(task));
    }

    pub(super) fn unready(&self) -> Option<String> {
        match &*self.known.load() {
            None => Some(format!(
                "the identity provider of `{}` has not been reached yet",
                self.name
            )),
            Some(known) => known.keys.unready(),
        }
    }

    pub(super) fn has_page(&self, request: &RequestView<'_>) -> bool {
        request.path == &*self.config.callback_path || request.path == &*self.config.logout_path
    }

    pub(super) async fn visit(&self, request: &RequestView<'_>) -> Option<Box<Reply>> {
        if request.path == &*self.config.logout_path {
            return Some(self.logout(request).await);
        }
        Some(self.callback(request).await)
    }

    pub(super) fn absent(&self, request: &RequestView<'_>) -> Option<Box<Reply>> {
        self.to_login(request)
    }

    /// There is no session.
    fn without(&self, none: &NoSession, request: &RequestView<'_>) -> Verdict {
        let why = match none {
            NoSession::Over(reason) => return self.again(*reason, request),
            NoSession::Store(error) => error.to_string(),
            NoSession::Unkept(why) => (*why).to_owned(),
        };
        request.facts.note(|| why);
        Verdict::Unavailable(OnError::Deny)
    }

    /// A session that does not count: the login for a page, 401 for the rest.
    fn again(&self, reason: Reason, request: &RequestView<'_>) -> Verdict {
        request
            .facts
            .note(|| format!("no session: {}", reason.label()));
        match self.to_login(request) {
            Some(login) => Verdict::Answer(login),
            None => Verdict::Rejected(reason),
        }
    }

    fn accepted(
        &self,
        session: &Session,
        set_cookie: Vec<HeaderValue>,
        request: &RequestView<'_>,
        consumers: &Directory,
    ) -> Verdict {
        match self.identity(session, consumers) {
            Ok(identity) => Verdict::Accepted(Accepted {
                identity: Arc::new(identity),
                extra: self.extra(session, set_cookie),
            }),
            Err(fault) => refuse(&fault, request),
        }
    }

    fn extra(&self, session: &Session, set_cookie: Vec<HeaderValue>) -> Option<Box<Extra>> {
        let token = session
            .access
            .as_ref()
            .filter(|_| self.config.forward_token);
        let token = token.and_then(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
            value.set_sensitive(true);
            Some((AUTHORIZATION, value))
        });
        if token.is_none() && set_cookie.is_empty() {
            return None;
        }
        Some(Box::new(Extra {
            upstream: token.into_iter().collect(),
            set_cookie,
        }))
    }

    fn identity(
        &self,
        session: &Session,
        consumers: &Directory,
    ) -> Result<Identity, super::jwt::fault::Fault> {
        let claims = session.claims.clone();
        let mut identity = identify(&self.name, &self.config.mapping, claims, consumers)?;
        identity.scopes.clone_from(&session.scopes);
        Ok(identity)
    }

    fn now(&self) -> u64 {
        seconds(self.services.clock.now())
    }
}

#[cfg(test)]
mod tests;
