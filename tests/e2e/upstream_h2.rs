//! HTTP/2 to upstreams: multiplexed, by ALPN or by prior knowledge, from clients of either version.

use harness::{
    Authority, Backend, Config, Gate, Gateway, H2Backend, H2Request, H2Script, H2c, TlsFront, wait,
};

use crate::fixture::assert_refused;

const HEAD: &str = "[listener.public]\naddress = \"@address.public@\"\n\
     [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n\
     [upstream.orders]\ntargets = [\"@upstream.orders@\"]\n";
const TLS: &str = "tls = { server-name = \"orders.test\", ca = \"file:ca.pem\" }\n";

fn plain(backend: &H2Backend, keys: &str) -> Gateway {
    let config = Config::new(format!("{HEAD}protocol = \"h2\"\n{keys}"));
    Gateway::start(config.upstream("orders", backend.addr()))
}

fn over_tls(front: &TlsFront, authority: &Authority, protocol: &str) -> Gateway {
    let config = Config::new(format!("{HEAD}{TLS}protocol = \"{protocol}\"\n"));
    let config = config.upstream("orders", front.addr());
    Gateway::start(config.file("ca.pem", authority.pem()))
}

#[test]
fn speaks_h2_in_plaintext_by_prior_knowledge() {
    let backend = H2Backend::start();
    let gateway = plain(&backend, "");
    let headers = [
        ("host", "api.example.com"),
        ("connection", "x-gone"),
        ("x-gone", "1"),
    ];
    let answer = gateway.request("PUT", "/a?b=c", &headers, b"hello");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = backend.last();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("PUT", "/a?b=c")
    );
    assert_eq!(seen.header(":authority"), Some("api.example.com"));
    assert_eq!(seen.header(":scheme"), Some("http"));
    assert_eq!(seen.text(), "hello");
    for name in ["host", "connection", "x-gone", "transfer-encoding", "te"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert!(backend.faults().is_empty());
}

#[test]
fn speaks_h2_to_both_sides() {
    let backend = H2Backend::start();
    let gateway = plain(&backend, "host = \"target\"\n");
    let mut client = H2c::connect(gateway.addr());
    let request = H2Request::new("POST", "/rpc")
        .header("te", "trailers")
        .body("x");
    let script = H2Script::chunks(200, ["a", "b"]).trailer("grpc-status", "0");
    backend.once(script.header("content-type", "application/grpc"));
    let answer = client.request(request);
    assert_eq!((answer.status, answer.text().as_str()), (200, "ab"));
    assert_eq!(answer.trailers.get("grpc-status"), Some("0"));
    let seen = backend.last();
    assert_eq!(seen.header("te"), Some("trailers"));
    let target = backend.addr().to_string();
    assert_eq!(seen.header(":authority"), Some(target.as_str()));
}

#[test]
fn puts_many_requests_on_one_connection() {
    let backend = H2Backend::start();
    let gate = Gate::new();
    backend.on("/slow", H2Script::answer(200, "done").gated(&gate));
    let gateway = plain(&backend, "");
    assert_eq!(gateway.get("/").status, 200);
    let answers = std::thread::scope(|scope| {
        let all: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| gateway.get("/slow")))
            .collect();
        wait::until(wait::DEADLINE, "all to wait together", || {
            gate.waiting() == 20
        });
        gate.open();
        all.into_iter()
            .map(|one| one.join().unwrap().status)
            .collect::<Vec<_>>()
    });
    assert_eq!(answers, vec![200; 20]);
    assert_eq!((backend.connections(), backend.streams()), (1, 21));
}

