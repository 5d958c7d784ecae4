//! Whole tokens, signed by another library; hostile ones; and any bytes at all.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header as TheirHeader};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::auth::jwt::fault::Part;
use crate::auth::jwt::key::Key;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
const NOW: u64 = 1_800_000_000;

fn terms() -> Terms {
    Terms {
        algorithms: [Algorithm::Hs256].into(),
        types: TokenType::Usual,
        bytes_max: 16 << 10,
        rules: Rules {
            issuer: "https://idp.example.com/".into(),
            audience: ["orders".into()].into(),
            leeway: Duration::from_secs(30),
            age_max: None,
            required: [].into(),
        },
    }
}

fn keys() -> Keys {
    Keys::unnamed(vec![Key::secret(SECRET, Algorithm::Hs256).unwrap()])
}

fn claims() -> Value {
    json!({ "iss": "https://idp.example.com/", "aud": "orders", "sub": "me", "exp": NOW + 60 })
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn judge(token: &str) -> Result<Verified, Fault> {
    let terms = terms();
    terms.verify(&terms.open(token)?, &keys(), now())
}

/// A token with any header and payload, and a good signature.
fn signed(header: &str, payload: &str) -> String {
    let [header, payload] = [header, payload].map(|text| URL_SAFE_NO_PAD.encode(text));
    let signed = format!("{header}.{payload}");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    let signature = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes()));
    format!("{signed}.{signature}")
}

#[test]
fn takes_what_another_library_signed() {
    let token = jsonwebtoken::encode(
        &TheirHeader::default(),
        &claims(),
        &EncodingKey::from_secret(SECRET),
    );
    let verified = judge(&token.unwrap()).unwrap();
    assert_eq!(verified.claims, *claims().as_object().unwrap());
    assert_eq!(verified.until, now() + Duration::from_secs(90));
}

#[test]
fn a_good_signature_does_not_make_a_bad_token_good() {
    let claims = claims().to_string();
    let refused = |header: &str, payload: &str, fault: Fault| {
        assert_eq!(
            judge(&signed(header, payload)),
            Err(fault),
            "{header} {payload}"
        );
    };
    assert!(judge(&signed(r#"{"alg":"HS256"}"#, &claims)).is_ok());
    refused(r#"{"alg":"none"}"#, &claims, Fault::Algorithm);
    refused(r#"{"alg":"RS256"}"#, &claims, Fault::Algorithm);
    refused(
        r#"{"alg":"HS256","alg":"HS256"}"#,
        &claims,
        Fault::Json(Part::Header),
    );
    refused(
        r#"{"alg":"HS256","crit":["exp"]}"#,
        &claims,
        Fault::Critical,
    );
    refused(
        r#"{"alg":"HS256","typ":"logout+jwt"}"#,
        &claims,
        Fault::Type,
    );
    refused(r#"["HS256"]"#, &claims, Fault::Json(Part::Header));
    let twice = claims.replacen('{', r#"{"sub":"you","#, 1);
    refused(r#"{"alg":"HS256"}"#, &twice, Fault::Json(Part::Payload));
    refused(r#"{"alg":"HS256"}"#, "\"me\"", Fault::Json(Part::Payload));
    refused(r#"{"alg":"HS256"}"#, "", Fault::Json(Part::Payload));
    let late = claims.replace(&(NOW + 60).to_string(), &format!("\"{}\"", NOW + 60));
    refused(r#"{"alg":"HS256"}"#, &late, Fault::WrongType("exp".into()));
}

#[test]
fn nothing_is_read_of_claims_before_the_signature() {
    let token = signed(r#"{"alg":"HS256"}"#, "{");
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    assert_eq!(judge(&forged), Err(Fault::Signature));
    assert_eq!(judge(&token), Err(Fault::Json(Part::Payload)));
    let (rest, _) = token.rsplit_once('.').unwrap();
    assert_eq!(judge(&format!("{rest}.")), Err(Fault::Signature));
}

#[test]
fn says_whose_a_token_says_it_is() {
    let token = signed("{}", r#"{"iss":"https://a"}"#);
    assert_eq!(said_issuer(&token, 1000).as_deref(), Some("https://a"));
    assert_eq!(said_issuer(&token, 10), None);
    assert_eq!(
        said_issuer(&signed("{}", r#"{"iss":["https://a"]}"#), 1000),
        None
    );
    assert_eq!(said_issuer("", 1000), None);
}

proptest! {
    #[test]
    fn no_bytes_panic_and_none_pass(token in "[ -~]{0,80}|([A-Za-z0-9_-]{0,40}[.]){0,5}[A-Za-z0-9_=-]{0,40}") {
        prop_assert!(judge(&token).is_err());
    }

    #[test]
    fn every_change_of_a_token_is_refused(at in any::<prop::sample::Index>(), byte in "[A-Za-z0-9_.=-]") {
        let token = signed(r#"{"alg":"HS256"}"#, &claims().to_string());
        let at = at.index(token.len());
        let mut changed = token.clone();
        changed.replace_range(at..=at, &byte);
        prop_assert_eq!(judge(&changed).is_ok(), changed == token);
    }
}
