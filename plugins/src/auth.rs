//! Says who is asking, and refuses those of whom nobody knows.
//!
//! ```toml
//! [route.orders]
//! match = "/orders/**"
//! upstream = "orders"
//! auth = { api-key = { from = ["header.x-api-key"] }, identity-headers = { x-consumer = "consumer.name" } }
//! ```
//!
//! `[auth.NAME]` is a provider of one kind; a route names one, or several of which **any** will do. The credential that
//! is presented decides: one that is not valid is refused at once, and neither handed to the next provider nor taken for
//! none. Without any: 401 `auth.missing`, or nobody in particular where `optional` says so. Not valid: 401
//! `auth.invalid`, whatever was wrong with it; the reason is for `explain` and metrics alone. Two credentials, or one
//! twice: 400 `auth.ambiguous`; a client's certificate counts only where the request shows nothing else. A credential in
//! a cookie, sent by another site's page with a method that changes something: 403 `auth.origin`. A service that is asked
//! (`forward`) says no: `auth.refused`, by its own answer. Nobody can say at the
//! moment: 503 `auth.unavailable`; too many are waiting to be told: 503 `auth.busy`. A 401 carries the challenge of every
//! provider of the route.
//!
//! The pages of [`oidc`] answer 400 `auth.login-failed`, 403 `auth.login-denied` and 405 `auth.logout-method`.
//!
//! Trusts the listener for certificates and for heads in which nothing is hidden. Headers that tell the upstream who asks
//! come from here only: the gateway removes them from every request of every client.

pub mod api_key;
pub mod basic;
mod calls;
pub mod challenge;
mod choose;
pub mod client_certificate;
pub mod config;
mod consumer;
pub mod credential;
mod csrf;
pub mod forward;
mod gather;
pub mod hash;
pub mod introspection;
pub mod jwks;
pub mod jwt;
pub mod oidc;
mod outgoing;
pub mod provider;
pub mod raw;
mod refusals;
mod service;
mod session;
mod tally;
pub mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use serde_json::{Map, Value as Json};

use crate::contract::build::Build;
use crate::contract::consumers::Directory;
use crate::contract::file::FileRef;
use crate::contract::policy::Placed;
use crate::contract::prelude::*;
use crate::contract::services::Services;
use choose::Choice;
use config::ProviderConfig;
use credential::Credential;
use provider::{Definition, Provider, Providers};
use refusals::{
    AMBIGUOUS, BUSY, INVALID, LOGIN, LOGIN_DENIED, LOGOUT_METHOD, MISSING, ORIGIN, REFUSED,
    UNAVAILABLE, challenged, soon,
};
use verdict::{Extra, OnError, Reason, Verdict};

pub use config::{AuthConfig, Page};
pub use raw::RawAuth;

/// Who may call a route.
pub struct Auth {
    entries: Box<[Entry]>,
    optional: bool,
    consumers: Arc<Directory>,
}

/// A provider and what this route does with those whom it accepts.
struct Entry {
    provider: Arc<Provider>,
    identity_headers: Box<[(HeaderName, Value)]>,
    strip: bool,
}

/// What is remembered of one request.
#[derive(Debug, Default)]
pub struct Remembered {
    /// Which provider has accepted it.
    by: Option<usize>,
    extra: Option<Box<Extra>>,
}

