//! What changes about answers: misdirected requests, HSTS, the redirect to https.

use harness::{Authority, Backend, Config, Gateway, H2Request, H2c, Tls, raw_until};

use super::{pair, start, with_pair};
use crate::fixture::assert_refused;

#[test]
fn a_host_that_the_certificate_does_not_cover_is_421() {
    let (gateway, authority, orders) = start("", "");
    let tls = Tls::new(&authority, "localhost");
    let mut client = tls.connect(gateway.addr());
    let ask = |client: &mut harness::Client, host: &str| {
        client.request("GET", "/", &[("host", host)], b"")
    };
    assert_eq!(ask(&mut client, "LOCALHOST:8443").status, 200);
    assert_eq!(
        ask(&mut client, "127.0.0.1").status,
        200,
        "another name of the same certificate"
    );
    assert_refused(
        &ask(&mut client, "other.example.com"),
        421,
        "host.misdirected",
    );
    assert_eq!(
        ask(&mut client, "localhost").status,
        200,
        "the connection goes on"
    );
    let mut client = H2c::connect_tls(gateway.addr(), &tls);
    let answer = client.request(H2Request::new("GET", "/").authority("other.example.com"));
    assert_refused(&answer, 421, "host.misdirected");
    assert_eq!(orders.requests().len(), 3);
}

#[test]
fn hsts_is_on_every_answer_over_tls() {
    let (gateway, authority, _orders) = start("", "hsts = \"365d\"");
    let mut client = Tls::new(&authority, "localhost").connect(gateway.addr());
    let told = |answer: &harness::Response| {
        let value = answer.header("strict-transport-security");
        assert_eq!(value, Some("max-age=31536000"), "{}", answer.status);
    };
    told(&client.get("/"));
    told(&client.request("GET", "/%00", &[], b""));
    told(&client.request("GET", "/", &[("host", "other.example.com")], b""));
    client.send(b"GET / HTTP/1.1\r\nbroken\r\n\r\n").unwrap();
    let refused = client.receive("GET");
    assert_eq!(refused.status, 400);
    told(&refused);
}

#[test]
fn a_connection_from_before_tls_is_misdirected() {
    let (authority, orders) = (Authority::new("site"), Backend::start());
    let identity = authority.issue(&["localhost"]);
    let plain = "[listener.public]\naddress = \"@address.public@\"\n\
        [upstream.orders]\ntargets = [\"@upstream.orders@\"]\n\
        [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n";
    let mut gateway = Gateway::start(Config::new(plain).upstream("orders", orders.addr()));
    let mut client = gateway.client();
    assert_eq!(client.get("/").status, 200);
    gateway.rewrite_and_wait(super::config("", "", &identity, &orders));
    assert_refused(&client.get("/"), 421, "host.misdirected");
    let mut client = Tls::new(&authority, "localhost").connect(gateway.addr());
    assert_eq!(client.get("/").status, 200);
}

fn redirecting(key: &str) -> (Gateway, Authority, Backend) {
    let (authority, orders) = (Authority::new("site"), Backend::start());
    let text = format!(
        "[listener.plain]\naddress = \"@address.plain@\"\n{key}\n\
         [listener.public]\naddress = \"@address.public@\"\ntls = {{ certificates = [{}] }}\n\
         [upstream.orders]\ntargets = [\"@upstream.orders@\"]\n\
         [route.all]\nmatch = \"/**\"\nlistener = \"any\"\nupstream = \"orders\"\n",
        pair("site")
    );
    let config = with_pair(Config::new(text), "site", &authority.issue(&["localhost"]));
    let gateway = Gateway::start(config.upstream("orders", orders.addr()));
    (gateway, authority, orders)
}

#[test]
fn redirects_to_https_with_host_and_path() {
    let (gateway, authority, orders) = redirecting("redirect-https = true");
    let plain = gateway.addr_of("plain");
    let mut client = harness::Client::connect(plain);
    let host = [("host", "www.example.com:8080")];
    for (target, location) in [
        ("/a/b?c=d&e=%20", "https://www.example.com/a/b?c=d&e=%20"),
        ("//x/../y", "https://www.example.com//x/../y"),
        ("/", "https://www.example.com/"),
    ] {
        let answer = client.request("POST", target, &host, b"x");
        assert_eq!(answer.status, 308);
        assert_eq!(answer.header("location"), Some(location));
    }
    let nobody = raw_until(
        plain,
        b"GET / HTTP/1.0\r\n\r\n",
        "}",
        harness::wait::DEADLINE,
    );
    assert_eq!(nobody.status(), Some(400), "{}", nobody.text());
    assert_eq!(orders.requests().len(), 0);
    let mut client = Tls::new(&authority, "localhost").connect(gateway.addr());
    assert_eq!(client.get("/").status, 200);
    let (gateway, ..) = redirecting("redirect-https = { port = 8443 }");
    let answer =
        harness::Client::connect(gateway.addr_of("plain")).request("GET", "/x", &host, b"");
    assert_eq!(
        answer.header("location"),
        Some("https://www.example.com:8443/x")
    );
}

#[test]
fn who_came_by_https_to_a_trusted_proxy_is_not_redirected() {
    let keys = "redirect-https = true\ntrusted-proxies = [\"127.0.0.0/8\"]";
    let (gateway, _authority, orders) = redirecting(keys);
    let mut client = harness::Client::connect(gateway.addr_of("plain"));
    let answer = client.request("GET", "/", &[("x-forwarded-proto", "https")], b"");
    assert_eq!(answer.status, 200);
    assert_eq!(orders.last().header("x-forwarded-proto"), Some("https"));
    assert_eq!(client.get("/").status, 308);
}
