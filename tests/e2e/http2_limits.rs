//! Frames by hand: what a client of HTTP/2 may do, and how one that abuses it is ended while others are served.

use std::io::{Read, Write};
use std::net::TcpStream;

use harness::client::reading;
use harness::wait::DEADLINE;
use harness::{RawResult, raw};

use crate::fixture::forwarding;

const START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// `GET /` of host `x`; `flags` 5 is the whole request.
fn get(stream: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, flags, stream, b"\x82\x86\x84\x41\x01x")
}

/// Kind, flags, stream and payload of every whole frame.
fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while bytes.len() >= 9 {
        let length =
            usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2]);
        let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
        let Some(payload) = bytes.get(9..9 + length) else {
            break;
        };
        frames.push((bytes[3], bytes[4], stream, payload.to_vec()));
        bytes = &bytes[9 + length..];
    }
    frames
}

fn number(payload: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(payload[at..at + 4].try_into().unwrap())
}

/// The reason of the GOAWAY among these frames.
fn farewell(answer: &RawResult) -> Option<u32> {
    let all = frames(&answer.bytes);
    let found = all.iter().find(|(kind, ..)| *kind == GOAWAY);
    found.map(|(_, _, _, payload)| number(payload, 4))
}

fn setting(frames: &[(u8, u8, u32, Vec<u8>)], wanted: u16) -> Option<u32> {
    let first = frames
        .iter()
        .find(|(kind, flags, ..)| (*kind, *flags) == (SETTINGS, 0))?;
    let entries = first.3.chunks(6);
    entries
        .filter(|entry| entry[..2] == wanted.to_be_bytes())
        .map(|entry| number(entry, 2))
        .next()
}

#[test]
fn tells_its_limits_and_keeps_them() {
    let (gateway, orders) = forwarding(
        "header-bytes-max = \"16KiB\"\nh2 = { streams-max = 2, stream-window = \"32KiB\", connection-window = \"128KiB\" }",
        "",
    );
    let gate = harness::Gate::new();
    orders.always(harness::Script::echo().gated(&gate));
    let mut stream = TcpStream::connect(gateway.addr()).unwrap();
    stream.write_all(START).unwrap();
    for id in [1, 3, 5] {
        stream.write_all(&get(id, 5)).unwrap();
    }
    let refused = |bytes: &[u8]| {
        let all = frames(bytes);
        let reset = all.iter().find(|(kind, ..)| *kind == RESET);
        reset.map(|(_, _, stream, payload)| (*stream, number(payload, 0)))
    };
    let answer = reading(&stream, DEADLINE, |bytes| refused(bytes).is_some());
    assert_eq!(refused(&answer.bytes), Some((5, REFUSED_STREAM)));
    let all = frames(&answer.bytes);
    assert_eq!(setting(&all, 3), Some(2), "concurrent streams");
    assert_eq!(setting(&all, 4), Some(32 << 10), "window of a stream");
    assert_eq!(setting(&all, 6), Some(16 << 10), "header list");
    let window = all
        .iter()
        .find(|(kind, _, stream, _)| (*kind, *stream) == (WINDOW, 0));
    assert_eq!(
        window.map(|one| number(&one.3, 0)),
        Some((128 << 10) - 65_535)
    );
    gate.open();
    orders.wait_requests(2);
}

#[test]
fn a_preface_without_settings_is_not_waited_for() {
    let (gateway, _orders) = forwarding("header-timeout = \"200ms\"\nidle-timeout = \"1h\"", "");
    for beginning in [&START[..24], &START[..30]] {
        assert!(raw(gateway.addr(), beginning).closed, "{beginning:?}");
    }
    let mut stream = TcpStream::connect(gateway.addr()).unwrap();
    stream.write_all(START).unwrap();
    // With them the connection may wait: it is there longer than the others were.
    assert!(raw(gateway.addr(), &START[..24]).closed);
    stream.write_all(&get(1, 5)).unwrap();
    let served = |bytes: &[u8]| frames(bytes).iter().any(|(kind, ..)| *kind == DATA);
    let answer = reading(&stream, DEADLINE, served);
    assert!(served(&answer.bytes));
}

