//! Where a request shows a credential, and reading it there: once, or not at all.
//!
//! What is read was sent by a client: a place that is taken twice is never read first or last, and text that no
//! credential can be is told apart from none at all, so that nobody becomes anonymous by a mistake.

use std::borrow::Cow;
use std::sync::Arc;

use http::header;

use crate::contract::prelude::*;
use crate::contract::value;

/// A place of the request that can hold a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `Authorization` with this scheme.
    Scheme(Scheme),
    /// A header field of its own.
    Header(HeaderName),
    /// A cookie.
    Cookie(Arc<str>),
    /// A query parameter.
    Query(Arc<str>),
    /// The certificate that the client showed.
    Certificate,
    /// The request as a whole: another service knows what of it counts.
    Request {
        /// Whether that may be its cookies.
        cookies: bool,
    },
}

/// A scheme of `Authorization` (RFC 9110 section 11.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 6750
    Bearer,
    /// RFC 7617
    Basic,
}

/// The places of one provider.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sources(Box<[Source]>);

/// What a request shows to one provider.
#[derive(Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// Nothing.
    Absent,
    /// This.
    One(Credential<'a>),
    /// More than one, or one twice.
    Several,
    /// Something that is no credential of this kind.
    Malformed(Source),
}

/// A credential as it was shown; nothing about it is proven, not even its form. `Debug` does not print it.
#[derive(PartialEq, Eq)]
pub struct Credential<'a> {
    bytes: Cow<'a, [u8]>,
    /// Where it stood.
    pub source: Source,
}

impl<'a> Credential<'a> {
    /// A text without its scheme; empty for a certificate.
    pub fn new(text: impl Into<Cow<'a, str>>, source: Source) -> Self {
        let bytes = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self { bytes, source }
    }

    /// As it was shown. Equal to one that is known to be good, it is good; otherwise its [`text`](Self::text) counts.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its text; `None` where it is no credential: after a scheme there is to be a token68 (RFC 9110 section 11.2). Looks at
    /// every byte.
    pub fn text(&self) -> Option<&str> {
        if matches!(self.source, Source::Scheme(_)) {
            token68(&self.bytes)
        } else {
            std::str::from_utf8(&self.bytes).ok()
        }
    }
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Display for Source {
    /// As it is written in `from`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scheme(_) => f.write_str("header.authorization"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Cookie(name) => write!(f, "cookie.{name}"),
            Self::Query(name) => write!(f, "query.{name}"),
            Self::Certificate => f.write_str("the client's certificate"),
            Self::Request { .. } => f.write_str("the request"),
        }
    }
}

impl Scheme {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
        }
    }
}

impl Source {
    /// Whether a credential in it is some text.
    fn has_text(&self) -> bool {
        !matches!(self, Self::Certificate | Self::Request { .. })
    }

    /// Whether a browser shows it by itself, whichever page asks.
    pub(super) fn is_shown_by_browsers(&self) -> bool {
        matches!(self, Self::Cookie(_) | Self::Request { cookies: true })
    }