#[test]
fn opens_another_connection_where_a_target_allows_few_streams() {
    let backend = H2Backend::start();
    let gate = Gate::new();
    backend
        .streams_max(2)
        .on("/slow", H2Script::answer(200, "done").gated(&gate));
    // With several workers all could come to one that has no connection yet, and wait on its first together.
    let text = format!("[server]\nworkers = 1\n{HEAD}protocol = \"h2\"\n");
    let gateway = Gateway::start(Config::new(text).upstream("orders", backend.addr()));
    assert_eq!(gateway.get("/").status, 200);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| gateway.get("/slow").status))
            .collect();
        // Those that came to a new connection before its limit was known wait there for their turn.
        wait::until(wait::DEADLINE, "more than one connection takes", || {
            gate.waiting() > 2
        });
        gate.open();
        for one in all {
            assert_eq!(one.join().unwrap(), 200);
        }
    });
    assert!((2..=6).contains(&backend.connections()));
}

#[test]
fn agrees_on_h2_by_alpn() {
    let authority = Authority::new("internal");
    let (h2, http1) = (H2Backend::start(), Backend::start());
    let front = TlsFront::showing(&authority.issue(&["orders.test"]));
    let front = front.h2(h2.addr()).http1(http1.addr()).start();
    for (protocol, streams, requests) in [("h2", 1, 0), ("auto", 2, 0), ("http/1.1", 2, 1)] {
        let gateway = over_tls(&front, &authority, protocol);
        assert_eq!(gateway.get("/").status, 200, "{protocol}");
        assert_eq!(
            (h2.streams(), http1.requests().len()),
            (streams, requests),
            "{protocol}"
        );
    }
    assert_eq!(h2.last().header(":scheme"), Some("https"));
}

#[test]
fn falls_back_to_http1_only_where_it_may() {
    let authority = Authority::new("internal");
    let identity = authority.issue(&["orders.test"]);
    let http1 = Backend::start();
    let knows = TlsFront::showing(&identity).http1(http1.addr()).start();
    let old = TlsFront::showing(&identity)
        .http1(http1.addr())
        .without_alpn()
        .start();
    for front in [&knows, &old] {
        let gateway = over_tls(front, &authority, "auto");
        let mut client = gateway.client();
        assert_eq!(client.get("/").status, 200);
        assert_eq!(client.get("/").status, 200);
        assert_eq!(front.handshakes().len(), 1, "the connection is kept");
    }
    let asked = http1.requests().len();
    assert_refused(
        &over_tls(&knows, &authority, "h2").get("/"),
        502,
        "upstream.tls",
    );
    assert_refused(
        &over_tls(&old, &authority, "h2").get("/"),
        502,
        "upstream.bad-response",
    );
    assert_eq!(http1.requests().len(), asked, "nothing was sent");
}

