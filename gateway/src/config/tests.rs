//! The pipeline as a whole; single complaints are in `tests/check`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::model::{Action, Dispatch, PathChange, RespondBody, UpstreamId};
use super::render::{self, Colour};
use super::{Failure, Loaded, load_text};

fn env() -> BTreeMap<String, String> {
    BTreeMap::from([("ORDERS".to_owned(), "10.0.0.1:9000".to_owned())])
}

fn good(text: &str) -> Loaded {
    load_text("test.toml", text, &env()).unwrap_or_else(|failure| panic!("{failure:?}"))
}

fn bad(text: &str) -> Failure {
    *load_text("test.toml", text, &env()).expect_err("the text is wrong")
}

fn codes(failure: &Failure) -> Vec<&'static str> {
    failure
        .report
        .complaints()
        .iter()
        .map(|one| one.code)
        .collect()
}

const BASE: &str = r#"
[listener.public]
address = "127.0.0.1:8080"

[upstream.orders]
targets = ["${ORDERS}", { address = "orders.internal:9000", weight = 3 }]
"#;

#[test]
fn fills_in_defaults_and_variables() {
    let loaded = good(&format!(
        "{BASE}\n[route.orders]\nmatch = \"GET /orders/**\"\nupstream = \"orders\"\n"
    ));
    assert!(loaded.report.complaints().is_empty());
    let config = loaded.config;
    let [orders] = config.upstreams.as_slice() else {
        panic!("{:?}", config.upstreams)
    };
    assert_eq!(&*orders.targets[0].address, "10.0.0.1:9000");
    assert_eq!(orders.targets[1].weight, 3);
    assert_eq!(orders.connect_timeout, Duration::from_secs(2));
    let route = &config.routes[0];
    assert_eq!(route.listeners, [0]);
    assert_eq!(route.timeout, Duration::from_mins(1));
    assert_eq!(
        route.action,
        Action::Upstream(Dispatch::Always(UpstreamId(0)))
    );
    let place = loaded.sources.place(&route.match_span).unwrap();
    assert_eq!(place, "test.toml:9");
}

#[test]
fn five_mistakes_are_five_complaints() {
    let failure = bad(&format!(
        r#"{BASE}
connect-timout = "1s"
read-timeout = 5

[route.orders]
match = "GET /orders/**"
upstream = "order"

[route.same]
match = "GET /users"
upstream = "orders"

[route.bad]
match = "GET api.example.com:80/users"
upstream = "orders"

[route.empty]
match = "GET /empty"
"#
    ));
    assert_eq!(
        codes(&failure),
        [
            "config.unknown-key",
            "config.no-unit",
            "config.unknown-reference",
            "config.value",
            "route.no-action"
        ]
    );
}

