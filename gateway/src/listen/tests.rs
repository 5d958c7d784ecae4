//! The accept path over real sockets: a real Pingora proxy behind it, a scripted upstream, raw bytes in front.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::proxy::{HttpProxy, ProxyHttp, Session};
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;

use super::*;

mod closing;
mod requests;

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers `/local` itself with what it knows, forwards everything else.
struct Proxy {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, (): &mut ()) -> pingora::Result<bool> {
        if session.req_header().uri.path() != "/local" {
            return Ok(false);
        }
        let facts = facts(session).expect("a session of ours");
        let began = u8::from(head_began(session).is_some());
        let body = format!("{} {} {began}", facts.listener.name, facts.listener.index);
        let mut head = ResponseHeader::build(200, None)?;
        head.insert_header("content-length", body.len())?;
        session.write_response_header(Box::new(head), false).await?;
        session.write_response_body(Some(body.into()), true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        _: &mut ResponseHeader,
        (): &mut (),
    ) -> pingora::Result<()> {
        if facts(session).is_some_and(ConnFacts::draining) {
            session.set_keepalive(None);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Counts {
    opened: AtomicUsize,
    closed: AtomicUsize,
    turned_away: AtomicUsize,
}

struct Desk {
    app: Arc<HttpProxy<Proxy>>,
    counts: Arc<Counts>,
}

impl Reception for Desk {
    type App = HttpProxy<Proxy>;

    fn app(&self) -> &Arc<Self::App> {
        &self.app
    }

    fn refuse(&self, _: &ConnFacts, refusal: HeadRefusal, _: &[u8]) -> Bytes {
        let (status, code) = (refusal.status(), refusal.code());
        let length = code.len();
        let head = format!("HTTP/1.1 {status} Refused\r\ncontent-length: {length}");
        Bytes::from(format!("{head}\r\nconnection: close\r\n\r\n{code}"))
    }

    fn opened(&self, _: &ConnFacts) {
        self.counts.opened.fetch_add(1, Ordering::Relaxed);
    }

    fn closed(&self, _: &ConnFacts) {
        self.counts.closed.fetch_add(1, Ordering::Relaxed);
    }

    fn turned_away(&self, _: &ListenerFacts, _: Endpoint, _: TurnedAway) {
        self.counts.turned_away.fetch_add(1, Ordering::Relaxed);
    }
}

/// A gateway with one listener, and the upstream that it forwards to.
struct House {
    listeners: Listeners,
    counts: Arc<Counts>,
    upstream: TcpListener,
    address: SocketAddr,
    _workers: Workers,
}

fn settings() -> Settings {
    Settings::new("front", Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))))
}

fn house(settings: Settings) -> House {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let counts = Arc::new(Counts::default());
    let (target, shared) = (upstream.local_addr().unwrap(), Arc::clone(&counts));
    let workers = Workers::start("test", 2, move |_| {
        let mut proxy = HttpProxy::new(Proxy { upstream: target }, Arc::new(ServerConf::default()));
        proxy.handle_init_modules();
        Arc::new(Desk {
            app: Arc::new(proxy),
            counts: Arc::clone(&shared),
        })
    })
    .unwrap();
    let listeners = Listeners::new(&workers, 1000);
    listeners.commit(listeners.prepare(vec![settings]).unwrap());
    let local = listeners.addresses().remove(0).1;
    let address = local.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
    House {
        listeners,
        counts,
        upstream,
        address,
        _workers: workers,
    }
}

impl House {
    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.set_nodelay(true).unwrap();
        client
    }

    /// The next connection that the gateway makes to its upstream.
    fn upstream(&self) -> TcpStream {
        let (stream, _) = self.upstream.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

/// Reads until what was read satisfies `enough`, or the other side ends.
fn read_until(stream: &mut impl Read, enough: impl Fn(&str) -> bool) -> String {
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if enough(&text) {
            return text;
        }
        match stream.read(&mut piece) {
            Ok(0) => return text,
            Ok(count) => seen.extend_from_slice(&piece[..count]),
            Err(error) => panic!("{error} after {text:?}"),
        }
    }
}

fn read_to_end(stream: &mut impl Read) -> String {
    read_until(stream, |_| false)
}

fn ask(stream: &mut (impl Read + Write), request: &str, until: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    read_until(stream, |text| text.ends_with(until))
}

fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "not in time");
        std::thread::yield_now();
    }
}

const LOCAL: &str = "GET /local HTTP/1.1\r\nhost: h\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
