//! gRPC: refusals and failures are a status of the call, whatever broke, and never a page for people.

use bytes::Bytes;
use harness::{
    Backend, Client, Config, Gateway, H2Backend, H2Call, H2Request, H2Script, H2Stream, H2c,
    Response, Script,
};

use crate::fixture::{config, forwarding, gateway};

fn call(path: &str) -> H2Request {
    H2Request::new("POST", path)
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .body(*b"\0\0\0\0\x02hi")
}

/// Asserts an answer that is nothing but a head: status and code of the call.
#[track_caller]
fn assert_status(answer: &Response, status: &str, code: &str) {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("grpc-status"), Some(status), "{answer:?}");
    assert_eq!(answer.header("x-problem-code"), Some(code));
    assert!(
        answer
            .header("grpc-message")
            .is_some_and(|text| !text.is_empty())
    );
    assert!(answer.header("x-request-id").is_some());
    assert!(
        answer
            .header("content-length")
            .is_none_or(|length| length == "0")
    );
    assert_eq!(answer.text(), "");
    assert!(answer.trailers.0.is_empty());
}

#[test]
fn refusals_are_a_status_of_the_call() {
    let (gateway, orders) = gateway(
        "[route.closed]\nmatch = \"/closed.Service/**\"\nupstream = \"orders\"\nip-filter = { deny = [\"127.0.0.0/8\"] }\n\
         [route.read]\nmatch = \"GET /read.Service/**\"\nupstream = \"orders\"\n\
         [route.moved]\nmatch = \"/moved.Service/**\"\nrespond = { status = 503 }\n",
    );
    let mut client = H2c::connect(gateway.addr());
    for (path, status, code) in [
        ("/closed.Service/Call", "7", "ip-filter.denied"),
        ("/none.Service/Call", "12", "route.none"),
        ("/read.Service/Call", "12", "route.method"),
        ("/closed.Service/%2F", "3", "path.encoded-slash"),
    ] {
        let answer = client.request(call(path));
        assert_status(&answer, status, code);
        assert_eq!(
            answer.header("content-type"),
            Some("application/grpc+proto")
        );
    }
    let moved = client.request(call("/moved.Service/Call"));
    assert_eq!(moved.header("grpc-status"), Some("14"), "{moved:?}");
    assert_eq!(orders.connections(), 0);
    let line = &gateway.wait_access_log(5)[0];
    assert_eq!(line["code"], "ip-filter.denied");
    assert_eq!(
        (&line["status"], &line["grpc_status"]),
        (&200.into(), &7.into())
    );
    let plain =
        client.request(H2Request::new("POST", "/none").header("content-type", "application/json"));
    assert_eq!((plain.status, plain.code().as_str()), (404, "route.none"));
}

/// Clients take a status in the head only where the stream ends with it.
#[test]
fn a_refusal_ends_the_stream_with_its_head() {
    let (gateway, _orders) = gateway("");
    let mut stream = H2Stream::open(gateway.addr(), &call("/none.Service/Call"));
    let (status, headers) = stream.head();
    assert_eq!((status, headers.get("grpc-status")), (200, Some("12")));
    assert!(stream.is_over(), "END_STREAM must come with the head");
}

#[test]
fn failures_are_a_status_of_the_call() {
    let (gateway, orders) = forwarding("", "read-timeout = \"50ms\"");
    orders.on("/a.Service/Stall", Script::stall());
    orders.on("/a.Service/Close", Script::close());
    let mut client = H2c::connect(gateway.addr());
    assert_status(
        &client.request(call("/a.Service/Stall")),
        "4",
        "upstream.timeout",
    );
    assert_status(
        &client.request(call("/a.Service/Close")),
        "14",
        "upstream.closed",
    );
    let routes = "[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n";
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n[upstream.orders]\ntargets = [\"@upstream.orders@\"]\n{routes}"
    );
    let nobody = Gateway::start(harness::Config::new(text).upstream("orders", Backend::refusing()));
    let answer = H2c::connect(nobody.addr()).request(call("/a.Service/Call"));
    assert_status(&answer, "14", "upstream.unreachable");
}

#[test]
fn a_call_from_the_web_is_refused_in_its_own_type() {
    let orders = Backend::start();
    let gateway = Gateway::start(config("", &orders));
    for kind in ["application/grpc-web+proto", "application/grpc-web-text"] {
        let mut client = gateway.client();
        for _ in 0..2 {
            let answer = client.request("POST", "/a.B/C", &[("Content-Type", kind)], b"AAAA");
            assert_status(&answer, "12", "route.none");
            assert_eq!(answer.header("content-type"), Some(kind));
        }
        let request = H2Request::new("POST", "/a.B/C")
            .header("content-type", kind)
            .body("AAAA");
        assert_status(
            &H2c::connect(gateway.addr()).request(request),
            "12",
            "route.none",
        );
    }
    let mut old = Client::connect(gateway.addr());
    let answer = old.request(
        "POST",
        "/a.B/C",
        &[("Content-Type", "application/grpc")],
        b"AAAA",
    );
    assert_eq!(answer.status, 404, "there is no gRPC in HTTP/1");
}

