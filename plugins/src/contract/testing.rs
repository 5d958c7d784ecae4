//! Requests and answers for tests of plugins: no socket, no session, no clock.
//!
//! Builders panic on what is not a request, which is what a test wants.
#![expect(
    clippy::expect_used,
    reason = "a test that builds no request must fail where it says so"
)]

mod store;

use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use pingora_http::{RequestHeader, ResponseHeader};

pub use store::TestStore;

use super::build::Build;
use super::facts::Facts;
use super::flow::Flow;
use super::place::At;
use super::plugin::Plugin;
use super::report::Report;
use super::services::Services;
use super::view::{Captured, ClientCertificate, RequestBody, RequestView, ResponseView};

/// A request that owns what a [`RequestView`] borrows.
pub struct TestRequest {
    method: Method,
    secure: bool,
    host: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    client: Option<IpAddr>,
    certificate: Option<ClientCertificate>,
    captures: TestCaptures,
    body: RequestBody,
    deadline: Option<Instant>,
    facts: Facts,
}

#[derive(Default)]
struct TestCaptures {
    host: Vec<(String, String)>,
    path: Vec<(String, String)>,
}

impl Captured for TestCaptures {
    fn host(&self, name: &str) -> Option<&str> {
        find(&self.host, name)
    }

    fn path(&self, name: &str) -> Option<&str> {
        find(&self.path, name)
    }
}

fn find<'a>(parts: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let part = parts.iter().find(|(key, _)| key == name)?;
    Some(&part.1)
}

impl TestRequest {
    /// A GET of a whole URL.
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// A request of any method for a whole URL.
    pub fn new(method: &str, url: &str) -> Self {
        let uri: Uri = url
            .parse()
            .expect("a URL such as https://api.example.com/orders/7");
        Self {
            method: Method::from_bytes(method.as_bytes()).expect("a method"),
            secure: uri.scheme_str() == Some("https"),
            host: uri.host().expect("a host").to_ascii_lowercase(),
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
            headers: HeaderMap::new(),
            client: Some(IpAddr::from([192, 0, 2, 1])),
            certificate: None,
            captures: TestCaptures::default(),
            body: RequestBody::None,
            deadline: None,
            facts: Facts::default(),
        }
    }

    /// Adds a header field.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a header's value");
        self.headers.append(name, value);
        self
    }

    /// The client's address; 192.0.2.1 unless told.
    pub fn from(mut self, address: &str) -> Self {
        self.client = Some(address.parse().expect("an address"));
        self
    }

    /// A client without an address, as on a unix socket.
    pub fn from_nowhere(mut self) -> Self {
        self.client = None;
        self
    }

    /// The certificate that the client showed.
    pub fn certificate(mut self, certificate: ClientCertificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// What the route's host pattern captured.
    pub fn capture_host(mut self, name: &str, part: &str) -> Self {
        self.captures.host.push((name.into(), part.into()));
        self
    }

    /// What the route's path pattern captured.
    pub fn capture_path(mut self, name: &str, part: &str) -> Self {
        self.captures.path.push((name.into(), part.into()));
        self
    }

    /// Who was authenticated.
    pub fn identity(self, identity: super::identity::Identity) -> Self {
        self.facts.identify(std::sync::Arc::new(identity));
        self
    }

    /// Facts that remember why.
    pub fn explained(mut self) -> Self {
        self.facts = Facts::explained(None);
        self
    }

    /// What the chain has found out about it.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the head says of the body.
    pub fn body(mut self, body: RequestBody) -> Self {
        self.body = body;
        self
    }

    /// When its time is over; never unless told.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The request as a plugin sees it.
    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            secure: self.secure,
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            client: self.client,
            client_certificate: self.certificate.as_ref(),
            listener: "public",
            route: "orders",
            captures: &self.captures,
            body: self.body,
            deadline: self.deadline,
            facts: &self.facts,
        }
    }

    /// The head that goes to the upstream, before any plugin has changed it.
    pub fn upstream_head(&self) -> RequestHeader {
        let mut head = RequestHeader::build(self.method.clone(), self.path.as_bytes(), None)
            .expect("method and path came from a URL");
        for (name, value) in &self.headers {
            head.append_header(name.clone(), value.clone())
                .expect("they came from a map");
        }
        head
    }
}

/// An answer that owns what a [`ResponseView`] borrows.
pub struct TestResponse {
    /// Status and header fields.
    pub head: ResponseHeader,
    ours: bool,
}

impl TestResponse {
    /// An upstream's answer.
    pub fn new(status: u16) -> Self {
        let head = ResponseHeader::build(status, None).expect("a status code");
        Self { head, ours: false }
    }

    /// An answer of the gateway's own.
    pub fn ours(status: u16) -> Self {
        Self {
            ours: true,
            ..Self::new(status)
        }
    }

    /// Adds a header field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head
            .append_header(name.to_owned(), value)
            .expect("a header field");
        self
    }

    /// The answer as a plugin sees it.
    pub fn view(&mut self) -> ResponseView<'_> {
        ResponseView {
            head: &mut self.head,
            ours: self.ours,
        }
    }

    /// All values of a header, joined with `, `; `None` where there is none.
    pub fn value(&self, name: &str) -> Option<String> {
        joined(&self.head.headers, name)
    }
}

/// All values of a header, joined with `, `; `None` where there is none.
pub fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let values: Vec<String> = headers.get_all(name).iter().map(text).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// A plugin's table as meant; panics on a table that has complaints.
pub fn config<P: Plugin>(table: &str) -> P::Config {
    let (config, report) = validated::<P>(table);
    assert!(!report.has_errors(), "{:#?}", report.complaints());
    config.expect("a table without complaints is meant somehow")
}

/// The codes of the complaints about a plugin's table.
pub fn complaints<P: Plugin>(table: &str) -> Vec<&'static str> {
    let (_, report) = validated::<P>(table);
    report
        .complaints()
        .iter()
        .map(|complaint| complaint.code)
        .collect()
}

fn validated<P: Plugin>(table: &str) -> (Option<P::Config>, Report) {
    let raw = toml::from_str::<P::Raw>(table).expect("a table of the right shape");
    let mut report = Report::default();
    (
        P::validate(At::new(raw, 0..table.len()), &mut report),
        report,
    )
}

/// Builds a plugin as an inline table of a route, with nothing outside.
pub fn compiled<P: Plugin>(config: &P::Config) -> P {
    compiled_with(config, &Services::nothing())
}

/// Builds a plugin as an inline table of a route, with these services.
pub fn compiled_with<P: Plugin>(config: &P::Config, services: &Services) -> P {
    let mut build = Build {
        name: None,
        route: "orders",
        timeout: std::time::Duration::from_mins(1),
        index: 0,
        previous: None,
        shared: &mut P::Shared::default(),
        before: None,
        services,
    };
    P::compile(config, &mut build).expect("a table that can be built")
}

/// Asks one plugin about a request, with fresh state.
pub fn admit<P: Plugin>(plugin: &P, request: &TestRequest) -> Flow {
    wait(plugin.on_request(&request.view(), &mut P::State::default()))
}

/// Drives a future that never really waits.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a plugin without services has nothing to wait for"),
    }
}
