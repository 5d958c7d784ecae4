//! Tokens to which HTTP gives a meaning: methods and names of header fields.

use std::str::FromStr;

use http::{HeaderMap, HeaderName, Method, header};

use super::leaf::LeafError;
use crate::leaf;

/// A method, `"GET"`: upper-case, as all registered ones are; methods are case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodName(Method);

/// The name of a header field, `"x-tenant"`: in lower case and without `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName(HeaderName);

leaf!(MethodName, "method-name", "a method: \"GET\"");
leaf!(FieldName, "header-name", "a header's name: \"x-tenant\"");

impl MethodName {
    /// The method itself.
    pub fn method(&self) -> &Method {
        &self.0
    }
}

impl FieldName {
    /// The name itself.
    pub fn name(&self) -> &HeaderName {
        &self.0
    }
}

impl FromStr for MethodName {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let upper = text.to_ascii_uppercase();
        match Method::from_bytes(upper.as_bytes()) {
            Ok(method) if upper == text && text != "*" => Ok(Self(method)),
            Ok(_) if upper != text => Err(LeafError::new(format!("`{text}` is not a method"))
                .help(format!("write \"{upper}\""))),
            _ => Err(LeafError::new(format!("`{text}` is not a method"))
                .help("write for example \"GET\"")),
        }
    }
}

impl FromStr for FieldName {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        if text.contains('_') {
            return Err(LeafError::new(format!(
                "`{text}` holds `_`, which many servers read as `-`"
            ))
            .help(format!("write \"{}\"", text.replace('_', "-"))));
        }
        HeaderName::from_bytes(text.as_bytes())
            .map(Self)
            .map_err(|_| LeafError::new(format!("`{text}` is not the name of a header")))
    }
}

/// The method that a CORS preflight asks about: `OPTIONS` with one `Origin` and one `Access-Control-Request-Method`.
///
/// A preflight is routed and judged by that method, not by `OPTIONS`: it carries nothing of its own.
pub fn preflight_method(method: &Method, headers: &HeaderMap) -> Option<Method> {
    if *method != Method::OPTIONS {
        return None;
    }
    let origins = headers.get_all(header::ORIGIN).iter().count();
    let mut asked = headers
        .get_all(header::ACCESS_CONTROL_REQUEST_METHOD)
        .iter();
    match (origins, asked.next(), asked.next()) {
        (1, Some(asked), None) => Method::from_bytes(asked.as_bytes()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_upper_case() {
        assert_eq!("GET".parse::<MethodName>().unwrap().method(), Method::GET);
        assert_eq!(
            "get".parse::<MethodName>().unwrap_err().help.unwrap(),
            "write \"GET\""
        );
        for text in ["", "*", "A B", "GET,POST"] {
            assert!(text.parse::<MethodName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn header_names_hold_no_underscore() {
        assert_eq!("X-A".parse::<FieldName>().unwrap().name(), "x-a");
        assert_eq!(
            "x_a".parse::<FieldName>().unwrap_err().help.unwrap(),
            "write \"x-a\""
        );
        assert!("x a".parse::<FieldName>().is_err());
        assert!("".parse::<FieldName>().is_err());
    }
}
