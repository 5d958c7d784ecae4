//! Stale answers: given while a new one is fetched, and when none can be had.

use harness::{Backend, H2Request, H2c, Script, wait};

use super::{assert_cache, keeping, saying};

type Ask<'a> = &'a dyn Fn(&str) -> harness::Response;

#[test]
fn a_stale_answer_is_given_while_a_new_one_is_fetched() {
    let (gateway, orders) = keeping("{}");
    let authority = gateway.addr().to_string();
    let by_http1 = |path: &str| gateway.get(path);
    let by_http2 = |path: &str| {
        let request = H2Request::new("GET", path).authority(&authority);
        H2c::connect(gateway.addr()).request(request)
    };
    let protocols: [(&str, Ask<'_>); 2] = [("/by-http1", &by_http1), ("/by-http2", &by_http2)];
    for (path, get) in protocols {
        orders.on(path, saying("max-age=0, stale-while-revalidate=60", "old"));
        assert_eq!(get(path).text(), "old");
        orders.on(path, saying("max-age=60", "new"));
        let before = orders.requests().len();
        let stale = get(path);
        assert_eq!(stale.text(), "old", "{path}");
        assert_cache(&stale, "hit; ttl=");
        wait::until(wait::DEADLINE, "the new answer", || {
            get(path).text() == "new"
        });
        assert_eq!(
            orders.requests().len(),
            before + 1,
            "{path}: one refresh, whoever asked meanwhile"
        );
        let asked = orders.last();
        assert_eq!(
            (asked.target.as_str(), asked.header("host")),
            (path, Some(authority.as_str()))
        );
    }
    let lines = gateway.wait_access_log(6);
    assert!(
        lines.iter().any(|line| line["cache"] == "refresh"),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line["cache_reason"] == "while-revalidate"),
        "{lines:?}"
    );
}

#[test]
fn a_stale_answer_covers_for_an_origin_that_fails() {
    let (gateway, mut orders) = keeping("{ stale-if-error = \"1h\" }");
    for path in ["/500", "/reset", "/gone", "/strict"] {
        let strict = if path == "/strict" {
            ", must-revalidate"
        } else {
            ""
        };
        orders.on(
            path,
            saying(&format!("max-age=0{strict}"), "old").header("etag", "\"a\""),
        );
        assert_eq!(gateway.get(path).text(), "old");
    }
    orders
        .on("/500", Script::status(503))
        .on("/strict", Script::status(503));
    orders.on("/reset", Script::reset());
    for path in ["/500", "/reset"] {
        let stale = gateway.get(path);
        assert_eq!(
            (stale.status, stale.text().as_str()),
            (200, "old"),
            "{path}"
        );
        assert_cache(&stale, "hit; fwd=stale");
    }
    assert_eq!(gateway.get("/strict").status, 503);
    orders.stop();
    assert_eq!(gateway.get("/gone").text(), "old");
    assert_eq!(gateway.get("/strict").status, 502);
    let line = gateway.wait_access_log(9).pop().unwrap();
    assert_eq!(line["route"], "all");
}

#[test]
fn an_origin_that_confirms_is_asked_once_by_many() {
    let (gateway, orders) = keeping("{}");
    orders.once(saying("max-age=0, stale-while-revalidate=60", "old"));
    assert_eq!(gateway.get("/").text(), "old");
    orders.always(Script::stall());
    for _ in 0..20 {
        assert_eq!(gateway.get("/").text(), "old");
    }
    orders.wait_requests(2);
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn a_stale_answer_does_not_count_for_the_health_of_its_target() {
    let orders = Backend::start();
    let keys = "outlier = { consecutive-failures = 3, ejected-max = \"100%\" }";
    let routes = super::routes("{ stale-if-error = \"1h\" }");
    let gateway = harness::Gateway::start(crate::fixture::config_with("", keys, &routes, &orders));
    orders.once(saying("max-age=0", "old").header("etag", "\"a\""));
    assert_eq!(gateway.get("/").text(), "old");
    orders.always(Script::status(503));
    for _ in 0..5 {
        assert_eq!(gateway.get("/").text(), "old");
    }
    assert_eq!(orders.requests().len(), 4, "ejected after three failures");
}