impl Plugin for Auth {
    const NAME: &'static str = "auth";
    const REFUSALS: &'static [&'static Refusal] = &[
        &MISSING,
        &INVALID,
        &AMBIGUOUS,
        &ORIGIN,
        &LOGIN,
        &LOGIN_DENIED,
        &LOGOUT_METHOD,
        &REFUSED,
        &UNAVAILABLE,
        &BUSY,
    ];
    // Several providers are one policy: any of them will do.
    const SINGLE: bool = true;
    type Raw = RawAuth;
    type Config = AuthConfig;
    type State = Remembered;
    type Shared = Providers;

    fn validate(raw: At<RawAuth>, report: &mut Report) -> Option<AuthConfig> {
        let table = raw.span();
        raw.into_inner().validate(table, report)
    }

    fn gather(
        found: Vec<Placed<AuthConfig>>,
        named: &BTreeMap<String, At<AuthConfig>>,
        report: &mut Report,
    ) -> Vec<Placed<AuthConfig>> {
        gather::gather(found, named, report)
    }

    fn mode(config: &AuthConfig) -> Mode {
        config.mode
    }

    fn files(config: &AuthConfig) -> Vec<At<FileRef>> {
        config.files()
    }

    fn stores(config: &AuthConfig) -> Vec<At<String>> {
        config.stores()
    }

    fn compile(config: &AuthConfig, build: &mut Build<'_, Self>) -> Result<Self, CompileError> {
        let entry = |(index, config)| Entry::compile(config, index, build);
        let entries = config.providers.iter().enumerate().map(entry);
        Ok(Self {
            entries: entries.collect::<Result<_, _>>()?,
            optional: config.optional,
            consumers: build.services.consumers.clone(),
        })
    }

    async fn prepare(shared: &Providers, services: &Services) {
        for (_, provider) in shared.all() {
            provider.prepare(services).await;
        }
    }

    fn activate(shared: &Providers, services: &Services) {
        for provider in shared.new_ones() {
            provider.activate(services);
        }
    }

    fn unready(shared: &Providers) -> Vec<String> {
        shared
            .all()
            .filter_map(|(_, provider)| provider.unready())
            .collect()
    }

    async fn on_request(&self, request: &RequestView<'_>, state: &mut Remembered) -> Flow {
        for entry in &self.entries {
            if let Some(reply) = entry.provider.visit(request).await {
                return Flow::Reply(reply);
            }
        }
        if let Some(claims) = request.facts.declared() {
            return self.declared(claims, request, state);
        }
        match self.choose(request) {
            Choice::Nothing => self.nothing(request),
            Choice::Several => {
                let providers = self.entries.iter();
                let challenges = providers.map(|entry| entry.provider.challenges());
                challenged(&AMBIGUOUS, challenges.map(|it| it.ambiguous.as_ref()))
            }
            Choice::Nobody(index, reason) => self.rejected(index, reason, request),
            Choice::One(index, credential) => self.judge(index, &credential, request, state).await,
        }
    }

    fn on_upstream_request(
        &self,
        request: &RequestView<'_>,
        head: &mut RequestHeader,
        state: &mut Remembered,
    ) {
        let Some(entry) = state.by.and_then(|index| self.entries.get(index)) else {
            return;
        };
        if entry.strip {
            outgoing::strip(entry.provider.sources(), head);
        }
        outgoing::tell(&entry.identity_headers, request, head);
        for (name, value) in state.extra.iter().flat_map(|extra| &extra.upstream) {
            outgoing::set(head, name, value.clone());
        }
    }

    fn on_response(
        &self,
        request: &RequestView<'_>,
        response: &mut ResponseView<'_>,
        state: &mut Remembered,
    ) {
        let unknown = response.ours && response.head.status == StatusCode::UNAUTHORIZED;
        if unknown && request.facts.identity().is_none() {
            self.challenge(response);
        }
        for cookie in state.extra.iter().flat_map(|extra| &extra.set_cookie) {
            // Fails only beyond the most fields that a map can hold.
            drop(
                response
                    .head
                    .append_header(http::header::SET_COOKIE, cookie.clone()),
            );
        }
    }
}

impl Entry {
    fn compile(
        config: &ProviderConfig,
        index: usize,
        build: &mut Build<'_, Auth>,
    ) -> Result<Self, CompileError> {
        let key = match &config.name {
            Some(name) => name.clone(),
            None => format!("{}/{index}", build.route),
        };
        let definition = Definition::new(&config.kind, build.services)?;
        let services = build.services;
        let make = || definition.compile(&key, services);
        let provider = build.shared.obtain(build.before, &key, &definition, make);
        Ok(Self {
            provider: provider.map_err(|error| match error.span {
                Some(_) => error,
                None => error.at(config.kind.span()),
            })?,
            identity_headers: config.identity_headers.clone().into(),
            strip: config.strip,
        })
    }
}

impl Auth {
    async fn judge(
        &self,
        index: usize,
        credential: &Credential<'_>,
        request: &RequestView<'_>,
        state: &mut Remembered,
    ) -> Flow {
        let Some(entry) = self.entries.get(index) else {
            return Flow::refuse(&INVALID);
        };
        if credential.source.is_shown_by_browsers()
            && !csrf::permits(request, entry.provider.origin())
        {
            entry.provider.count(&Verdict::Rejected(Reason::Origin));
            return Flow::refuse(&ORIGIN);
        }
        let provider = &entry.provider;
        let verdict = provider.judge(credential, request, &self.consumers).await;
        self.follow(index, verdict, request, state)
    }

