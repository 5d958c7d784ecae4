//! Carries a request out once, however often its client sends it (`Idempotency-Key`,
//! draft-ietf-httpapi-idempotency-key-header).
//!
//! ```toml
//! [store.shared.redis]
//! url = "redis://127.0.0.1:6379"
//!
//! [auth.keys]
//! api-key = {}
//!
//! [route.payments]
//! match       = "POST /payments"
//! upstream    = "orders"
//! idempotency = { required = true, store = "shared", keep = "24h" }
//! auth        = "keys"
//! ```
//!
//! The first request with a key goes to the upstream and its answer is kept. The same request again gets that answer, with
//! `Idempotent-Replayed: true`, and reaches nobody. While the first is under way others get 409 `idempotency.running`; a
//! request that is another one gets 422 `idempotency.different`. What is compared is method, host, path, query and the
//! body's SHA-256. A key is a string (`"8e03978e"`) or a bare text of up to 255 characters; it belongs to the identity that was
//! authenticated, or without one to the client's address, where `Authorization` and `Cookie` are compared as well.
//!
//! Not kept are answers of the gateway's own, and 401, 408, 409, 425, 429, 502, 503, 504: the key may be used again at once. An
//! answer larger than `body-max`, with trailers, or without an end (server-sent events), passes; a repetition gets 409
//! `idempotency.unkept` instead of being carried out again. Where the client goes away before the answer the key stays taken for as long as the
//! route's `timeout` and a moment more. Calls of gRPC are none of its business.
//!
//! A request that took a key may be repeated by the route's `retry` like a safe one: the upstream gets its key, too.
//!
//! Refuses with 400 `idempotency.missing` (where `required`) and `idempotency.malformed`, with 413 `idempotency.too-large`, and
//! with 503 `idempotency.full` and `idempotency.unavailable` (the store does not answer, and `on-error = "deny"`).

mod field;
mod judge;
mod ledger;
mod memory;
mod meters;
mod print;
mod record;
mod refusals;
mod work;
mod written;

use std::sync::Arc;
use std::time::Duration;

use crate::contract::build::{Build, Pool};
use crate::contract::prelude::*;
use crate::contract::services::Tasks;
use crate::limit::key::{Key, KeyBuilder};
use judge::busy;
use ledger::{Asked, Claim, Ledger};
use memory::{BYTES_MAX, Memory};
use meters::Meters;
use print::Digest;
use record::{Kept, Record};
use refusals::{DIFFERENT, FULL, MALFORMED, MISSING, RUNNING, TOO_LARGE, UNAVAILABLE, UNKEPT};
use work::{End, Owner, Work};
use written::{IdempotencyConfig, RawIdempotency};

/// The field that a replayed answer has.
static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What the types of calls of gRPC start with.
const GRPC: &[u8] = b"application/grpc";

/// How much longer than its request a key is taken.
const MOMENT: Duration = Duration::from_secs(5);

/// The compiled policy.
pub struct Idempotency {
    config: IdempotencyConfig,
    /// How long a key is taken by a request of which nothing more is heard.
    lock: Duration,
    ledger: Arc<Ledger>,
    tasks: Arc<dyn Tasks>,
    meters: Meters,
}

