//! What the accept path meets: one worker's proxy, and the answer to heads that were refused before any route was known.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Method};
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use plugins::contract::flow::Refusal;

use super::{Gateway, Shared, reply, request_id};
use crate::listen::{
    ConnFacts, Endpoint, HandshakeFailure, HeadRefusal, ListenerFacts, Reception, TurnedAway,
};
use crate::observe::access_log::line::Line;

/// Attempts that Pingora may make for one request: the retry rules are ours, this only must not be the limit.
const TRIES: usize = 16;

/// One worker's front.
pub struct Front {
    shared: Arc<Shared>,
    worker: usize,
    proxy: Arc<HttpProxy<Gateway>>,
}

impl Front {
    /// For one worker, counted from 0. Its upstream pool is its own, so that connections stay on its core.
    pub fn new(shared: Arc<Shared>, worker: usize) -> Self {
        let snapshot = shared.live.snapshot();
        let server = &snapshot.loaded.config.server;
        let conf = ServerConf {
            threads: 1,
            upstream_keepalive_pool_size: server.upstream_idle_max,
            max_retries: TRIES,
            ..ServerConf::default()
        };
        let mut proxy = HttpProxy::new(Gateway::new(shared.clone(), worker), Arc::new(conf));
        proxy.handle_init_modules();
        Self {
            shared,
            worker,
            proxy: Arc::new(proxy),
        }
    }
}

impl Reception for Front {
    type App = HttpProxy<Gateway>;

    fn app(&self) -> &Arc<Self::App> {
        &self.proxy
    }

    fn refuse(&self, conn: &ConnFacts, refusal: HeadRefusal, head: &[u8]) -> Bytes {
        let refusal = refusal_of(refusal);
        let id: HeaderValue = request_id::make();
        let id = id.to_str().unwrap_or_default();
        self.shared.metrics.unrouted.count(refusal.status);
        self.log(conn, refusal, head, id);
        reply::farewell(refusal, id, self.hsts(conn).as_ref())
    }

    fn shaken(&self, conn: &ConnFacts, failure: Option<&HandshakeFailure>) {
        self.shared.handshakes.note(conn, failure);
    }

    fn opened(&self, _conn: &ConnFacts) {}

    fn closed(&self, _conn: &ConnFacts) {}

    fn turned_away(&self, listener: &ListenerFacts, client: Endpoint, why: TurnedAway) {
        self.shared.turned_away.count(&listener.name, client, why);
    }
}

impl Front {
    /// What encrypted connections of this listener tell browsers.
    fn hsts(&self, conn: &ConnFacts) -> Option<HeaderValue> {
        conn.tls.as_ref()?;
        let snapshot = self.shared.live.snapshot();
        let index = snapshot.listener(&conn.listener)?;
        snapshot.listeners.get(index)?.hsts.clone()
    }

    /// The head could not be read, so only its first line is logged, as far as it goes.
    fn log(&self, conn: &ConnFacts, refusal: &'static Refusal, head: &[u8], id: &str) {
        let line = head
            .split(|byte| matches!(byte, b'\r' | b'\n'))
            .find(|line| !line.is_empty())
            .unwrap_or_default();
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let method = words
            .next()
            .and_then(|word| Method::from_bytes(word).ok())
            .map(|method| method.to_string())
            .unwrap_or_default();
        let path = loggable(words.next().unwrap_or_default());
        let line = Line {
            time: SystemTime::now(),
            request_id: id,
            client: match conn.client {
                Endpoint::Ip(address) => Some(address.ip().to_canonical()),
                Endpoint::Unix => None,
            },
            listener: &conn.listener.name,
            method: method.get(..method.len().min(32)).unwrap_or_default(),
            host: "",
            path: path.get(..path.len().min(1024)).unwrap_or_default(),
            query: None,
            protocol: "",
            route: None,
            auth: None,
            consumer: None,
            status: refusal.status,
            grpc_status: None,
            code: Some(refusal.code),
            shadowed: &[],
            upstream: None,
            target: None,
            attempts: 0,
            retried: None,
            not_retried: None,
            hedge: None,
            fallback: None,
            cache: None,
            cache_reason: None,
            bytes_in: 0,
            bytes_out: 0,
            total: Duration::ZERO,
            upstream_time: None,
            hop: Duration::ZERO,
            values: Vec::new(),
        };
        let snapshot = self.shared.live.snapshot();
        let fields = &snapshot.loaded.config.access_log.fields;
        self.shared.access_log.write(self.worker, &line, fields);
    }
}

/// The target without its query and without what an absolute one may say of users: both may be credentials.
fn loggable(target: &[u8]) -> &[u8] {
    let path = target
        .split(|byte| *byte == b'?')
        .next()
        .unwrap_or_default();
    if path.first() == Some(&b'/') {
        return path;
    }
    path.rsplit(|byte| *byte == b'@').next().unwrap_or_default()
}

/// The answer to a refused head where nothing is logged or counted: on the admin listener.
pub fn answer(refusal: HeadRefusal) -> Bytes {
    reply::farewell(
        refusal_of(refusal),
        request_id::make().to_str().unwrap_or_default(),
        None,
    )
}

macro_rules! head_refusals {
    ($($kind:ident: $title:literal),+ $(,)?) => {
        /// The answer to each way in which a head can be refused.
        pub fn refusal_of(refusal: HeadRefusal) -> &'static Refusal {
            match refusal {
                $( HeadRefusal::$kind => {
                    static REFUSAL: Refusal = Refusal {
                        status: HeadRefusal::$kind.status(),
                        code: HeadRefusal::$kind.code(),
                        title: $title,
                    };
                    &REFUSAL
                } )+
            }
        }
    };
}

head_refusals! {
    BareLf: "A line of the request ends with LF alone.",
    BareCr: "The request holds a CR without LF.",
    Control: "The request holds a control byte.",
    RequestLine: "The request line is malformed.",
    Method: "The method is malformed.",
    Connect: "CONNECT is not offered here.",
    Target: "The request target is malformed.",
    Version: "This version of HTTP is not offered here.",
    ObsFold: "A header field continues on the next line.",
    FieldName: "The name of a header field is malformed.",
    SpaceBeforeColon: "There is a space before the colon of a header field.",
    ContentLength: "Content-Length is malformed.",
    ContentLengthRepeated: "There is more than one Content-Length.",
    LengthBesideCoding: "There are both Content-Length and Transfer-Encoding.",
    TransferEncoding: "Transfer-Encoding is malformed.",
    CodingUnknown: "This transfer coding is not offered here.",
    CodingInOldVersion: "HTTP/1.0 has no Transfer-Encoding.",
    HostMissing: "There is no Host.",
    HostRepeated: "There is more than one Host.",
    HostMalformed: "Host is malformed.",
    HostDisagrees: "Host and the request target name different hosts.",
    Expectation: "This expectation is not known here.",
    UriTooLong: "The request target is too long.",
    HeadTooLarge: "The head of the request is too large.",
    HeadersTooMany: "The request has too many header fields.",
    Timeout: "The head of the request did not arrive in time.",
}
