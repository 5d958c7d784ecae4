//! The cookies that carry a sealed text: `NAME`, and where it is too long for one, `NAME-1` and so on.
//!
//! `Secure`, `HttpOnly`, `SameSite=Lax`, for no other host; where clients come by https the name starts with `__Host-`
//! or `__Secure-`, which browsers hold to that. The first piece says how many there are, so that a piece that is missing or
//! left over from before is noticed.

use std::time::Duration;

use cookie::{Cookie, SameSite};
use http::HeaderValue;

use crate::contract::value::{self, ValueError};
use crate::contract::view::RequestView;

/// Bytes of one piece: browsers keep 4096 with name and attributes.
const PIECE: usize = 3584;
/// Pieces of one text.
pub(in crate::auth) const PIECES_MAX: usize = 5;

/// How the cookies of one provider are called and kept.
pub(in crate::auth) struct Cookies {
    name: Box<str>,
    secure: bool,
}

/// A text is too long for a client to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::auth) struct TooLong;

impl Cookies {
    /// Cookies of this name, with a prefix where clients come by https.
    pub(in crate::auth) fn new(name: &str, secure: bool) -> Self {
        let prefix = if secure && !name.starts_with("__Host-") {
            "__Host-"
        } else {
            ""
        };
        Self {
            name: format!("{prefix}{name}").into(),
            secure,
        }
    }