#[test]
fn nobody_complains_about_what_was_taken_out() {
    let failure = bad(r#"
[listener.public]
adress = "127.0.0.1:8080"

[upstraem.orders]
targets = ["10.0.0.1:1"]

[ip-filter.office]
allow = ["10.0.0.0/33"]

[route.a]
match = "/a"
upstream = "orders"
ip-filter = "office"

[route.b]
matches = "/b"
like = "c"
redirect = { t = "/x" }

[route.c]
match = "c"
redirect = { to = "/x" }
"#);
    assert_eq!(
        codes(&failure),
        [
            "config.unknown-key",
            "config.unknown-key",
            "config.value",
            "config.unknown-key",
            "config.unknown-key",
            "config.value",
        ],
        "{failure:#?}"
    );
}

#[test]
fn like_copies_and_tells_where_from() {
    let loaded = good(&format!(
        r#"{BASE}
[defaults]
timeout = "9s"

[route.orders]
match = "/orders/**"
upstream = "orders"
strip-prefix = "/orders"
ip-filter = {{ allow = ["10.0.0.0/8"] }}

[route.old]
like = "orders"
match = "/orders/old/**"
redirect = {{ to = "/orders" }}

[route.copy]
like = "orders"
match = "/orders/copy/**"
"#
    ));
    let [copy, old, _orders] = loaded.config.routes.as_slice() else {
        panic!("{:?}", loaded.config.routes)
    };
    assert!(matches!(old.action, Action::Redirect { .. }));
    assert_eq!(old.path, PathChange::Keep);
    assert_eq!(old.policies.ip_filter.len(), 1);
    assert_eq!(old.timeout, Duration::from_secs(9));
    assert_eq!(copy.path, PathChange::StripPrefix("/orders".to_owned()));
    let from = |key| {
        let found = copy.provenance.iter().find(|one| one.key == key).unwrap();
        let place = found
            .span
            .as_ref()
            .and_then(|span| loaded.sources.place(span));
        (found.like.as_deref(), place)
    };
    assert_eq!(from("match"), (None, Some("test.toml:24".to_owned())));
    assert_eq!(
        from("strip-prefix"),
        (Some("orders"), Some("test.toml:14".to_owned()))
    );
    assert_eq!(from("timeout"), (None, Some("test.toml:9".to_owned())));
    assert_eq!(from("listener"), (None, None));
}

/// A configuration that has everything.
const REFERENCE: &str = include_str!("../../../conf/reference.toml");

/// A text is no file: what it names is relative to where the test runs.
fn reference() -> String {
    let text = REFERENCE.replace("file:tls/", "file:../conf/tls/");
    text.replace("file:consumers/", "file:../conf/consumers/")
}

#[test]
fn the_reference_is_understood() {
    let loaded = good(&reference());
    let route = |name: &str| {
        let mut routes = loaded.config.routes.iter();
        routes.find(|route| &*route.name == name).unwrap()
    };
    let Action::Split(split) = &route("canary").action else {
        panic!("{:?}", route("canary").action)
    };
    assert_eq!(split.arms, [(UpstreamId(0), 10), (UpstreamId(1), 90)]);
    assert_eq!((split.pick[0].0, split.pick[0].1.len()), (0, 3));
    let Action::Upstream(Dispatch::By { map, otherwise, .. }) = &route("tenants").action else {
        panic!("{:?}", route("tenants").action)
    };
    assert_eq!(map["globex"], UpstreamId(0));
    assert_eq!(*otherwise, Some(UpstreamId(1)));
    let orders = &route("orders").policies;
    assert_eq!(orders.ip_filter.len(), 3, "always, office and trial");
    assert_eq!(orders.headers.len(), 1);
    assert!(route("reports").policies.headers.is_empty());
    assert_eq!(route("beta").matcher.conditions.len(), 3);
    assert_eq!(route("hello").policies.protect.len(), 1, "from [defaults]");
}

#[test]
fn files_are_relative_to_the_file_that_names_them() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf");
    let loaded = super::load(&Path::new(directory).join("reference.toml")).unwrap();
    let files = loaded
        .config
        .routes
        .iter()
        .filter_map(|route| match &route.action {
            Action::Respond(respond) => match &respond.body {
                RespondBody::File { path, .. } => Some(path),
                RespondBody::Empty | RespondBody::Text(_) => None,
            },
            Action::Upstream(_) | Action::Split(_) | Action::Redirect { .. } => None,
        });
    for file in files {
        assert!(file.is_file(), "{}", file.display());
    }
}

/// Loads a text and writes its report in every form.
fn survive(text: &str) {
    let loaded = load_text("test.toml", text, &env());
    let (report, sources) = match &loaded {
        Ok(loaded) => (&loaded.report, &loaded.sources),
        Err(failure) => (&failure.report, &failure.sources),
    };
    let written = render::text(report, sources, Colour::No);
    assert_eq!(loaded.is_err(), written.contains("error"), "{text}");
    render::json(report, sources);
}

#[test]
fn no_mutilation_is_fatal() {
    let lines: Vec<&str> = REFERENCE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    for (index, line) in lines.iter().enumerate() {
        let with = |replacement: &str| {
            let mut lines = lines.clone();
            lines[index] = replacement;
            lines.join("\n")
        };
        survive(&with(""));
        survive(&lines[..index].join("\n"));
        if let Some((key, _)) = line.split_once(" = ") {
            for value in [
                "5",
                "\"\"",
                "\"ä{${x\"",
                "[[]]",
                "{ a = 1 }",
                "[[5], [\"x\"]]",
            ] {
                survive(&with(&format!("{key} = {value}")));
            }
        }
    }
}
