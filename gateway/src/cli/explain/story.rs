//! The story as data: what `--format json` prints, and all that the text is made of.

use std::net::IpAddr;

use serde::Serialize;

/// Everything that happens to a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Story {
    /// Method and URL as asked.
    pub(super) request: String,
    /// What the question left open, and what one may wonder about.
    pub(super) notes: Vec<String>,
    pub(super) listener: Listener,
    /// Missing where the head is refused before anybody looks at it.
    pub(super) client: Option<Client>,
    pub(super) path: Option<Path>,
    /// The method that a preflight asks about.
    pub(super) preflight_for: Option<String>,
    pub(super) matching: Option<Matching>,
    pub(super) route: Option<Route>,
    pub(super) policies: Vec<Policy>,
    pub(super) outcome: Outcome,
}

#[derive(Debug, Serialize)]
pub(super) struct Listener {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) at: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Client {
    pub(super) address: Option<IpAddr>,
    pub(super) peer: Option<IpAddr>,
    pub(super) trusted: bool,
    pub(super) secure: bool,
    /// How the address was found.
    pub(super) how: String,
}

/// A path that is not in normal form.
#[derive(Debug, Serialize)]
pub(super) struct Path {
    pub(super) received: String,
    pub(super) normal: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Matching {
    /// The host patterns that were looked up, most specific first.
    pub(super) hosts: Vec<Host>,
    /// The routes whose host and path fit, in the order they were tried.
    pub(super) candidates: Vec<Candidate>,
    /// How many routes the listener has in all.
    pub(super) routes: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Host {
    pub(super) pattern: String,
    /// Whether some route has it.
    pub(super) known: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Candidate {
    pub(super) route: String,
    pub(super) r#match: String,
    pub(super) at: Option<String>,
    pub(super) chosen: bool,
    /// Why it lost.
    pub(super) why: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) at: Option<String>,
    pub(super) captures: Vec<Field>,
    pub(super) action: String,
    pub(super) action_at: Option<String>,
    pub(super) settings: Vec<Setting>,
}

/// A value of a route.
#[derive(Debug, Serialize)]
pub(super) struct Setting {
    pub(super) key: &'static str,
    pub(super) value: String,
    /// Missing for a built-in default.
    pub(super) at: Option<String>,
    /// The route that says it, where it came by `like`.
    pub(super) like: Option<String>,
}

/// A policy of the route, in the order in which they are asked.
#[derive(Debug, Serialize)]
pub(super) struct Policy {
    pub(super) plugin: &'static str,
    pub(super) name: Option<String>,
    pub(super) layer: &'static str,
    pub(super) at: Option<String>,
    pub(super) verdict: Verdict,
    /// Status of its answer.
    pub(super) status: Option<u16>,
    /// Code of its refusal.
    pub(super) code: Option<&'static str>,
    /// What the operator may know of its reasons, and the client not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) why: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    Passes,
    /// It answers, and that is no refusal: a preflight.
    Answers,
    Refuses,
    /// It is in shadow, so the request goes on.
    WouldRefuse,
    /// One before it has answered.
    NotAsked,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Outcome {
    Reply(Reply),
    Forward(Box<Forward>),
}

/// An answer that the gateway makes itself.
#[derive(Debug, Default, Serialize)]
pub(super) struct Reply {
    /// Who makes it.
    pub(super) by: String,
    pub(super) status: u16,
    pub(super) reason: &'static str,
    pub(super) code: Option<&'static str>,
    pub(super) title: Option<&'static str>,
    pub(super) detail: Option<String>,
    pub(super) headers: Vec<Field>,
    /// Bytes of its content.
    pub(super) bytes: usize,
}

/// A request on its way to an upstream.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Forward {
    pub(super) arms: Vec<Arm>,
    /// What decided for the arm; missing where there is only one.
    pub(super) why: Option<String>,
    pub(super) upstream: Upstream,
    /// The request line that the upstream gets.
    pub(super) request_line: String,
    pub(super) changes: Vec<Change>,
    /// What the cache would do; empty where the route keeps no answers.
    pub(super) cache: Vec<String>,
    /// What follows a failed attempt; empty without a retry policy.
    pub(super) retry: Vec<Repeat>,
    /// Whether a second target would be asked as well, where the policy has a say.
    pub(super) hedge: Option<String>,
    /// What the policies add to an answer 200 without fields of its own.
    pub(super) answer_gets: Vec<Field>,
}

/// What follows an attempt that failed in one way.
#[derive(Debug, Serialize)]
pub(super) struct Repeat {
    /// The way, as the policy names it.
    pub(super) on: String,
    pub(super) again: bool,
    /// Why there is no other attempt.
    pub(super) why: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Arm {
    pub(super) upstream: String,
    pub(super) weight: Option<u32>,
    /// Of all requests that the weights decide about, in percent.
    pub(super) percent: Option<u32>,
    pub(super) chosen: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) at: Option<String>,
    pub(super) balance: &'static str,
    pub(super) targets: Vec<Target>,
    pub(super) connect_timeout: String,
    pub(super) read_timeout: String,
    pub(super) write_timeout: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Target {
    pub(super) address: String,
    pub(super) weight: u32,
    pub(super) at: Option<String>,
}

/// A header field of which the upstream gets something else than the client sent.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) name: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) value: String,
}
