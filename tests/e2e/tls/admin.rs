//! The admin listener over TLS: the same keys, and probes stay plaintext.

use harness::wait::DEADLINE;
use harness::{Authority, Client, Config, Gateway, Tls, cli, wait};

use super::{pair, with_pair};

#[test]
fn the_admin_listener_speaks_tls() {
    let authority = Authority::new("site");
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n\
         [admin]\naddress = \"@address.admin@\"\nprobes = \"@address.probes@\"\n\
         tls = {{ certificates = [{}] }}\n\
         [route.all]\nmatch = \"/**\"\nrespond = {{ status = 204 }}\n",
        pair("site")
    );
    let config = with_pair(Config::new(text), "site", &authority.issue(&["localhost"]));
    // The harness asks the admin listener without TLS; here the probes say when it is ready.
    let gateway = Gateway::start_unready(config);
    let probes = gateway.address("probes");
    wait::until(DEADLINE, "readiness", || {
        let answer = Client::try_connect(probes)
            .and_then(|mut client| client.try_request("GET", "/readyz", &[], b""));
        answer.is_ok_and(|answer| answer.status == 200)
    });
    let tls = Tls::new(&authority, "localhost");
    let mut client = tls.connect(gateway.address("admin"));
    assert_eq!(client.get("/healthz").status, 200);
    let length = [("content-length", "0")];
    assert_eq!(client.request("POST", "/reload", &length, b"").status, 200);
    let url = format!("https://localhost:{}", gateway.address("admin").port());
    let reload = |more: &[&str]| cli(&[&["reload", "--admin", url.as_str()], more].concat());
    let own = gateway.path("authority.pem");
    std::fs::write(&own, authority.pem()).unwrap();
    let exit = reload(&["--ca", own.to_str().unwrap()]);
    assert_eq!(exit.code, Some(0), "{exit}");
    assert!(exit.stdout.starts_with("reloaded: "), "{exit}");
    std::fs::write(&own, Authority::new("other").pem()).unwrap();
    let exit = reload(&["--ca", own.to_str().unwrap()]);
    assert_eq!(exit.code, Some(1), "{exit}");
    assert!(exit.stderr.contains("UnknownIssuer"), "{exit}");
    let exit = reload(&[]);
    assert_eq!(exit.code, Some(2), "{exit}");
    assert!(exit.stderr.contains("--ca FILE"), "{exit}");
    let plain = Client::connect(gateway.address("admin"));
    assert!({ plain }.try_request("GET", "/healthz", &[], b"").is_err());
}