    /// Does what a verdict says.
    fn follow(
        &self,
        index: usize,
        verdict: Verdict,
        request: &RequestView<'_>,
        state: &mut Remembered,
    ) -> Flow {
        let name = || {
            let entry = self.entries.get(index);
            entry.map_or("", |entry| &*entry.provider.name)
        };
        match verdict {
            Verdict::Accepted(accepted) => {
                request.facts.note(|| {
                    let consumer = accepted.identity.consumer.as_ref();
                    let consumer = consumer.map_or("no consumer", |consumer| &consumer.name);
                    format!("`{}` accepts it: {consumer}", name())
                });
                state.by = Some(index);
                state.extra = accepted.extra;
                request.facts.identify(accepted.identity);
                Flow::Continue
            }
            Verdict::Rejected(reason) => self.refuse(index, reason, request),
            Verdict::Unavailable(OnError::Deny) => soon(&UNAVAILABLE),
            Verdict::Unavailable(OnError::Allow) => {
                let text = || format!("`{}` cannot be asked, and on-error lets pass", name());
                request.facts.note(text);
                // Nobody has checked the credential: the upstream does not get it either.
                state.by = Some(index);
                Flow::Continue
            }
            Verdict::Busy => soon(&BUSY),
            Verdict::Answer(reply) => Flow::Reply(reply),
        }
    }

    /// Refuses without having asked the provider.
    fn rejected(&self, index: usize, reason: Reason, request: &RequestView<'_>) -> Flow {
        if let Some(entry) = self.entries.get(index) {
            entry.provider.count(&Verdict::Rejected(reason));
        }
        self.refuse(index, reason, request)
    }

    fn refuse(&self, index: usize, reason: Reason, request: &RequestView<'_>) -> Flow {
        request.facts.note(|| {
            let entry = self.entries.get(index);
            let name = entry.map_or("", |entry| &*entry.provider.name);
            format!("`{name}` rejects it: {}", reason.label())
        });
        let challenges = self.entries.iter().enumerate().map(|(other, entry)| {
            let challenges = entry.provider.challenges();
            if other == index {
                challenges.invalid.as_ref()
            } else {
                challenges.missing.as_ref()
            }
        });
        challenged(&INVALID, challenges)
    }

    /// Nothing was shown.
    fn nothing(&self, request: &RequestView<'_>) -> Flow {
        if self.optional {
            request.facts.note(|| "nobody in particular".to_owned());
            return Flow::Continue;
        }
        let mut providers = self.entries.iter().map(|entry| &entry.provider);
        if let Some(reply) = providers.find_map(|provider| provider.absent(request)) {
            return Flow::Reply(reply);
        }
        let providers = self.entries.iter();
        let challenges = providers.map(|entry| entry.provider.challenges());
        challenged(&MISSING, challenges.map(|it| it.missing.as_ref()))
    }

    /// Says how to become somebody, in a 401 of a plugin below that wants to know who asks.
    fn challenge(&self, response: &mut ResponseView<'_>) {
        if response.head.headers.contains_key(WWW_AUTHENTICATE) {
            return;
        }
        let mut said: Vec<&HeaderValue> = Vec::new();
        for entry in &self.entries {
            let challenge = entry.provider.challenges().missing.as_ref();
            said.extend(challenge.filter(|challenge| !said.contains(challenge)));
        }
        response.change(|fields| {
            for challenge in said {
                // Fails only beyond the most fields that a map can hold.
                drop(fields.try_append(WWW_AUTHENTICATE, challenge.clone()));
            }
        });
    }

    /// `explain` says what a token holds, and nobody checks it.
    fn declared(
        &self,
        claims: &Map<String, Json>,
        request: &RequestView<'_>,
        state: &mut Remembered,
    ) -> Flow {
        let verdict = |(index, entry): (usize, &Entry)| {
            let verdict = entry.provider.declared(claims, request, &self.consumers)?;
            Some((index, verdict))
        };
        match self.entries.iter().enumerate().find_map(verdict) {
            Some((index, verdict)) => self.follow(index, verdict, request, state),
            None => self.nothing(request),
        }
    }
}

#[cfg(test)]
mod tests;
