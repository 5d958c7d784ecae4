//! TLS to upstreams: whom the gateway trusts, as whom it comes, and what it never mixes.

use harness::{Authority, Backend, Config, Gateway, TlsFront};

use crate::fixture::assert_refused;

const ROUTE: &str = "[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n";

/// A gateway in front of one TLS server, with this TLS table.
fn before(front: &TlsFront, tls: &str) -> Config {
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n\
         [upstream.orders]\ntargets = [\"@upstream.orders@\"]\ntls = {tls}\n{ROUTE}"
    );
    Config::new(text).upstream("orders", front.addr())
}

/// A server that shows a certificate of this authority for these names.
fn server(authority: &Authority, names: &[&str]) -> (TlsFront, Backend) {
    let backend = Backend::start();
    let front = TlsFront::showing(&authority.issue(names));
    (front.http1(backend.addr()).start(), backend)
}

#[test]
fn trusts_the_authority_that_it_was_given() {
    let authority = Authority::new("internal");
    let (front, backend) = server(&authority, &["orders.test"]);
    let tls = "{ server-name = \"orders.test\", ca = \"file:ca.pem\" }";
    let gateway = Gateway::start(before(&front, tls).file("ca.pem", authority.pem()));
    for _ in 0..3 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!(backend.requests().len(), 3);
    let handshakes = front.handshakes();
    assert_eq!(handshakes.len(), 1, "the connection is kept");
    assert_eq!(handshakes[0].server_name.as_deref(), Some("orders.test"));
    assert_eq!(handshakes[0].protocol.as_deref(), Some("http/1.1"));
}

#[test]
fn verifies_a_target_by_its_address_where_it_has_no_name() {
    let authority = Authority::new("internal");
    for (names, status) in [(&["127.0.0.1"], 200), (&["127.0.0.2"], 502)] {
        let (front, _backend) = server(&authority, names);
        let config = before(&front, "{ ca = \"file:ca.pem\" }").file("ca.pem", authority.pem());
        let gateway = Gateway::start(config);
        assert_eq!(gateway.get("/").status, status, "{names:?}");
    }
}

#[test]
fn refuses_a_certificate_of_another_authority() {
    let (front, backend) = server(&Authority::new("internal"), &["orders.test"]);
    let tls = "{ server-name = \"orders.test\", ca = \"file:ca.pem\" }";
    let config = before(&front, tls).file("ca.pem", Authority::new("other").pem());
    let gateway = Gateway::start(config);
    assert_refused(&gateway.get("/"), 502, "upstream.tls");
    gateway.wait_log("UnknownIssuer");
    assert_eq!(backend.requests().len(), 0);
    assert!(front.wait_failures(1)[0].contains("alert"));
}

#[test]
fn trusts_nobody_of_its_own_making_without_an_authority() {
    let (front, _backend) = server(&Authority::new("internal"), &["orders.test"]);
    let gateway = Gateway::start(before(&front, "{ server-name = \"orders.test\" }"));
    assert_refused(&gateway.get("/"), 502, "upstream.tls");
}

#[test]
fn refuses_a_certificate_for_another_name() {
    let authority = Authority::new("internal");
    let (front, _backend) = server(&authority, &["other.test"]);
    let tls = "{ server-name = \"orders.test\", ca = \"file:ca.pem\" }";
    let gateway = Gateway::start(before(&front, tls).file("ca.pem", authority.pem()));
    assert_refused(&gateway.get("/"), 502, "upstream.tls");
    gateway.wait_log("not valid for name");
}

#[test]
fn refuses_an_expired_certificate() {
    let authority = Authority::new("internal");
    let backend = Backend::start();
    let front = TlsFront::showing(&authority.issue_with(&["orders.test"], harness::tls::expired));
    let front = front.http1(backend.addr()).start();
    let tls = "{ server-name = \"orders.test\", ca = \"file:ca.pem\" }";
    let gateway = Gateway::start(before(&front, tls).file("ca.pem", authority.pem()));
    assert_refused(&gateway.get("/"), 502, "upstream.tls");
    gateway.wait_log("certificate expired");
}