/// A gateway in front of a gRPC server, with these keys for its only route.
pub(crate) fn serving(keys: &str) -> (Gateway, H2Backend) {
    let server = H2Backend::start();
    server.always(H2Script::handler(serve));
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n\
         [upstream.calls]\ntargets = [\"@upstream.calls@\"]\nprotocol = \"h2\"\n\
         [route.calls]\nmatch = \"/**\"\nupstream = \"calls\"\n{keys}\n"
    );
    let gateway = Gateway::start(Config::new(text).upstream("calls", server.addr()));
    (gateway, server)
}

/// One message with its prefix.
pub(crate) fn message(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&[0], &length[..], text.as_bytes()].concat()
}

/// What the server does, by the method's name. The head of every answer says what it got.
async fn serve(call: H2Call) {
    let H2Call {
        request,
        mut respond,
        ..
    } = call;
    let (head, mut body) = request.into_parts();
    let method = head.uri.path().rsplit('/').next().unwrap().to_owned();
    let said = |name: &str| {
        head.headers
            .get(name)
            .cloned()
            .unwrap_or("".parse().unwrap())
    };
    let answer = http::Response::builder()
        .header("content-type", "application/grpc+proto")
        .header("x-got-type", said("content-type"))
        .header("x-got-te", said("te"));
    if method == "Refuse" {
        let answer = answer
            .header("grpc-status", "5")
            .header("grpc-message", "no such %E2%9C%93");
        respond
            .send_response(answer.body(()).unwrap(), true)
            .unwrap();
        return;
    }
    if method == "Never" {
        return std::future::pending().await;
    }
    let mut sending = respond
        .send_response(answer.body(()).unwrap(), false)
        .unwrap();
    if method == "Silent" {
        return std::future::pending().await;
    }
    let mut received = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        body.flow_control().release_capacity(piece.len()).unwrap();
        received.extend_from_slice(&piece);
        if method == "Each" {
            sending.send_data(piece, false).unwrap();
        }
    }
    match method.as_str() {
        "Each" => {}
        "Break" => {
            sending.send_data(message("one").into(), false).unwrap();
            // Read first, so that the reset does not overtake it.
            tokio::task::yield_now().await;
            return sending.send_reset(h2::Reason::INTERNAL_ERROR);
        }
        _ => sending.send_data(Bytes::from(received), false).unwrap(),
    }
    let mut trailers = http::HeaderMap::new();
    for (name, value) in [
        ("grpc-status", "0"),
        ("x-sum-bin", "AAEC"),
        ("set-cookie", "a=b"),
    ] {
        trailers.insert(name, value.parse().unwrap());
    }
    sending.send_trailers(trailers).unwrap();
}

#[test]
fn a_unary_call_keeps_its_metadata_and_trailers() {
    let (gateway, _server) = serving("");
    let mut client = H2c::connect(gateway.addr());
    let answer = client.request(call("/a.Service/Unary"));
    assert_eq!((answer.status, &answer.body), (200, &message("hi")));
    assert_eq!(answer.header("x-got-type"), Some("application/grpc+proto"));
    assert_eq!(answer.header("x-got-te"), Some("trailers"));
    assert_eq!(answer.trailers.get("grpc-status"), Some("0"));
    assert_eq!(answer.trailers.get("x-sum-bin"), Some("AAEC"));
    assert!(!answer.trailers.has("set-cookie"), "that is no trailer");
    let refused = client.request(call("/a.Service/Refuse"));
    assert_eq!(refused.header("grpc-status"), Some("5"));
    assert_eq!(refused.header("grpc-message"), Some("no such %E2%9C%93"));
}

#[test]
fn messages_pass_one_by_one_in_both_directions() {
    let (gateway, _server) = serving("timeout = \"1s\"");
    let mut stream = H2Stream::open(gateway.addr(), &call("/a.Service/Each"));
    assert_eq!(stream.head().0, 200);
    assert_eq!(stream.receive_exactly(7), message("hi"));
    let start = std::time::Instant::now();
    // Longer than the route's timeout, which ends with the head.
    while start.elapsed() < std::time::Duration::from_millis(1300) {
        stream.send(&message("more"));
        assert_eq!(stream.receive_exactly(9), message("more"));
    }
    stream.finish();
    assert_eq!(stream.receive().unwrap(), None);
    assert_eq!(stream.trailers().unwrap().get("grpc-status"), Some("0"));
}

#[test]
fn a_call_without_an_answer_ends_with_its_routes_timeout() {
    let (gateway, _server) = serving("timeout = \"300ms\"");
    let answer = H2c::connect(gateway.addr()).request(call("/a.Service/Never"));
    assert_status(&answer, "4", "request.timeout");
}

#[test]
fn a_stream_that_breaks_ends_with_a_status() {
    let (gateway, _server) = serving("stream-idle-timeout = \"500ms\"");
    let mut client = H2c::connect(gateway.addr());
    let broken = client.request(call("/a.Service/Break"));
    assert_eq!(broken.status, 200);
    assert_eq!(broken.trailers.get("grpc-status"), Some("14"), "{broken:?}");
    let silent = client.request(call("/a.Service/Silent"));
    assert_eq!(silent.trailers.get("grpc-status"), Some("4"), "{silent:?}");
    assert_eq!(silent.trailers.get("x-problem-code"), Some("stream.idle"));
}