    /// A place as written in `from`; `None` for a value that no credential can stand in.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Header(name) if *name == header::AUTHORIZATION => {
                Some(Self::Scheme(Scheme::Bearer))
            }
            Value::Header(name) => Some(Self::Header(name.clone())),
            Value::Cookie(name) => Some(Self::Cookie(Arc::from(&**name))),
            Value::Query(name) => Some(Self::Query(Arc::from(&**name))),
            Value::ClientIp
            | Value::Method
            | Value::Host
            | Value::HostPart(_)
            | Value::PathPart(_)
            | Value::Claim(_)
            | Value::ConsumerName
            | Value::ConsumerPlan
            | Value::Identity
            | Value::Route
            | Value::Listener => None,
        }
    }

    /// What stands in this place.
    pub fn read<'a>(&self, request: &RequestView<'a>) -> Presented<'a> {
        let found = match self {
            Self::Scheme(scheme) => return authorization(request.headers, *scheme),
            Self::Header(name) => value::header(request.headers, name),
            Self::Cookie(name) => value::cookie(request.headers, name),
            Self::Query(name) => value::query(request.query.unwrap_or_default(), name),
            Self::Request { .. } => Ok(Cow::Borrowed("")),
            Self::Certificate => match request.client_certificate {
                Some(_) => Ok(Cow::Borrowed("")),
                None => Err(ValueError::Missing),
            },
        };
        match found {
            Ok(text) if text.is_empty() && self.has_text() => Presented::Malformed(self.clone()),
            Ok(text) => Presented::One(Credential::new(text, self.clone())),
            Err(ValueError::Missing) => Presented::Absent,
            Err(ValueError::Repeated) => Presented::Several,
            Err(ValueError::NotText | ValueError::NotPath) => Presented::Malformed(self.clone()),
        }
    }
}

/// The one `Authorization` of this scheme: the scheme in any case, one space, and the rest, whose form is looked at by whoever
/// does not know it: tokens are long and most are remembered.
fn authorization(headers: &HeaderMap, scheme: Scheme) -> Presented<'_> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let Some(field) = fields.next() else {
        return Presented::Absent;
    };
    if fields.next().is_some() {
        return Presented::Several;
    }
    let bytes = field.as_bytes();
    let end = bytes.iter().position(|byte| *byte == b' ');
    let (name, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    if !name.eq_ignore_ascii_case(scheme.name().as_bytes()) {
        return Presented::Absent;
    }
    let source = Source::Scheme(scheme);
    match rest.get(1..) {
        Some(bytes) => Presented::One(Credential {
            bytes: Cow::Borrowed(bytes),
            source,
        }),
        None => Presented::Malformed(source),
    }
}

fn token68(bytes: &[u8]) -> Option<&str> {
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let (text, _) = bytes.split_at(bytes.len() - padding);
    if !is_unpadded(text) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

/// Whether a text is a token68, and so can follow a scheme.
pub(super) fn is_token68(bytes: &[u8]) -> bool {
    token68(bytes).is_some()
}

/// To the end whatever is found: so the compiler looks at many bytes at once, and tokens are long.
fn is_unpadded(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .fold(true, |fits, byte| fits & fits_token68(*byte))
}

/// Letters, digits and `-._~+/`.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch would make it one byte at a time"
)]
fn fits_token68(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    // `-`, `.` and `/` stand before the digits.
    let digit = byte.wrapping_sub(b'-') <= b'9' - b'-';
    letter | digit | (byte == b'_') | (byte == b'~') | (byte == b'+')
}

impl Sources {
    /// These places.
    pub fn new(places: impl IntoIterator<Item = Source>) -> Self {
        Self(places.into_iter().collect())
    }

    /// `from = ["header.authorization", "cookie.token"]`; `header.authorization` means its scheme `Bearer`.
    pub fn validate(
        written: Option<&At<Vec<At<Value>>>>,
        default: &[Source],
        report: &mut Report,
    ) -> Self {
        let Some(written) = written else {
            return Self::new(default.iter().cloned());
        };
        if written.is_empty() {
            report
                .error(
                    written.span(),
                    "auth.from",
                    "`from` is empty, so nobody could show a credential",
                )
                .help("name a place, for example \"header.x-api-key\", or remove the key");
        }
        let mut places: Vec<Source> = Vec::new();
        for value in written.iter() {
            match Source::of(value) {
                Some(place) if places.contains(&place) => {
                    let message = format!("`{}` is named twice", **value);
                    report
                        .error(value.span(), "auth.from", message)
                        .help("remove one of the two");
                }
                Some(place) => places.push(place),
                None => {
                    let message = format!("`{}` cannot hold a credential", **value);
                    report
                        .error(value.span(), "auth.from", message)
                        .help("name a header, a cookie or a query parameter");
                }
            }
        }
        Self::new(places)
    }

