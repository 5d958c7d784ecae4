//! A copy of each request for a second upstream: sent and forgotten, never waited for.
//!
//! What is kept of a request and how many copies are under way is limited; beyond the limits a copy is dropped and counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Version, header};
use pingora::http::RequestHeader;
use pingora::prelude::Session;
use plugins::chain::Memory;
use tokio::sync::OwnedSemaphorePermit;

use super::ctx::Ctx;
use super::headers::{self, Hop};
use super::lower;
use crate::client::{Client, Limits};
use crate::observe::metrics::MirrorResult;
use crate::runtime::action::Mirror;
use crate::runtime::route::Route;
use crate::upstream::{Outcome, Pick, Wish};

/// The largest body that is copied, and the largest answer that is read to keep its connection.
const BODY_MAX: usize = 64 << 10;

/// A copy that is being made.
pub(super) struct Copy {
    /// Gone once the copy has left, or was given up.
    head: Option<Box<RequestHeader>>,
    body: BytesMut,
}

fn of(route: &Route) -> Option<&Mirror> {
    route.action.forward()?.mirror.as_ref()
}

/// Begins a copy with the head of the first attempt; a repeated attempt begins its body anew.
pub(super) fn begin(
    session: &Session,
    head: &RequestHeader,
    route: &Route,
    hop: &Hop<'_>,
    memory: &mut Memory,
    copy: &mut Option<Box<Copy>>,
) {
    let Some(mirror) = of(route).filter(|_| !session.is_upgrade_req()) else {
        return;
    };
    if let Some(copy) = copy {
        copy.body.clear();
        return;
    }
    let mut head = head.clone();
    // Who gets it is known when it leaves: `launch` says so where `Host` was to say it.
    let hop = Hop { target: "", ..*hop };
    let changed = *hop.view.path != *session.req_header().uri.path();
    let fits = headers::prepare(&mut head, &hop, route, &mirror.upstream.config, changed);
    // What is wrong with it is the request's own failure, and told there.
    if fits.is_err() {
        return;
    }
    route.chain.on_upstream_request(hop.view, &mut head, memory);
    *copy = Some(Box::new(Copy {
        head: Some(Box::new(head)),
        body: BytesMut::new(),
    }));
}

/// Keeps a piece of the body; the last one sends the copy on its way.
pub(super) fn body(client: &Arc<Client>, ctx: &mut Ctx, piece: Option<&Bytes>, end: bool) {
    let Some(copy) = &mut ctx.progress.mirror else {
        return;
    };
    if copy.head.is_none() {
        return;
    }
    let piece = piece.map_or(&[][..], |piece| piece);
    let fits = copy.body.len() + piece.len() <= BODY_MAX;
    if fits {
        copy.body.extend_from_slice(piece);
    }
    if fits && !end {
        return;
    }
    let (head, body) = (copy.head.take(), std::mem::take(&mut copy.body));
    let Some((mirror, head)) = ctx.route().and_then(of).zip(head) else {
        return;
    };
    if !fits {
        mirror.metrics.count(MirrorResult::TooLarge);
        return;
    }
    launch(client, mirror, *head, body.freeze());
}

fn launch(client: &Arc<Client>, mirror: &Mirror, mut head: RequestHeader, body: Bytes) {
    let Ok(permit) = mirror.permits.clone().try_acquire_owned() else {
        mirror.metrics.count(MirrorResult::Busy);
        return;
    };
    let now = Instant::now();
    let Ok(pick) = mirror.upstream.pick(&Wish::at(now)) else {
        mirror.metrics.count(MirrorResult::Failed);
        return;
    };
    addressed(&mut head, &pick.attempt.target().address);
    framed(&mut head, body.len());
    let (client, metrics) = (client.clone(), mirror.metrics.clone());
    let time = mirror.time;
    tokio::spawn(async move {
        metrics.count(deliver(&client, pick, (head, body), time, permit).await);
    });
}

/// An empty `Host` was made before the target was known.
fn addressed(head: &mut RequestHeader, target: &str) {
    let host = head.headers.get(header::HOST);
    if host.is_some_and(HeaderValue::is_empty)
        && let Ok(host) = headers::host_of(target)
    {
        lower::change(head, |parts| parts.headers.insert(header::HOST, host));
    }
}

/// A copy is whole, so it has a length whatever the original said.
fn framed(head: &mut RequestHeader, length: usize) {
    head.set_version(Version::HTTP_11);
    lower::change(head, |parts| {
        parts.headers.remove(header::TRANSFER_ENCODING);
        parts.headers.remove(header::EXPECT);
        if length > 0 || parts.headers.contains_key(header::CONTENT_LENGTH) {
            parts.headers.insert(header::CONTENT_LENGTH, length.into());
        }
    });
}

async fn deliver(
    client: &Client,
    mut pick: Pick,
    (head, body): (RequestHeader, Bytes),
    time: Duration,
    _permit: OwnedSemaphorePermit,
) -> MirrorResult {
    let began = Instant::now();
    let limits = Limits {
        time,
        bytes: BODY_MAX,
    };
    let answered = client.send(&pick.peer, head, body, limits).await;
    let (outcome, result) = match answered {
        Ok(answer) => (Outcome::Answered(answer.status), MirrorResult::Sent),
        Err(error) => {
            tracing::debug!(%error, "A copy was not delivered");
            (Outcome::Broken, MirrorResult::Failed)
        }
    };
    pick.attempt.report(outcome, began.elapsed());
    pick.attempt.end();
    result
}
