//! What the specification allows and what it does not, in whatever pieces it arrives.

use proptest::prelude::*;

use super::*;

fn client(source: &str, destination: &str) -> Announced {
    Announced::Client {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

/// Reads as the connection is read: never more than was wanted.
fn read(bytes: &[u8]) -> Result<(Announced, usize), Malformed> {
    let mut taken = 0;
    loop {
        match parse(&bytes[..taken])? {
            Step::Done(announced, length) => {
                assert_eq!(length, taken, "not one byte more than the header");
                return Ok((announced, length));
            }
            Step::Wants(count) => {
                assert!(count > 0);
                taken += count;
                if taken > bytes.len() {
                    return Err(Malformed);
                }
            }
        }
    }
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    let mut header = SIGNATURE.to_vec();
    header.extend_from_slice(&[command, family]);
    header.extend_from_slice(&length);
    header.extend_from_slice(rest);
    header
}

const FOUR: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0x12, 0x67, 0, 80];

#[test]
fn reads_version_1() {
    for (line, expected) in [
        (
            "PROXY TCP4 192.0.2.1 198.51.100.7 4711 80\r\n",
            client("192.0.2.1:4711", "198.51.100.7:80"),
        ),
        (
            "PROXY TCP4 1.1.1.1 2.2.2.2 0 0\r\n",
            client("1.1.1.1:0", "2.2.2.2:0"),
        ),
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            client("255.255.255.255:65535", "255.255.255.255:65535"),
        ),
        (
            "PROXY TCP6 2001:db8::1 ::1 1 2\r\n",
            client("[2001:db8::1]:1", "[::1]:2"),
        ),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            client(
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            ),
        ),
        ("PROXY UNKNOWN\r\n", Announced::Nobody),
        ("PROXY UNKNOWN ffff::f f::f 1 2\r\n", Announced::Nobody),
        (
            "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            Announced::Nobody,
        ),
    ] {
        let mut bytes = line.as_bytes().to_vec();
        bytes.extend_from_slice(b"GET / HTTP/1.1\r\n");
        assert_eq!(read(&bytes), Ok((expected, line.len())), "{line}");
    }
}

#[test]
fn refuses_what_is_not_version_1() {
    for line in [
        "GET / HTTP/1.1\r\n\r\n",
        "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        "PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
        "PROXY TCP4 1.1.1.01 2.2.2.2 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rX",
        "PROXY UNKNOWN\rX",
        "PROXY UNKNOWNX\r\n",
    ] {
        assert_eq!(read(line.as_bytes()), Err(Malformed), "{line:?}");
    }
    let endless = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_MAX));
    assert_eq!(read(endless.as_bytes()), Err(Malformed));
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_MAX - 16));
    assert_eq!(
        read(longest.as_bytes()),
        Ok((Announced::Nobody, longest.len()))
    );
}

#[test]
fn reads_version_2() {
    let six: Vec<u8> = [Ipv6Addr::LOCALHOST.octets(), Ipv6Addr::LOCALHOST.octets()]
        .concat()
        .into_iter()
        .chain([0, 1, 0, 2])
        .collect();
    let extended = [&FOUR[..], &[0x03, 0, 4, 1, 2, 3, 4], &[0x04, 0, 0]].concat();
    let four = client("192.0.2.1:4711", "198.51.100.7:80");
    for (header, expected) in [
        (v2(0x21, 0x11, &FOUR), four),
        (v2(0x21, 0x11, &extended), four),
        (v2(0x21, 0x21, &six), client("[::1]:1", "[::1]:2")),
        (v2(0x21, 0x31, &[b'a'; 216]), Announced::Nobody),
        (v2(0x21, 0x00, &[]), Announced::Nobody),
        (v2(0x20, 0x00, &[]), Announced::Nobody),
        (v2(0x20, 0x11, &FOUR), Announced::Nobody),
        (v2(0x20, 0xff, &[1; 99]), Announced::Nobody),
        (v2(0x20, 0x00, &[0; V2_MAX - V2_FIXED]), Announced::Nobody),
    ] {
        let length = header.len();
        let bytes = [header, b"GET /".to_vec()].concat();
        assert_eq!(read(&bytes), Ok((expected, length)));
    }
}

#[test]
fn refuses_what_is_not_version_2() {
    let cut = [&FOUR[..], &[0x03, 0, 9, 1]].concat();
    for header in [
        v2(0x11, 0x11, &FOUR),
        v2(0x22, 0x11, &FOUR),
        v2(0x31, 0x11, &FOUR),
        v2(0x21, 0x12, &FOUR),
        v2(0x21, 0x10, &FOUR),
        v2(0x21, 0x41, &FOUR),
        v2(0x21, 0x11, &FOUR[..11]),
        v2(0x21, 0x21, &FOUR),
        v2(0x21, 0x31, &[0; 215]),
        v2(0x21, 0x11, &cut),
        v2(0x20, 0x00, &[0; V2_MAX - V2_FIXED + 1]),
        b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c".to_vec(),
    ] {
        assert_eq!(read(&header), Err(Malformed), "{}", header.escape_ascii());
    }
}

#[test]
fn tells_other_protocols_by_their_first_byte() {
    for first in [&b"\x16"[..], b"G", b"PRI"] {
        assert_eq!(parse(first), Err(Malformed));
    }
}

proptest! {
    #[test]
    fn never_reads_beyond_a_header_whatever_it_announces(
        source: std::net::SocketAddrV4,
        destination: std::net::SocketAddrV4,
        rest: Vec<u8>,
    ) {
        let (from, to) = (source.port(), destination.port());
        let line = format!("PROXY TCP4 {} {} {from} {to}\r\n", source.ip(), destination.ip());
        let bytes = [line.as_bytes(), &rest].concat();
        let expected = Announced::Client { source: source.into(), destination: destination.into() };
        prop_assert_eq!(read(&bytes), Ok((expected, line.len())));
    }

    #[test]
    fn never_fails_on_any_bytes(start in 0_usize..3, rest: Vec<u8>) {
        let start = [&b""[..], b"PROXY TCP6 ", &SIGNATURE[..]][start];
        let bytes = [start, &rest].concat();
        if let Ok((_, length)) = read(&bytes) {
            prop_assert!(length <= bytes.len());
        }
    }
}
