//! A set of keys as identity providers publish it (RFC 7517 section 5), read for the algorithms that a provider counts.
//!
//! What cannot be used is skipped, as the RFC asks: unknown types, keys for encryption, keys of other algorithms, secrets.
//! A key beside whose public half the private one was published is no key any more.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::auth::jwt::algorithm::{Algorithm, Means};
use crate::auth::jwt::json;
use crate::auth::jwt::key::{Key, Keys, PublicKey};

/// Keys in one set.
const KEYS_MAX: usize = 1_000;

/// Why a document is not a set of keys that could be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Not one JSON object with distinct members.
    #[error("it is no JSON object")]
    NotJson,
    /// It has no list `keys` of objects.
    #[error("it has no list `keys` of objects")]
    NotASet,
    /// More keys than anybody needs.
    #[error("it has more than 1000 keys")]
    TooMany,
    /// None that can be used.
    #[error("none of its keys can be used")]
    NothingUsable,
}

/// Reads a set, keeping what serves one of these algorithms.
pub fn read(document: &[u8], algorithms: &[Algorithm]) -> Result<Keys, SetError> {
    let set = json::object(document).ok_or(SetError::NotJson)?;
    let Some(Value::Array(entries)) = set.get("keys") else {
        return Err(SetError::NotASet);
    };
    if entries.len() > KEYS_MAX {
        return Err(SetError::TooMany);
    }
    let mut keys = Vec::new();
    for entry in entries {
        let entry = entry.as_object().ok_or(SetError::NotASet)?;
        keys.extend(usable(entry, algorithms));
    }
    if keys.is_empty() {
        return Err(SetError::NothingUsable);
    }
    Ok(Keys::set(keys))
}

/// The key for each algorithm that it serves.
fn usable(entry: &Map<String, Value>, algorithms: &[Algorithm]) -> Vec<Key> {
    if !is_for_verifying(entry) || is_private(entry) {
        return Vec::new();
    }
    let Some(public) = public_key(entry) else {
        return Vec::new();
    };
    let kid = match entry.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.as_str()),
        Some(_) => return Vec::new(),
    };
    let algorithms = algorithms
        .iter()
        .filter(|algorithm| serves(entry, **algorithm));
    algorithms
        .filter_map(|algorithm| Key::public(&public, *algorithm).ok())
        .map(|key| key.named(kid))
        .collect()
}

/// `use` and `key_ops` where they are there (RFC 7517 sections 4.2 and 4.3).
fn is_for_verifying(entry: &Map<String, Value>) -> bool {
    let uses = match entry.get("use") {
        None => true,
        Some(uses) => uses == "sig",
    };
    let operations = match entry.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
        Some(_) => false,
    };
    uses && operations
}

fn is_private(entry: &Map<String, Value>) -> bool {
    entry.contains_key("d")
}

/// `alg` where it is there (RFC 7517 section 4.4).
fn serves(entry: &Map<String, Value>, algorithm: Algorithm) -> bool {
    match entry.get("alg") {
        None => true,
        Some(name) => name == algorithm.name(),
    }
}

/// RFC 7518 section 6, RFC 8037 section 2.
fn public_key(entry: &Map<String, Value>) -> Option<PublicKey> {
    let number = |name: &str| URL_SAFE_NO_PAD.decode(entry.get(name)?.as_str()?).ok();
    match entry.get("kty")?.as_str()? {
        "RSA" => Some(PublicKey::Rsa {
            n: number("n")?,
            e: number("e")?,
        }),
        "EC" => {
            let (curve, length) = curve(entry.get("crv")?.as_str()?)?;
            let (x, y) = (number("x")?, number("y")?);
            let whole = x.len() == length && y.len() == length;
            let point = [&[UNCOMPRESSED][..], &x, &y].concat();
            whole.then_some(PublicKey::Point { curve, point })
        }
        "OKP" if entry.get("crv")? == "Ed25519" => Some(PublicKey::Edwards(number("x")?)),
        _ => None,
    }
}