    /// The names of all pieces.
    pub(in crate::auth) fn names(&self) -> impl Iterator<Item = String> + '_ {
        (0..PIECES_MAX).map(|index| self.piece(index))
    }

    /// The name of the first piece.
    pub(in crate::auth) fn name(&self) -> &str {
        &self.name
    }

    fn piece(&self, index: usize) -> String {
        match index {
            0 => self.name.to_string(),
            index => format!("{}-{index}", self.name),
        }
    }

    /// The text that a request carries; `None` where there is none, an error where a piece is missing or there twice.
    pub(in crate::auth) fn read(
        &self,
        request: &RequestView<'_>,
    ) -> Result<Option<String>, ValueError> {
        let first = match value::cookie(request.headers, &self.name) {
            Ok(first) => first,
            Err(ValueError::Missing) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (count, start) = first.split_once('.').ok_or(ValueError::NotText)?;
        let count: usize = count.parse().map_err(|_| ValueError::NotText)?;
        if count == 0 || count > PIECES_MAX {
            return Err(ValueError::NotText);
        }
        let mut text = start.to_owned();
        for index in 1..count {
            text.push_str(&value::cookie(request.headers, &self.piece(index))?);
        }
        Ok(Some(text))
    }

    /// `Set-Cookie` fields that make a client carry this text, and no piece of another.
    pub(in crate::auth) fn write(
        &self,
        text: &str,
        keep: Duration,
    ) -> Result<Vec<HeaderValue>, TooLong> {
        // Sealed texts are ASCII.
        let bytes = text.as_bytes();
        let pieces: Vec<&[u8]> = bytes.chunks(PIECE).collect();
        if pieces.len() > PIECES_MAX {
            return Err(TooLong);
        }
        let mut fields = Vec::with_capacity(PIECES_MAX);
        for index in 0..PIECES_MAX {
            let field = match pieces.get(index) {
                Some(piece) => {
                    let piece = String::from_utf8_lossy(piece);
                    let piece = match index {
                        0 => format!("{}.{piece}", pieces.len()),
                        _ => piece.into_owned(),
                    };
                    self.field(self.piece(index), piece, "/", keep)
                }
                None => self.gone(self.piece(index), "/"),
            };
            fields.extend(field);
        }
        Ok(fields)
    }

    /// `Set-Cookie` fields that make a client forget all pieces.
    pub(in crate::auth) fn forget(&self) -> Vec<HeaderValue> {
        self.names()
            .filter_map(|name| self.gone(name, "/"))
            .collect()
    }

    /// A cookie of its own beside the session's: its name is `suffix` behind ours, and only `path` gets it.
    pub(in crate::auth) fn beside(&self, suffix: &str) -> String {
        // `__Host-` demands that every path gets it.
        let plain = self.name.strip_prefix("__Host-").unwrap_or(&self.name);
        let prefix = if self.secure { "__Secure-" } else { "" };
        format!("{prefix}{plain}-{suffix}")
    }

    /// One `Set-Cookie`.
    pub(in crate::auth) fn field(
        &self,
        name: String,
        value: String,
        path: &str,
        keep: Duration,
    ) -> Option<HeaderValue> {
        let seconds = i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
        let cookie = Cookie::build((name, value))
            .path(path.to_owned())
            .secure(self.secure)
            .http_only(true)
            .same_site(SameSite::Lax)
            .max_age(cookie::time::Duration::seconds(seconds));
        HeaderValue::try_from(cookie.to_string()).ok()
    }

    /// One `Set-Cookie` that ends a cookie.
    pub(in crate::auth) fn gone(&self, name: String, path: &str) -> Option<HeaderValue> {
        self.field(name, String::new(), path, Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::testing::TestRequest;

    /// What a client that got these fields sends.
    fn carried(fields: &[HeaderValue]) -> TestRequest {
        let pair = |field: &HeaderValue| {
            let text = field.to_str().unwrap();
            let gone = text.contains("Max-Age=0");
            (!gone).then(|| text.split(';').next().unwrap().to_owned())
        };
        let cookies: Vec<String> = fields.iter().filter_map(pair).collect();
        TestRequest::get("https://a.example/").header("cookie", cookies.join("; "))
    }

    #[test]
    fn a_text_comes_back_whatever_its_length() {
        let cookies = Cookies::new("session", true);
        for length in [1, PIECE, PIECE + 1, PIECE * PIECES_MAX] {
            let text = "x".repeat(length);
            let fields = cookies.write(&text, Duration::from_mins(1)).unwrap();
            assert_eq!(cookies.read(&carried(&fields).view()), Ok(Some(text)));
        }
        let too_long = "x".repeat(PIECE * PIECES_MAX + 1);
        assert_eq!(cookies.write(&too_long, Duration::ZERO), Err(TooLong));
    }

    #[test]
    fn a_browser_is_told_to_keep_it_to_itself() {
        let field = |secure| {
            let fields = Cookies::new("session", secure)
                .write("x", Duration::from_mins(1))
                .unwrap();
            fields[0].to_str().unwrap().to_owned()
        };
        assert_eq!(
            field(true),
            "__Host-session=1.x; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"
        );
        assert_eq!(
            field(false),
            "session=1.x; HttpOnly; SameSite=Lax; Path=/; Max-Age=60"
        );
        assert_eq!(Cookies::new("s", true).beside("flow"), "__Secure-s-flow");
    }

    #[test]
    fn pieces_that_do_not_fit_together_are_an_error() {
        let cookies = Cookies::new("s", false);
        let read = |cookie: &str| {
            let request = TestRequest::get("http://a.example/").header("cookie", cookie);
            cookies.read(&request.view())
        };
        assert_eq!(read("other=1"), Ok(None));
        assert_eq!(read("s-1=b"), Ok(None));
        assert_eq!(read("s=2.a; s-1=b"), Ok(Some("ab".into())));
        // What is left over of a longer one is not read.
        assert_eq!(read("s=1.a; s-1=b"), Ok(Some("a".into())));
        assert_eq!(read("s=2.a"), Err(ValueError::Missing));
        assert_eq!(read("s=1.a; s=1.a"), Err(ValueError::Repeated));
        assert_eq!(read("s=2.a; s-1=b; s-1=c"), Err(ValueError::Repeated));
        for wrong in [
            "s=",
            "s=a",
            "s=0.a",
            "s=6.a",
            "s=-1.a",
            "s=99999999999999999999.a",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
