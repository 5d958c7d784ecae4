//! Where one message ends and the next begins: chunks, pipelines, and requests hidden in bodies.

use harness::{Backend, raw};

use super::gateway;

#[test]
fn closes_on_malformed_chunks_and_completes_no_request() {
    let bodies: [&[u8]; 14] = [
        b"3\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"xyz\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nab\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nabc",
        b"3;a\nb\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\na: b\n\r\n",
        b"3\r\nabc\r\n0\r\n\n",
    ];
    let backend = Backend::start();
    let gateway = gateway(&backend);
    for (number, body) in bodies.iter().enumerate() {
        let head = b"POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
        let answer = raw(gateway.addr(), &[&head[..], body, smuggled].concat());
        let shown = body.escape_ascii();
        assert!(answer.closed, "{shown}: {:?}", answer.text());
        assert!(
            answer.statuses().iter().all(|status| *status >= 400) && answer.statuses().len() <= 1,
            "{shown}: {:?}",
            answer.text()
        );
        let line = gateway.wait_access_log(number + 1).swap_remove(number);
        assert!(
            line["status"].as_u64() >= Some(400) && line["code"].is_string(),
            "{shown}: {line}"
        );
    }
    assert!(backend.requests().is_empty(), "{:?}", backend.requests());
    assert_eq!(gateway.get("/after").status, 200);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn answers_pipelined_requests_in_order() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let mut bytes = Vec::new();
    for number in 0..12 {
        let body = "b".repeat(number);
        let request =
            format!("POST /{number} HTTP/1.1\r\nHost: x\r\nContent-Length: {number}\r\n\r\n{body}");
        bytes.extend_from_slice(request.as_bytes());
    }
    bytes.extend_from_slice(b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = raw(gateway.addr(), &bytes);
    assert_eq!((answer.statuses(), answer.closed), (vec![200; 13], true));
    let targets: Vec<String> = backend
        .requests()
        .iter()
        .map(|request| request.target.clone())
        .collect();
    let expected: Vec<String> = (0..12)
        .map(|number| format!("/{number}"))
        .chain(["/last".to_owned()])
        .collect();
    assert_eq!(targets, expected);
}

#[test]
fn a_bad_request_behind_good_ones_spoils_only_itself() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let bytes = b"GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\nGET /three HTTP/1.1\n\nGET /four HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = raw(gateway.addr(), bytes);
    assert_eq!(
        (answer.statuses(), answer.closed),
        (vec![200, 200, 400], true)
    );
    let targets: Vec<String> = backend
        .requests()
        .iter()
        .map(|request| request.target.clone())
        .collect();
    assert_eq!(targets, ["/one", "/two"]);
}

#[test]
fn a_request_inside_a_body_stays_a_body() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    let by_length = format!(
        "POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    let by_chunks = format!(
        "POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n",
        hidden.len()
    );
    let end = "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = raw(
        gateway.addr(),
        format!("{by_length}{by_chunks}{end}").as_bytes(),
    );
    assert_eq!(
        (answer.statuses(), answer.closed),
        (vec![200, 200, 200], true)
    );
    let seen = backend.requests();
    let targets: Vec<&str> = seen.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/length", "/chunks", "/end"]);
    assert_eq!(
        (seen[0].text().as_str(), seen[1].text().as_str()),
        (hidden, hidden)
    );
}

/// The answer comes before the body was read: what is left of the body must not become a request.
#[test]
fn the_body_of_a_refused_request_is_never_the_next_request() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    let refused = format!(
        "POST /a%00b HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    let end = "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = raw(gateway.addr(), format!("{refused}{end}").as_bytes());
    assert!(answer.closed);
    assert_eq!(answer.status(), Some(400));
    let targets: Vec<String> = backend
        .requests()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert!(targets.iter().all(|target| target == "/end"), "{targets:?}");
}
