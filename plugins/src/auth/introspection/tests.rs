//! Issuers that say what they are told to.

use http::Response;
use parking_lot::Mutex;
use serde_json::{Value as Json, json};

use super::*;
use crate::auth::verdict::Reason;
use crate::contract::secret::{Env, SecretRef};
use crate::contract::services::{Boxed, CallError, Files, Nothing};
use crate::contract::testing::TestRequest;

type Answer = Result<Response<Bytes>, CallError>;

struct Issuer {
    answer: Mutex<Box<dyn Fn() -> Answer + Send>>,
    asked: Mutex<Vec<Request<Bytes>>>,
}

impl Outbound for Arc<Issuer> {
    fn send(&self, request: Request<Bytes>, limits: CallLimits) -> Boxed<'_, Answer> {
        assert_eq!(
            (limits.time, limits.bytes),
            (Duration::from_secs(2), 256 << 10)
        );
        self.asked.lock().push(request);
        let answer = (self.answer.lock())();
        Box::pin(std::future::ready(answer))
    }
}

struct Secrets;

impl Env for Secrets {
    fn var(&self, name: &str) -> Option<String> {
        (name == "SECRET").then(|| "s:e c%ret".to_owned())
    }
}

impl Files for Secrets {
    fn read(&self, file: &At<crate::contract::file::FileRef>, max: u64) -> Result<Vec<u8>, String> {
        Nothing.read(file, max)
    }

    fn secret(&self, secret: &At<SecretRef>) -> Result<crate::contract::secret::Secret, String> {
        secret.resolve(self).map_err(|error| error.to_string())
    }
}

struct Setting {
    issuer: Arc<Issuer>,
    provider: Introspection,
    consumers: Directory,
}

fn setting(more: &str) -> Setting {
    let table = format!(
        "url = \"https://idp.example.com/introspect\"\nclient-id = \"gate:way\"\nclient-secret = \"env:SECRET\"\n{more}"
    );
    let raw: RawIntrospection = toml::from_str(&table).unwrap();
    let mut report = Report::default();
    let config = raw.validate(0..1, &mut report).unwrap();
    assert!(report.complaints().is_empty(), "{report:?}");
    let issuer = Arc::new(Issuer {
        answer: Mutex::new(Box::new(|| Err(CallError::Connect))),
        asked: Mutex::default(),
    });
    let services = Services {
        outbound: Arc::new(Arc::clone(&issuer)),
        files: Arc::new(Secrets),
        ..Services::nothing()
    };
    Setting {
        issuer,
        provider: Introspection::compile(&config, &"idp".into(), &services).unwrap(),
        consumers: Directory::default(),
    }
}

impl Setting {
    fn says(&self, status: u16, media: &'static str, body: impl Into<Bytes>) {
        let body = body.into();
        *self.issuer.answer.lock() = Box::new(move || {
            let answer = Response::builder()
                .status(status)
                .header("content-type", media);
            Ok(answer.body(body.clone()).unwrap())
        });
    }

    fn says_json(&self, claims: &Json) {
        self.says(200, "application/json; charset=utf-8", claims.to_string());
    }

    async fn judge(&self, token: &str) -> Verdict {
        let request =
            TestRequest::get("http://a/").header("authorization", format!("Bearer {token}"));
        let view = request.view();
        let Presented::One(credential) = self.provider.presented(&view) else {
            panic!("a token is presented");
        };
        self.provider
            .judge(&credential, &view, &self.consumers)
            .await
    }

    async fn reason(&self, token: &str) -> Reason {
        let Verdict::Rejected(reason) = self.judge(token).await else {
            panic!("rejected");
        };
        reason
    }

    fn asked(&self) -> usize {
        self.issuer.asked.lock().len()
    }
}

#[tokio::test]
async fn asks_as_the_rfc_says() {
    let it = setting("plan = \"claim.plan\"\n");
    it.says_json(
        &json!({ "active": true, "sub": "me", "scope": "a b", "plan": "gold", "iss": "x" }),
    );
    let Verdict::Accepted(accepted) = it.judge("a+b/c==").await else {
        panic!("accepted");
    };
    assert_eq!(
        (
            &*accepted.identity.subject,
            accepted.identity.plan.as_deref()
        ),
        ("me", Some("gold"))
    );
    assert_eq!(accepted.identity.scopes.len(), 2);
    let asked = it.issuer.asked.lock();
    let asked = &asked[0];
    assert_eq!(
        (asked.method().as_str(), asked.uri().path()),
        ("POST", "/introspect")
    );
    assert_eq!(
        asked.body(),
        "token=a%2Bb%2Fc%3D%3D&token_type_hint=access_token"
    );
    // gate%3Away:s%3Ae+c%25ret
    assert_eq!(
        asked.headers()["authorization"],
        "Basic Z2F0ZSUzQXdheTpzJTNBZStjJTI1cmV0"
    );
    assert!(asked.headers()["authorization"].is_sensitive());
}

