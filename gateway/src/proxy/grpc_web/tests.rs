use super::*;

fn head(kind: &'static str, accept: Option<&'static str>) -> RequestHeader {
    let mut head = RequestHeader::build("POST", b"/a.B/C", None).unwrap();
    head.insert_header(header::CONTENT_TYPE, kind).unwrap();
    head.insert_header(header::CONTENT_LENGTH, "8").unwrap();
    if let Some(accept) = accept {
        head.insert_header(header::ACCEPT, accept).unwrap();
    }
    head
}

fn answer(kind: &'static str) -> ResponseHeader {
    let mut head = ResponseHeader::build(200, None).unwrap();
    head.insert_header(header::CONTENT_TYPE, kind).unwrap();
    head
}

#[test]
fn heads_change_their_type() {
    let mut request = head("application/grpc-web-text+proto; charset=utf-8", None);
    let mut bridge = Bridge::build(&mut request, Coding::Text).unwrap();
    assert_eq!(request.headers["content-type"], "application/grpc+proto");
    assert!(!request.headers.contains_key("content-length"));
    let mut response = answer("application/grpc");
    bridge.head(&mut response).unwrap();
    assert_eq!(
        response.headers["content-type"],
        "application/grpc-web-text+proto"
    );

    let mut request = head("application/grpc-web", Some("application/grpc-web-text"));
    let mut bridge = Bridge::build(&mut request, Coding::Binary).unwrap();
    assert_eq!(request.headers["content-type"], "application/grpc");
    assert_eq!(request.headers["content-length"], "8");
    let mut response = answer("application/grpc+json");
    bridge.head(&mut response).unwrap();
    assert_eq!(
        response.headers["content-type"],
        "application/grpc-web-text+json"
    );
}

#[test]
fn an_answer_that_is_no_grpc_passes_as_it_is() {
    let mut bridge =
        Bridge::build(&mut head("application/grpc-web-text", None), Coding::Text).unwrap();
    let mut response = answer("text/html");
    bridge.head(&mut response).unwrap();
    assert_eq!(response.headers["content-type"], "text/html");
    let mut body = Some(Bytes::from_static(b"<p>"));
    bridge.body(&mut body);
    assert_eq!(body.unwrap(), "<p>");
    assert!(bridge.trailers(&HeaderMap::new()).is_none());
    assert!(bridge.broken(&MALFORMED).is_none());
}

#[test]
fn trailers_are_the_last_frame() {
    let mut bridge =
        Bridge::build(&mut head("application/grpc-web", None), Coding::Binary).unwrap();
    bridge.head(&mut answer("application/grpc")).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.append("x-a", HeaderValue::from_static("1"));
    let frame = bridge.trailers(&trailers).unwrap();
    assert_eq!(
        frame,
        &b"\x80\0\0\0\x18grpc-status: 0\r\nx-a: 1\r\n"[..frame.len()]
    );
    assert_eq!(frame.len(), 5 + 16 + 8);
}

#[test]
fn a_break_is_told_between_messages_only() {
    let mut bridge =
        Bridge::build(&mut head("application/grpc-web", None), Coding::Binary).unwrap();
    bridge.head(&mut answer("application/grpc")).unwrap();
    bridge.body(&mut Some(Bytes::from_static(b"\0\0\0\0\x02a")));
    assert!(bridge.broken(&MALFORMED).is_none());
    bridge.body(&mut Some(Bytes::from_static(b"b")));
    let frame = bridge.broken(&MALFORMED).unwrap();
    assert!(
        frame.windows(14).any(|part| part == b"grpc-status: 3"),
        "{frame:?}"
    );
}
