//! Tells the story by calling what the proxy calls, in its order, and writing down what each step says.

use std::net::IpAddr;

use http::HeaderValue;
use pingora::http::RequestHeader;
use plugins::chain::Memory;
use plugins::contract::facts::Facts;
use plugins::contract::flow::Reply as Answer;
use plugins::contract::mode::Mode;
use plugins::contract::token::preflight_method;
use plugins::contract::view::{RequestBody, RequestView};

use super::ask::Question;
use super::heard::{Heard, answered_by};
use super::reply::{Hooks, ID};
use super::story::{Client, Field, Listener, Outcome, Path, Reply, Route, Story};
use super::{candidates, client, forward, head, reply, settings};
use crate::cli::routes;
use crate::config::model::{ListenerConfig, OverloadConfig, RouteConfig};
use crate::decide::{self, Admission, Identified, Incoming, host, refusals};
use crate::listen::HeadRefusal;
use crate::overload::REFUSALS;
use crate::routing::path::normalise;
use crate::routing::pattern::CaptureKind;
use crate::routing::{Captures, Trace};
use crate::runtime::{self, Snapshot};

/// A request, where it arrives, and what is known of it before any route.
struct Arrival<'a> {
    snapshot: &'a Snapshot,
    listener: &'a runtime::Listener,
    head: RequestHeader,
    peer: Option<IpAddr>,
    client: Client,
    id: HeaderValue,
    facts: Facts,
}

/// Everything that the end of the story is made of.
pub(super) struct Scene<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) route: &'a runtime::route::Route,
    pub(super) config: &'a RouteConfig,
    pub(super) head: &'a RequestHeader,
    pub(super) view: &'a RequestView<'a>,
    pub(super) id: &'a HeaderValue,
    pub(super) peer: Option<IpAddr>,
    pub(super) trusted: bool,
    /// Whether the path is another one than was received.
    pub(super) normalised: bool,
}

/// The whole story of a question.
pub(super) async fn tell(
    snapshot: &Snapshot,
    listener: usize,
    question: &Question,
) -> Result<Story, String> {
    let config = snapshot
        .loaded
        .config
        .listeners
        .get(listener)
        .ok_or("there is no such listener")?;
    if let Err(refusal) = head::check(question, config) {
        return Ok(refused(snapshot, config, question, refusal));
    }
    let listener = snapshot
        .listeners
        .get(listener)
        .ok_or("there is no such listener")?;
    let arrival = arrive(snapshot, listener, config, question)?;
    let mut story = opening(snapshot, config, question);
    story
        .notes
        .extend(client::scheme_note(question, &arrival.client));
    story.preflight_for = preflight_method(&arrival.head.method, &arrival.head.headers)
        .map(|method| method.to_string());
    if arrival.is_misdirected(config) {
        let by = "the listener: none of its certificates covers this host".to_owned();
        let answer = Answer::refusal(&refusals::MISDIRECTED);
        story.outcome = reply::made(by, &answer, arrival.id(), None)?;
    } else {
        arrival.find_route(&mut story).await?;
    }
    story.client = Some(arrival.client);
    let overload = snapshot.loaded.config.overload.as_ref();
    story.notes.extend(overload.map(overload_note));
    Ok(story)
}

/// What no question can tell: how much there is to do when the request comes.
fn overload_note(overload: &OverloadConfig) -> String {
    let first = overload.plans.first();
    let first = first.map_or(String::new(), |plan| format!(", plan {plan} first"));
    let status = overload.shed_status;
    let code = REFUSALS[0].code;
    let shadow = if overload.mode == Mode::Enforce {
        ""
    } else {
        " (in shadow)"
    };
    format!(
        "while there is too much to do, [overload] answers {status} {code} instead{first}{shadow}"
    )
}

fn opening(snapshot: &Snapshot, config: &ListenerConfig, question: &Question) -> Story {
    Story {
        request: question.asked.clone(),
        notes: question.assumptions(config),
        listener: Listener {
            name: config.name.to_string(),
            address: config.address.to_string(),
            at: snapshot.loaded.sources.place(&config.span),
        },
        client: None,
        path: None,
        preflight_for: None,
        matching: None,
        route: None,
        policies: Vec::new(),
        outcome: Outcome::Reply(Reply::default()),
    }
}

fn refused(
    snapshot: &Snapshot,
    config: &ListenerConfig,
    question: &Question,
    refusal: HeadRefusal,
) -> Story {
    Story {
        outcome: reply::to_head(refusal),
        ..opening(snapshot, config, question)
    }
}

/// Who asks: as `proxy::request` finds it.
fn arrive<'a>(
    snapshot: &'a Snapshot,
    listener: &'a runtime::Listener,
    config: &ListenerConfig,
    question: &Question,
) -> Result<Arrival<'a>, String> {
    let mut head = head::parse(question)?;
    for name in &snapshot.identity_headers {
        head.remove_header(name);
    }
    let peer = question.peer(config);
    let (client, id) = client::find(listener, peer, &head.headers);
    Ok(Arrival {
        snapshot,
        listener,
        head,
        peer,
        client,
        id,
        facts: Facts::explained(question.claims.clone()),
    })
}

