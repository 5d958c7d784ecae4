//! The provider as the chain sees it.

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::auth::credential::Source;
use crate::contract::consumers::ConsumerConfig;
use crate::contract::file::FileRef;
use crate::contract::identity::Consumer;
use crate::contract::secret::{Env, Secret, SecretRef};
use crate::contract::services::{Files, Nothing};
use crate::contract::testing::TestRequest;

const SECRET: &str = "a secret of at least thirty-two bytes";

struct Secrets;

impl Env for Secrets {
    fn var(&self, _: &str) -> Option<String> {
        Some(SECRET.to_owned())
    }
}

impl Files for Secrets {
    fn read(&self, file: &At<FileRef>, max: u64) -> Result<Vec<u8>, String> {
        Nothing.read(file, max)
    }

    fn secret(&self, secret: &At<SecretRef>) -> Result<Secret, String> {
        secret.resolve(self).map_err(|error| error.to_string())
    }
}

fn provider(keys: &str, more: &str) -> Jwt {
    let table = format!("{keys}\nissuer = \"https://idp\"\naudience = [\"orders\"]\n{more}");
    let raw: RawJwt = toml::from_str(&table).unwrap();
    let config = raw.validate(0..1, &mut Report::default()).unwrap();
    let services = Services {
        files: Arc::new(Secrets),
        ..Services::nothing()
    };
    Jwt::compile(&config, &"idp".into(), &services).unwrap()
}

fn by_secret(more: &str) -> Jwt {
    provider(
        "secret = \"env:X\"",
        &format!("algorithms = [\"HS256\"]\n{more}"),
    )
}

/// The clock of these services stands at 1970: nothing has expired.
fn token(changes: &Json) -> String {
    let mut claims = json!({ "iss": "https://idp", "aud": "orders", "sub": "me", "exp": 60 });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
}

async fn judge(provider: &Jwt, token: &str, consumers: &Directory) -> Verdict {
    let request = TestRequest::get("http://a/");
    let source = Source::Header(HeaderName::from_static("x"));
    let credential = Credential::new(token, source);
    provider
        .judge(&credential, &request.view(), consumers)
        .await
}

fn accepted(verdict: Verdict) -> Arc<Identity> {
    match verdict {
        Verdict::Accepted(accepted) => accepted.identity,
        Verdict::Rejected(reason) => panic!("rejected: {}", reason.label()),
        Verdict::Unavailable(_) | Verdict::Busy | Verdict::Answer(_) => panic!("no verdict"),
    }
}

fn ada() -> Directory {
    let mut directory = Directory::default();
    let consumer = Consumer {
        name: "ada".into(),
        plan: Some("gold".into()),
        ..Consumer::default()
    };
    let subjects = vec![(Some("idp".into()), "user-1".into())];
    directory
        .add(ConsumerConfig {
            consumer,
            subjects,
            ..ConsumerConfig::default()
        })
        .unwrap();
    directory
}

#[tokio::test]
async fn the_second_time_it_only_remembers() {
    let (provider, consumers) = (by_secret(""), Directory::default());
    let token = token(&json!({}));
    let first = accepted(judge(&provider, &token, &consumers).await);
    let second = accepted(judge(&provider, &token, &consumers).await);
    assert!(Arc::ptr_eq(&first, &second));
    // Other consumers: it is judged anew.
    let third = accepted(judge(&provider, &token, &Directory::default()).await);
    assert!(!Arc::ptr_eq(&first, &third));
}

#[tokio::test]
async fn finds_the_consumer_whom_a_claim_names() {
    let name = async |provider: &Jwt, changes| {
        let identity = accepted(judge(provider, &token(&changes), &ada()).await);
        let plan = identity.plan.as_deref().map(str::to_owned);
        (
            identity.consumer.as_ref().map(|it| it.name.to_string()),
            plan,
        )
    };
    let found = (Some("ada".to_owned()), Some("gold".to_owned()));
    let plain = by_secret("");
    assert_eq!(name(&plain, json!({ "sub": "user-1" })).await, found);
    assert_eq!(
        name(&plain, json!({ "sub": "ada" })).await,
        (None, None),
        "a subject is no name"
    );
    let told = by_secret("consumer = \"claim.azp\"\n");
    assert_eq!(name(&told, json!({ "azp": "ada" })).await, found);
    assert_eq!(name(&told, json!({ "azp": "user-1" })).await, found);
    assert_eq!(name(&told, json!({ "sub": "user-1" })).await, (None, None));
}

#[tokio::test]
async fn without_keys_nobody_can_say() {
    let provider = provider("jwks = \"https://idp/keys\"", "algorithms = [\"ES256\"]");
    // {"alg":"ES256"}.{}
    let verdict = judge(
        &provider,
        "eyJhbGciOiJFUzI1NiJ9.e30.AQID",
        &Directory::default(),
    )
    .await;
    assert!(matches!(verdict, Verdict::Unavailable(OnError::Deny)));
    assert!(provider.unready().is_some());
    let verdict = judge(&provider, "nonsense", &Directory::default()).await;
    assert!(matches!(verdict, Verdict::Rejected(Reason::Malformed)));
}

#[test]
fn says_whether_a_token_is_its_own() {
    let provider = by_secret("");
    let mine = |text: &str| {
        let source = Source::Header(HeaderName::from_static("x"));
        provider.claims_it(&Credential::new(text, source))
    };
    assert_eq!(mine(&token(&json!({}))), Mine::Yes);
    assert_eq!(mine(&token(&json!({ "iss": "https://other" }))), Mine::No);
    assert_eq!(mine("opaque"), Mine::Perhaps);
}

#[test]
fn believes_what_explain_declares() {
    let provider = by_secret("");
    let request = TestRequest::get("http://a/");
    let declared = |claims: Json| {
        let Json::Object(claims) = claims else {
            panic!("claims are an object")
        };
        provider.declared(&claims, &request.view(), &ada())
    };
    let identity = accepted(declared(json!({ "sub": "user-1", "scope": "a" })));
    assert_eq!(identity.consumer.as_ref().unwrap().name, "ada".into());
    assert!(matches!(
        declared(json!({ "iss": "x", "sub": "me" })),
        Verdict::Rejected(Reason::Issuer)
    ));
    assert!(matches!(
        declared(json!({})),
        Verdict::Rejected(Reason::Claim)
    ));
}
