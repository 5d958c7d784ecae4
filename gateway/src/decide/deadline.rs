//! How long a client wants to wait: what `deadline-from` names, and `grpc-timeout` of a gRPC request.
//!
//! A client can only shorten what its route allows. What cannot be read is refused: a deadline that is silently ignored
//! is worse than none.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use plugins::contract::flow::Reply;
use plugins::contract::units::Time;

use super::refusals;
use crate::runtime::route::Route;

static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The time that a request asks for, if it asks.
pub fn asked(
    route: &Route,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Duration>, Box<Reply>> {
    let named = match &route.deadline_from {
        Some(name) => read(headers, name, |text| {
            Some(text.parse::<Time>().ok()?.duration())
        })?,
        None => None,
    };
    // Only a POST can be gRPC: all others are not looked at further.
    let grpc = if *method == Method::POST && is_grpc(headers) {
        read(headers, &GRPC_TIMEOUT, grpc_timeout)?
    } else {
        None
    };
    Ok(named.into_iter().chain(grpc).min())
}

/// Tells the upstream how much time is left, in the words of the client.
pub fn hand_on(route: &Route, headers: &mut HeaderMap, left: Duration) {
    let millis = left.as_millis();
    if let Some(name) = &route.deadline_from {
        insert(headers, name, &format!("{millis}ms"));
    }
    if headers.contains_key(&GRPC_TIMEOUT) && is_grpc(headers) {
        // At most eight digits.
        let text = match millis {
            0..=99_999_999 => format!("{millis}m"),
            _ => format!("{}S", left.as_secs().min(99_999_999)),
        };
        insert(headers, &GRPC_TIMEOUT, &text);
    }
}

fn insert(headers: &mut HeaderMap, name: &HeaderName, text: &str) {
    // Digits and a letter always make a value.
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name.clone(), value);
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn read(
    headers: &HeaderMap,
    name: &HeaderName,
    parse: impl Fn(&str) -> Option<Duration>,
) -> Result<Option<Duration>, Box<Reply>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let time = value.to_str().ok().and_then(parse);
    match (time, values.next()) {
        (Some(time), None) => Ok(Some(time)),
        _ => Err(refusals::deadline(name)),
    }
}

/// One to eight digits and a unit (the gRPC protocol over HTTP/2, "Requests").
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let fits = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| fits)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_units_of_grpc() {
        for (text, expected) in [
            ("1H", Some(Duration::from_hours(1))),
            ("2M", Some(Duration::from_mins(2))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("7n", Some(Duration::from_nanos(7))),
            ("0m", Some(Duration::ZERO)),
            ("100000000S", None),
            ("", None),
            ("m", None),
            ("1", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            ("1s", None),
            ("1ß", None),
        ] {
            assert_eq!(grpc_timeout(text), expected, "{text:?}");
        }
    }
}
