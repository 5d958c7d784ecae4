//! A token's header (RFC 7515 section 4.1). It says which of our keys and algorithms to try, and nothing more: keys that
//! it brings or points to (`jwk`, `jku`, `x5c`, `x5u`) are never looked at.

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::fault::Fault;

/// What a header says that matters.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// The algorithm, one of the provider's.
    pub algorithm: Algorithm,
    /// The key's name, only ever compared.
    pub kid: Option<Box<str>>,
}

/// Which types of token a provider takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TokenType {
    /// Those that say nothing, `JWT` or `at+jwt`. Tokens for other ends (logout, security events, proofs of possession)
    /// say so in their type (RFC 8725 section 3.11) and are no credentials.
    #[default]
    Usual,
    /// This one alone.
    Exactly(Box<str>),
}

/// The types that [`TokenType::Usual`] means.
const USUAL: &[&str] = &["jwt", "at+jwt"];

impl Header {
    /// Reads a header for a provider of these algorithms.
    pub fn read(
        mut members: Map<String, Value>,
        algorithms: &[Algorithm],
        types: &TokenType,
    ) -> Result<Self, Fault> {
        let Some(Value::String(name)) = members.get("alg") else {
            return Err(Fault::NoAlgorithm);
        };
        let algorithm = Algorithm::named(name).filter(|named| algorithms.contains(named));
        let algorithm = algorithm.ok_or(Fault::Algorithm)?;
        // A `crit` that is malformed is no less critical.
        if members.contains_key("crit") {
            return Err(Fault::Critical);
        }
        if !types.fits(members.get("typ")) {
            return Err(Fault::Type);
        }
        let kid = match members.remove("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.into_boxed_str()),
            Some(_) => return Err(Fault::KeyName),
        };
        Ok(Self { algorithm, kid })
    }
}

impl TokenType {
    /// Types are media types that may leave `application/` out (RFC 7515 section 4.1.9).
    fn fits(&self, said: Option<&Value>) -> bool {
        match (self, said) {
            (Self::Usual, None) => true,
            (Self::Usual, Some(Value::String(said))) => USUAL.contains(&short(said).as_str()),
            (Self::Exactly(wanted), Some(Value::String(said))) => short(wanted) == short(said),
            _ => false,
        }
    }
}

fn short(media_type: &str) -> String {
    let lower = media_type.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(rest) if !rest.contains('/') => rest.to_owned(),
        _ => lower,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(header: Value) -> Result<Header, Fault> {
        typed(header, &TokenType::Usual)
    }

    fn typed(header: Value, types: &TokenType) -> Result<Header, Fault> {
        let Value::Object(members) = header else {
            panic!("a header is an object");
        };
        Header::read(members, &[Algorithm::Rs256, Algorithm::Es256], types)
    }

    #[test]
    fn takes_the_providers_algorithms_only() {
        assert_eq!(
            read(json!({ "alg": "ES256", "kid": "../../etc/passwd" })).unwrap(),
            Header {
                algorithm: Algorithm::Es256,
                kid: Some("../../etc/passwd".into())
            }
        );
        for alg in ["HS256", "none", "None", "rs256", "RS512", "", "RS256\0"] {
            assert_eq!(
                read(json!({ "alg": alg })),
                Err(Fault::Algorithm),
                "{alg:?}"
            );
        }
        for header in [
            json!({}),
            json!({ "alg": null }),
            json!({ "alg": ["RS256"] }),
            json!({ "Alg": "RS256" }),
        ] {
            assert_eq!(read(header), Err(Fault::NoAlgorithm));
        }
    }

    #[test]
    fn understands_nothing_critical() {
        for crit in [
            json!(["b64"]),
            json!(["exp"]),
            json!([]),
            json!("x"),
            json!(null),
        ] {
            let header = json!({ "alg": "RS256", "crit": crit, "b64": false, "exp": 1 });
            assert_eq!(read(header), Err(Fault::Critical));
        }
    }

    #[test]
    fn a_key_is_named_by_a_string() {
        assert_eq!(read(json!({ "alg": "RS256" })).unwrap().kid, None);
        assert_eq!(
            read(json!({ "alg": "RS256", "kid": "" })).unwrap().kid,
            Some("".into())
        );
        for kid in [json!(null), json!(1), json!(["a"]), json!({ "a": 1 })] {
            assert_eq!(
                read(json!({ "alg": "RS256", "kid": kid })),
                Err(Fault::KeyName)
            );
        }
    }

    #[test]
    fn judges_the_type() {
        let with = |typ: Value| json!({ "alg": "RS256", "typ": typ });
        for typ in [
            "JWT",
            "jwt",
            "application/JWT",
            "at+jwt",
            "application/at+jwt",
        ] {
            assert!(read(with(json!(typ))).is_ok(), "{typ}");
        }
        for typ in [
            json!("logout+jwt"),
            json!("JWE"),
            json!(""),
            json!(null),
            json!(1),
            json!("text/jwt"),
        ] {
            assert_eq!(read(with(typ)), Err(Fault::Type));
        }
        let exactly = TokenType::Exactly("at+jwt".into());
        assert!(typed(with(json!("application/AT+JWT")), &exactly).is_ok());
        assert_eq!(typed(with(json!("JWT")), &exactly), Err(Fault::Type));
        assert_eq!(typed(json!({ "alg": "RS256" }), &exactly), Err(Fault::Type));
    }
}