#[test]
fn rapid_resets_end_the_connection() {
    let (gateway, orders) = forwarding("", "");
    let mut bytes = START.to_vec();
    for number in 0..5000 {
        let id = number * 2 + 1;
        bytes.extend(get(id, 5));
        bytes.extend(frame(RESET, 0, id, &8_u32.to_be_bytes()));
    }
    let answer = raw(gateway.addr(), &bytes);
    assert_eq!(
        (answer.closed, farewell(&answer)),
        (true, Some(ENHANCE_YOUR_CALM))
    );
    assert!(
        orders.requests().len() < 1000,
        "{}",
        orders.requests().len()
    );
    assert_eq!(gateway.get("/after").status, 200);
}

#[test]
fn resets_of_requests_that_were_under_way_end_the_connection_too() {
    let (gateway, orders) = forwarding("", "");
    orders.always(harness::Script::stall());
    let mut stream = TcpStream::connect(gateway.addr()).unwrap();
    stream.write_all(START).unwrap();
    // Each is let go as far as the backend before it is reset.
    let reset = |stream: &mut TcpStream, number: u32| {
        let id = number * 2 + 1;
        stream.write_all(&get(id, 5))?;
        orders.wait_requests(number as usize + 1);
        stream.write_all(&frame(RESET, 0, id, &8_u32.to_be_bytes()))
    };
    for number in 0..500 {
        reset(&mut stream, number).unwrap();
    }
    reset(&mut stream, 500).unwrap();
    let answer = reading(&stream, DEADLINE, |_| false);
    assert!(answer.closed);
    orders.always(harness::Script::echo());
    assert_eq!(gateway.get("/after").status, 200);
}

#[test]
fn a_unix_socket_speaks_it_as_well() {
    let text = "[listener.public]\naddress = \"unix:@dir@/public.sock\"\n\
                [route.all]\nmatch = \"/**\"\nrespond = { status = 200, body = \"by unix\" }\n";
    let gateway = harness::Gateway::start(text);
    let mut stream = std::os::unix::net::UnixStream::connect(gateway.path("public.sock")).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(&[START, &get(1, 5)].concat()).unwrap();
    let mut bytes = Vec::new();
    while !frames(&bytes).iter().any(|one| one.3 == b"by unix") {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "{bytes:?}");
        bytes.extend_from_slice(&piece[..count]);
    }
}

#[test]
fn a_head_without_end_is_cut() {
    let (gateway, orders) = forwarding("", "");
    let mut bytes = [START, &get(1, 1)].concat();
    // A field of 1,000 bytes in every frame, and frames with nothing in them.
    let field = [
        &[0, 3],
        b"x-a".as_slice(),
        &[0x7f, 0xe9, 0x06],
        &[b'y'; 1000],
    ]
    .concat();
    for number in 0..5000 {
        let payload = if number % 2 == 0 {
            field.as_slice()
        } else {
            b""
        };
        bytes.extend(frame(CONTINUATION, 0, 1, payload));
    }
    let answer = raw(gateway.addr(), &bytes);
    assert!(answer.closed);
    assert_eq!(orders.requests().len(), 0);
    assert_eq!(gateway.get("/after").status, 200);
}

#[test]
fn floods_of_small_frames_cost_no_memory_and_stop_nobody() {
    let (gateway, _orders) = forwarding("", "");
    assert_eq!(gateway.get("/before").status, 200);
    let before = gateway.rss_kib();
    for (what, one) in [
        ("PING", frame(PING, 0, 0, b"pingpong")),
        ("SETTINGS", frame(SETTINGS, 0, 0, b"")),
        ("WINDOW_UPDATE", frame(WINDOW, 0, 0, &1_u32.to_be_bytes())),
        ("PRIORITY", frame(2, 0, 1, b"\0\0\0\0\x10")),
        ("an unknown frame", frame(0xee, 0, 0, b"x")),
        ("empty DATA", frame(DATA, 0, 1, b"")),
    ] {
        let mut stream = TcpStream::connect(gateway.addr()).unwrap();
        let start = [START, &get(1, 4)].concat();
        stream.write_all(&start).unwrap();
        // Nobody reads the answers: acknowledgements must not pile up in memory. What does not fit into the sockets is left.
        stream
            .set_write_timeout(Some(std::time::Duration::from_millis(500)))
            .unwrap();
        let flood = one.repeat(1000);
        let sent = (0..200)
            .take_while(|_| stream.write_all(&flood).is_ok())
            .count();
        assert_eq!(
            gateway.get("/meanwhile").status,
            200,
            "{what}, {sent} thousand"
        );
    }
    let grown = gateway.rss_kib().saturating_sub(before);
    assert!(grown < 20 << 10, "{grown} KiB");
}