    /// The places one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    /// The one credential in all of them.
    pub fn read<'a>(&self, request: &RequestView<'a>) -> Presented<'a> {
        let mut found = Presented::Absent;
        for source in &self.0 {
            match (source.read(request), &found) {
                (Presented::Absent, _) => {}
                (Presented::Several, _) => return Presented::Several,
                (shown, Presented::Absent) => found = shown,
                _ => return Presented::Several,
            }
        }
        found
    }

    /// Whether `Authorization` is among them.
    pub fn reads_authorization(&self) -> bool {
        self.iter()
            .any(|source| matches!(source, Source::Scheme(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::testing::TestRequest;

    fn get(url: &str) -> TestRequest {
        TestRequest::get(url)
    }

    fn text(presented: Presented<'_>) -> String {
        match presented {
            Presented::Absent => "absent".into(),
            Presented::Several => "several".into(),
            Presented::Malformed(_) => "malformed".into(),
            Presented::One(credential) => credential.text().unwrap_or("malformed").into(),
        }
    }

    fn bearer(value: &str) -> String {
        let request = get("http://a.example/").header("authorization", value);
        text(Source::Scheme(Scheme::Bearer).read(&request.view()))
    }

    #[test]
    fn reads_a_scheme_in_any_case_with_one_space() {
        assert_eq!(bearer("Bearer abc"), "abc");
        assert_eq!(bearer("bEARER a-._~+/9=="), "a-._~+/9==");
        assert_eq!(bearer("Basic abc"), "absent");
        for wrong in [
            "Bearer",
            "Bearer ",
            "Bearer  abc",
            "Bearer a b",
            "Bearer a,b",
            "Bearer =",
            "Bearer a=b",
            "Bearer \u{e4}",
        ] {
            assert_eq!(bearer(wrong), "malformed", "{wrong:?}");
        }
        assert_eq!(bearer("Bearerabc"), "absent");
        assert_eq!(bearer("Bearer\tabc"), "absent");
    }

    #[test]
    fn a_token_has_the_bytes_of_its_grammar() {
        for byte in 0..=u8::MAX {
            let expected = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(fits_token68(byte), expected, "{byte:#x}");
        }
    }

    #[test]
    fn a_credential_shown_twice_is_several() {
        let twice = get("http://a.example/")
            .header("authorization", "Bearer a")
            .header("authorization", "Basic b");
        let both = get("http://a.example/?key=1").header("x-api-key", "1");
        let sources = Sources::new([
            Source::Header(HeaderName::from_static("x-api-key")),
            Source::Query("key".into()),
        ]);
        assert_eq!(
            Source::Scheme(Scheme::Bearer).read(&twice.view()),
            Presented::Several
        );
        assert_eq!(sources.read(&both.view()), Presented::Several);
        let query = get("http://a.example/?key=1&key=1");
        assert_eq!(sources.read(&query.view()), Presented::Several);
    }

    #[test]
    fn an_empty_credential_is_no_credential() {
        let sources = Sources::new([Source::Query("key".into()), Source::Cookie("k".into())]);
        let shown = |request: &TestRequest| text(sources.read(&request.view()));
        assert_eq!(shown(&get("http://a.example/?key=")), "malformed");
        assert_eq!(shown(&get("http://a.example/?key=%ff")), "malformed");
        let cookie = get("http://a.example/").header("cookie", "a=b; k=v");
        assert_eq!(shown(&cookie), "v");
        assert_eq!(shown(&get("http://a.example/?other=1")), "absent");
    }

    #[test]
    fn never_prints_a_credential() {
        let request = get("http://a.example/").header("authorization", "Bearer hunter2");
        let shown = Source::Scheme(Scheme::Bearer).read(&request.view());
        assert!(!format!("{shown:?}").contains("hunter2"));
    }
}
