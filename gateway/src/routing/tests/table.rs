//! Random routes and random requests from alphabets so small that they meet.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::routing::pattern::{
    Condition, ConditionSource, HostPattern, Matcher, Methods, PathPattern,
};
use crate::routing::{Guard, Guards, RouteRequest, RouteSpec};

/// A request as its parts, so that the naive search needs no parser.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) cookies: Vec<(String, String)>,
    /// Instead of `parameters`.
    pub(super) query: Option<String>,
}

impl Ask {
    pub(super) fn new(method: &str, host: &str, path: &str) -> Self {
        Self {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            host: host.into(),
            path: path.into(),
            headers: Vec::new(),
            parameters: Vec::new(),
            cookies: Vec::new(),
            query: None,
        }
    }

    pub(super) fn request<R>(&self, run: impl FnOnce(&RouteRequest<'_>) -> R) -> R {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let pairs = |of: &[(String, String)], between: &str| {
            let all: Vec<_> = of
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            all.join(between)
        };
        if !self.cookies.is_empty() {
            let value = HeaderValue::from_str(&pairs(&self.cookies, "; ")).unwrap();
            headers.append(http::header::COOKIE, value);
        }
        let query = self
            .query
            .clone()
            .unwrap_or_else(|| pairs(&self.parameters, "&"));
        run(&RouteRequest {
            method: &self.method,
            host: &self.host,
            path: &self.path,
            query: (!query.is_empty()).then_some(query.as_str()),
            headers: &headers,
        })
    }
}

fn hosts() -> impl Strategy<Value = Vec<HostPattern>> {
    let one = |text: &str| HostPattern::parse(text).unwrap();
    let unnamed = vec![one("a.test"), one("b.test"), one("*.test"), one("*.a.test")];
    prop_oneof![
        3 => Just(Vec::new()),
        4 => subsequence(unnamed, 1..3),
        1 => Just(vec![one("{tenant}.test")]),
    ]
}

fn path() -> impl Strategy<Value = PathPattern> {
    let segment = select(vec!["a", "b", "a", "*", "{}"]);
    let last = select(vec!["", "a", "b", "*", "**", "{rest*}", "{last}"]);
    (prop::collection::vec(segment, 0..3), last).prop_map(|(segments, last)| {
        let named = |(at, segment): (usize, &&str)| match *segment {
            "{}" => format!("/{{p{at}}}"),
            other => format!("/{other}"),
        };
        let text: Vec<String> = segments.iter().enumerate().map(named).collect();
        PathPattern::parse(&format!("{}/{last}", text.concat())).unwrap()
    })
}

fn methods() -> impl Strategy<Value = Methods> {
    let listed = subsequence(vec!["GET", "POST", "PURGE"], 1..3);
    prop_oneof![
        1 => Just(Methods::ANY),
        2 => listed.prop_map(|names| Methods::parse_list(&names.join(",")).unwrap()),
    ]
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let keys = vec![
        (ConditionSource::Header, "x"),
        (ConditionSource::Query, "q"),
        (ConditionSource::Cookie, "c"),
    ];
    let tests = prop::collection::vec(select(vec!["*", "!", "1", "2", "~[12]", "~1+"]), 3);
    (
        prop_oneof![subsequence(keys.clone(), 0..=0), subsequence(keys, 0..3)],
        tests,
    )
        .prop_map(|(keys, tests)| {
            let all = keys.into_iter().zip(tests);
            all.map(|((source, name), test)| Condition::parse(source, name, test).unwrap())
                .collect()
        })
}

fn guards() -> impl Strategy<Value = Guards> {
    subsequence(vec![Guard::Auth, Guard::Authorize, Guard::IpFilter], 0..=3)
        .prop_map(|all| all.into_iter().fold(Guards::NONE, Guards::with))
}

pub(super) fn specs() -> impl Strategy<Value = Vec<RouteSpec>> {
    let matcher = (methods(), hosts(), path(), conditions()).prop_map(
        |(methods, hosts, path, conditions)| {
            Matcher::new(methods, hosts, path, conditions).unwrap()
        },
    );
    prop::collection::vec((matcher, guards()), 1..9).prop_map(|all| {
        let numbered = all.into_iter().zip(0..);
        numbered
            .map(|((matcher, guards), id)| RouteSpec {
                id,
                matcher,
                guards,
            })
            .collect()
    })
}

fn pairs(name: &'static str) -> impl Strategy<Value = Vec<(String, String)>> {
    let value = select(vec!["1", "2", "11", "3", ""]);
    let one = (select(vec![name, name, "other"]), value);
    prop::collection::vec(
        one.prop_map(|(name, value)| (name.into(), value.into())),
        0..3,
    )
}

fn ask() -> impl Strategy<Value = Ask> {
    let method = select(vec!["GET", "HEAD", "POST", "PURGE", "MOVE"]);
    let host = select(vec!["a.test", "b.test", "c.test", "b.a.test", "test", ""]);
    let segments = prop::collection::vec(select(vec!["a", "b", "c"]), 0..4);
    let path = (segments, any::<bool>()).prop_map(|(segments, slash)| {
        let path = format!("/{}", segments.join("/"));
        if slash && path != "/" {
            format!("{path}/")
        } else {
            path
        }
    });
    (method, host, path, pairs("x"), pairs("q"), pairs("c")).prop_map(
        |(method, host, path, headers, parameters, cookies)| Ask {
            headers,
            parameters,
            cookies,
            ..Ask::new(method, host, &path)
        },
    )
}

pub(super) fn asks() -> impl Strategy<Value = Vec<Ask>> {
    prop::collection::vec(ask(), 1..12)
}
