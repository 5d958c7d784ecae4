//! The router's rules once more, as slow and plain as they can be written.

use crate::routing::pattern::{
    Condition, ConditionSource, ConditionTest, HostPattern, Matcher, PathPattern, Segment,
};
use crate::routing::{Found, RouteSpec};

use super::table::Ask;

pub(super) struct Naive {
    pub(super) found: Found,
    pub(super) captures: Named,
}

type Named = Vec<(String, String)>;

/// Host class, then segment classes: less is more specific.
type Rank = (u8, Vec<u8>);

struct Candidate<'s> {
    rank: Rank,
    spec: &'s RouteSpec,
    captures: Named,
}

enum Verdict {
    Holds,
    Fails,
    Ambiguous(ConditionSource, String),
}

impl Naive {
    pub(super) fn find(specs: &[RouteSpec], ask: &Ask) -> Self {
        let mut all: Vec<Candidate<'_>> = specs
            .iter()
            .flat_map(|spec| candidates(spec, ask))
            .collect();
        all.sort_by(|a, b| {
            let conditions = |one: &Candidate<'_>| one.spec.matcher.conditions.len();
            a.rank.cmp(&b.rank).then(conditions(b).cmp(&conditions(a)))
        });
        for group in all.chunk_by(|a, b| a.rank == b.rank) {
            let allows = |one: &&Candidate<'_>| one.spec.matcher.methods.allows(&ask.method);
            if !group.iter().any(|one| allows(&one)) {
                return Self {
                    found: not_allowed(group),
                    captures: Vec::new(),
                };
            }
            for one in group.iter().filter(allows) {
                match judge(&one.spec.matcher.conditions, ask) {
                    Verdict::Holds => {
                        let captures = one.captures.clone();
                        return Self {
                            found: Found::Route(one.spec.id),
                            captures,
                        };
                    }
                    Verdict::Ambiguous(source, name) => {
                        let found = Found::Ambiguous { source, name };
                        return Self {
                            found,
                            captures: Vec::new(),
                        };
                    }
                    Verdict::Fails => {}
                }
            }
        }
        Self {
            found: Found::NotFound,
            captures: Vec::new(),
        }
    }
}

fn not_allowed(group: &[Candidate<'_>]) -> Found {
    let mut methods = crate::routing::pattern::Methods::NONE;
    for name in ["GET", "HEAD", "POST", "PURGE", "MOVE"] {
        let method = http::Method::from_bytes(name.as_bytes()).unwrap();
        if group
            .iter()
            .any(|one| one.spec.matcher.methods.allows(&method))
            && !methods.allows(&method)
        {
            methods.insert(name).unwrap();
        }
    }
    Found::MethodNotAllowed(crate::routing::search::Allow(methods))
}

fn candidates<'s>(spec: &'s RouteSpec, ask: &Ask) -> Vec<Candidate<'s>> {
    let segments: Vec<&str> = ask.path[1..].split('/').collect();
    let Some((path_rank, path_captures)) = path(&spec.matcher.path, &segments) else {
        return Vec::new();
    };
    let hosts = host_ranks(&spec.matcher, &ask.host);
    let candidate = |(host_rank, mut captures): (u8, Vec<_>)| {
        captures.extend(path_captures.clone());
        Candidate {
            rank: (host_rank, path_rank.clone()),
            spec,
            captures,
        }
    };
    hosts.into_iter().map(candidate).collect()
}

fn host_ranks(matcher: &Matcher, host: &str) -> Vec<(u8, Named)> {
    if matcher.hosts.is_empty() {
        return vec![(2, Vec::new())];
    }
    let rank = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => (name == host).then(|| (0, Vec::new())),
        HostPattern::Wildcard { name, suffix } => {
            let label = host.strip_suffix(suffix.as_str())?.strip_suffix('.')?;
            let fits = !label.is_empty() && !label.contains('.');
            let captures = name
                .iter()
                .map(|name| (name.clone(), label.to_owned()))
                .collect();
            fits.then_some((1, captures))
        }
    };
    matcher.hosts.iter().filter_map(rank).collect()
}

fn path(pattern: &PathPattern, segments: &[&str]) -> Option<(Vec<u8>, Named)> {
    let mut rank = Vec::new();
    let mut captures = Vec::new();
    let mut keep = |name: &Option<String>, value: String| {
        captures.extend(name.iter().map(|name| (name.clone(), value.clone())));
    };
    let mut at = 0;
    for segment in pattern.segments() {
        match segment {
            Segment::Literal(text) if segments.get(at) == Some(&text.as_str()) => rank.push(0),
            Segment::Param(name) if segments.get(at).is_some_and(|text| !text.is_empty()) => {
                rank.push(1);
                keep(name, segments[at].to_owned());
            }
            Segment::Rest(name) => {
                rank.push(2);
                keep(name, segments[at..].join("/"));
                return Some((rank, captures));
            }
            Segment::Literal(_) | Segment::Param(_) => return None,
        }
        at += 1;
    }
    (at == segments.len()).then_some((rank, captures))
}

fn judge(conditions: &[Condition], ask: &Ask) -> Verdict {
    for condition in conditions {
        let pairs = match condition.source() {
            ConditionSource::Header => &ask.headers,
            ConditionSource::Query => &ask.parameters,
            ConditionSource::Cookie => &ask.cookies,
        };
        let values: Vec<&str> = pairs
            .iter()
            .filter(|(name, _)| name == condition.name())
            .map(|(_, value)| value.as_str())
            .collect();
        if values.len() > 1 {
            return Verdict::Ambiguous(condition.source(), condition.name().to_owned());
        }
        if !holds(condition.test(), values.first().copied()) {
            return Verdict::Fails;
        }
    }
    Verdict::Holds
}

fn holds(test: &ConditionTest, value: Option<&str>) -> bool {
    match (test, value) {
        (ConditionTest::Present, value) => value.is_some(),
        (ConditionTest::Absent, value) => value.is_none(),
        (ConditionTest::Exact(literal), value) => value == Some(literal),
        (ConditionTest::Regex { text, .. }, value) => match text.as_str() {
            "[12]" => matches!(value, Some("1" | "2")),
            "1+" => matches!(value, Some("1" | "11")),
            other => panic!("the naive search does not know {other}"),
        },
    }
}

/// Whether no value of the alphabet passes both: a wider "disjoint" than the router's own.
pub(super) fn disjoint(a: &Matcher, b: &Matcher) -> bool {
    let values = [None, Some("1"), Some("2"), Some("11"), Some("3"), Some("")];
    a.conditions.iter().any(|one| {
        let others = b.conditions.iter();
        others
            .filter(|other| other.name() == one.name())
            .any(|other| {
                !values
                    .iter()
                    .any(|value| holds(one.test(), *value) && holds(other.test(), *value))
            })
    })
}
