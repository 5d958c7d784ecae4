//! `WWW-Authenticate`: what a client without a good credential is told (RFC 9110 section 11.6.1, RFC 6750, RFC 7617).

use crate::contract::prelude::*;

/// The challenges of one provider, made at reload.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Challenges {
    /// Nothing was shown.
    pub missing: Option<HeaderValue>,
    /// What was shown is not valid.
    pub invalid: Option<HeaderValue>,
    /// More than one was shown.
    pub ambiguous: Option<HeaderValue>,
}

impl Challenges {
    /// A provider that challenges nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// `Bearer realm="…"`, with the error codes of RFC 6750 section 3.1.
    pub fn bearer(realm: &str) -> Self {
        let with = |error: &str| value(format!("Bearer realm={}{error}", quoted(realm)));
        Self {
            missing: with(""),
            invalid: with(", error=\"invalid_token\""),
            ambiguous: with(", error=\"invalid_request\""),
        }
    }

    /// The same challenge whatever happened.
    pub fn new(scheme: &str, parameters: &[(&str, &str)]) -> Self {
        let parameter = |(name, value): &(&str, &str)| format!("{name}={}", quoted(value));
        let parameters: Vec<String> = parameters.iter().map(parameter).collect();
        let same = value(format!("{scheme} {}", parameters.join(", ")));
        Self {
            missing: same.clone(),
            invalid: same.clone(),
            ambiguous: same,
        }
    }
}

/// A quoted string (RFC 9110 section 5.6.4) of what fits into one.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            quoted.push('\\');
        }
        if letter == ' ' || letter.is_ascii_graphic() {
            quoted.push(letter);
        }
    }
    quoted.push('"');
    quoted
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_in_the_words_of_rfc_6750() {
        let bearer = Challenges::bearer("orders");
        assert_eq!(bearer.missing.unwrap(), "Bearer realm=\"orders\"");
        assert_eq!(
            bearer.invalid.unwrap(),
            "Bearer realm=\"orders\", error=\"invalid_token\""
        );
    }

    #[test]
    fn a_realm_cannot_leave_its_quotes() {
        let basic = Challenges::new(
            "Basic",
            &[("realm", "a\"b\\\r\nc\u{e4}"), ("charset", "UTF-8")],
        );
        assert_eq!(
            basic.missing.unwrap(),
            r#"Basic realm="a\"b\\c", charset="UTF-8""#
        );
    }
}
