//! Clients and servers that others wrote work through the gateway.

use std::path::Path;

use harness::tool::{self, Server, node_script, python_module, python_script};
use harness::{Authority, Backend, Client, Config, Gateway, Script};

/// A plaintext and a TLS listener, both for every route, with this in front of the routes.
fn both_listeners(rest: &str) -> (Config, Authority) {
    let authority = Authority::new("test authority");
    let identity = authority.issue_with(&["localhost", "127.0.0.1"], |params| {
        let today = harness::tls::rcgen::date_time_ymd(2026, 1, 1);
        params.not_before = today;
        params.not_after = today + std::time::Duration::from_hours(360 * 24);
    });
    let text = format!(
        "[listener.plain]\naddress = \"@address.plain@\"\n\
         [listener.tls]\naddress = \"@address.tls@\"\n\
         [listener.tls.tls]\ncertificates = [{{ cert = \"file:cert.pem\", key = \"file:key.pem\" }}]\n\
         {rest}"
    );
    let config = Config::new(text)
        .file("cert.pem", identity.cert)
        .file("key.pem", identity.key)
        .file("ca.pem", authority.pem());
    (config, authority)
}

fn ca(gateway: &Gateway) -> String {
    let path = gateway.path("ca.pem");
    path.to_str().expect("a path of text").to_owned()
}

const SOCKETS: &str = "[upstream.sockets]\ntargets = [\"@upstream.sockets@\"]\n\
    [route.socket]\nmatch = \"/socket\"\nlistener = \"any\"\nupstream = \"sockets\"\n\
    [route.refused]\nmatch = \"/refused\"\nlistener = \"any\"\nupstream = \"sockets\"\n\
    ip-filter = { deny = [\"127.0.0.0/8\"] }\n";

#[test]
fn the_websockets_client_works() {
    let server = Server::python("websocket_server.py");
    let (config, _authority) = both_listeners(SOCKETS);
    let gateway = Gateway::start(config.upstream("sockets", server.addr));
    let plain = format!("ws://{}", gateway.addr_of("plain"));
    python_script("websocket_client.py", &[&plain]);
    let tls = format!("wss://localhost:{}", gateway.addr_of("tls").port());
    python_script("websocket_client.py", &[&tls, &ca(&gateway)]);
}

const GRPC: &str = "[upstream.echo]\ntargets = [\"@upstream.echo@\"]\nprotocol = \"h2\"\n\
    [upstream.dead]\ntargets = [\"@address.dead@\"]\nprotocol = \"h2\"\n\
    [route.echo]\nmatch = \"/test.Echo/**\"\nlistener = \"any\"\nupstream = \"echo\"\n\
    [route.dead]\nmatch = \"/dead.Upstream/**\"\nlistener = \"any\"\nupstream = \"dead\"\n";

fn grpc() -> (Gateway, Server) {
    let server = Server::python("grpc_server.py");
    let (config, _authority) = both_listeners(GRPC);
    let gateway = Gateway::start(config.upstream("echo", server.addr));
    (gateway, server)
}

#[test]
fn the_grpcio_client_and_server_work() {
    let (gateway, _server) = grpc();
    python_script("grpc_client.py", &[&gateway.addr_of("plain").to_string()]);
    let tls = format!("localhost:{}", gateway.addr_of("tls").port());
    python_script("grpc_client.py", &[&tls, &ca(&gateway)]);
}

#[test]
fn the_grpc_web_client_of_connect_works() {
    let (gateway, _server) = grpc();
    let url = format!("http://{}", gateway.addr_of("plain"));
    node_script("grpc_web_client.mjs", &[&url, "1.1"]);
    node_script("grpc_web_client.mjs", &[&url, "2"]);
}

const ORDERS: &str = "[upstream.orders]\ntargets = [\"@upstream.orders@\"]\n\
    [route.orders]\nmatch = \"/**\"\nlistener = \"any\"\nupstream = \"orders\"\n";

fn orders(keys: &str) -> (Gateway, Backend) {
    let backend = Backend::start();
    backend.always(Script::answer(200, "shipped"));
    let (config, _authority) = both_listeners(&format!("{ORDERS}{keys}"));
    let gateway = Gateway::start(config.upstream("orders", backend.addr()));
    (gateway, backend)
}

#[test]
fn curl_speaks_each_version() {
    let (gateway, _orders) = orders("");
    let (plain, ca) = (
        format!("http://{}/a", gateway.addr_of("plain")),
        ca(&gateway),
    );
    let tls = format!("https://localhost:{}/a", gateway.addr_of("tls").port());
    let asks: [(&[&str], &str); 5] = [
        (&["--http1.0", &plain], "1.0"),
        (&["--http1.1", &plain], "1.1"),
        (&["--http2-prior-knowledge", &plain], "2"),
        (&["--http2", "--cacert", &ca, &tls], "2"),
        (&["--http1.1", "--cacert", &ca, &tls], "1.1"),
    ];
    for (args, version) in asks {
        let mut all = vec!["-sS", "-w", " %{http_code} %{http_version}"];
        all.extend(args);
        let said = tool::run(Path::new("curl"), &all);
        let expected = if version == "1.0" { "1.1" } else { version };
        assert!(
            said == format!("shipped 200 {expected}") || said == format!("shipped 200 {version}"),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn h2load_has_no_failed_request() {
    let (gateway, orders) = orders("");
    for url in [
        format!("http://{}/a", gateway.addr_of("plain")),
        format!("https://localhost:{}/a", gateway.addr_of("tls").port()),
    ] {
        let said = tool::run(
            Path::new("h2load"),
            &["-n", "2000", "-c", "10", "-m", "20", &url],
        );
        assert!(
            said.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"),
            "{said}"
        );
        assert!(said.contains("status codes: 2000 2xx"), "{said}");
    }
    assert_eq!(orders.requests().len(), 4000);
}

#[test]
fn sslyze_finds_the_intermediate_profile_of_mozilla() {
    let (gateway, _orders) = orders("");
    let address = format!("localhost:{}", gateway.addr_of("tls").port());
    let (said, _) = python_module(&["sslyze", "--mozilla_config=intermediate", &address]);
    let (scan, verdict) = said
        .split_once("COMPLIANCE AGAINST TLS CONFIGURATION")
        .unwrap_or_else(|| panic!("no verdict: {said}"));
    assert!(scan.contains("SCANS COMPLETED"), "{said}");
    // No public authority signed this certificate; about everything else there must be no complaint.
    let complaint = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("* ") && !line.starts_with("* certificate_path_validation")
    };
    let complaints: Vec<&str> = verdict.lines().filter(complaint).collect();
    assert!(complaints.is_empty(), "{verdict}");
    assert!(verdict.contains("intermediate"), "{verdict}");
}

#[test]
fn slowhttptest_never_makes_the_service_unavailable() {
    let (gateway, _orders) = orders("");
    let url = format!("http://{}/a", gateway.addr_of("plain"));
    for mode in ["-H", "-B", "-X"] {
        // 500 connections at once; a probe of its own that must be answered within 3 seconds all the time.
        let said = tool::run(
            Path::new("slowhttptest"),
            &[
                "-c", "500", mode, "-i", "1", "-r", "500", "-l", "5", "-p", "3", "-u", &url,
            ],
        );
        assert!(!said.contains("service available:   NO"), "{mode}: {said}");
        assert!(said.contains("YES"), "{mode}: {said}");
        assert_eq!(
            Client::connect(gateway.addr_of("plain")).get("/a").status,
            200,
            "{mode}"
        );
    }
}
