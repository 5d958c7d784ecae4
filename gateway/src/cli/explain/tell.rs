//! Tells the story by calling what the proxy calls, in its order, and writing down what each step says.

use std::net::IpAddr;

use http::HeaderValue;
use pingora::http::RequestHeader;
use plugins::chain::{Memory, Observer, Step};
use plugins::contract::flow::Flow;
use plugins::contract::token::preflight_method;
use plugins::contract::view::{RequestBody, RequestView};

use super::ask::Question;
use super::reply::{Hooks, ID};
use super::story::{
    Candidate, Client, Field, Host, Listener, Matching, Outcome, Path, Policy, Route, Story,
    Verdict,
};
use super::{forward, head, reply};
use crate::admin::describe;
use crate::cli::routes;
use crate::config::model::{ListenerConfig, RouteConfig};
use crate::config::source::SourceMap;
use crate::decide::{self, Admission, Identified, Incoming, REQUEST_ID, host};
use crate::listen::HeadRefusal;
use crate::proxy::{client_addr, request_id};
use crate::routing::path::normalise;
use crate::routing::{Captures, Trace, Verdict as Judgement};
use crate::runtime::{self, Snapshot, action::Action};

/// A request, where it arrives, and what is known of it before any route.
struct Arrival<'a> {
    snapshot: &'a Snapshot,
    listener: &'a runtime::Listener,
    head: RequestHeader,
    peer: Option<IpAddr>,
    client: Client,
    id: HeaderValue,
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
    story.notes.extend(scheme_note(question, &arrival.client));
    story.preflight_for = preflight_method(&arrival.head.method, &arrival.head.headers)
        .map(|method| method.to_string());
    arrival.find_route(&mut story).await?;
    story.client = Some(arrival.client);
    Ok(story)
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
        outcome: Outcome::Reply(super::story::Reply::default()),
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
    let head = head::parse(question)?;
    let peer = question.peer(config);
    let found = client_addr::resolve(
        peer,
        &head.headers,
        &listener.trusted_proxies,
        listener.trusts,
    );
    // No listener speaks TLS yet, so only a trusted proxy can say that the client came by it.
    let secure = found.trusted && client_addr::secure(&head.headers).unwrap_or(false);
    let sent = head.headers.get(&REQUEST_ID).filter(|_| found.trusted);
    let id = sent
        .and_then(request_id::accept)
        .unwrap_or(HeaderValue::from_static(ID));
    let forwarded = head.headers.contains_key("x-forwarded-for");
    let how = how(&found, peer, listener.trusts, forwarded);
    let client = Client {
        address: found.address,
        peer,
        trusted: found.trusted,
        secure,
        how,
    };
    Ok(Arrival {
        snapshot,
        listener,
        head,
        peer,
        client,
        id,
    })
}

fn how(
    client: &client_addr::Client,
    peer: Option<IpAddr>,
    trusts: bool,
    forwarded: bool,
) -> String {
    let who = peer.map_or("the unix socket's other end".to_owned(), |peer| {
        peer.to_string()
    });
    match (client.trusted, forwarded) {
        (true, true) if client.address == peer => {
            format!("{who} is a trusted proxy, but its X-Forwarded-For names no client")
        }
        (true, true) => format!("from X-Forwarded-For: {who} is a trusted proxy"),
        (true, false) => format!("{who} is a trusted proxy that forwards no address"),
        (false, true) if trusts => {
            format!("the peer; {who} is no trusted proxy, so X-Forwarded-For is not believed")
        }
        (false, true) => {
            "the peer; no proxy is trusted here, so X-Forwarded-For is not believed".to_owned()
        }
        (false, false) => "the peer".to_owned(),
    }
}

fn scheme_note(question: &Question, client: &Client) -> Option<String> {
    (question.https && !client.secure).then(|| {
        "this listener speaks plain http: to be asked by https, a trusted proxy must say so \
         (--from its address, -H 'x-forwarded-proto: https')"
            .to_owned()
    })
}