#[test]
fn moves_to_a_new_connection_when_a_target_leaves() {
    let backend = H2Backend::start();
    let gateway = plain(&backend, "");
    let mut client = gateway.client();
    assert_eq!(client.get("/").status, 200);
    backend.go_away();
    for _ in 0..3 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(backend.requests().len(), 4);
    backend.close_connections();
    wait::until(wait::DEADLINE, "connections to end", || {
        backend.connections_open() == 0
    });
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn finishes_what_was_begun_when_a_target_leaves() {
    let backend = H2Backend::start();
    let gate = Gate::new();
    backend.on("/slow", H2Script::answer(200, "done").gated(&gate));
    let gateway = plain(&backend, "");
    let slow = std::thread::scope(|scope| {
        let slow = scope.spawn(|| gateway.get("/slow"));
        backend.wait_requests(1);
        backend.go_away();
        assert_eq!(gateway.get("/").status, 200);
        gate.open();
        slow.join().unwrap()
    });
    assert_eq!(slow.text(), "done");
}

#[test]
fn sends_again_what_a_target_refused_unread() {
    let backend = H2Backend::start();
    let gateway = plain(&backend, "");
    let refused = || H2Script::reset(h2::Reason::REFUSED_STREAM);
    backend.once(refused()).once(refused());
    assert_eq!(gateway.get("/").status, 200);
    // Nothing was done with it, so it may be sent again whatever it is.
    backend.once(refused());
    let answer = gateway.request("POST", "/", &[("content-length", "5")], b"hello");
    assert_eq!(
        (answer.status, backend.last().text().as_str()),
        (200, "hello")
    );

    let before = backend.streams();
    backend.always(refused());
    assert_eq!(gateway.get("/").status, 502);
    assert_eq!(backend.streams() - before, 3, "not for ever");
}

#[test]
fn does_not_send_again_what_may_have_been_done() {
    let backend = H2Backend::start();
    let gateway = plain(&backend, "");
    for reason in [h2::Reason::INTERNAL_ERROR, h2::Reason::CANCEL] {
        backend.once(H2Script::reset(reason));
        let before = backend.streams();
        let answer = gateway.request("POST", "/", &[("content-length", "1")], b"x");
        assert_refused(&answer, 502, "upstream.bad-response");
        assert_eq!(backend.streams() - before, 1, "{reason:?}");
    }
    backend.once(H2Script::go_away(h2::Reason::INTERNAL_ERROR));
    assert_eq!(
        gateway
            .request("POST", "/", &[("content-length", "1")], b"x")
            .status,
        502
    );
    assert_eq!(gateway.get("/").status, 200, "on a new connection");
}

#[test]
fn a_server_of_http1_is_a_bad_h2_server() {
    let backend = Backend::start();
    let config = Config::new(format!("{HEAD}protocol = \"h2\"\n"));
    let gateway = Gateway::start(config.upstream("orders", backend.addr()));
    let answer = gateway.get("/");
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn passes_bodies_of_any_size() {
    let backend = H2Backend::start();
    let gateway = plain(&backend, "");
    let body = vec![b'x'; 3 << 20];
    let length = body.len().to_string();
    let answer = gateway.request("POST", "/", &[("content-length", &length)], &body);
    assert_eq!(answer.status, 200);
    let seen = backend.last();
    assert_eq!(seen.body.len(), body.len());
    assert_eq!(seen.header("content-length"), Some(length.as_str()));
    backend.always(H2Script::answer(200, body.clone()).header("content-length", &length));
    assert_eq!(gateway.get("/").body.len(), body.len());
    assert_eq!(H2c::connect(gateway.addr()).get("/").body.len(), body.len());
}

#[test]
fn a_post_that_was_begun_is_not_sent_again() {
    let backend = H2Backend::start();
    let gate = Gate::new();
    backend.on("/slow", H2Script::answer(200, "done").gated(&gate));
    let gateway = plain(&backend, "");
    let length = [("content-length", "1")];
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| gateway.request("POST", "/slow", &length, b"x"));
        backend.wait_requests(1);
        // It says farewell to the connection, and then dies over what it had begun.
        backend.go_away();
        assert_eq!(gateway.get("/").status, 200);
        backend.close_connections();
        asked.join().unwrap()
    });
    assert_refused(&answer, 502, "upstream.closed");
    let posts = backend.requests();
    assert_eq!(posts.iter().filter(|one| one.method == "POST").count(), 1);
}

#[test]
fn sends_again_what_a_leaving_target_did_not_take() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config::new(format!("{HEAD}protocol = \"h2\"\n"));
    let config = config.upstream("orders", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let first = listener.accept().unwrap().0;
        leave_without_taking(&first);
        let second = listener.accept().unwrap().0;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(answer_all(second));
    });
    let gateway = Gateway::start(config);
    let length = [("content-length", "1")];
    assert_eq!(gateway.request("POST", "/", &length, b"x").status, 200);
    drop(gateway);
    server.join().unwrap();
}

/// Answers every stream with 200 until the client goes away.
async fn answer_all(stream: std::net::TcpStream) {
    stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        respond
            .send_response(http::Response::new(()), true)
            .unwrap();
    }
}

/// Reads the head of a stream and says that none was taken.
fn leave_without_taking(mut stream: &std::net::TcpStream) {
    use std::io::{Read, Write};
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).unwrap();
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        std::io::copy(&mut stream.take(u64::from(length)), &mut std::io::sink()).unwrap();
        if head[3] == 1 {
            break;
        }
    }
    stream
        .write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .unwrap();
}
