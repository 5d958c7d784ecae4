//! Which certificate a client gets, and what happens when the files change.

use std::fs;

use harness::tls::expires_in;
use harness::wait::DEADLINE;
use harness::{Authority, Backend, Client, Config, Gateway, Identity, Tls, wait};

use super::{config, pair, start, with_pair};

fn put(gateway: &Gateway, file: &str, text: &str) {
    let fresh = gateway.path("fresh");
    fs::write(&fresh, text).unwrap();
    fs::rename(&fresh, gateway.path(file)).unwrap();
}

fn shown(client: &Client) -> &[u8] {
    &client.shaken().certificate
}

#[test]
fn chooses_a_certificate_by_name() {
    let authority = Authority::new("site");
    let fallback = authority.issue(&["fallback.example.com"]);
    let wild = authority.issue(&["*.example.com"]);
    let exact = authority.issue(&["api.example.com"]);
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n\
         tls = {{ certificates = [{}, {}, {}] }}\n\
         [route.all]\nmatch = \"/**\"\nrespond = {{ status = 204 }}\n",
        pair("fallback"),
        pair("wild"),
        pair("exact")
    );
    let files = [("fallback", &fallback), ("wild", &wild), ("exact", &exact)];
    let config = files.iter().fold(Config::new(text), |config, (name, one)| {
        with_pair(config, name, one)
    });
    let gateway = Gateway::start(config);
    let served = |tls: Tls, expected: &Identity| {
        let client = tls.connect(gateway.addr());
        assert_eq!(shown(&client), &*expected.cert_der());
    };
    served(Tls::new(&authority, "api.example.com"), &exact);
    served(Tls::new(&authority, "API.Example.com"), &exact);
    served(Tls::new(&authority, "www.example.com"), &wild);
    served(Tls::careless("example.org"), &fallback);
    served(Tls::careless("a.b.example.com"), &fallback);
    served(Tls::careless("api.example.com").nameless(), &fallback);
}

#[test]
fn a_replaced_certificate_is_served_while_connections_go_on() {
    let (gateway, authority, _orders) = start("", "");
    let tls = Tls::new(&authority, "localhost");
    let mut kept = tls.connect(gateway.addr());
    assert_eq!(kept.get("/").status, 200);
    let fresh = authority.issue(&["localhost", "127.0.0.1"]);
    put(&gateway, "site.key", &fresh.key);
    put(&gateway, "site.pem", &fresh.cert);
    let expected = fresh.cert_der();
    wait::until(DEADLINE, "the new certificate", || {
        shown(&tls.connect(gateway.addr())) == &*expected
    });
    assert_eq!(kept.get("/").status, 200, "the old connection goes on");
}

#[test]
fn a_broken_pair_changes_nothing_and_is_said() {
    let (gateway, authority, _orders) = start("", "");
    let tls = Tls::new(&authority, "localhost");
    let before = gateway.file("site.pem");
    put(&gateway, "site.pem", "not a certificate");
    gateway.wait_log("there is no readable certificate in it");
    assert_eq!(tls.connect(gateway.addr()).get("/").status, 200);
    put(&gateway, "site.pem", &authority.issue(&["localhost"]).cert);
    gateway.wait_log("the key does not belong to the certificate");
    assert_eq!(tls.connect(gateway.addr()).get("/").status, 200);
    assert!(
        gateway.reload().status >= 400,
        "asked for, it is refused too"
    );
    put(&gateway, "site.pem", &before);
    wait::until(DEADLINE, "a reload that is applied", || {
        gateway.reload().status == 200
    });
}

#[test]
fn the_end_of_every_certificate_is_a_metric() {
    let (authority, orders) = (Authority::new("site"), Backend::start());
    let identity = authority.issue_with(
        &["localhost"],
        expires_in(std::time::Duration::from_hours(40 * 24)),
    );
    let gateway = Gateway::start(config("", "", &identity, &orders));
    let labels = [r#"listener="public""#, r#"certificate="localhost""#];
    let end = gateway.metric("gateway_certificate_expiry_timestamp_seconds", &labels);
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let left = end - now.unwrap().as_secs();
    assert!((39..=40).contains(&(left / (24 * 60 * 60))), "{left}");
}

#[test]
fn a_gateway_with_an_expired_certificate_starts_and_says_so() {
    let (authority, orders) = (Authority::new("site"), Backend::start());
    let identity = authority.issue_with(&["localhost"], harness::tls::expired);
    let gateway = Gateway::start(config("", "", &identity, &orders));
    gateway.wait_log("has expired");
    assert!(
        Tls::new(&authority, "localhost")
            .try_connect(gateway.addr())
            .is_err()
    );
    gateway.wait_log("refused-by-client");
}