impl Arrival<'_> {
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
        story.matching = (!trace.hosts.is_empty())
            .then(|| self.matching(&trace, story.preflight_for.as_deref()));
        match found {
            Err(answer) => {
                story.outcome = reply::made("the router".to_owned(), &answer, self.id(), None)?
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
            listener: &self.listener.name,
            route: self
                .snapshot
                .routes
                .get(route)
                .map_or("", |route| &*route.name),
            client: self.client.address,
            secure: self.client.secure,
            body,
            host,
            path,
            captures,
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

    fn matching(&self, trace: &Trace, asked: Option<&str>) -> Matching {
        let config = &self.snapshot.loaded.config;
        let method = asked.unwrap_or(self.head.method.as_str());
        let candidate = |(id, judgement): &(u32, Judgement)| {
            let route = config.routes.get(usize::try_from(*id).ok()?)?;
            Some(candidate(
                route,
                judgement,
                method,
                &self.snapshot.loaded.sources,
            ))
        };
        let host = |(pattern, known): &(String, bool)| Host {
            pattern: pattern.clone(),
            known: *known,
        };
        let here = |route: &&RouteConfig| {
            route.listeners.iter().any(|at| {
                config
                    .listeners
                    .get(*at)
                    .is_some_and(|one| one.name == self.listener.name)
            })
        };
        Matching {
            hosts: trace.hosts.iter().map(host).collect(),
            candidates: trace.candidates.iter().filter_map(candidate).collect(),
            routes: config.routes.iter().filter(here).count(),
        }
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
        let mut heard = Heard {
            sources,
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
            use crate::routing::pattern::CaptureKind::{Host, Path, PathRest};
            let (prefix, value) = match kind {
                Host => ("host", view.captures.host(name)),
                Path | PathRest => ("path", view.captures.path(name)),
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
            timeout: describe::duration(config.timeout),
        }
    }
}

fn candidate(
    route: &RouteConfig,
    judgement: &Judgement,
    method: &str,
    sources: &SourceMap,
) -> Candidate {
    let condition = |which: &usize| {
        route
            .matcher
            .conditions
            .get(*which)
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    let why = match judgement {
        Judgement::Chosen => None,
        Judgement::Method => Some(format!("not for {method}")),
        Judgement::Condition { which, found: None } => {
            Some(format!("{}: the request has none", condition(which)))
        }
        Judgement::Condition {
            which,
            found: Some(found),
        } => Some(format!(
            "{}: the request says \"{}\"",
            condition(which),
            found.escape_debug()
        )),
        Judgement::Ambiguous { which } => Some(format!(
            "{}: the request says it more than once",
            condition(which)
        )),
        Judgement::LessSpecific => Some("less specific: the search had ended".to_owned()),
    };
    Candidate {
        route: route.name.to_string(),
        r#match: route.matcher.to_string(),
        at: sources.place(&route.match_span),
        chosen: *judgement == Judgement::Chosen,
        why,
    }
}

/// Writes down every policy's verdict.
struct Heard<'a> {
    sources: &'a SourceMap,
    policies: Vec<Policy>,
}

impl Observer for Heard<'_> {
    fn verdict(&mut self, step: &Step<'_>, flow: &Flow) {
        let answer = match flow {
            Flow::Continue => None,
            Flow::Reply(answer) => Some(answer),
        };
        let refusal = answer.and_then(|answer| answer.refusal);
        self.policies.push(Policy {
            plugin: step.plugin,
            name: step.name.map(str::to_owned),
            layer: describe::layer(step.layer),
            at: self.sources.place(step.span),
            verdict: match (answer, refusal) {
                (None, _) => Verdict::Passes,
                (Some(_), None) => Verdict::Answers,
                (Some(_), Some(_)) if step.shadowed => Verdict::WouldRefuse,
                (Some(_), Some(_)) => Verdict::Refuses,
            },
            status: answer.map(|answer| answer.status.as_u16()),
            code: refusal.map(|refusal| refusal.code),
        });
    }
}

impl Heard<'_> {
    /// Policies are asked in the order in which the route has them, so those behind the last one were not.
    fn with_those_not_asked(self, route: &RouteConfig) -> Vec<Policy> {
        let Self {
            sources,
            mut policies,
        } = self;
        let (asked, mut place) = (policies.len(), 0);
        route.policies.visit(|plugin, name, span, layer| {
            place += 1;
            if place > asked {
                policies.push(Policy {
                    plugin,
                    name: name.map(str::to_owned),
                    layer: describe::layer(layer),
                    at: sources.place(span),
                    verdict: Verdict::NotAsked,
                    status: None,
                    code: None,
                });
            }
        });
        policies
    }
}

fn answered_by(policies: &[Policy], route: &runtime::route::Route) -> String {
    let answers = |policy: &&Policy| matches!(policy.verdict, Verdict::Refuses | Verdict::Answers);
    if let Some(policy) = policies.iter().find(answers) {
        return format!("the policy {}", policy.plugin);
    }
    match route.action {
        Action::Forward(_) => "the dispatch of the route",
        Action::Redirect { .. } => "the redirect of the route",
        Action::Respond { .. } => "the respond of the route",
    }
    .to_owned()
}
