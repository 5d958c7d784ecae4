//! The gRPC health protocol, `grpc.health.v1.Health/Check`: two messages of one field each, encoded by hand.

use ::http::uri::PathAndQuery;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use bytes::{BufMut, Bytes, BytesMut};
use pingora::protocols::Stream;

use super::check::{CheckError, broken};
use super::http;

const METHOD: &str = "/grpc.health.v1.Health/Check";

/// More than any answer needs.
const ANSWER_MAX: usize = 4 << 10;

pub(super) fn request(
    secure: bool,
    host: &HeaderValue,
    metadata: &[(HeaderName, HeaderValue)],
) -> Result<Request<()>, CheckError> {
    let path = PathAndQuery::from_static(METHOD);
    let mut request = http::request(Method::POST, path, host, secure)?;
    let headers = request.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static("gateway-health"),
    );
    for (name, value) in metadata {
        headers.append(name, value.clone());
    }
    Ok(request)
}

pub(super) async fn ask(
    stream: Stream,
    request: Request<()>,
    service: &str,
) -> Result<(), CheckError> {
    let question = question(service);
    http::exchange(stream, async |mut sender| {
        let (answer, mut sending) = sender.send_request(request, false).map_err(broken)?;
        sending.send_data(question, true).map_err(broken)?;
        let answer = answer.await.map_err(broken)?;
        if answer.status() != StatusCode::OK {
            return Err(CheckError::Status(answer.status().as_u16()));
        }
        // An answer without a message has its status in the head.
        let at_once = status(answer.headers())?;
        let mut body = answer.into_body();
        let mut message = BytesMut::new();
        while let Some(piece) = body.data().await {
            let piece = piece.map_err(broken)?;
            message.extend_from_slice(&piece);
            if message.len() > ANSWER_MAX {
                return Err(CheckError::NoGrpc);
            }
        }
        let trailers = body.trailers().await.map_err(broken)?.unwrap_or_default();
        if !at_once && !status(&trailers)? {
            return Err(CheckError::NoGrpc);
        }
        serving(&message)
    })
    .await
}

/// Whether the fields hold a `grpc-status`; an error if it is another than 0.
fn status(fields: &HeaderMap) -> Result<bool, CheckError> {
    match fields.get("grpc-status").map(HeaderValue::as_bytes) {
        None => Ok(false),
        Some(b"0") => Ok(true),
        Some(code) => Err(CheckError::GrpcStatus(
            String::from_utf8_lossy(code).into_owned(),
        )),
    }
}

/// `HealthCheckRequest { string service = 1; }` in a message of its own.
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        varint(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(&message);
    framed.freeze()
}

/// `HealthCheckResponse { ServingStatus status = 1; }`
fn serving(framed: &[u8]) -> Result<(), CheckError> {
    let (head, message) = framed.split_at_checked(5).ok_or(CheckError::NoGrpc)?;
    let (flag, length) = head.split_first().ok_or(CheckError::NoGrpc)?;
    let length = length
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    if *flag != 0 || length != message.len() {
        return Err(CheckError::NoGrpc);
    }
    match field_one(message).ok_or(CheckError::NoGrpc)? {
        1 => Ok(()),
        2 => Err(CheckError::NotServing("NOT_SERVING")),
        3 => Err(CheckError::NotServing("SERVICE_UNKNOWN")),
        _ => Err(CheckError::NotServing("UNKNOWN")),
    }
}

/// The last value of field 1, a number; 0 where there is none. `None` if this is no protobuf.
fn field_one(mut message: &[u8]) -> Option<u64> {
    let mut found = 0;
    while !message.is_empty() {
        let tag = read_varint(&mut message)?;
        let value = match tag & 7 {
            0 => read_varint(&mut message)?,
            1 => skip(&mut message, 8)?,
            2 => {
                let length = read_varint(&mut message)?;
                skip(&mut message, usize::try_from(length).ok()?)?
            }
            5 => skip(&mut message, 4)?,
            _ => return None,
        };
        if tag == 8 {
            found = value;
        }
    }
    Some(found)
}

fn skip(message: &mut &[u8], count: usize) -> Option<u64> {
    *message = message.get(count..)?;
    Some(0)
}

fn read_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn varint(mut value: u64, to: &mut BytesMut) {
    while value >= 0x80 {
        to.put_u8(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    to.put_u8(u8::try_from(value).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_a_service() {
        assert_eq!(&question("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&question("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(question(&"x".repeat(200))[5..8], [0x0a, 0xc8, 1]);
    }

    #[test]
    fn understands_answers() {
        let said = |framed: &[u8]| serving(framed).map_err(|error| error.to_string());
        assert_eq!(said(&[0, 0, 0, 0, 2, 8, 1]), Ok(()));
        assert_eq!(
            said(&[0, 0, 0, 0, 6, 0x12, 2, b'x', b'y', 8, 1]),
            Ok(()),
            "another field"
        );
        for (framed, why) in [
            (&[0, 0, 0, 0, 2, 8, 2][..], "the service is NOT_SERVING"),
            (&[0, 0, 0, 0, 2, 8, 3], "the service is SERVICE_UNKNOWN"),
            (&[0, 0, 0, 0, 0], "the service is UNKNOWN"),
        ] {
            assert_eq!(said(framed), Err(why.into()));
        }
        let no: [&[u8]; 5] = [
            &[],
            &[0, 0, 0, 0, 1],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 1, 8],
            &[0, 0, 0, 0, 2, 0x12, 9],
        ];
        for framed in no {
            assert!(
                matches!(serving(framed), Err(CheckError::NoGrpc)),
                "{framed:?}"
            );
        }
    }
}
