//! Certificates chosen by name, and what is wrong with bad ones.

use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use super::*;

fn pair(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    (cert.pem(), key.serialize_pem())
}

fn identity(names: &[&str]) -> Identity {
    let (cert, key) = pair(names);
    Identity::read(cert.as_bytes(), key.as_bytes(), None).unwrap()
}

fn picked<'a>(table: &'a Table, name: Option<&str>) -> &'a str {
    table.pick(name).unwrap().names.first()
}

#[test]
fn chooses_the_very_name_then_the_wildcard_then_the_first() {
    let table = Table::new(vec![
        identity(&["fallback.example.com"]),
        identity(&["*.example.com", "example.org"]),
        identity(&["api.example.com"]),
    ]);
    for (name, expected) in [
        ("api.example.com", "api.example.com"),
        ("www.example.com", "*.example.com"),
        ("example.org", "*.example.com"),
        ("a.b.example.com", "fallback.example.com"),
        ("example.com", "fallback.example.com"),
        ("unknown", "fallback.example.com"),
    ] {
        assert_eq!(picked(&table, Some(name)), expected, "{name}");
    }
    assert_eq!(picked(&table, None), "fallback.example.com");
}

#[test]
fn covers_hosts_as_rfc_9525_says() {
    let identity = identity(&["example.com", "*.example.com", "192.0.2.1", "2001:db8::1"]);
    let names = identity.names();
    for host in [
        "example.com",
        "www.example.com",
        "192.0.2.1",
        "[2001:db8::1]",
    ] {
        assert!(names.cover(host), "{host}");
    }
    for host in [
        "a.b.example.com",
        "example.org",
        "192.0.2.2",
        "[2001:db8::2]",
        "",
    ] {
        assert!(!names.cover(host), "{host}");
    }
}

#[test]
fn says_what_is_wrong_with_a_file() {
    let (cert, key) = pair(&["a.example.com"]);
    let (_, other) = pair(&["b.example.com"]);
    let (nameless, its_key) = pair(&[]);
    let read =
        |cert: &str, key: &str| Identity::read(cert.as_bytes(), key.as_bytes(), None).map(|_| ());
    assert_eq!(read(&cert, &key), Ok(()));
    assert_eq!(read("", &key), Err(Flaw::Certificate));
    assert_eq!(read(&key, &key), Err(Flaw::Certificate));
    assert_eq!(read(&cert, ""), Err(Flaw::Key));
    assert_eq!(read(&cert, &cert), Err(Flaw::Key));
    assert_eq!(read(&cert, &other), Err(Flaw::Mismatch));
    assert_eq!(read(&nameless, &its_key), Err(Flaw::Nameless));
}

#[test]
fn staples_only_successful_responses() {
    let (cert, key) = pair(&["a.example.com"]);
    let read = |response: &[u8]| {
        Identity::read(cert.as_bytes(), key.as_bytes(), Some(response)).map(|_| ())
    };
    assert_eq!(read(&[0x30, 0x03, 0x0a, 0x01, 0x00]), Ok(()));
    assert_eq!(read(&[0x30, 0x82, 0x00, 0x03, 0x0a, 0x01, 0x00]), Ok(()));
    assert_eq!(
        read(&[0x30, 0x03, 0x0a, 0x01, 0x06]),
        Err(Flaw::Ocsp),
        "unauthorized"
    );
    for nonsense in [&b""[..], b"0", b"-----BEGIN", &[0x30, 0xff]] {
        assert_eq!(read(nonsense), Err(Flaw::Ocsp));
    }
}

fn material(clients: Option<Clients>) -> Material {
    Material {
        identities: vec![identity(&["a.example.com"])],
        clients,
        version_min: VersionMin::Tls12,
        http2: true,
        handshake_timeout: Duration::from_secs(10),
    }
}

#[test]
fn sessions_go_on_only_while_the_rules_about_clients_are_the_same() {
    let same = |a: &Tls, b: &Tls| Arc::ptr_eq(&a.sessions.cache, &b.sessions.cache);
    let open = Tls::build(material(None), None).unwrap();
    let again = Tls::build(material(None), Some(&open)).unwrap();
    assert!(same(&open, &again), "a new certificate is no reason");
    let (authority, _) = pair(&["authority"]);
    let clients = |required| Clients::read(authority.as_bytes(), required).unwrap();
    let optional = Tls::build(material(Some(clients(false))), Some(&again)).unwrap();
    assert!(!same(&again, &optional));
    let required = Tls::build(material(Some(clients(true))), Some(&optional)).unwrap();
    assert!(!same(&optional, &required));
}