#[test]
fn shows_its_own_certificate_to_those_who_ask() {
    let (authority, clients) = (Authority::new("internal"), Authority::new("clients"));
    let backend = Backend::start();
    let front = TlsFront::showing(&authority.issue(&["orders.test"]));
    let front = front.clients_of(&clients).http1(backend.addr()).start();
    let identity = clients.issue(&["gateway"]);
    let with = "{ server-name = \"orders.test\", ca = \"file:ca.pem\", cert = \"file:us.pem\", key = \"file:us.key\" }";
    let config = before(&front, with)
        .file("ca.pem", authority.pem())
        .file("us.pem", identity.cert.as_str())
        .file("us.key", identity.key.as_str());
    let gateway = Gateway::start(config);
    assert_eq!(gateway.get("/").status, 200);
    let shown = front.handshakes()[0].client.clone().unwrap();
    let ours = harness::backend::certificates(&identity.cert);
    assert_eq!(shown, ours[0].as_ref());

    let without = "{ server-name = \"orders.test\", ca = \"file:ca.pem\" }";
    let gateway = Gateway::start(before(&front, without).file("ca.pem", authority.pem()));
    assert_refused(&gateway.get("/"), 502, "upstream.tls");
    gateway.wait_log("CertificateRequired");
    let failure = &front.wait_failures(1)[0];
    assert!(failure.contains("no certificates"), "{failure}");
}

#[test]
fn takes_anybody_when_told_so_and_says_so() {
    let (front, _backend) = server(&Authority::new("internal"), &["other.test"]);
    let gateway = Gateway::start(before(&front, "{ verify = false }"));
    assert_eq!(gateway.get("/").status, 200);
    assert!(gateway.log().contains("takes any certificate of anybody"));
}

#[test]
fn never_shares_connections_between_different_trust() {
    let (authority, clients) = (Authority::new("internal"), Authority::new("clients"));
    let (front, _backend) = server(&authority, &["orders.test"]);
    let upstream = |name: &str, tls: &str| {
        format!(
            "[upstream.{name}]\ntargets = [\"@upstream.orders@\"]\ntls = {{ server-name = \"orders.test\", {tls} }}\n[route.{name}]\nmatch = \"/{name}\"\nupstream = \"{name}\"\n"
        )
    };
    let text = [
        "[listener.public]\naddress = \"@address.public@\"\n".to_owned(),
        upstream("right", "ca = \"file:ca.pem\""),
        upstream("same", "ca = \"file:ca.pem\""),
        upstream("wrong", "ca = \"file:other.pem\""),
        upstream("anybody", "ca = \"file:ca.pem\", verify = false"),
        upstream(
            "as-us",
            "ca = \"file:ca.pem\", cert = \"file:us.pem\", key = \"file:us.key\"",
        ),
    ];
    let identity = clients.issue(&["gateway"]);
    let gateway = Gateway::start(
        Config::new(text.concat())
            .upstream("orders", front.addr())
            .file("ca.pem", authority.pem())
            .file("other.pem", Authority::new("other").pem())
            .file("us.pem", identity.cert)
            .file("us.key", identity.key),
    );
    let mut client = gateway.client();
    assert_eq!(client.get("/anybody").status, 200);
    assert_eq!(client.get("/right").status, 200);
    assert_eq!(gateway.get("/wrong").status, 502);
    assert_eq!(client.get("/as-us").status, 200);
    assert_eq!(front.handshakes().len(), 3);
    assert_eq!(client.get("/same").status, 200);
    assert_eq!(client.get("/right").status, 200);
    assert_eq!(front.handshakes().len(), 3, "equal settings do share");
    assert_eq!(gateway.get("/wrong").status, 502);
}

#[test]
fn trusts_a_new_authority_as_soon_as_its_file_is_there() {
    let authority = Authority::new("internal");
    let (front, _backend) = server(&authority, &["orders.test"]);
    let tls = "{ server-name = \"orders.test\", ca = \"file:ca.pem\" }";
    let config = before(&front, tls);
    let mut gateway = Gateway::start(config.clone().file("ca.pem", Authority::new("old").pem()));
    assert_eq!(gateway.get("/").status, 502);
    gateway.rewrite_and_wait(config.clone().file("ca.pem", authority.pem()));
    assert_eq!(gateway.get("/").status, 200);

    // A broken file changes nothing.
    let before = gateway.reloads();
    gateway.rewrite_config(config.file("ca.pem", "nonsense"));
    gateway.wait_reload_after(before);
    assert_eq!(gateway.get("/").status, 200);
    gateway.wait_log("it holds no certificate in PEM");
}

#[test]
fn trusts_the_authorities_of_the_system() {
    let authority = Authority::new("system");
    let (front, _backend) = server(&authority, &["orders.test"]);
    let bundle = std::env::temp_dir().join(format!("gateway-system-{}.pem", std::process::id()));
    std::fs::write(&bundle, authority.pem()).unwrap();
    let config = before(&front, "{ server-name = \"orders.test\" }");
    let gateway = Gateway::start(config.env("SSL_CERT_FILE", bundle.to_str().unwrap()));
    assert_eq!(gateway.get("/").status, 200);
    std::fs::remove_file(bundle).ok();
}
