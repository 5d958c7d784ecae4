//! The HTTP/2 backend and TLS before a backend keep their promises.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use harness::backend::certificates;
use harness::{Authority, Backend, Gate, H2Backend, H2Request, H2Script, H2c, TlsFront, wait};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

#[test]
fn an_h2_backend_echoes_and_counts() {
    let backend = H2Backend::named("two");
    let mut client = H2c::connect(backend.addr());
    let posts = ["a", "b"].map(|body| H2Request::new("POST", "/p?q").body(body));
    for answer in client.together(posts.to_vec()) {
        let answer = answer.unwrap();
        assert_eq!(answer.header("x-backend"), Some("two"));
        assert_eq!(answer.json()["target"], "/p?q");
    }
    assert_eq!((backend.connections(), backend.streams()), (1, 2));
    assert_eq!(backend.last().header(":scheme"), Some("http"));
    assert!(backend.faults().is_empty());
}

#[test]
fn an_h2_backend_answers_with_trailers_or_a_reset() {
    let backend = H2Backend::start();
    let answer = H2Script::chunks(200, ["a", "b"]).trailer("grpc-status", "0");
    backend
        .once(answer)
        .once(H2Script::reset(h2::Reason::REFUSED_STREAM))
        .once(H2Script::answer(200, "c").then_reset(h2::Reason::CANCEL));
    let mut client = H2c::connect(backend.addr());
    let first = client.get("/");
    assert_eq!(first.text(), "ab");
    assert_eq!(first.trailers.get("grpc-status"), Some("0"));
    let mut reason = || {
        client
            .try_request(H2Request::new("GET", "/"))
            .unwrap_err()
            .reason()
    };
    assert_eq!(reason(), Some(h2::Reason::REFUSED_STREAM));
    assert_eq!(reason(), Some(h2::Reason::CANCEL));
}

#[test]
fn an_h2_backend_leaves_in_an_orderly_way_or_not() {
    let backend = H2Backend::start();
    let gate = Gate::new();
    backend.on("/slow", H2Script::answer(200, "done").gated(&gate));
    let mut client = H2c::connect(backend.addr());
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| client.get("/slow"));
        backend.wait_requests(1);
        backend.go_away();
        gate.open();
        asked.join().unwrap()
    });
    assert_eq!(answer.text(), "done");
    // A client that saw GOAWAY late finds the connection gone when it acknowledges.
    client.wait_closed().ok();

    backend.once(H2Script::go_away(h2::Reason::NO_ERROR));
    let mut client = H2c::connect(backend.addr());
    assert!(client.try_request(H2Request::new("GET", "/")).is_err());
    wait::until(wait::DEADLINE, "connections to end", || {
        backend.connections_open() == 0
    });
}

#[test]
fn a_tls_front_passes_on_what_the_client_said() {
    let authority = Authority::new("one");
    let (backend, h2) = (Backend::start(), H2Backend::start());
    let front = TlsFront::showing(&authority.issue(&["a.test"]))
        .http1(backend.addr())
        .h2(h2.addr())
        .start();
    let mut stream = connect(front.addr(), &authority, "a.test");
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let handshake = &front.handshakes()[0];
    assert_eq!(handshake.server_name.as_deref(), Some("a.test"));
    assert_eq!(handshake.protocol.as_deref(), None);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_tls_front_says_why_a_handshake_failed() {
    let authority = Authority::new("one");
    let identity = authority.issue(&["a.test"]);
    let front = TlsFront::showing(&identity).clients_of(&authority).start();
    let mut stream = connect(front.addr(), &authority, "a.test");
    stream.write_all(b"x").ok();
    let failures = front.wait_failures(1);
    assert!(failures[0].contains("no certificates"), "{failures:?}");
}

fn connect(
    addr: SocketAddr,
    authority: &Authority,
    name: &str,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&authority.pem()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, TcpStream::connect(addr).unwrap())
}
