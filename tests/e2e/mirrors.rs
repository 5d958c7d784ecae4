//! Copies of requests for a second upstream: whole, at most one for each request, and never waited for.

use harness::{Backend, Config, Gateway, H2Backend, H2Request, H2Script, H2c, Script, wait};

use crate::fixture::config;

fn mirrored(shadow: std::net::SocketAddr, orders: &Backend) -> Gateway {
    Gateway::start(routes(orders).upstream("shadow", shadow))
}

fn routes(orders: &Backend) -> Config {
    let text = "[upstream.shadow]\ntargets = [\"@upstream.shadow@\"]\n\
                [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\nmirror = \"shadow\"\n\
                retry = { attempts = 2, backoff = \"0ms\", on = [\"503\"], methods = [\"GET\", \"PUT\"] }\n";
    config(text, orders)
}

fn copies(gateway: &Gateway, result: &str) -> u64 {
    let result = format!("result=\"{result}\"");
    gateway.metric("gateway_mirror_total", &["route=\"all\"", &result])
}

#[test]
fn a_mirror_gets_what_the_upstream_gets() {
    let (orders, shadow) = (Backend::start(), Backend::start());
    let gateway = mirrored(shadow.addr(), &orders);
    shadow.always(Script::answer(500, "nobody hears this"));
    for (count, (method, body)) in [("GET", &b""[..]), ("POST", b"pay 5 EUR"), ("DELETE", b"")]
        .into_iter()
        .enumerate()
    {
        let path = format!("/orders/{count}?x=1");
        let answer = gateway.request(method, &path, &[("x-tenant", "acme")], body);
        assert_eq!(answer.status, 200);
        let copy = shadow.wait_requests(count + 1).pop().unwrap();
        let original = orders.last();
        assert_eq!(
            (copy.method.as_str(), &copy.target),
            (method, &original.target)
        );
        assert_eq!(copy.body, body);
        for name in ["x-tenant", "x-request-id", "x-forwarded-for", "host"] {
            assert_eq!(copy.header(name), original.header(name), "{name}");
        }
    }
    let request = H2Request::new("POST", "/h2").body("by another protocol");
    assert_eq!(H2c::connect(gateway.addr()).request(request).status, 200);
    assert_eq!(
        shadow.wait_requests(4).pop().unwrap().text(),
        "by another protocol"
    );
    wait::until(wait::DEADLINE, "four copies", || {
        copies(&gateway, "sent") == 4
    });
    assert_eq!(shadow.faults(), [""; 0]);
}

#[test]
fn a_mirror_that_is_silent_or_gone_slows_nobody() {
    let orders = Backend::start();
    let silent = Backend::start();
    silent.always(Script::stall());
    let gateway = mirrored(silent.addr(), &orders);
    let mut client = gateway.client();
    for _ in 0..100 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(orders.requests().len(), 100);
    assert_eq!(copies(&gateway, "busy"), 36, "no more than 64 at a time");
    let gone = mirrored(Backend::refusing(), &orders);
    assert_eq!(gone.get("/").status, 200);
    wait::until(wait::DEADLINE, "a failed copy", || {
        copies(&gone, "failed") == 1
    });
}

#[test]
fn a_request_is_copied_once_and_only_whole() {
    let (orders, shadow) = (Backend::start(), Backend::start());
    let gateway = mirrored(shadow.addr(), &orders);
    orders.once(Script::status(503));
    assert_eq!(gateway.request("PUT", "/", &[], b"once").status, 200);
    assert_eq!(orders.requests().len(), 2, "tried again");
    let large = vec![b'x'; (64 << 10) + 1];
    assert_eq!(gateway.request("POST", "/", &[], &large).status, 200);
    assert_eq!(copies(&gateway, "too-large"), 1);
    wait::until(wait::DEADLINE, "one copy", || copies(&gateway, "sent") == 1);
    let seen = shadow.requests();
    assert_eq!((seen.len(), seen[0].text().as_str()), (1, "once"));
}

#[test]
fn a_copy_names_its_own_target_where_that_is_asked_for() {
    let (orders, shadow) = (Backend::start(), Backend::start());
    let text = "[upstream.shadow]\ntargets = [\"@upstream.shadow@\"]\nhost = \"target\"\n\
                [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\nmirror = \"shadow\"\n";
    let gateway = Gateway::start(config(text, &orders).upstream("shadow", shadow.addr()));
    let target = shadow.addr().to_string();
    assert_eq!(gateway.get("/").status, 200);
    let copy = shadow.wait_requests(1).pop().unwrap();
    assert_eq!(copy.header("host"), Some(target.as_str()));
    // HTTP/1.0 without `Host` gets one of either upstream.
    let plain = mirrored(shadow.addr(), &orders);
    let answer = harness::raw(plain.addr(), b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(answer.status(), Some(200));
    let copy = shadow.wait_requests(2).pop().unwrap();
    assert_eq!(copy.header("host"), Some(target.as_str()));
    assert_eq!(shadow.faults(), [""; 0]);
}

#[test]
fn a_mirror_may_speak_another_protocol_than_the_upstream() {
    let (orders, shadow) = (Backend::start(), H2Backend::start());
    let text = "[upstream.shadow]\ntargets = [\"@upstream.shadow@\"]\nprotocol = \"h2\"\n\
                [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\nmirror = \"shadow\"\n";
    let gateway = Gateway::start(config(text, &orders).upstream("shadow", shadow.addr()));
    shadow.always(H2Script::answer(500, "nobody hears this"));
    let post = || H2Request::new("POST", "/h2?x=1").authority("api.example.com");
    let large = vec![b'x'; 64 << 10];
    let mut client = H2c::connect(gateway.addr());
    for body in [&b"by another protocol"[..], &large, b""] {
        let answer = client.request(post().body(body).header("x-tenant", "acme"));
        assert_eq!((answer.status, orders.last().body.len()), (200, body.len()));
    }
    let host = ("host", "api.example.com");
    let answer = gateway.request("PUT", "/http1", &[host], b"and back");
    assert_eq!(answer.status, 200);
    let seen = shadow.wait_requests(4);
    // Copies travel together: no order among them.
    let copy = |length: usize| seen.iter().find(|copy| copy.body.len() == length).unwrap();
    for (length, method, target) in [
        (19, "POST", "/h2?x=1"),
        (large.len(), "POST", "/h2?x=1"),
        (0, "POST", "/h2?x=1"),
    ] {
        let copy = copy(length);
        assert_eq!(
            (copy.method.as_str(), copy.target.as_str()),
            (method, target)
        );
        assert_eq!(copy.header("x-tenant"), Some("acme"));
    }
    let put = seen.iter().find(|copy| copy.method == "PUT").unwrap();
    assert_eq!(
        (put.target.as_str(), put.text().as_str()),
        ("/http1", "and back")
    );
    for copy in &seen {
        assert_eq!(copy.header(":authority"), Some("api.example.com"));
        assert_eq!(copy.header(":scheme"), Some("http"));
        assert_eq!(
            (copy.header("host"), copy.header("connection")),
            (None, None)
        );
    }
    wait::until(wait::DEADLINE, "four copies", || {
        copies(&gateway, "sent") == 4
    });
    assert_eq!(shadow.faults(), [""; 0]);
}