#[tokio::test]
async fn only_true_is_a_yes() {
    for (answer, reason) in [
        (json!({ "active": false }), Reason::Inactive),
        (json!({ "active": "true", "sub": "me" }), Reason::Claim),
        (json!({ "active": 1, "sub": "me" }), Reason::Claim),
        (json!({ "active": null, "sub": "me" }), Reason::Claim),
        (json!({ "sub": "me" }), Reason::Claim),
        (json!({ "active": true }), Reason::Claim),
        (json!({ "active": true, "sub": 7 }), Reason::Claim),
        (
            json!({ "active": true, "sub": "me", "exp": "1" }),
            Reason::Claim,
        ),
    ] {
        let it = setting("on-error = \"allow\"\n");
        it.says_json(&answer);
        assert_eq!(it.reason("t").await, reason, "{answer}");
    }
}

#[tokio::test]
async fn no_answer_is_neither_yes_nor_no() {
    for (more, on_error) in [
        ("", OnError::Deny),
        ("on-error = \"allow\"\n", OnError::Allow),
    ] {
        let it = setting(more);
        let unavailable = async |it: &Setting| {
            let Verdict::Unavailable(found) = it.judge("t").await else {
                panic!("unavailable");
            };
            assert_eq!(found, on_error);
        };
        unavailable(&it).await;
        for (status, media, body) in [
            (200, "text/html", "{\"active\":true,\"sub\":\"me\"}"),
            (200, "application/json", "<html>"),
            (
                200,
                "application/json",
                "{\"active\":false,\"active\":true,\"sub\":\"me\"}",
            ),
            (200, "application/jsonp", "{\"active\":true,\"sub\":\"me\"}"),
            (302, "application/json", "{\"active\":true,\"sub\":\"me\"}"),
            (401, "application/json", "{\"active\":true,\"sub\":\"me\"}"),
            (500, "application/json", "{\"active\":true,\"sub\":\"me\"}"),
        ] {
            it.says(status, media, body);
            unavailable(&it).await;
        }
        assert_eq!(it.asked(), 8, "nothing of that is remembered");
    }
}

#[tokio::test]
async fn asks_once_as_long_as_it_remembers() {
    // The clock of these services stands at 1970.
    for (more, times) in [("", 1), ("cache = \"1h\"\n", 1), ("cache = \"0ms\"\n", 3)] {
        let it = setting(more);
        it.says_json(&json!({ "active": true, "sub": "me" }));
        for _ in 0..3 {
            assert!(matches!(it.judge("t").await, Verdict::Accepted(_)));
        }
        assert_eq!(it.asked(), times, "{more}");
        it.says_json(&json!({ "active": false }));
        for _ in 0..3 {
            assert_eq!(it.reason("other").await, Reason::Inactive);
        }
        assert_eq!(it.asked(), 2 * times, "{more}");
    }
}

#[tokio::test]
async fn judges_issuer_and_audience_where_they_are_asked_for() {
    let it = setting("cache = \"0ms\"\nissuer = \"https://idp\"\naudience = [\"orders\"]\n");
    it.says_json(&json!({ "active": true, "sub": "me", "iss": "https://idp", "aud": ["orders"] }));
    assert!(matches!(it.judge("t").await, Verdict::Accepted(_)));
    it.says_json(
        &json!({ "active": true, "sub": "me", "iss": "https://other", "aud": ["orders"] }),
    );
    assert_eq!(it.reason("t").await, Reason::Issuer);
    it.says_json(&json!({ "active": true, "sub": "me", "iss": "https://idp", "aud": "billing" }));
    assert_eq!(it.reason("t").await, Reason::Audience);
}

#[tokio::test]
async fn does_not_ask_about_what_is_too_long() {
    let it = setting("");
    assert_eq!(
        it.reason(&"t".repeat(TOKEN_BYTES_MAX + 1)).await,
        Reason::TooLarge
    );
    assert_eq!(it.asked(), 0);
    it.says_json(&json!({ "active": true, "sub": "me" }));
    assert!(matches!(
        it.judge(&"t".repeat(TOKEN_BYTES_MAX)).await,
        Verdict::Accepted(_)
    ));
}

#[tokio::test]
async fn a_token_is_forgotten_when_it_expires() {
    let it = setting("cache = \"1h\"\n");
    // 1970 and the leeway: in time, and remembered until then.
    it.says_json(&json!({ "active": true, "sub": "me", "exp": 0 }));
    assert!(matches!(it.judge("t").await, Verdict::Accepted(_)));
    let digest = sha256(b"t");
    let later = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let generation = (0, it.consumers.generation());
    assert!(
        it.provider
            .yes
            .find(&digest, generation, later(29))
            .is_some()
    );
    assert!(
        it.provider
            .yes
            .find(&digest, generation, later(30))
            .is_none()
    );
}
