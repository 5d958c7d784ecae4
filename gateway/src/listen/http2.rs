//! HTTP/2 by prior knowledge or ALPN: recognised by us, spoken by Pingora, whose budget for malformed streams is private.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::server::ShutdownWatch;

use super::Reception;
use super::accept::Post;
use super::conn::{Allowance, Conn};
use super::settings::H2Settings;

pub(super) mod stream;
mod tally;

use self::tally::Tally;

/// The shared app with the limits of one listener.
struct Limited<A> {
    app: Arc<A>,
    h2: H2Settings,
    write_timeout: Duration,
    /// What bodies of requests are allowed.
    body: Allowance,
    options: HttpServerOptions,
    tally: Arc<Tally>,
}

/// Streams that a client may reset before we have looked at them; one more ends the connection.
const UNSEEN_RESETS_MAX: usize = 20;
/// Streams that may break the protocol in a way that concerns only them.
const FAULTY_STREAMS_MAX: usize = 100;

/// Serves a connection whose preface has arrived until it ends, or until its client has given up too much of what it asked.
pub(super) async fn serve<R: Reception>(mut conn: Box<Conn>, post: Arc<Post<R>>) {
    let limited = limit(&mut conn, &post);
    let tally = limited.tally.clone();
    tokio::select! {
        _ended = limited.process_new(conn, &post.watch) => {}
        () = tally.abused() => tracing::debug!("A client of HTTP/2 resets most of its streams"),
    }
}

fn limit<R: Reception>(conn: &mut Conn, post: &Post<R>) -> Arc<Limited<R::App>> {
    let live = post.listener.live();
    conn.adopt(&live);
    conn.turn_http2(live.settings.header_timeout);
    let mut options = HttpServerOptions::default();
    options.h2_idle_timeout = Some(live.settings.idle_timeout);
    let app = Arc::clone(post.reception.app());
    Arc::new(Limited {
        app,
        h2: live.settings.h2.clone(),
        write_timeout: live.settings.write_timeout,
        body: Allowance {
            base: live.settings.body_timeout,
            rate: live.settings.body_rate_min,
        },
        options,
        tally: Arc::default(),
    })
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> HttpServerApp for Limited<A> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let session = stream::watched(session, self.write_timeout, self.body, &self.tally);
        self.app.process_new_http(session, shutdown).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        // Anything but this start would lose Pingora's guards.
        let mut options = default_h2_options();
        options
            .max_concurrent_streams(self.h2.streams_max)
            .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
            .max_local_error_reset_streams(Some(FAULTY_STREAMS_MAX))
            .max_header_list_size(self.h2.header_list_max)
            .initial_window_size(self.h2.stream_window)
            .initial_connection_window_size(self.h2.connection_window);
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}
