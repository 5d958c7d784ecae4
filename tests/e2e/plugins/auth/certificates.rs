//! Client certificates that name consumers.

use harness::{Authority, Backend, Config, Gateway, Tls};

use crate::fixture::assert_refused;

#[test]
fn a_certificate_names_a_consumer() {
    let (site, clients, orders) = (
        Authority::new("site"),
        Authority::new("clients"),
        Backend::start(),
    );
    let identity = site.issue(&["localhost"]);
    let text = r#"
        [listener.public]
        address = "@address.public@"
        [listener.public.tls]
        certificates = [{ cert = "file:site.pem", key = "file:site.key" }]
        client-ca = "file:clients.pem"
        client-auth = "optional"
        [upstream.orders]
        targets = ["@upstream.orders@"]
        [consumer.worker]
        certificate = "worker.example.com"
        [auth.machines]
        client-certificate = { by = "dns-san" }
        identity-headers = { x-consumer = "consumer.name" }
        [route.all]
        match = "/**"
        upstream = "orders"
        auth = "machines"
    "#;
    let config = Config::new(text)
        .upstream("orders", orders.addr())
        .file("site.pem", identity.cert.as_str())
        .file("site.key", identity.key.as_str())
        .file("clients.pem", clients.pem());
    let gateway = Gateway::start(config);
    let tls = Tls::new(&site, "localhost");
    let get = |names: &[&str]| {
        let tls = tls.clone().identity(&clients.issue(names));
        tls.connect(gateway.addr()).get("/a")
    };
    assert_eq!(get(&["worker.example.com"]).status, 200);
    assert_eq!(orders.last().header("x-consumer"), Some("worker"));
    assert_eq!(
        get(&["other.example.com", "worker.example.com"]).status,
        200
    );
    assert_refused(&get(&["other.example.com"]), 401, "auth.invalid");
    assert_refused(&tls.connect(gateway.addr()).get("/a"), 401, "auth.missing");
}
