//! Pingora's hooks as a table of contents: each says which file does the work.

mod affinity;
mod cache;
pub mod client_addr;
mod cookie;
mod ctx;
mod dialect;
pub mod failure;
mod finish;
mod forward;
mod grpc;
mod grpc_web;
mod handshakes;
pub mod headers;
mod http2_head;
mod lower;
mod mirror;
mod reception;
pub mod reply;
mod request;
pub mod request_id;
mod response;
mod response_head;
mod shed;
mod silence;
mod terms;
mod trailers;
mod turned_away;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::{Error, HttpPeer, ProxyHttp, Result, Session};
use pingora::proxy::{FailToProxy, ProxyWarnLogContext};
use pingora_cache::storage::HitHandler;
use pingora_cache::{CacheKey, CacheMeta, ForcedFreshness, RespCacheable};

use crate::client::Client;
use crate::observe::access_log::AccessLog;
use crate::observe::metrics::Metrics;
use crate::overload::{Overload, Pressure};
use crate::runtime::Live;
use crate::runtime::outside::Outside;
use crate::upstream::names::Names;
use ctx::Ctx;
use forward::hedge::Hedger;

pub use handshakes::Handshakes;
pub use reception::{Front, answer as reception_answer, refusal_of};
pub use turned_away::Departures;

/// What all workers share.
pub struct Shared {
    /// The snapshot that new requests get.
    pub live: Live,
    /// Who answers for names.
    pub names: Arc<Names>,
    /// Whether there is too much to do.
    pub overload: Arc<Overload>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// What policies get from outside.
    pub outside: Outside,
    /// One line a request.
    pub access_log: AccessLog,
    /// Connections closed unread.
    pub turned_away: Departures,
    /// TLS handshakes by result.
    pub handshakes: Handshakes,
}

/// The gateway as one worker runs it.
pub struct Gateway {
    shared: Arc<Shared>,
    worker: usize,
    /// How much this worker has to do.
    pressure: Arc<Pressure>,
    /// For what is sent beside the requests.
    client: Arc<Client>,
    /// For requests that may be with two targets.
    hedger: Arc<Hedger>,
}

impl Gateway {
    /// For one worker, counted from 0.
    pub fn new(shared: Arc<Shared>, worker: usize) -> Self {
        let snapshot = shared.live.snapshot();
        let idle_max = snapshot.loaded.config.server.upstream_idle_max;
        Self {
            pressure: shared.overload.pressure(worker),
            shared,
            worker,
            client: Arc::default(),
            hedger: Arc::new(Hedger::new(idle_max)),
        }
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Ctx;

    fn new_ctx(&self) -> Ctx {
        Ctx::new(self.shared.live.snapshot())
    }

    /// None: Pingora's compression would be built for every request.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<()> {
        request::identify(session, ctx, self.pressure.level());
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        match request::admit(session, ctx).await {
            None => match cache::quick::look(session, ctx) {
                // In a box of its own: requests of other routes would carry it along.
                Some(entry) => Box::pin(cache::quick::answer(session, ctx, &entry)).await,
                None => Ok(false),
            },
            Some(reply) if reply.terms.is_some() => {
                let reply = Box::pin(terms::settle(session, ctx, reply)).await?;
                reply::send(session, ctx, &reply).await.map(|()| true)
            }
            Some(reply) => reply::send(session, ctx, &reply).await.map(|()| true),
        }
    }

    /// For refreshing what is stale behind the client's back.
    fn allow_spawning_subrequest(&self, _: &Session, ctx: &Ctx) -> bool {
        ctx.route().is_some_and(|route| route.cache.is_some())
    }

    fn request_cache_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<()> {
        cache::enable(session, ctx);
        Ok(())
    }

    fn cache_key_callback(&self, _session: &Session, ctx: &mut Ctx) -> Result<CacheKey> {
        cache::key(ctx)
    }

    async fn cache_hit_filter(
        &self,
        session: &mut Session,
        _: &CacheMeta,
        hit: &mut HitHandler,
        fresh: bool,
        ctx: &mut Ctx,
    ) -> Result<Option<ForcedFreshness>> {
        Ok(cache::found(session, &**hit, fresh, ctx))
    }

    fn cache_not_modified_filter(
        &self,
        session: &Session,
        head: &ResponseHeader,
        _: &mut Ctx,
    ) -> Result<bool> {
        Ok(cache::client_has(session.req_header(), head))
    }

    async fn proxy_upstream_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        cache::may_ask(session, ctx).await
    }

    fn response_cache_filter(
        &self,
        session: &Session,
        head: &ResponseHeader,
        ctx: &mut Ctx,
    ) -> Result<RespCacheable> {
        Ok(cache::store(session, head, ctx))
    }

    fn should_serve_stale(&self, _: &mut Session, ctx: &mut Ctx, error: Option<&Error>) -> bool {
        cache::covers(ctx, error)
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
        forward::pick(session, ctx, &self.hedger).await
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _: &HttpPeer,
        ctx: &mut Ctx,
        error: Box<Error>,
    ) -> Box<Error> {
        forward::again::not_connected(session, ctx, error)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        head: &mut RequestHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        forward::prepare(session, head, ctx)?;
        cache::prepare(session, head, ctx)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Ctx,
    ) -> Result<()> {
        forward::body(session, body, end, ctx)?;
        mirror::body(&self.client, ctx, body.as_ref(), end);
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        cache::confirmed(session, head, ctx);
        forward::again::answered(session, head, ctx)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        response::head(session, head, ctx)
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Ctx,
    ) -> Result<Option<Duration>> {
        response::body(session, body, end, ctx).map(|()| None)
    }

    async fn response_trailer_filter(
        &self,
        _: &mut Session,
        trailers: &mut HeaderMap,
        ctx: &mut Ctx,
    ) -> Result<Option<Bytes>> {
        Ok(response::trailers(trailers, ctx))
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Ctx,
        reused: bool,
    ) -> Box<Error> {
        cache::broke(session);
        forward::again::broke(session, ctx, error, reused)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Ctx,
    ) -> FailToProxy {
        failure::answer(session, error, ctx).await
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Ctx) {
        finish::record(&self.shared, self.worker, session, error.is_none(), ctx);
    }

    /// The access log is the record of a failed request; `failure` writes the line for operators.
    fn suppress_error_log(&self, _: &Session, _: &Ctx, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Ctx,
        _: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}
