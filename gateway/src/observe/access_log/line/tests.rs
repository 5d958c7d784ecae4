//! Lines as they are written, byte by byte.

use super::*;

fn line<'a>() -> Line<'a> {
    Line {
        time: SystemTime::UNIX_EPOCH,
        request_id: "abc",
        client: Some("192.0.2.1".parse().unwrap()),
        listener: "public",
        method: "GET",
        host: "api.example.com",
        path: b"/orders/7",
        query: None,
        protocol: "HTTP/1.1",
        route: Some("orders"),
        auth: None,
        consumer: None,
        status: 200,
        grpc_status: None,
        code: None,
        shadowed: &[],
        upstream: Some("orders"),
        target: Some("10.0.0.1:9000"),
        attempts: 1,
        retried: None,
        not_retried: None,
        hedge: None,
        fallback: None,
        cache: None,
        cache_reason: None,
        bytes_in: 0,
        bytes_out: 120,
        total: Duration::from_micros(1_234),
        upstream_time: Some(Duration::from_micros(1_200)),
        hop: Duration::from_micros(34),
        values: Vec::new(),
    }
}

fn written(line: &Line<'_>) -> serde_json::Value {
    let mut out = Vec::new();
    line.write_to(&LogFields::all(), &mut out);
    assert_eq!(
        out.split(|byte| *byte == b'\n').count(),
        2,
        "exactly one line"
    );
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn writes_json() {
    let value = written(&line());
    assert_eq!(value["client"], "192.0.2.1");
    assert_eq!(value["total_ms"], 1.234);
    assert_eq!(value["hop_ms"], 0.034);
    assert!(value.get("code").is_none());
}

#[test]
fn every_field_can_be_had_alone() {
    let full = Line {
        auth: Some("keys"),
        consumer: Some("ann"),
        grpc_status: Some(14),
        code: Some("a.b"),
        shadowed: &["a.b"],
        retried: Some("reset"),
        not_retried: Some("budget"),
        hedge: Some("won"),
        fallback: Some("reply"),
        cache: Some("hit"),
        cache_reason: Some("ttl"),
        ..line()
    };
    for field in Field::ALL {
        let mut out = Vec::new();
        full.write_to(&LogFields::only([*field], Box::default()), &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let object = value.as_object().unwrap();
        assert!(object.contains_key(field.name()), "{field}");
        assert_eq!(object.len(), 2, "{field} and the time");
    }
    let mut out = Vec::new();
    full.write_to(&LogFields::all(), &mut out);
    let all: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(all.as_object().unwrap().len(), Field::ALL.len() + 1);
}

#[test]
fn values_of_the_request_follow() {
    let mut out = Vec::new();
    let line = Line {
        values: vec![(&b",\"header.user-agent\":"[..], "a\"b\n".into())],
        ..line()
    };
    line.write_to(&LogFields::only([], Box::default()), &mut out);
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value["header.user-agent"], "a\"b\n");
}

#[test]
fn nothing_forges_a_line() {
    let hostile = b"/\"},\r\n{\"status\":\x00\xff\xe2\x80\xa8\\";
    let value = written(&Line {
        path: hostile,
        client: None,
        shadowed: &["a.b"],
        ..line()
    });
    assert_eq!(value["path"], String::from_utf8_lossy(hostile).into_owned());
    assert_eq!(value["status"], 200);
    assert_eq!(value["shadowed"][0], "a.b");
}
