//! `gateway demo`: the gateway with `conf/demo.toml` and its own sample upstreams, and what to try.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{answer, complain, run};
use crate::demo;
use crate::run::Start;
use crate::runtime::reload::Source;

const CONFIG: &str = include_str!("../../../conf/demo.toml");

/// What it shows, and the line that shows it: with the addresses of `conf/demo.toml`.
const TRIES: &[(&str, &str)] = &[
    (
        "the list of orders; once more, and the other instance answers",
        "curl http://127.0.0.1:8080/orders",
    ),
    (
        "a path parameter, which comes back as x-order",
        "curl -i http://127.0.0.1:8080/orders/1001",
    ),
    (
        "what an upstream gets to see",
        "curl http://127.0.0.1:8080/api/echo",
    ),
    (
        "a browser asks whether a page of the shop may call (CORS preflight)",
        "curl -i -X OPTIONS http://127.0.0.1:8080/orders -H 'origin: https://shop.example.com' -H 'access-control-request-method: POST'",
    ),
    (
        "only with a key: 401 that says where it belongs",
        "curl -i http://127.0.0.1:8080/account/echo",
    ),
    (
        "a consumer with the plan free: see x-consumer, and that the key is gone",
        "curl http://127.0.0.1:8080/account/echo -H 'x-api-key: demo-free-key'",
    ),
    (
        "and one with the plan premium",
        "curl http://127.0.0.1:8080/account/echo -H 'x-api-key: demo-premium-key'",
    ),
    ("no route: 404", "curl -i http://127.0.0.1:8080/nowhere"),
    (
        "a route, but not for this method: 405 with Allow",
        "curl -i -X DELETE http://127.0.0.1:8080/orders",
    ),
    (
        "a body that is too large: 413",
        "head -c 2000 /dev/zero | curl -i --data-binary @- -H 'content-type: application/json' http://127.0.0.1:8080/orders",
    ),
    (
        "an address that may not: 403",
        "curl -i http://127.0.0.1:8080/reports/2026",
    ),
    (
        "testers get the new version, always",
        "curl http://127.0.0.1:8080/checkout -H 'x-cohort: beta'",
    ),
    (
        "one user gets one version, always the same",
        "curl http://127.0.0.1:8080/checkout -b user=ada",
    ),
    ("a redirect", "curl -i http://127.0.0.1:8080/shop/items"),
    (
        "an upstream that is too slow: 504",
        "curl -i 'http://127.0.0.1:8080/catalog/items?slow=2s'",
    ),
    (
        "an upstream that is down: 502",
        "curl -i http://127.0.0.1:8080/archive/2019",
    ),
    (
        "an instance falls ill (say it again without ?fail=503 to cure it)",
        "curl -X POST 'http://127.0.0.1:9101/__demo?fail=503'",
    ),
    (
        "what it cost: gateway_hop_seconds is our own share",
        "curl http://127.0.0.1:9090/metrics",
    ),
];

pub(super) fn run() -> ExitCode {
    let samples = match demo::start() {
        Ok(samples) => samples,
        Err(error) => {
            complain(&format!("error: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let ready = || {
        // Nobody may be reading; the gateway serves all the same.
        let _unread = answer(&invitation());
    };
    let ended = run::ended(crate::run::run(Source::Text(CONFIG), Start::Alone, ready));
    drop(samples);
    ended
}

fn invitation() -> String {
    let mut text = String::from(
        "\nThe gateway listens on http://127.0.0.1:8080, its admin listener on http://127.0.0.1:9090.\n\
         It runs conf/demo.toml with sample upstreams of its own. In another terminal:\n\n",
    );
    let explain = format!(
        "{} explain conf/demo.toml 'GET http://127.0.0.1:8080/reports/2026'",
        own_path().display()
    );
    let explain = ("why that 403? (in the repository's root)", explain.as_str());
    for (what, line) in TRIES.iter().copied().chain([explain]) {
        // Writing to a string cannot fail.
        let written = write!(text, "# {what}\n{line}\n\n");
        debug_assert!(written.is_ok());
    }
    text.push_str("Each request is a line of the access log below. Ctrl-C ends the demo.\n\n");
    text
}

/// As it was called, so that the line can be copied.
fn own_path() -> PathBuf {
    std::env::args_os()
        .next()
        .map_or_else(|| PathBuf::from("gateway"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_can_be_copied() {
        for (what, line) in TRIES {
            assert!(
                line.contains("curl ") && line.contains("http://127.0.0.1:"),
                "{what}"
            );
            assert_eq!(line.matches('\'').count() % 2, 0, "{line}");
        }
        let text = invitation();
        let long = text
            .lines()
            .find(|line| line.starts_with('#') && line.len() > 80);
        assert_eq!(long, None);
    }
}