impl Plugin for Idempotency {
    const NAME: &'static str = "idempotency";
    const REFUSALS: &'static [&'static Refusal] = &[
        &MISSING,
        &MALFORMED,
        &RUNNING,
        &UNKEPT,
        &DIFFERENT,
        &TOO_LARGE,
        &FULL,
        &UNAVAILABLE,
    ];
    const SINGLE: bool = true;
    type Raw = RawIdempotency;
    type Config = IdempotencyConfig;
    /// Behind a pointer: most requests have no key.
    type State = Option<Box<Work>>;
    type Shared = Pool<(), Memory>;

    fn validate(raw: At<RawIdempotency>, report: &mut Report) -> Option<IdempotencyConfig> {
        Some(written::validate(raw.into_inner(), report))
    }

    fn mode(config: &IdempotencyConfig) -> Mode {
        config.mode
    }

    fn stores(config: &IdempotencyConfig) -> Vec<At<String>> {
        config.store.iter().cloned().collect()
    }

    fn compile(
        config: &IdempotencyConfig,
        build: &mut Build<'_, Self>,
    ) -> Result<Self, CompileError> {
        let (policy, services) = (build.key(), build.services);
        let memory = build.shared.obtain(build.before, &policy, &(), || {
            Ok::<_, CompileError>(Memory::new(BYTES_MAX))
        })?;
        let store = config.store.as_ref().map(|store| store.as_str());
        Ok(Self {
            lock: build.timeout.saturating_add(MOMENT),
            ledger: Arc::new(Ledger::new(&policy, memory, store, services)),
            tasks: services.tasks.clone(),
            meters: Meters::new(&*services.meter, &policy, config.on_error.name()),
            config: config.clone(),
        })
    }

    async fn on_request(&self, request: &RequestView<'_>, state: &mut Self::State) -> Flow {
        if !self.concerns(request) {
            return Flow::Continue;
        }
        let key = match field::key(request.headers) {
            Ok(Some(key)) => key,
            Ok(None) if self.config.required => return Flow::refuse(&MISSING),
            Ok(None) => {
                self.meters.keyless.add_one();
                return Flow::Continue;
            }
            Err(fault) => return Reply::refusal(&MALFORMED).detail(fault.told()).into(),
        };
        if matches!(request.body, RequestBody::Length(length) if length > self.config.body_max) {
            return Flow::refuse(&TOO_LARGE);
        }
        let head = print::of_head(request);
        let running = record::running(rand::random(), &head);
        let (config, key) = (&self.config, owned(request, &key));
        let asked = self
            .ledger
            .ask(key, running, self.lock, config.on_error, &self.meters);
        match asked.await {
            Asked::Taken(claim) => self.taken(claim, head, request, state),
            Asked::There(record) => match Record::read(&record) {
                Some(record) => self.known(record, &head, request, state),
                None => self.unknown(request),
            },
            Asked::Full => busy(&FULL),
            Asked::Unknown => self.unknown(request),
        }
    }

    fn on_upstream_request(
        &self,
        _: &RequestView<'_>,
        _: &mut RequestHeader,
        state: &mut Self::State,
    ) {
        match state.as_deref_mut() {
            Some(Work::Owner(owner)) => owner.restart(),
            Some(Work::Watch(watch)) => watch.body.restart(),
            Some(Work::Replay(_)) | None => {}
        }
    }

    fn on_request_body(&self, chunk: &mut BodyChunk<'_>, state: &mut Self::State) -> Flow {
        match state.as_deref_mut() {
            Some(Work::Owner(owner)) => {
                if owner.sent(chunk, self.config.body_max) {
                    return Flow::refuse(&TOO_LARGE);
                }
                Flow::Continue
            }
            Some(Work::Watch(watch)) => {
                watch.body.piece(chunk);
                match watch.body.digest {
                    Some(body) if chunk.end => self.compare(&body, &watch.kept),
                    _ => Flow::Continue,
                }
            }
            Some(Work::Replay(_)) | None => Flow::Continue,
        }
    }

    fn on_response(
        &self,
        _: &RequestView<'_>,
        response: &mut ResponseView<'_>,
        state: &mut Self::State,
    ) {
        match state.as_deref_mut() {
            Some(Work::Owner(owner)) => {
                if let Some(end) = owner.answered(response, self.config.body_max) {
                    self.settle(&owner.claim, end);
                }
            }
            Some(Work::Replay(kept)) => {
                if response.head.headers.contains_key(&REPLAYED) {
                    self.meters.replayed.add_one();
                    restore(kept, response.head);
                } else {
                    // Its body was not the one that was answered.
                    self.meters.different.add_one();
                }
            }
            Some(Work::Watch(_)) | None => {}
        }
    }

    fn on_response_body(&self, chunk: &mut BodyChunk<'_>, state: &mut Self::State) {
        if let Some(Work::Owner(owner)) = state.as_deref_mut()
            && let Some(end) = owner.answer(chunk, self.config.body_max)
        {
            self.settle(&owner.claim, end);
        }
    }

    fn on_done(&self, done: &Done, state: &Self::State) {
        let Some(Work::Owner(owner)) = state.as_deref() else {
            return;
        };
        match owner.end(done.trailers).filter(|_| done.complete) {
            // A body that ended with its head, or with trailers.
            Some(end) => self.settle(&owner.claim, end),
            None if owner.is_settled() => {}
            None => self.meters.answers.left.add_one(),
        }
    }
}

