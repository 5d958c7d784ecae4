//! The head that an upstream gets and the head that a client gets back: who may say what, and what each hop adds.

use harness::{H2Request, H2c, Recorded, Script};

use crate::fixture::{assert_refused, assert_usable, forwarding};

const TRUSTING: &str = r#"trusted-proxies = ["127.0.0.0/8", "192.0.2.0/24"]"#;

/// What a client says who would like to be somebody else.
const SPOOFED: &[(&str, &str)] = &[
    ("X-Forwarded-For", "198.51.100.7"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "admin.example.com"),
    ("X-Forwarded-Port", "443"),
    ("X-Forwarded-Prefix", "/admin"),
    ("X-Forwarded-User", "root"),
    ("Forwarded", "for=198.51.100.7;proto=https"),
    ("X-Real-IP", "198.51.100.7"),
    ("True-Client-IP", "198.51.100.7"),
    ("X-Original-URL", "/admin"),
    ("X-Rewrite-URL", "/admin"),
    ("X-HTTP-Method-Override", "DELETE"),
];

fn all<'a>(request: &'a Recorded, name: &str) -> Vec<&'a str> {
    request.headers.all(name)
}

#[test]
fn what_only_proxies_may_say_is_removed_from_others() {
    let (gateway, orders) = forwarding("", "");
    let mut headers = SPOOFED.to_vec();
    headers.push(("Host", "api.example.com"));
    headers.push(("x-tenant", "acme"));
    gateway.request("GET", "/", &headers, b"");
    let seen = orders.last();
    assert_eq!(all(&seen, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(all(&seen, "x-forwarded-proto"), ["http"]);
    assert_eq!(all(&seen, "x-forwarded-host"), ["api.example.com"]);
    assert_eq!(seen.header("host"), Some("api.example.com"));
    assert_eq!(seen.header("x-tenant"), Some("acme"));
    for (name, _) in &SPOOFED[3..] {
        assert!(!seen.headers.has(name), "{name}");
    }
    assert_eq!(gateway.wait_access_log(1)[0]["client"], "127.0.0.1");
}

#[test]
fn http2_clients_cannot_spoof_either() {
    let (gateway, orders) = forwarding("", "");
    let mut request = H2Request::new("GET", "/").authority("api.example.com");
    for (name, value) in SPOOFED {
        request = request.header(&name.to_lowercase(), value);
    }
    assert_eq!(H2c::connect(gateway.addr()).request(request).status, 200);
    let seen = orders.last();
    assert_eq!(all(&seen, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(all(&seen, "x-forwarded-host"), ["api.example.com"]);
    assert_eq!(all(&seen, "host"), ["api.example.com"]);
    for (name, _) in &SPOOFED[3..] {
        assert!(!seen.headers.has(name), "{name}");
    }
    assert_eq!(orders.faults(), [""; 0]);
}

#[test]
fn a_trusted_proxy_is_believed_and_appended_to() {
    let (gateway, orders) = forwarding(TRUSTING, "");
    let headers = [
        ("X-Forwarded-For", "203.0.113.9, 198.51.100.7"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example.com"),
        ("X-Real-IP", "198.51.100.7"),
    ];
    gateway.request("GET", "/", &headers, b"");
    let seen = orders.last();
    let chain = "203.0.113.9, 198.51.100.7, 192.0.2.1, 127.0.0.1";
    assert_eq!(all(&seen, "x-forwarded-for"), [chain]);
    assert_eq!(all(&seen, "x-forwarded-proto"), ["https"]);
    assert_eq!(all(&seen, "x-forwarded-host"), ["shop.example.com"]);
    assert_eq!(all(&seen, "x-real-ip"), ["198.51.100.7"]);
    // From the right, past those who are trusted, to the first who is not: what stands left of it is hearsay.
    assert_eq!(gateway.wait_access_log(1)[0]["client"], "198.51.100.7");
}

#[test]
fn the_client_is_read_up_to_the_first_malformed_element() {
    let (gateway, _orders) = forwarding(TRUSTING, "");
    let mut client = gateway.client();
    let chains = [
        ("198.51.100.7, nonsense, 192.0.2.1", "192.0.2.1"),
        ("198.51.100.7, ", "127.0.0.1"),
        ("[2001:db8::7]:4711, 192.0.2.1", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("192.0.2.2, 192.0.2.1", "192.0.2.2"),
    ];
    for (chain, _) in chains {
        client.request("GET", "/", &[("X-Forwarded-For", chain)], b"");
    }
    let lines = gateway.wait_access_log(chains.len());
    for (line, (chain, who)) in lines.iter().zip(chains) {
        assert_eq!(line["client"], who, "{chain}");
    }
}

#[test]
fn forwarded_is_written_where_the_upstream_wants_it() {
    let chain = [
        ("Forwarded", "for=198.51.100.7;proto=https"),
        ("X-Forwarded-For", "198.51.100.7"),
        ("Host", "api.example.com:8080"),
    ];
    let element = "for=127.0.0.1;host=\"api.example.com:8080\";proto=http";
    for (key, legacy, ietf) in [
        ("legacy", true, false),
        ("ietf", false, true),
        ("both", true, true),
        ("none", false, false),
    ] {
        let (gateway, orders) = forwarding("", &format!("forwarded = \"{key}\""));
        gateway.request("GET", "/", &chain, b"");
        let seen = orders.last();
        let expected = if ietf { vec![element] } else { vec![] };
        assert_eq!(all(&seen, "forwarded"), expected, "{key}");
        for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] {
            assert_eq!(seen.headers.has(name), legacy, "{key}: {name}");
        }
    }
}

#[test]
fn forwarded_of_a_trusted_proxy_is_appended_to() {
    let (gateway, orders) = forwarding(TRUSTING, "forwarded = \"ietf\"");
    let headers = [
        ("Forwarded", "for=198.51.100.7;proto=https"),
        ("X-Forwarded-Proto", "https"),
        ("Host", "api.example.com"),
    ];
    gateway.request("GET", "/", &headers, b"");
    let chain = "for=198.51.100.7;proto=https, for=127.0.0.1;host=\"api.example.com\";proto=https";
    assert_eq!(all(&orders.last(), "forwarded"), [chain]);
}

#[test]
fn via_names_this_hop_and_the_version_of_the_one_before() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    client.get("/");
    assert_eq!(all(&orders.last(), "via"), ["1.1 gateway"]);
    client.request("GET", "/", &[("Via", "1.0 a"), ("Via", "1.1 b")], b"");
    assert_eq!(all(&orders.last(), "via"), ["1.0 a, 1.1 b, 1.1 gateway"]);
    H2c::connect(gateway.addr()).get("/");
    assert_eq!(all(&orders.last(), "via"), ["2 gateway"]);
}

#[test]
fn a_request_id_is_made_for_everyone_and_kept_from_nobody_untrusted() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    let answer = client.request("GET", "/", &[("X-Request-Id", "mine")], b"");
    let id = answer.header("x-request-id").unwrap().to_owned();
    assert_eq!((id.len(), id == "mine"), (32, false));
    assert_eq!(all(&orders.last(), "x-request-id"), [id.as_str()]);
    assert_eq!(gateway.wait_access_log(1)[0]["request_id"], id.as_str());
    assert_ne!(client.get("/").header("x-request-id"), Some(id.as_str()));
}

#[test]
fn a_request_id_is_kept_from_a_trusted_proxy_when_well_formed() {
    let (gateway, orders) = forwarding(TRUSTING, "");
    let mut client = gateway.client();
    let longest = "a".repeat(128);
    for id in ["a-Z_0.9", longest.as_str()] {
        let answer = client.request("GET", "/", &[("X-Request-Id", id)], b"");
        assert_eq!(answer.headers.all("x-request-id"), [id]);
        assert_eq!(all(&orders.last(), "x-request-id"), [id]);
    }
    let too_long = "a".repeat(129);
    for id in ["", "a b", "a\"b", "{}", "a,b", too_long.as_str()] {
        let answer = client.request("GET", "/", &[("X-Request-Id", id)], b"");
        let made = answer.header("x-request-id").unwrap();
        assert_eq!(made.len(), 32, "{id:?}");
        assert_eq!(all(&orders.last(), "x-request-id"), [made]);
    }
    let two = [("X-Request-Id", "one"), ("X-Request-Id", "two")];
    let answer = client.request("GET", "/", &two, b"");
    assert_eq!(answer.headers.all("x-request-id").len(), 1);
    assert_eq!(all(&orders.last(), "x-request-id").len(), 1);
}

#[test]
fn an_upstream_cannot_choose_the_request_id() {
    let (gateway, orders) = forwarding("", "");
    orders.always(Script::answer(200, "x").header("X-Request-Id", "theirs"));
    let answer = gateway.get("/");
    assert_eq!(answer.headers.all("x-request-id").len(), 1);
    assert_ne!(answer.header("x-request-id"), Some("theirs"));
}

#[test]
fn names_with_an_underscore_are_dropped() {
    let (gateway, orders) = forwarding("", "");
    let headers = [
        ("X_Forwarded_For", "198.51.100.7"),
        ("x-real_ip", "198.51.100.7"),
        ("x_tenant", "acme"),
        ("x-tenant", "globex"),
    ];
    assert_eq!(gateway.request("GET", "/", &headers, b"").status, 200);
    let seen = orders.last();
    let names = seen.headers.0.iter().filter(|(name, _)| name.contains('_'));
    assert_eq!(names.count(), 0);
    assert_eq!(all(&seen, "x-tenant"), ["globex"]);
}

#[test]
fn hop_by_hop_fields_stop_here_on_the_way_up() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    let headers = [
        ("Connection", "keep-alive, x-secret, X-Other"),
        ("X-Secret", "1"),
        ("X-Other", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("TE", "gzip"),
        ("Upgrade", "h2c"),
        ("X-Kept", "1"),
    ];
    assert_eq!(client.request("GET", "/", &headers, b"").status, 200);
    let seen = orders.last();
    for name in [
        "x-secret",
        "x-other",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "upgrade",
    ] {
        assert!(!seen.headers.has(name), "{name}");
    }
    assert_eq!(all(&seen, "x-kept"), ["1"]);
    assert_usable(&mut client, "/");
}

#[test]
fn a_client_cannot_nominate_what_the_message_needs() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    let nominated = "content-length, transfer-encoding, via, x-request-id";
    let headers = [("Connection", nominated), ("Host", "api.example.com")];
    let answer = client.request("POST", "/", &headers, b"hello");
    assert_eq!(answer.status, 200);
    let seen = orders.last();
    assert_eq!(seen.text(), "hello");
    assert_eq!(all(&seen, "via"), ["1.1 gateway"]);
    assert!(seen.headers.has("x-request-id"));
    assert_eq!(orders.faults(), [""; 0]);
}

#[test]
fn nominating_where_a_request_comes_from_or_goes_to_is_refused() {
    let (gateway, orders) = forwarding("", "");
    for nominated in [
        "host",
        "x-forwarded-for",
        "close, X-Forwarded-Host",
        "\"x-a\"",
    ] {
        let answer = gateway.request("GET", "/", &[("Connection", nominated)], b"");
        assert_refused(&answer, 400, "client.bad-request");
    }
    assert_eq!(orders.requests().len(), 0);
}

#[test]
fn hop_by_hop_fields_stop_here_on_the_way_down() {
    let (gateway, orders) = forwarding("", "");
    orders.always(
        Script::answer(200, "hello")
            .header("Connection", "keep-alive, X-Secret, content-length")
            .header("X-Secret", "1")
            .header("Keep-Alive", "timeout=5")
            .header("Proxy-Connection", "keep-alive")
            .header("Proxy-Authenticate", "Basic")
            .header("Upgrade", "h2c")
            .header("X-Kept", "1"),
    );
    let mut client = gateway.client();
    let mut h2 = H2c::connect(gateway.addr());
    for answer in [client.get("/"), h2.get("/")] {
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        assert_eq!(answer.header("x-kept"), Some("1"));
        for name in ["x-secret", "keep-alive", "proxy-connection", "upgrade"] {
            assert!(!answer.headers.has(name), "{}: {name}", answer.version);
        }
        assert!(!answer.headers.has_token("connection", "x-secret"));
    }
    assert_usable(&mut client, "/");
}

#[test]
fn repeated_fields_keep_their_number_and_order() {
    let (gateway, orders) = forwarding("", "");
    let answer = Script::answer(200, "x")
        .header("Set-Cookie", "a=1; Path=/")
        .header("X-List", "1")
        .header("Set-Cookie", "b=2; HttpOnly")
        .header("X-List", "2, 3");
    orders.always(answer);
    let sent = [
        ("X-Tag", "1"),
        ("Accept", "a"),
        ("X-Tag", "2, 3"),
        ("X-Tag", ""),
    ];
    let mut request = H2Request::new("GET", "/");
    for (name, value) in sent {
        request = request.header(&name.to_lowercase(), value);
    }
    let first = gateway.request("GET", "/", &sent, b"");
    for answer in [first, H2c::connect(gateway.addr()).request(request)] {
        assert_eq!(
            all(&orders.last(), "x-tag"),
            ["1", "2, 3", ""],
            "{}",
            answer.version
        );
        assert_eq!(
            answer.headers.all("set-cookie"),
            ["a=1; Path=/", "b=2; HttpOnly"]
        );
        assert_eq!(answer.headers.all("x-list"), ["1", "2, 3"]);
    }
}

#[test]
fn a_large_head_passes_within_the_limits() {
    let (gateway, orders) = forwarding("", "");
    let value = "v".repeat(200);
    let names: Vec<String> = (0..90).map(|n| format!("X-Field-{n}")).collect();
    let fields: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), value.as_str()))
        .collect();
    let answer = fields
        .iter()
        .fold(Script::answer(200, "x"), |script, (name, value)| {
            script.header(name, value)
        });
    orders.always(answer);
    let answer = gateway.request("GET", "/", &fields, b"");
    assert_eq!(answer.status, 200);
    for (name, value) in fields {
        assert_eq!(all(&orders.last(), name), [value], "{name}");
        assert_eq!(answer.headers.all(name), [value], "{name}");
    }
}