impl Arrival<'_> {
    /// Whether the connection would be for another host, though the client asks for this one.
    fn is_misdirected(&self, config: &ListenerConfig) -> bool {
        let host = host::of(&self.head.uri, &self.head.headers);
        let covered = config
            .tls
            .as_ref()
            .and_then(|tls| runtime::tls::covers(tls, &host));
        !host.is_empty() && covered == Some(false)
    }

    /// Who and where, then whether it may pass, then whither.
    async fn find_route(&self, story: &mut Story) -> Result<(), String> {
        let target = std::str::from_utf8(self.head.raw_path()).unwrap_or_default();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let host = host::of(&self.head.uri, &self.head.headers);
        let incoming = Incoming {
            method: &self.head.method,
            host: &host,
            path,
            query,
            headers: &self.head.headers,
            secure: self.client.secure,
        };
        let (mut captures, mut trace) = (Captures::default(), Trace::default());
        let found = decide::route(
            self.snapshot,
            self.listener,
            &incoming,
            &mut captures,
            &mut trace,
        );
        story.path = self.normal_form(path);
        let method = story.preflight_for.as_deref();
        let method = method.unwrap_or(self.head.method.as_str());
        // A path without normal form is not searched for.
        story.matching = (!trace.hosts.is_empty()).then(|| {
            candidates::matching(&trace, &self.listener.name, method, &self.snapshot.loaded)
        });
        match found {
            Err(answer) => {
                let by = match answer.refusal {
                    Some(_) => "the router",
                    None if self.listener.redirect_https.is_some() && !self.client.secure => {
                        "the listener: it has redirect-https"
                    }
                    None => "the router: a route there has trailing-slash = \"redirect\"",
                };
                story.outcome = reply::made(by.to_owned(), &answer, self.id(), None)?;
            }
            Ok(routed) => {
                let body = decide::body_of(&self.head.headers, false);
                let identified =
                    self.identified(routed.route, &host, &routed.path, &captures, body);
                let view = identified.view(&self.head.method, query, &self.head.headers);
                self.follow(routed.route, &view, *routed.path != *path, story)
                    .await?;
            }
        }
        Ok(())
    }

    fn identified<'a>(
        &'a self,
        route: usize,
        host: &'a str,
        path: &'a str,
        captures: &'a Captures,
        body: RequestBody,
    ) -> Identified<'a> {
        Identified {
            deadline: None,
            listener: &self.listener.name,
            route: self
                .snapshot
                .routes
                .get(route)
                .map_or("", |route| &*route.name),
            client: self.client.address,
            secure: self.client.secure,
            certificate: None,
            body,
            host,
            path,
            captures,
            facts: &self.facts,
        }
    }

    fn id(&self) -> &str {
        self.id.to_str().unwrap_or(ID)
    }

    fn normal_form(&self, received: &str) -> Option<Path> {
        let normal = normalise(received, self.listener.path_policy).ok()?;
        (normal != received).then(|| Path {
            received: received.to_owned(),
            normal: normal.into_owned(),
        })
    }

    /// The policies, then the action.
    async fn follow(
        &self,
        index: usize,
        view: &RequestView<'_>,
        normalised: bool,
        story: &mut Story,
    ) -> Result<(), String> {
        let (snapshot, sources) = (self.snapshot, &self.snapshot.loaded.sources);
        let (Some(route), Some(config)) = (
            snapshot.routes.get(index),
            snapshot.loaded.config.routes.get(index),
        ) else {
            return Err("the router names a route that does not exist".to_owned());
        };
        story.route = Some(self.route(config, view));
        if let Err(answer) = decide::deadline::asked(route, view.method, view.headers) {
            let by = "the route: the client's deadline is read before anybody is asked".to_owned();
            story.outcome = reply::made(by, &answer, self.id(), None)?;
            return Ok(());
        }
        let mut heard = Heard {
            sources,
            facts: &self.facts,
            policies: Vec::new(),
        };
        let mut memory = Memory::default();
        let admission = decide::admit(route, view, &mut memory, &mut heard).await;
        story.policies = heard.with_those_not_asked(config);
        story.outcome = match admission {
            Admission::Reply(answer) => {
                let by = answered_by(&story.policies, route);
                let hooks = Hooks {
                    route,
                    view,
                    memory: &mut memory,
                };
                reply::made(by, &answer, self.id(), Some(hooks))?
            }
            Admission::Forward(arm) => {
                let (id, peer, trusted) = (&self.id, self.peer, self.client.trusted);
                let scene = Scene {
                    snapshot,
                    route,
                    config,
                    head: &self.head,
                    view,
                    id,
                    peer,
                    trusted,
                    normalised,
                };
                forward::forwarded(&scene, arm, &mut memory)?
            }
        };
        Ok(())
    }

    fn route(&self, config: &RouteConfig, view: &RequestView<'_>) -> Route {
        let sources = &self.snapshot.loaded.sources;
        let captures = config.matcher.captures().filter_map(|(kind, name)| {
            let (prefix, value) = match kind {
                CaptureKind::Host => ("host", view.captures.host(name)),
                CaptureKind::Path | CaptureKind::PathRest => ("path", view.captures.path(name)),
            };
            Some(Field {
                name: format!("{prefix}.{name}"),
                value: value?.to_owned(),
            })
        });
        Route {
            name: config.name.to_string(),
            at: sources.place(&config.span),
            captures: captures.collect(),
            action: routes::action(&config.action, &self.snapshot.loaded.config),
            action_at: sources.place(&config.action_span),
            settings: settings::of(config, &self.snapshot.loaded.config, sources),
        }
    }
}
