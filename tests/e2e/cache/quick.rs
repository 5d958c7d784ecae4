//! Hits that do not pass Pingora's engine: the same to clients, whatever the protocol, the size and the policies of the route.

use harness::{Backend, Gateway, H2Request, H2c, Script};

use super::{assert_cache, keeping};
use crate::fixture::config;

#[test]
fn a_hit_says_what_the_first_answer_said() {
    let (gateway, orders) = keeping("\"60s\"");
    let script = Script::answer(200, "body")
        .header("x-a", "1")
        .header("x-a", "2")
        .header("cache-status", "origin; hit")
        .header("x-request-id", "the origin's own");
    orders.always(script);
    let first = gateway.get("/");
    for _ in 0..3 {
        let hit = gateway.get("/");
        assert_eq!((hit.status, hit.text().as_str()), (200, "body"));
        let values = |name: &str| hit.headers.all(name).len();
        assert_eq!((values("x-a"), values("cache-status")), (2, 2));
        for once in [
            "x-request-id",
            "date",
            "age",
            "connection",
            "content-length",
        ] {
            assert_eq!(values(once), 1, "{once}");
        }
        assert_ne!(hit.header("x-request-id"), first.header("x-request-id"));
        assert!(hit.headers.0.iter().all(|(_, value)| !value.is_empty()));
    }
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn policies_see_what_is_stored_and_change_every_hit() {
    let orders = Backend::start();
    let routes = format!(
        "{}headers = {{ response = {{ set = {{ x-host = \"{{host}}\" }}, remove = [\"x-secret\"] }} }}\n",
        super::routes("\"60s\"")
    );
    let gateway = Gateway::start(config(&routes, &orders));
    orders.always(Script::answer(200, "body").header("x-secret", "1"));
    for told in ["fwd=uri-miss", "hit", "hit"] {
        let answer = gateway.request("GET", "/", &[("host", "a.example")], b"");
        assert_cache(&answer, told);
        assert_eq!(answer.header("x-host"), Some("a.example"));
        assert_eq!(answer.header("x-secret"), None);
    }
}

#[test]
fn answers_of_every_size_leave_whole() {
    let (gateway, orders) = keeping("\"60s\"");
    let authority = gateway.addr().to_string();
    for size in [0, 1, 4 << 10, 64 << 10, 100 << 10, (256 << 10) + 1, 3 << 20] {
        let body: Vec<u8> = (0..251_u8).cycle().take(size).collect();
        let path = format!("/{size}");
        orders.on(&path, Script::answer(200, body.clone()));
        let mut client = gateway.client();
        for _ in 0..3 {
            let answer = client.try_request("GET", &path, &[], b"").unwrap();
            assert!(answer.body == body, "{size}");
            let length = answer.header("content-length");
            assert_eq!(length, Some(&*size.to_string()));
        }
        let head = client.try_request("HEAD", &path, &[], b"").unwrap();
        assert_eq!((head.status, head.body.len()), (200, 0));
        let request = H2Request::new("GET", &path).authority(&authority);
        let answer = H2c::connect(gateway.addr()).request(request);
        assert!(answer.body == body, "{size} by HTTP/2");
        assert_cache(&answer, "hit");
        let request = H2Request::new("HEAD", &path).authority(&authority);
        let head = H2c::connect(gateway.addr()).request(request);
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(
            orders
                .requests()
                .iter()
                .filter(|one| one.target == path)
                .count(),
            1
        );
    }
}