impl Idempotency {
    /// Calls of gRPC may be streams, and have a status of their own.
    fn concerns(&self, request: &RequestView<'_>) -> bool {
        let kind = request.headers.get(http::header::CONTENT_TYPE);
        let start = kind.and_then(|kind| kind.as_bytes().get(..GRPC.len()));
        let grpc = start.is_some_and(|start| start.eq_ignore_ascii_case(GRPC));
        self.config.methods.contains(request.method) && !grpc
    }

    fn enforces(&self) -> bool {
        self.config.mode == Mode::Enforce
    }

    fn taken(
        &self,
        claim: Claim,
        head: Digest,
        request: &RequestView<'_>,
        state: &mut Option<Box<Work>>,
    ) -> Flow {
        self.meters.first.add_one();
        request
            .facts
            .note(|| "the first request with its key".into());
        if self.enforces() {
            request.facts.repeatable();
        }
        *state = Some(Box::new(Work::Owner(Owner::new(claim, head, request.body))));
        Flow::Continue
    }

    /// Writes down what becomes of a key: at once in memory, beside the request in a store.
    fn settle(&self, claim: &Claim, end: End) {
        let answers = self.meters.answers.clone();
        let (count, record) = match end {
            End::Kept(record) => (answers.kept, Some(record)),
            End::Unkept(record) => (answers.unkept, Some(record)),
            End::Released => (answers.released, None),
        };
        let (lost, keep) = (answers.lost, self.config.keep);
        let record = record.map(|record| (record, keep));
        if Ledger::is_here(claim) {
            let done = self.ledger.settle_here(claim, record);
            if done { count } else { lost }.add_one();
            return;
        }
        let (ledger, claim, on_error) = (self.ledger.clone(), claim.clone(), self.config.on_error);
        self.tasks.spawn(Box::pin(async move {
            let done = ledger.settle(claim, record, on_error).await;
            if done { count } else { lost }.add_one();
        }));
    }
}

/// Whose key it is: two who were told apart never meet.
fn owned(request: &RequestView<'_>, key: &str) -> Key {
    let mut owned = KeyBuilder::default();
    match (request.facts.identity(), request.client) {
        (Some(identity), _) => owned.text(identity.key()),
        (None, Some(address)) => owned.address(address),
        (None, None) => owned.nobody(),
    };
    owned.text(key);
    owned.finish()
}

/// The head as it went out the first time: what policies below change in answers was changed then.
fn restore(kept: &Kept, head: &mut ResponseHeader) {
    let own = |name: &HeaderName| *name == http::header::CONTENT_LENGTH || *name == REPLAYED;
    let names: Vec<_> = head
        .headers
        .keys()
        .filter(|name| !own(name))
        .cloned()
        .collect();
    for name in names {
        head.remove_header(&name);
    }
    for (name, value) in kept.fields.iter().filter(|(name, _)| !own(name)) {
        // Fails for a map that is full, which a head that was one before does not make.
        drop(head.append_header(name.clone(), value.clone()));
    }
}

#[cfg(test)]
mod tests;
