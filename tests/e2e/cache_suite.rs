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

#[test]
fn the_suite_fails_where_it_is_expected_to() {
    let origin = Server::node("http_cache.mjs");
    let gateway = Gateway::start(Config::new(CONFIG).upstream("origin", origin.addr));
    let said = node_script("http_cache.mjs", &[&format!("http://{}", gateway.addr())]);
    let verdicts = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let judged: Vec<Value> = verdicts.filter(|one| one["kind"] != "check").collect();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let (mut passed, mut failed) = (BTreeMap::new(), BTreeMap::new());
    for one in &judged {
        let good = one["passed"] == true;
        *passed.entry(text(one, "kind")).or_insert(0) += usize::from(good);
        if !good {
            failed.insert(text(one, "id"), text(one, "why"));
        }
    }
    let expected: BTreeSet<&str> = DOCUMENT
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(id, _)| id)
        .collect();
    let found: BTreeSet<&str> = failed.keys().map(String::as_str).collect();
    assert_eq!(found, expected, "{passed:?} {failed:#?}");
    assert!(
        passed["required"] >= 135 && passed["optimal"] >= 70,
        "{passed:?}"
    );
}
