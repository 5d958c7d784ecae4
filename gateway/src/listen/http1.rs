//! One client connection: request after request, each in a future that exists only while it is worked on.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use pingora::apps::{HttpServerApp, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use tokio::io::AsyncWriteExt;

use super::Reception;
use super::accept::Post;
use super::conn::{Allowance, Conn};
use super::head::{Alarm, Arrival, Head, arrive};
use super::http2;
use super::refusal::HeadRefusal;

/// Pingora wants a number to keep a connection alive; the waiting itself is ours and knows its own timeout.
const KEEPALIVE: Option<u64> = Some(60);

/// Serves a connection until it ends.
pub(super) async fn serve<R: Reception>(mut conn: Box<Conn>, post: Arc<Post<R>>) {
    let _seat = post
        .gate
        .enlist(poll_fn(|cx| Poll::Ready(cx.waker().clone())).await);
    let mut alarm = Alarm::default();
    let mut served = 0;
    loop {
        let head = match arrive(&mut conn, &mut alarm, &post.listener, served == 0).await {
            Arrival::Head(head) => head,
            Arrival::Refused(refusal) => return Box::pin(refuse(conn, &post, refusal)).await,
            Arrival::Http2 => return Box::pin(http2::serve(conn, post)).await,
            Arrival::Over => return conn.say_goodbye(),
        };
        served += 1;
        match begin(&post, conn, head, served).await.and_then(reclaim) {
            Some(kept) => conn = kept,
            None => return,
        }
    }
}

type Exchange<'a> = Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'a>>;

/// Hands a request to Pingora. A plain function: the session is large and must not become a part of the connection's future.
fn begin<R: Reception>(
    post: &Post<R>,
    mut conn: Box<Conn>,
    head: Head,
    served: u32,
) -> Exchange<'_> {
    let live = post.listener.live();
    let settings = &live.settings;
    conn.adopt(&live);
    let body = Allowance {
        base: settings.body_timeout,
        rate: settings.body_rate_min,
    };
    conn.begin_message(head.framing, head.upgrade, body);
    let mut session = ServerSession::new_http1(conn);
    session.set_keepalive(KEEPALIVE);
    session.set_keepalive_reuses_remaining(Some(settings.requests_max.saturating_sub(served)));
    session.set_read_timeout(Some(settings.body_timeout));
    session.set_total_drain_timeout(Some(settings.body_timeout));
    session.set_pipelined_prefix(head.bytes);
    post.reception.app().process_new_http(session, &post.watch)
}

/// The connection, if Pingora left it in a state to go on with.
fn reclaim(reused: ReusedHttpStream) -> Option<Box<Conn>> {
    let (stream, _) = reused.consume();
    let conn: Box<Conn> = stream.into_any().downcast().ok()?;
    conn.is_between_messages().then_some(conn)
}

async fn refuse<R: Reception>(mut conn: Box<Conn>, post: &Post<R>, refusal: HeadRefusal) {
    let answer = post.reception.refuse(conn.facts(), refusal, conn.early());
    if conn.write_all(&answer).await.is_ok() {
        conn.linger().await;
    }
}
