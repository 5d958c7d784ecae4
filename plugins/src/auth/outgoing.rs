//! What the upstream learns of who asks: headers of the operator's choice in, the credential out.

use std::collections::BTreeMap;

use http::{Uri, header};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::credential::{Scheme, Source, Sources};
use crate::contract::prelude::*;
use crate::contract::value::is_query_key;

/// Names that no identity can travel under: framing, routing and the connection depend on them.
const TAKEN: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "proxy-connection",
    "cookie",
    "content-type",
    "expect",
    "via",
    "forwarded",
    "x-request-id",
];

/// `identity-headers` as meant.
pub(super) fn validate(
    written: Option<&At<BTreeMap<String, At<Value>>>>,
    report: &mut Report,
) -> Vec<(HeaderName, Value)> {
    let mut headers = Vec::new();
    for (name, value) in written.into_iter().flat_map(|written| written.iter()) {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
        let Some(parsed) = parsed.filter(|_| !name.contains('_')) else {
            report
                .error(
                    value.span(),
                    "auth.identity-header",
                    format!("`{name}` is not the name of a header"),
                )
                .help("write letters, digits and `-`");
            continue;
        };
        if TAKEN.contains(&parsed.as_str()) || parsed.as_str().starts_with("x-forwarded-") {
            report
                .error(
                    value.span(),
                    "auth.identity-header",
                    format!("`{name}` means something else"),
                )
                .help("choose a header of your own, for example x-user");
            continue;
        }
        if !is_identity(value) {
            report
                .error(
                    value.span(),
                    "auth.identity-header",
                    format!("`{}` says nothing of who asks", **value),
                )
                .help("use claim.NAME, consumer.name, consumer.plan or identity here, and `headers` for the rest");
            continue;
        }
        headers.push((parsed, (**value).clone()));
    }
    headers
}

fn is_identity(value: &Value) -> bool {
    matches!(
        value,
        Value::Claim(_) | Value::ConsumerName | Value::ConsumerPlan | Value::Identity
    )
}

/// Tells the upstream who asks. What is not known of somebody is left out; no client can have sent it.
pub(super) fn tell(
    headers: &[(HeaderName, Value)],
    request: &RequestView<'_>,
    head: &mut RequestHeader,
) {
    for (name, value) in headers {
        let Ok(text) = request.lookup(value) else {
            continue;
        };
        // What is no visible ASCII is percent-encoded, as wherever a value lands in a header.
        let encoded = utf8_percent_encode(&text, CONTROLS).to_string();
        if let Ok(value) = HeaderValue::try_from(encoded) {
            set(head, name, value);
        }
    }
}

/// Sets a header field, whatever its name was before.
pub(super) fn set(head: &mut RequestHeader, name: &HeaderName, value: HeaderValue) {
    // Fails only beyond the most fields that a map can hold; no listener lets so many in.
    drop(head.insert_header(name.clone(), value));
}

/// Takes the credential out of the head for the upstream.
pub(super) fn strip(sources: &Sources, head: &mut RequestHeader) {
    for source in sources.iter() {
        match source {
            Source::Scheme(scheme) => {
                if has_scheme(head, *scheme) {
                    head.remove_header(&header::AUTHORIZATION);
                }
            }
            Source::Header(name) => {
                head.remove_header(name);
            }
            Source::Cookie(name) => strip_cookie(name, head),
            Source::Query(name) => strip_query(name, head),
            Source::Certificate | Source::Request { .. } => {}
        }
    }
}

fn has_scheme(head: &RequestHeader, scheme: Scheme) -> bool {
    let field = head.headers.get(header::AUTHORIZATION);
    let text = field.map_or(&[][..], HeaderValue::as_bytes);
    let name = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    name.eq_ignore_ascii_case(scheme.name().as_bytes())
}

/// Removes the cookie of this name and no other.
fn strip_cookie(name: &str, head: &mut RequestHeader) {
    let is_it = |pair: &[u8]| {
        let key = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        key.trim_ascii() == name.as_bytes()
    };
    let fields: Vec<Vec<u8>> = head
        .headers
        .get_all(header::COOKIE)
        .iter()
        .map(|field| {
            let pairs = field.as_bytes().split(|byte| *byte == b';');
            let kept: Vec<&[u8]> = pairs
                .map(<[u8]>::trim_ascii)
                .filter(|pair| !pair.is_empty() && !is_it(pair))
                .collect();
            kept.join(&b"; "[..])
        })
        .collect();
    if fields.is_empty() {
        return;
    }
    head.remove_header(&header::COOKIE);
    for field in fields.into_iter().filter(|field| !field.is_empty()) {
        if let Ok(value) = HeaderValue::from_bytes(&field) {
            drop(head.append_header(header::COOKIE, value));
        }
    }
}

/// Removes the query parameter of this name and no other; the rest stays as it was written.
fn strip_query(name: &str, head: &mut RequestHeader) {
    let Some(query) = head.uri.query() else {
        return;
    };
    let is_it = |pair: &&str| is_query_key(pair.split('=').next().unwrap_or_default(), name);
    if !query.split('&').any(|pair| is_it(&pair)) {
        return;
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_it(pair)).collect();
    let mut target = head.uri.path().to_owned();
    if !kept.is_empty() {
        target.push('?');
        target.push_str(&kept.join("&"));
    }
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = target.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        head.set_uri(uri);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::testing::{TestRequest, joined};
    use std::sync::Arc;

    fn stripped(source: Source, request: &TestRequest, query: &str) -> RequestHeader {
        let mut head = request.upstream_head();
        head.set_uri(format!("/a{query}").parse().unwrap());
        strip(&Sources::new([source]), &mut head);
        head
    }

    #[test]
    fn takes_out_one_cookie_and_leaves_the_others() {
        let source = || Source::Cookie(Arc::from("token"));
        let request = TestRequest::get("http://a.example/")
            .header("cookie", "a=1; token=x; b=2")
            .header("cookie", "token=y");
        let head = stripped(source(), &request, "");
        assert_eq!(joined(&head.headers, "cookie").unwrap(), "a=1; b=2");
        let request = TestRequest::get("http://a.example/").header("cookie", "token2=x");
        let head = stripped(source(), &request, "");
        assert_eq!(joined(&head.headers, "cookie").unwrap(), "token2=x");
    }

    #[test]
    fn takes_out_one_parameter_and_leaves_the_others_as_written() {
        let query = |query: &str| {
            let request = TestRequest::get("http://a.example/");
            let head = stripped(Source::Query(Arc::from("key")), &request, query);
            head.uri.to_string()
        };
        assert_eq!(query("?a=%41&key=1&b"), "/a?a=%41&b");
        assert_eq!(query("?k%65y=1"), "/a");
        assert_eq!(query("?keys=1"), "/a?keys=1");
        assert_eq!(query(""), "/a");
    }

    #[test]
    fn leaves_an_authorization_of_another_scheme() {
        let with = |value: &str| {
            let request = TestRequest::get("http://a.example/").header("authorization", value);
            stripped(Source::Scheme(Scheme::Bearer), &request, "")
        };
        assert!(with("bearer x").headers.is_empty());
        assert!(!with("Basic x").headers.is_empty());
    }
}
