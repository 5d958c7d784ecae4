//! What the service is asked: all that is sent, in one order, so that equal questions are equal bytes.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderMap, Request, Uri, header};

use crate::auth::jwt::key::sha256;
use crate::auth::jwt::verdicts::Digest;
use crate::contract::prelude::*;

const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A question about one request.
pub(super) struct Question<'a> {
    sent: Vec<(&'a HeaderName, &'a HeaderValue)>,
    method: &'a Method,
    proto: &'static str,
    host: &'a str,
    uri: String,
    client: String,
}

impl<'a> Question<'a> {
    pub(super) fn about(request: &RequestView<'a>, send: &'a [HeaderName]) -> Self {
        let headers: &'a HeaderMap = request.headers;
        let fields = send.iter().flat_map(|name| {
            let values = headers.get_all(name).iter();
            values.map(move |value| (name, value))
        });
        let mut uri = request.path.to_owned();
        if let Some(query) = request.query {
            uri.push('?');
            uri.push_str(query);
        }
        Self {
            sent: fields.collect(),
            method: request.method,
            proto: if request.secure { "https" } else { "http" },
            host: request.host,
            uri,
            client: request
                .client
                .map(|client| client.to_string())
                .unwrap_or_default(),
        }
    }

    /// The request to the service; `None` where something cannot be written in a header.
    pub(super) fn request(&self, url: &Uri) -> Option<Request<Bytes>> {
        let mut request = Request::get(url.clone()).body(Bytes::new()).ok()?;
        let headers = request.headers_mut();
        for (name, value) in &self.sent {
            headers.append((*name).clone(), (*value).clone());
        }
        let told = [
            (METHOD, self.method.as_str()),
            (PROTO, self.proto),
            (HOST, self.host),
            (URI, &self.uri),
            (FOR, &self.client),
        ];
        for (name, text) in told {
            if !text.is_empty() {
                headers.insert(name, HeaderValue::try_from(text).ok()?);
            }
        }
        // Nobody but the service itself may answer.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Some(request)
    }

    /// Every part with its length before it: no two questions have the same bytes.
    fn framed(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        let mut part = |part: &[u8]| {
            bytes.extend_from_slice(&part.len().to_be_bytes());
            bytes.extend_from_slice(part);
        };
        part(self.method.as_str().as_bytes());
        part(self.proto.as_bytes());
        part(self.host.as_bytes());
        part(self.uri.as_bytes());
        part(self.client.as_bytes());
        for (name, value) in &self.sent {
            part(name.as_str().as_bytes());
            part(value.as_bytes());
        }
        bytes
    }

    /// The same for the very same question only.
    pub(super) fn digest(&self) -> Digest {
        sha256(&self.framed())
    }

    /// About how much it takes.
    pub(super) fn len(&self) -> usize {
        self.framed().len()
    }

    /// The same for the same headers, whatever is asked for with them.
    pub(super) fn fingerprint(&self) -> String {
        let alone = Self {
            sent: self.sent.clone(),
            method: &Method::GET,
            proto: "",
            host: "",
            uri: String::new(),
            client: String::new(),
        };
        let mut text = String::with_capacity(64);
        for byte in alone.digest() {
            // Writing to a string cannot fail.
            write!(text, "{byte:02x}").unwrap_or_default();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::testing::TestRequest;

    const SEND: &[HeaderName] = &[header::AUTHORIZATION, header::COOKIE];

    fn asked(request: &TestRequest) -> HeaderMap {
        let url = Uri::from_static("http://127.0.0.1:1/verify?a=b");
        let question = Question::about(&request.view(), SEND)
            .request(&url)
            .unwrap();
        assert_eq!((question.method(), question.uri()), (&Method::GET, &url));
        question.headers().clone()
    }

    #[test]
    fn says_what_the_request_is_and_what_was_chosen_of_it() {
        let request = TestRequest::new("POST", "https://Shop.Example/a/b?x=%20")
            .from("192.0.2.7")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("accept", "text/html")
            .header("x-forwarded-uri", "/evil");
        let headers = asked(&request);
        let text = |name: &str| {
            let values = headers
                .get_all(name)
                .iter()
                .map(|value| value.to_str().unwrap());
            values.collect::<Vec<_>>().join("|")
        };
        assert_eq!(text("x-forwarded-method"), "POST");
        assert_eq!(text("x-forwarded-proto"), "https");
        assert_eq!(text("x-forwarded-host"), "shop.example");
        assert_eq!(text("x-forwarded-uri"), "/a/b?x=%20");
        assert_eq!(text("x-forwarded-for"), "192.0.2.7");
        assert_eq!(text("cookie"), "a=1|b=2");
        assert!(!headers.contains_key("accept") && !headers.contains_key("authorization"));
    }

    #[test]
    fn questions_differ_when_anything_does() {
        let get = |url: &str| TestRequest::get(url);
        let digest = |request: &TestRequest| Question::about(&request.view(), SEND).digest();
        let all = [
            get("http://a/b"),
            get("https://a/b"),
            get("http://a/b?"),
            get("http://a/b?c"),
            get("http://ab/"),
            get("http://a/b").from("192.0.2.9"),
            TestRequest::new("HEAD", "http://a/b"),
            get("http://a/b").header("cookie", "a=1"),
            get("http://a/b").header("authorization", "a=1"),
            get("http://a/b")
                .header("cookie", "a=1")
                .header("cookie", ""),
            get("http://a/b")
                .header("cookie", "")
                .header("cookie", "a=1"),
        ];
        let mut digests: Vec<_> = all.iter().map(digest).collect();
        assert_eq!(digest(&get("http://a/b").header("accept", "x")), digests[0]);
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), all.len());
    }

    #[test]
    fn a_person_is_what_was_sent() {
        let print = |request: TestRequest| Question::about(&request.view(), SEND).fingerprint();
        let me = print(TestRequest::get("http://a/b").header("cookie", "me"));
        assert_eq!(
            me,
            print(TestRequest::new("POST", "https://c/d").header("cookie", "me"))
        );
        assert_ne!(
            me,
            print(TestRequest::get("http://a/b").header("cookie", "you"))
        );
        assert_eq!(me.len(), 64);
    }
}
