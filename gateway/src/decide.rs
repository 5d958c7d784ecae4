//! The only code that chooses a route and asks its policies: the proxy, `gateway explain` and tests call the same.
//!
//! Two steps: [`route`] answers at once, [`admit`] may wait. A listener hears every step; where nobody listens it costs
//! nothing.

pub mod deadline;
pub mod host;
pub mod refusals;

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use plugins::chain::{Memory, Observer};
use plugins::contract::facts::Facts;
use plugins::contract::flow::{Flow, Reply, ReplyBody};
use plugins::contract::template::{Place, Template};
use plugins::contract::token::preflight_method;
use plugins::contract::value::ValueError;
use plugins::contract::view::{Captured, ClientCertificate, RequestBody, RequestView};

use crate::config::model::{PathChange, TrailingSlash};
use crate::routing::path::normalise;
use crate::routing::{Captures, Found, RouteRequest, Router, Tracer};
use crate::runtime::action::{Action, NoArm};
use crate::runtime::route::Route;
use crate::runtime::{Listener, Snapshot};

/// What decides about a request, before any route is known.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// The method.
    pub method: &'a Method,
    /// Host in lower case, without port; empty if there is none.
    pub host: &'a str,
    /// Path as received.
    pub path: &'a str,
    /// Query as received, without `?`.
    pub query: Option<&'a str>,
    /// Header fields as received.
    pub headers: &'a HeaderMap,
    /// Whether the client came by TLS, to us or to a trusted proxy.
    pub secure: bool,
}

/// The route of a request.
#[derive(Debug)]
pub struct Routed<'a> {
    /// Index in [`Snapshot::routes`].
    pub route: usize,
    /// The path in normal form.
    pub path: Cow<'a, str>,
}

/// What comes of a request that a route took.
pub enum Admission {
    /// It goes to this arm of the route.
    Forward(usize),
    /// It is answered here.
    Reply(Box<Reply>),
}

/// What a request is once its route is known: everything that a [`RequestView`] needs and the head does not say.
pub struct Identified<'a> {
    /// The name of the listener.
    pub listener: &'a str,
    /// The name of the route; empty while there is none.
    pub route: &'a str,
    /// The client's address behind trusted proxies.
    pub client: Option<IpAddr>,
    /// Whether the client came by TLS.
    pub secure: bool,
    /// The certificate that it showed.
    pub certificate: Option<&'a ClientCertificate>,
    /// What the head says of the body.
    pub body: RequestBody,
    /// When its time is over; `None` where nobody waits for an answer.
    pub deadline: Option<Instant>,
    /// Host in lower case, without port.
    pub host: &'a str,
    /// Path in normal form.
    pub path: &'a str,
    /// What the route's pattern captured.
    pub captures: &'a Captures,
    /// What the chain finds out about it.
    pub facts: &'a Facts,
}

/// Chooses the route, or says why there is none.
pub fn route<'a, T: Tracer>(
    snapshot: &Snapshot,
    listener: &Listener,
    incoming: &Incoming<'a>,
    captures: &mut Captures,
    tracer: &mut T,
) -> Result<Routed<'a>, Box<Reply>> {
    if let Some(port) = listener.redirect_https.filter(|_| !incoming.secure) {
        return Err(to_https(incoming, port));
    }
    let path = normalise(incoming.path, listener.path_policy).map_err(refusals::path)?;
    // A preflight is routed like the request that it asks about.
    let preflight = preflight_method(incoming.method, incoming.headers);
    let request = RouteRequest {
        method: preflight.as_ref().unwrap_or(incoming.method),
        host: incoming.host,
        path: &path,
        query: incoming.query,
        headers: incoming.headers,
    };
    match listener.router.search(&request, captures, tracer) {
        Found::Route(id) => Ok(Routed {
            route: usize::try_from(id).unwrap_or(usize::MAX),
            path,
        }),
        Found::MethodNotAllowed(allow) => Err(refusals::method(&allow)),
        Found::Ambiguous { source, name } => Err(refusals::ambiguous(source, &name)),
        Found::NotFound => Err(other_slash(snapshot, &listener.router, &request)
            .unwrap_or_else(|| Box::new(Reply::refusal(&refusals::NO_ROUTE)))),
    }
}

/// The same URL with `https`; nothing of it is interpreted here.
fn to_https(incoming: &Incoming<'_>, port: u16) -> Box<Reply> {
    if incoming.host.is_empty() {
        return Box::new(Reply::refusal(&refusals::NO_HOST));
    }
    let mut to = format!("https://{}", incoming.host);
    if port != 443 {
        to.push(':');
        to.push_str(&port.to_string());
    }
    to.push_str(if incoming.path == "*" {
        "/"
    } else {
        incoming.path
    });
    if let Some(query) = incoming.query {
        to.push('?');
        to.push_str(query);
    }
    match HeaderValue::try_from(to) {
        Ok(location) => {
            let reply = Reply::plain(StatusCode::PERMANENT_REDIRECT, ReplyBody::Empty);
            Box::new(reply.header(header::LOCATION, location))
        }
        Err(_) => Box::new(Reply::refusal(&refusals::NO_HOST)),
    }
}