/// A point that has both its coordinates (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// The curves that some algorithm uses, with the bytes of a coordinate.
fn curve(name: &str) -> Option<(&'static str, usize)> {
    let means = |algorithm: Algorithm| match algorithm.means() {
        Means::Curve(curve, _) => Some(curve),
        Means::Secret(_) | Means::Rsa(_) | Means::Edwards(_) => None,
    };
    let known = [
        (Algorithm::Es256, 32),
        (Algorithm::Es384, 48),
        (Algorithm::Es512, 66),
    ];
    let known = known
        .into_iter()
        .filter_map(|(algorithm, length)| Some((means(algorithm)?, length)));
    known.into_iter().find(|(curve, _)| *curve == name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::jwt::fault::Fault;

    /// RFC 7515 appendix A.2.
    const N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    /// RFC 7515 appendix A.3.
    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    const ALGORITHMS: &[Algorithm] = &[
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::Es256,
        Algorithm::EdDsa,
    ];

    fn rsa(changes: &Value) -> Value {
        changed(
            json!({ "kty": "RSA", "kid": "a", "n": N, "e": "AQAB" }),
            changes,
        )
    }

    fn point(changes: &Value) -> Value {
        changed(
            json!({ "kty": "EC", "kid": "p", "crv": "P-256", "x": X, "y": Y }),
            changes,
        )
    }

    fn changed(mut key: Value, changes: &Value) -> Value {
        let members = key.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            members.insert(name.clone(), value.clone());
        }
        key
    }

    fn set(keys: &[Value]) -> Result<Keys, SetError> {
        read(
            json!({ "keys": keys, "other": 1 }).to_string().as_bytes(),
            ALGORITHMS,
        )
    }

    #[test]
    fn reads_the_types_that_there_are() {
        let edwards = json!({ "kty": "OKP", "kid": "e", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        let keys = set(&[rsa(&json!({})), point(&json!({})), edwards]).unwrap();
        for (kid, algorithm) in [
            ("a", Algorithm::Rs256),
            ("a", Algorithm::Ps256),
            ("p", Algorithm::Es256),
            ("e", Algorithm::EdDsa),
        ] {
            assert!(keys.find(Some(kid), algorithm).is_ok(), "{kid} {algorithm}");
        }
        assert_eq!(
            keys.find(Some("p"), Algorithm::Rs256).unwrap_err(),
            Fault::NoKey(Algorithm::Rs256)
        );
    }

    #[test]
    fn heeds_what_a_key_is_for() {
        for fine in [
            json!({ "use": "sig" }),
            json!({ "key_ops": ["verify"] }),
            json!({ "alg": "RS256" }),
            json!({ "x5c": ["x"] }),
        ] {
            assert!(set(&[rsa(&fine)]).is_ok(), "{fine}");
        }
        for other in [
            json!({ "use": "enc" }),
            json!({ "use": null }),
            json!({ "key_ops": ["sign"] }),
            json!({ "key_ops": "verify" }),
            json!({ "alg": "RS512" }),
            json!({ "alg": "RSA-OAEP" }),
            json!({ "alg": null }),
            json!({ "d": "AQAB" }),
            json!({ "kid": 1 }),
            json!({ "kty": "AKP" }),
            json!({ "kty": 1 }),
            json!({ "n": "AQAB" }),
            json!({ "n": 1 }),
            json!({ "e": "" }),
            json!({ "n": format!("{N}=") }),
        ] {
            assert!(
                matches!(set(&[rsa(&other)]), Err(SetError::NothingUsable)),
                "{other}"
            );
        }
        let keys = set(&[
            rsa(&json!({ "alg": "PS256" })),
            rsa(&json!({ "use": "enc" })),
        ])
        .unwrap();
        assert_eq!(
            keys.find(Some("a"), Algorithm::Rs256).unwrap_err(),
            Fault::NoKey(Algorithm::Rs256)
        );
    }

    #[test]
    fn coordinates_are_whole_and_on_the_curve() {
        assert!(set(&[point(&json!({}))]).is_ok());
        for wrong in [
            json!({ "x": Y }),
            json!({ "x": "AQ" }),
            json!({ "crv": "P-384" }),
            json!({ "crv": "secp256k1" }),
            json!({ "y": null }),
            json!({ "crv": null }),
        ] {
            assert!(
                matches!(set(&[point(&wrong)]), Err(SetError::NothingUsable)),
                "{wrong}"
            );
        }
    }

    #[test]
    fn never_takes_a_secret_from_a_set() {
        let secret = json!({ "kty": "oct", "kid": "s", "k": "A".repeat(86) });
        let document = json!({ "keys": [secret] }).to_string();
        let read = read(document.as_bytes(), &[Algorithm::Hs256, Algorithm::Rs256]);
        assert!(matches!(read, Err(SetError::NothingUsable)));
    }

    #[test]
    fn refuses_what_is_no_set() {
        let refused = |document: &str, error: SetError| {
            assert_eq!(
                read(document.as_bytes(), ALGORITHMS).map(|_| ()),
                Err(error),
                "{document}"
            );
        };
        refused("", SetError::NotJson);
        refused("<!doctype html><title>Sign in</title>", SetError::NotJson);
        refused(r#"{"keys":[],"keys":[]}"#, SetError::NotJson);
        refused("[]", SetError::NotJson);
        refused("{}", SetError::NotASet);
        refused(r#"{"keys":{}}"#, SetError::NotASet);
        refused(r#"{"keys":["a"]}"#, SetError::NotASet);
        refused(r#"{"keys":[]}"#, SetError::NothingUsable);
        let keys = |count| json!({ "keys": vec![json!({}); count] }).to_string();
        refused(&keys(KEYS_MAX), SetError::NothingUsable);
        refused(&keys(KEYS_MAX + 1), SetError::TooMany);
    }
}
