//! Issuers of tokens: keys made at run time, sets of them as identity providers publish them, and tokens signed by another
//! code than the gateway's.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use crate::backend::Script;

/// What [`claims`] say of their issuer.
pub const ISSUER: &str = "https://idp.example.com/";

/// Somebody who signs with one key.
pub struct Issuer {
    kid: String,
    algorithm: Algorithm,
    key: EncodingKey,
    public_pem: String,
}

impl Issuer {
    /// A new key for `ES256`, `ES384`, `RS256`, `PS256` …, under this name.
    pub fn new(kid: &str, algorithm: &str) -> Self {
        let curve = match algorithm {
            "ES256" => Some(&PKCS_ECDSA_P256_SHA256),
            "ES384" => Some(&PKCS_ECDSA_P384_SHA384),
            _ => None,
        };
        let pair = KeyPair::generate_for(curve.unwrap_or(&PKCS_RSA_SHA256)).expect("a new key");
        let pem = pair.serialize_pem();
        let key = match curve {
            Some(_) => EncodingKey::from_ec_pem(pem.as_bytes()),
            None => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        let algorithm: Algorithm = algorithm.parse().expect("an algorithm");
        Self {
            kid: kid.to_owned(),
            algorithm,
            key: key.expect("a key that was just made"),
            public_pem: pair.public_key_pem(),
        }
    }

    /// Its public key, as a PEM file.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// A token with these claims, signed.
    pub fn token(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.clone());
        encode(&header, claims, &self.key).expect("claims that can be signed")
    }

    /// The same without `kid`.
    pub fn nameless_token(&self, claims: &Value) -> String {
        encode(&Header::new(self.algorithm), claims, &self.key).expect("claims that can be signed")
    }

    fn jwk(&self) -> Value {
        let mut key = Jwk::from_encoding_key(&self.key, self.algorithm).expect("a public half");
        key.common.key_id = Some(self.kid.clone());
        serde_json::to_value(key).expect("a key is JSON")
    }
}

/// A token signed with a secret, by `HS256`.
pub fn secret_token(secret: &[u8], claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret);
    encode(&Header::default(), claims, &key).expect("claims that can be signed")
}

/// The text of the set of these issuers' keys.
pub fn key_set_text(issuers: &[&Issuer]) -> String {
    let keys: Vec<Value> = issuers.iter().map(|issuer| issuer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// The set of these issuers' keys, as a provider answers.
pub fn key_set(issuers: &[&Issuer]) -> Script {
    let answer = Script::answer(200, key_set_text(issuers));
    answer.header("Content-Type", "application/jwk-set+json")
}

/// Claims of somebody for the audience `orders`, good for an hour, with these changes; a change to `null` removes.
pub fn claims(changes: &Value) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("it is later than 1970").as_secs();
    let mut claims =
        json!({ "iss": ISSUER, "aud": "orders", "sub": "me", "iat": now, "exp": now + 3600 });
    let members = claims.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    claims
}
