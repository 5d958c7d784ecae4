//! The independent suite for HTTP caches (cache-tests.fyi): which of its tests fail is written down, no more and no less.

use std::collections::{BTreeMap, BTreeSet};

use harness::tool::{Server, node_script};
use harness::{Config, Gateway};
use serde_json::Value;

/// The tests that fail, required ones and optional ones; `tests/cache-suite.md` says why.
const DOCUMENT: &str = include_str!("../cache-suite.md");

const CONFIG: &str = "[listener.public]\naddress = \"@address.public@\"\n\
    [upstream.origin]\ntargets = [\"@upstream.origin@\"]\n\
    [route.all]\nmatch = \"/**\"\nupstream = \"origin\"\ncache = { heuristic = true }\n";

/// What a run says: how many passed, by kind, and why the others failed.
#[derive(Debug, Default)]
struct Verdicts {
    passed: BTreeMap<String, usize>,
    failed: BTreeMap<String, String>,
}

fn run(gateway: &Gateway) -> Verdicts {
    let said = node_script("http_cache.mjs", &[&format!("http://{}", gateway.addr())]);
    let verdicts = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let mut all = Verdicts::default();
    for one in verdicts.filter(|one| one["kind"] != "check") {
        let good = one["passed"] == true;
        *all.passed.entry(text(&one, "kind")).or_insert(0) += usize::from(good);
        if !good {
            all.failed.insert(text(&one, "id"), text(&one, "why"));
        }
    }
    all
}

#[test]
fn the_suite_fails_where_it_is_expected_to() {
    let origin = Server::node("http_cache.mjs");
    let gateway = Gateway::start(Config::new(CONFIG).upstream("origin", origin.addr));
    let expected: BTreeSet<&str> = DOCUMENT
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(id, _)| id)
        .collect();
    let is_expected = |verdicts: &Verdicts| verdicts.failed.keys().eq(expected.iter());
    let mut verdicts = run(&gateway);
    // The suite goes by the clock: on a busy machine what is to be fresh may be stale by the time it is asked for.
    for _ in 0..2 {
        if !is_expected(&verdicts) {
            verdicts = run(&gateway);
        }
    }
    assert!(is_expected(&verdicts), "{verdicts:#?}");
    let passed = &verdicts.passed;
    assert!(
        passed["required"] >= 135 && passed["optimal"] >= 70,
        "{passed:?}"
    );
}
