//! JSON as tokens must have it: one object, no member twice at any depth, no deeper than thirty-two levels.
//!
//! Parsers differ in which of two equal members they take; whoever finds a token valid must have read what its issuer
//! wrote (RFC 7515 section 4, RFC 7519 section 4).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels of objects and lists, the outermost included.
const DEPTH_MAX: usize = 32;

/// The object that these bytes are, if they are one.
pub fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict(DEPTH_MAX).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    match value {
        Value::Object(members) => Some(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    }
}

/// Reads any value with this many levels left.
#[derive(Clone, Copy)]
struct Strict(usize);

impl Strict {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let left = self.0.checked_sub(1);
        left.map(Self).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON with distinct members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let value = object.next_value_seed(inner)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_object(text: &str) -> bool {
        object(text.as_bytes()).is_some()
    }

    #[test]
    fn reads_an_object() {
        let members = object(br#" {"a": [1, -2, 1.5, "x", null, true], "b": {"c": "\u00e9"}} "#);
        let members = Value::Object(members.unwrap());
        assert_eq!(
            members,
            serde_json::json!({ "a": [1, -2, 1.5, "x", null, true], "b": { "c": "é" } })
        );
    }

    #[test]
    fn refuses_a_member_that_occurs_twice() {
        assert!(!is_object(r#"{"a":1,"a":1}"#));
        assert!(!is_object(r#"{"a":{"b":1,"b":2}}"#));
        assert!(!is_object(r#"{"a":[{"b":1,"b":2}]}"#));
        assert!(!is_object(r#"{"a":1,"\u0061":1}"#), "however it is written");
        assert!(is_object(r#"{"a":1,"A":1}"#));
    }

    #[test]
    fn refuses_what_is_no_object() {
        for text in [
            "",
            " ",
            "1",
            "null",
            "[]",
            "\"a\"",
            "{",
            "{}}",
            "{} {}",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":1e400}",
            "{\"a\":NaN}",
            "{\"a\":01}",
            "\u{feff}{}",
            "{\"a\":\"\\ud800\"}",
            "{}//",
        ] {
            assert!(!is_object(text), "{text:?}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_none(), "not UTF-8");
    }

    #[test]
    fn refuses_what_is_too_deep() {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
            format!("{{\"a\":{open}{close}}}")
        };
        assert!(is_object(&nested(DEPTH_MAX)));
        assert!(!is_object(&nested(DEPTH_MAX + 1)));
        assert!(!is_object(&nested(5_000)));
    }
}
