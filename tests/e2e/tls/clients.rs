//! Clients that have to say who they are: let in, or refused with the reason in the log.

use harness::tls::expired;
use harness::{Authority, Backend, Gateway, Identity, Tls};
use rustls::version;

use super::config;
use crate::fixture::assert_refused;

struct House {
    gateway: Gateway,
    tls: Tls,
    known: Authority,
    _orders: Backend,
}

fn house(auth: &str) -> House {
    let (site, known, orders) = (
        Authority::new("site"),
        Authority::new("clients"),
        Backend::start(),
    );
    let tls = format!("client-ca = \"file:clients.pem\"\nclient-auth = \"{auth}\"\n");
    let config = config("", &tls, &site.issue(&["localhost"]), &orders);
    let gateway = Gateway::start(config.file("clients.pem", known.pem()));
    House {
        gateway,
        tls: Tls::new(&site, "localhost"),
        known,
        _orders: orders,
    }
}

impl House {
    /// Whether a request is answered, by either version.
    fn serves(&self, identity: Option<&Identity>) -> bool {
        let serves = |only| {
            let mut tls = self.tls.clone().only(only);
            if let Some(identity) = identity {
                tls = tls.identity(identity);
            }
            let client = tls.try_connect(self.gateway.addr());
            let answer = client.and_then(|mut client| client.try_request("GET", "/", &[], b""));
            answer.is_ok_and(|answer| answer.status == 200)
        };
        let (old, new) = (serves(&version::TLS12), serves(&version::TLS13));
        assert_eq!(old, new, "both versions decide alike");
        new
    }
}

#[test]
fn a_required_certificate_must_be_shown_and_good() {
    let house = house("required");
    assert!(house.serves(Some(&house.known.issue(&["worker.example.com"]))));
    assert!(!house.serves(None));
    house.gateway.wait_log("client-certificate-missing");
    let stranger = Authority::new("strangers").issue(&["worker.example.com"]);
    assert!(!house.serves(Some(&stranger)));
    house.gateway.wait_log("client-certificate-unknown-issuer");
    // The same name and another key: it is the signature that counts.
    let namesake = Authority::new("clients").issue(&["worker.example.com"]);
    assert!(!house.serves(Some(&namesake)));
    let old = house.known.issue_with(&["worker.example.com"], expired);
    assert!(!house.serves(Some(&old)));
    house.gateway.wait_log("client-certificate-expired");
    let name = "gateway_tls_handshakes_total";
    let labels = [r#"result="client-certificate-missing""#];
    assert_eq!(house.gateway.metric(name, &labels), 2);
}

#[test]
fn an_optional_certificate_may_be_left_out_but_not_be_bad() {
    let house = house("optional");
    assert!(house.serves(None));
    assert!(house.serves(Some(&house.known.issue(&["worker.example.com"]))));
    let stranger = Authority::new("strangers").issue(&["worker.example.com"]);
    assert!(!house.serves(Some(&stranger)));
    house.gateway.wait_log("client-certificate-unknown-issuer");
}

#[test]
fn who_has_shown_no_certificate_is_misdirected_once_it_is_required() {
    let (site, known, orders) = (
        Authority::new("site"),
        Authority::new("clients"),
        Backend::start(),
    );
    let identity = site.issue(&["localhost"]);
    let with = |auth: &str| {
        let tls = format!("client-ca = \"file:clients.pem\"\nclient-auth = \"{auth}\"\n");
        config("", &tls, &identity, &orders).file("clients.pem", known.pem())
    };
    let mut gateway = Gateway::start(with("optional"));
    let tls = Tls::new(&site, "localhost");
    let mut nobody = tls.connect(gateway.addr());
    let mut somebody = tls
        .identity(&known.issue(&["worker"]))
        .connect(gateway.addr());
    assert_eq!(nobody.get("/").status, 200);
    gateway.rewrite_and_wait(with("required"));
    assert_refused(&nobody.get("/"), 421, "host.misdirected");
    assert_eq!(somebody.get("/").status, 200);
}

#[test]
fn a_session_is_not_resumed_when_other_clients_are_trusted() {
    let house = house("required");
    let identity = house.known.issue(&["worker.example.com"]);
    let tls = house.tls.clone().identity(&identity);
    assert_eq!(tls.connect(house.gateway.addr()).get("/").status, 200);
    assert!(tls.connect(house.gateway.addr()).shaken().resumed);
    let other = Authority::new("others");
    std::fs::write(house.gateway.path("clients.pem"), other.pem()).unwrap();
    harness::wait::until(harness::wait::DEADLINE, "the new authority", || {
        let client = tls.try_connect(house.gateway.addr());
        let answer = client.and_then(|mut client| client.try_request("GET", "/", &[], b""));
        answer.is_err()
    });
    house.gateway.wait_log("client-certificate-unknown-issuer");
    let identity = other.issue(&["worker.example.com"]);
    assert!(house.serves(Some(&identity)));
}
