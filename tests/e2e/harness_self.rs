//! The harness itself keeps its promises, shown without a gateway: clients talk to backends directly.

mod backends;
mod idp;

use std::time::Duration;

use harness::{Backend, Client, Ending, Gate, H2Request, H2c, Script, raw, raw_until, wait};

#[test]
fn echoes_what_it_was_asked() {
    let backend = Backend::named("a");
    let mut client = Client::connect(backend.addr());
    let answer = client.request("POST", "/x?q=1", &[("X-Tenant", "acme")], b"hello");
    let echo = answer.json();
    assert_eq!(
        (answer.status, answer.header("X-Backend")),
        (200, Some("a"))
    );
    assert_eq!(echo["target"], "/x?q=1");
    assert_eq!(echo["headers"][1], serde_json::json!(["X-Tenant", "acme"]));
    assert_eq!(
        (&echo["length"], &echo["body"]),
        (&5.into(), &"hello".into())
    );
    assert_eq!(backend.last().text(), "hello");
}

#[test]
fn keeps_a_connection_and_counts_it_once() {
    let backend = Backend::start();
    let mut client = Client::connect(backend.addr());
    for _ in 0..3 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(
        (backend.connections(), backend.wait_requests(3).len()),
        (1, 3)
    );
}

#[test]
fn reads_every_framing() {
    let backend = Backend::start();
    backend.on(
        "/chunks",
        Script::chunks(["one ", "two"]).header("x-a", "b"),
    );
    backend.on("/close", Script::until_close("to the end"));
    backend.on("/204", Script::status(204).interim(103));
    let mut client = Client::connect(backend.addr());
    assert_eq!(client.get("/chunks").text(), "one two");
    let head = client.request("HEAD", "/chunks", &[], b"");
    assert_eq!((head.header("x-a"), head.body.len()), (Some("b"), 0));
    let empty = client.get("/204");
    assert_eq!((empty.status, empty.interim[0].0), (204, 103));
    assert_eq!(client.get("/close").text(), "to the end");
    client.wait_closed();
}

#[test]
fn scripts_come_in_order_once_before_path_before_always() {
    let backend = Backend::start();
    backend
        .always(Script::status(201))
        .on("/p", Script::status(202))
        .once(Script::status(203));
    let mut client = Client::connect(backend.addr());
    let mut status = |path| client.get(path).status;
    assert_eq!([status("/p"), status("/p?x"), status("/")], [203, 202, 201]);
}

#[test]
fn waits_at_a_gate_and_trickles_through_it() {
    let backend = Backend::start();
    let (before, chunks) = (Gate::new(), Gate::new());
    backend.always(Script::trickle(&chunks, ["ab", "cd"]).gated(&before));
    let mut client = Client::connect(backend.addr());
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    backend.wait_requests(1);
    wait::until(wait::DEADLINE, "the gate is reached", || {
        before.waiting() == 1
    });
    before.open();
    assert_eq!(client.receive_head().0, 200);
    chunks.step();
    assert_eq!(client.read_exactly(7), b"2\r\nab\r\n");
    chunks.open();
    assert_eq!(client.read_exactly(12), b"2\r\ncd\r\n0\r\n\r\n"[..12]);
}

#[test]
fn resets_closes_and_stalls() {
    let backend = Backend::start();
    backend
        .on("/reset", Script::reset())
        .on("/close", Script::close());
    backend.on("/stall", Script::stall());
    backend.on(
        "/half",
        Script::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"),
    );
    let fate = |path: &str| {
        let client = &mut Client::connect(backend.addr());
        client.patience(Duration::from_millis(50));
        client
            .try_request("GET", path, &[], b"")
            .unwrap_err()
            .kind()
    };
    assert_eq!(fate("/reset"), std::io::ErrorKind::ConnectionReset);
    assert_eq!(fate("/close"), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(fate("/half"), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(fate("/stall"), std::io::ErrorKind::WouldBlock);
}

#[test]
fn answers_before_it_read_the_body() {
    let backend = Backend::start();
    backend.always(Script::status(413).leaving_body());
    let answer = Client::connect(backend.addr()).request("POST", "/", &[], &vec![b'x'; 300_000]);
    assert_eq!((answer.status, backend.last().body.len()), (413, 0));
}

#[test]
fn upgrades_and_echoes_bytes() {
    let backend = Backend::start();
    backend.always(Script::upgrade());
    let mut client = Client::connect(backend.addr());
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
    assert_eq!(client.request("GET", "/", &upgrade, b"").status, 101);
    client.send(b"ping").unwrap();
    assert_eq!(client.read_exactly(4), b"ping");
}

#[test]
fn finds_fault_with_ambiguous_requests() {
    let heads = [
        "GET / HTTP/1.1\nHost: x\n\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
    ];
    for head in heads {
        let backend = Backend::start();
        let result = raw(backend.addr(), head.as_bytes());
        assert!(
            result.closed && result.bytes.is_empty(),
            "{head:?}: {result:?}"
        );
        assert_eq!(
            (backend.faults().len(), backend.requests().len()),
            (1, 0),
            "{head:?}"
        );
    }
}

#[test]
fn raw_bytes_stop_at_a_needle_and_count_answers() {
    let backend = Backend::start();
    backend
        .once(Script::answer(200, "one"))
        .once(Script::answer(404, "two"));
    let twice = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2);
    let result = raw_until(backend.addr(), twice.as_bytes(), "two", wait::DEADLINE);
    assert_eq!((result.statuses(), result.closed), (vec![200, 404], false));
}

#[test]
fn refuses_after_a_stop_and_answers_again_after_a_restart() {
    let mut backend = Backend::start();
    let addr = backend.addr();
    let mut client = Client::connect(addr);
    assert_eq!(client.get("/").status, 200);
    backend.stop();
    client.wait_closed();
    assert!(
        Client::try_connect(addr).is_err() && Client::try_connect(Backend::refusing()).is_err()
    );
    let again = Backend::at(addr);
    again.always(Script::status(204).ending(Ending::Close));
    assert_eq!(Client::connect(addr).get("/").status, 204);
}

#[test]
fn speaks_http2_as_a_client() {
    // A server's SETTINGS, then GOAWAY: enough to see that our client shook hands and noticed the end.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).unwrap();
        stream
            .write_all(&[&settings[..], &goaway[..]].concat())
            .unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
        preface
    });
    let client = H2c::connect(addr);
    assert!(client.wait_closed().is_ok());
    assert_eq!(&server.join().unwrap(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

#[test]
fn sends_http2_streams_together_and_keeps_their_order() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(echo_http2(listener.accept().unwrap().0));
    });
    let mut client = H2c::connect(addr);
    assert_eq!(client.get("/one").text(), "GET /one ");
    let posts =
        ["a", "b", "c"].map(|body| H2Request::new("POST", "/p").header("x-a", "1").body(body));
    let answers = client.together(posts.to_vec());
    let texts: Vec<String> = answers
        .into_iter()
        .map(|answer| answer.unwrap().text())
        .collect();
    assert_eq!(texts, ["POST /p a", "POST /p b", "POST /p c"]);
    drop(client);
    server.join().unwrap();
}

/// Answers each stream with its method, path and body.
async fn echo_http2(stream: std::net::TcpStream) {
    stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let mut echo = format!("{} {} ", request.method(), request.uri().path()).into_bytes();
            let mut body = request.into_body();
            while let Some(Ok(chunk)) = body.data().await {
                echo.extend_from_slice(&chunk);
            }
            let mut send = respond
                .send_response(http::Response::new(()), false)
                .unwrap();
            send.send_data(echo.into(), true).unwrap();
        });
    }
}
