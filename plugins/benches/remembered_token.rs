//! What a request costs whose token was verified before: the whole way through `auth`, and the parts that must be in it.

#![expect(clippy::expect_used, reason = "a bench with a broken table must stop")]
#![expect(clippy::print_stdout, reason = "what was measured is told")]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use divan::{AllocProfiler, Bencher, black_box};
use http::{HeaderMap, HeaderValue, Method, header};
use jsonwebtoken::{EncodingKey, Header};
use plugins::auth::{Auth, RawAuth};
use plugins::contract::build::Build;
use plugins::contract::facts::Facts;
use plugins::contract::file::FileRef;
use plugins::contract::place::At;
use plugins::contract::plugin::Plugin;
use plugins::contract::report::Report;
use plugins::contract::secret::{Env, Secret, SecretRef};
use plugins::contract::services::{Clock, Files, Services};
use plugins::contract::view::{NothingCaptured, RequestBody, RequestView};
use serde_json::json;

/// Shows in the report what a request allocates: nothing.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SECRET: &str = "a secret of at least thirty-two bytes";
const TABLE: &str = r#"
    identity-headers = { x-user = "claim.sub" }
    [jwt]
    secret = "env:SECRET"
    issuer = "https://idp.example.com/"
    audience = ["orders"]
    algorithms = ["HS256"]
    plan = "claim.plan"
"#;
/// About what identity providers issue.
const TOKEN_BYTES: usize = 700;

/// The clock that the daemon has, and one secret.
struct Outside;

impl Clock for Outside {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

impl Env for Outside {
    fn var(&self, _: &str) -> Option<String> {
        Some(SECRET.to_owned())
    }
}

impl Files for Outside {
    fn read(&self, file: &At<FileRef>, _: u64) -> Result<Vec<u8>, String> {
        Err(format!("{} is not read here", **file))
    }

    fn secret(&self, secret: &At<SecretRef>) -> Result<Secret, String> {
        secret.resolve(self).map_err(|error| error.to_string())
    }
}

fn auth() -> Auth {
    let raw: RawAuth = toml::from_str(TABLE).expect("the table above is right");
    let mut report = Report::default();
    let config = Auth::validate(At::new(raw, 0..TABLE.len()), &mut report);
    let services = Services {
        clock: Arc::new(Outside),
        files: Arc::new(Outside),
        ..Services::nothing()
    };
    let mut build = Build {
        name: None,
        route: "orders",
        timeout: Duration::from_mins(1),
        index: 0,
        previous: None,
        shared: &mut <Auth as Plugin>::Shared::default(),
        before: None,
        services: &services,
    };
    Auth::compile(&config.expect("it has no mistakes"), &mut build).expect("the secret is there")
}

fn token() -> String {
    let more = TOKEN_BYTES.saturating_sub(signed("").len()) * 3 / 4;
    signed(&"x".repeat(more))
}

fn signed(filler: &str) -> String {
    let hour = SystemTime::now() + Duration::from_hours(1);
    let until = hour.duration_since(SystemTime::UNIX_EPOCH);
    let claims = json!({
        "iss": "https://idp.example.com/", "aud": "orders", "sub": "user-00001", "plan": "premium",
        "exp": until.expect("the clock stands after 1970").as_secs(), "filler": filler,
    });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).expect("claims are an object")
}

/// A request to the gateway with these header fields.
fn view<'a>(headers: &'a HeaderMap, facts: &'a Facts) -> RequestView<'a> {
    RequestView {
        method: &Method::GET,
        secure: true,
        host: "api.example.com",
        path: "/orders/7",
        query: None,
        headers,
        client: None,
        client_certificate: None,
        listener: "public",
        route: "orders",
        captures: &NothingCaptured,
        body: RequestBody::None,
        deadline: None,
        facts,
    }
}

fn ask(auth: &Auth, headers: &HeaderMap) -> bool {
    let facts = Facts::default();
    let request = view(headers, &facts);
    let mut state = <Auth as Plugin>::State::default();
    let answer = pin!(auth.on_request(&request, &mut state));
    let done = answer.poll(&mut Context::from_waker(Waker::noop()));
    matches!(done, Poll::Ready(_)) && facts.identity().is_some()
}

/// All that `auth` does for the second request with a token, up to who asks.
#[divan::bench(sample_size = 1_000)]
fn second_request(bencher: Bencher<'_, '_>) {
    let auth = auth();
    let mut headers = HeaderMap::new();
    let value = HeaderValue::try_from(format!("Bearer {}", token()));
    headers.insert(header::AUTHORIZATION, value.expect("tokens are ASCII"));
    assert!(ask(&auth, &headers), "the first request is let in");
    bencher.bench_local(|| ask(black_box(&auth), black_box(&headers)));
}

/// Of that: the token's SHA-256.
#[divan::bench(sample_size = 1_000)]
fn sha256_alone(bencher: Bencher<'_, '_>) {
    let token = token();
    bencher.bench_local(|| digest(&SHA256, black_box(token.as_bytes())));
}

fn main() {
    println!("a token of {} bytes", token().len());
    divan::main();
}