/// The redirect to the path with (or without) a trailing slash, where a route wants it.
fn other_slash(
    snapshot: &Snapshot,
    router: &Router,
    request: &RouteRequest<'_>,
) -> Option<Box<Reply>> {
    let (id, mut to) = router.find_other_slash(request)?;
    let route = snapshot.routes.get(usize::try_from(id).ok()?)?;
    if route.trailing_slash != TrailingSlash::Redirect {
        return None;
    }
    if let Some(query) = request.query {
        to.push('?');
        to.push_str(query);
    }
    let location = HeaderValue::try_from(to).ok()?;
    let reply = Reply::plain(StatusCode::PERMANENT_REDIRECT, ReplyBody::Empty);
    Some(Box::new(reply.header(header::LOCATION, location)))
}

/// The arm of a route that forwards every request alike: no policy to ask, no value to look at.
pub fn undisputed(route: &Route) -> Option<usize> {
    match &route.action {
        Action::Forward(forward) if route.is_plain() => forward.choice.only(),
        Action::Forward(_) | Action::Redirect { .. } | Action::Respond(_) => None,
    }
}

/// Asks the route's policies, then its action.
pub async fn admit<O: Observer>(
    route: &Route,
    request: &RequestView<'_>,
    memory: &mut Memory,
    observer: &mut O,
) -> Admission {
    if let Flow::Reply(reply) = route.chain.on_request(request, memory, observer).await {
        return Admission::Reply(reply);
    }
    if let Err(error) = needed(route, request) {
        return Admission::Reply(refusals::value(error));
    }
    match &route.action {
        Action::Forward(forward) => match forward.choice.arm(request) {
            Ok(arm) => Admission::Forward(arm),
            Err(NoArm::NoMatch) => Admission::Reply(Box::new(Reply::refusal(&refusals::NO_MATCH))),
            Err(NoArm::Ambiguous) => {
                Admission::Reply(Box::new(Reply::refusal(&refusals::AMBIGUOUS)))
            }
        },
        Action::Redirect { to, status } => Admission::Reply(redirect(to, *status, request)),
        Action::Respond(respond) => Admission::Reply(Box::new(respond.reply())),
    }
}

/// Whether the request has the values that its head for the upstream will need, and whether they fit where they land: asked
/// here, before any target is, so that the client's connection goes on.
fn needed(route: &Route, request: &RequestView<'_>) -> Result<(), ValueError> {
    let rewrite = match &route.path {
        PathChange::Rewrite(path) => Some((path, Place::Path)),
        PathChange::Keep | PathChange::StripPrefix(_) => None,
    };
    let host = route.host.as_ref().map(|host| (host, Place::Host));
    let both = rewrite.into_iter().chain(host);
    for (template, place) in both.filter(|(template, _)| template.literal().is_none()) {
        // A missing value is not the only way to be unfit: one may climb a path.
        template.render(request, place, &mut String::new())?;
    }
    Ok(())
}

fn redirect(to: &Template, status: StatusCode, request: &RequestView<'_>) -> Box<Reply> {
    let mut location = String::new();
    match to.render(request, Place::Path, &mut location) {
        Ok(()) => {}
        Err(error) => return refusals::value(error),
    }
    match HeaderValue::try_from(location) {
        Ok(location) => {
            Box::new(Reply::plain(status, ReplyBody::Empty).header(header::LOCATION, location))
        }
        // A literal of the configuration that is no header value is refused at load; values are encoded.
        Err(_) => refusals::value(ValueError::NotText),
    }
}

impl<'a> Identified<'a> {
    /// What plugins see.
    pub fn view(
        &'a self,
        method: &'a Method,
        query: Option<&'a str>,
        headers: &'a HeaderMap,
    ) -> RequestView<'a> {
        RequestView {
            method,
            secure: self.secure,
            client_certificate: self.certificate,
            host: self.host,
            path: self.path,
            query,
            headers,
            client: self.client,
            listener: self.listener,
            route: self.route,
            captures: self,
            body: self.body,
            deadline: self.deadline,
            facts: self.facts,
        }
    }
}

impl Captured for Identified<'_> {
    fn host(&self, name: &str) -> Option<&str> {
        self.captures.value(name, self.host, self.path)
    }

    fn path(&self, name: &str) -> Option<&str> {
        self.captures.value(name, self.host, self.path)
    }
}

/// What the head says of the body (RFC 9112 section 6.3). HTTP/2 says it with the frame, hence `ended`.
pub fn body_of(headers: &HeaderMap, may_be_unknown: bool) -> RequestBody {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return RequestBody::Unknown;
    }
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    match length {
        Some(0) => RequestBody::None,
        Some(length) => RequestBody::Length(length),
        None if may_be_unknown => RequestBody::Unknown,
        None => RequestBody::None,
    }
}

/// The header in which the gateway carries a request's id.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
