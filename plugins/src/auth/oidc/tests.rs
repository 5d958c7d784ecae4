//! Sessions in cookies and in a store; logins as a whole are tested end to end against real and false providers.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use serde_json::json;

use super::*;
use crate::auth::config::KindConfig;
use crate::auth::provider::Definition;
use crate::contract::services::{Clock, Files};
use crate::contract::testing::{TestRequest, TestStore, wait};

/// A clock that a test moves; secrets by their names.
struct World(Mutex<SystemTime>);

impl Clock for World {
    fn now(&self) -> SystemTime {
        *self.0.lock()
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

impl Files for World {
    fn read(&self, _: &At<FileRef>, _: u64) -> Result<Vec<u8>, String> {
        Err("nothing".to_owned())
    }

    fn secret(&self, secret: &At<SecretRef>) -> Result<Secret, String> {
        let env = ["IDP", "KEY", "NEW"].map(|name| (name.to_owned(), name.repeat(12)));
        let env = BTreeMap::from(env)
            .into_iter()
            .chain([("SHORT".to_owned(), "x".repeat(31))]);
        let env: BTreeMap<_, _> = env.collect();
        secret.resolve(&env).map_err(|error| error.to_string())
    }
}

struct Scene {
    world: Arc<World>,
    store: Arc<TestStore>,
    services: Services,
}

impl Scene {
    fn new() -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let world = Arc::new(World(Mutex::new(start)));
        let store = Arc::new(TestStore::default());
        let services = store.among(Services {
            clock: world.clone(),
            files: world.clone(),
            ..Services::nothing()
        });
        Self {
            world,
            store,
            services,
        }
    }

    fn compiled(&self, more: &str) -> Result<Oidc, CompileError> {
        Oidc::compile(&config(more), &"idp".into(), &self.services)
    }

    fn oidc(&self, more: &str) -> Oidc {
        self.compiled(more).unwrap()
    }

    fn passes(&self, time: u64) {
        *self.world.0.lock() += Duration::from_secs(time);
    }
}

const KEYS: &str = "cookie-keys = ['env:KEY']";

fn read(more: &str) -> (Option<OidcConfig>, Report) {
    let text = format!(
        "issuer = 'https://idp.example'\nclient-id = 'app'\nclient-secret = 'env:IDP'\n{more}"
    );
    let raw: RawOidc = toml::from_str(&text).unwrap();
    let mut report = Report::default();
    (raw.validate(0..1, &mut report), report)
}

fn config(more: &str) -> OidcConfig {
    let external = "external-url = 'https://app.example'";
    let (config, report) = read(&format!("{external}\n{more}"));
    assert!(!report.has_errors(), "{:#?}", report.complaints());
    config.unwrap()
}

fn session(oidc: &Oidc, life: u64) -> Session {
    let claims = json!({ "iss": "https://idp.example", "sub": "alice", "groups": ["staff"] });
    Session {
        id: "one".to_owned(),
        fresh_until: oidc.now() + life,
        end: oidc.now() + 3600,
        claims: claims.as_object().unwrap().clone(),
        scopes: vec!["orders.read".into()],
        refresh: None,
        id_token: None,
        access: None,
    }
}

/// A request of a browser that was told these cookies, by a script.
fn carrying(fields: &[HeaderValue]) -> TestRequest {
    let pairs = fields.iter().map(|field| field.to_str().unwrap());
    let pairs = pairs.filter(|text| !text.contains("Max-Age=0"));
    let pairs: Vec<&str> = pairs.map(|text| text.split(';').next().unwrap()).collect();
    TestRequest::get("https://app.example/").header("cookie", pairs.join("; "))
}

/// Who it is, or why nobody.
fn judged(oidc: &Oidc, request: &TestRequest) -> String {
    let view = request.view();
    let Presented::One(credential) = oidc.presented(&view) else {
        return "nothing".to_owned();
    };
    match wait(oidc.judge(&credential, &view, &Directory::default())) {
        Verdict::Accepted(accepted) => accepted.identity.subject.to_string(),
        Verdict::Rejected(reason) => reason.label().to_owned(),
        Verdict::Unavailable(_) => "unavailable".to_owned(),
        Verdict::Busy | Verdict::Answer(_) => "other".to_owned(),
    }
}

#[test]
fn a_session_is_carried_by_its_cookie() {
    let scene = Scene::new();
    let oidc = scene.oidc(&format!("{KEYS}\ngroups = 'claim.groups'"));
    let request = carrying(&wait(oidc.keep(&session(&oidc, 600))).unwrap());
    assert_eq!(judged(&oidc, &request), "alice");
    let found = wait(oidc.find(&oidc.cookies.read(&request.view()).unwrap().unwrap()));
    let identity = oidc
        .identity(&found.ok().unwrap(), &Directory::default())
        .unwrap();
    assert_eq!(
        (&*identity.groups[0], &*identity.scopes[0]),
        ("staff", "orders.read")
    );
    let other = Oidc::compile(&config(KEYS), &"other".into(), &scene.services).unwrap();
    assert_eq!(
        judged(&other, &request),
        "session",
        "of another provider with the same keys"
    );
}

#[test]
fn tokens_that_cannot_be_refreshed_end_the_session() {
    let scene = Scene::new();
    let oidc = scene.oidc(KEYS);
    let request = carrying(&wait(oidc.keep(&session(&oidc, 600))).unwrap());
    scene.passes(599);
    assert_eq!(judged(&oidc, &request), "alice");
    scene.passes(1);
    assert_eq!(judged(&oidc, &request), "expired");
}

#[test]
fn a_session_has_an_end_whatever_its_tokens_say() {
    let scene = Scene::new();
    let oidc = scene.oidc(KEYS);
    let request = carrying(&wait(oidc.keep(&session(&oidc, 9999))).unwrap());
    scene.passes(3599);
    assert_eq!(judged(&oidc, &request), "alice");
    scene.passes(1);
    assert_eq!(judged(&oidc, &request), "expired");
}

#[test]
fn a_session_in_a_store_ends_with_its_logout() {
    let scene = Scene::new();
    let oidc = scene.oidc(&format!("{KEYS}\nstore = 'shared'"));
    let fields = wait(oidc.keep(&session(&oidc, 600))).unwrap();
    let request = carrying(&fields);
    assert_eq!(judged(&oidc, &request), "alice");
    let kept = scene.store.kept();
    let (key, value) = kept.first().unwrap();
    assert_eq!(key, b"session/idp/one");
    assert!(
        !value.windows(5).any(|part| part == b"alice"),
        "what is kept is sealed, too"
    );
    let logout = || {
        let cookie = request.view().headers.get("cookie").unwrap().clone();
        TestRequest::new("POST", "https://app.example/oauth2/logout")
            .header("cookie", cookie)
            .header("sec-fetch-site", "same-origin")
    };
    scene.store.leave();
    let answer = wait(oidc.visit(&logout().view())).unwrap();
    assert_eq!(
        answer.status, 503,
        "a session that cannot be ended is not said to be"
    );
    assert_eq!(judged(&oidc, &request), "unavailable");
    scene.store.come_back();
    let answer = wait(oidc.visit(&logout().view())).unwrap();
    assert_eq!(answer.status, 303);
    assert_eq!(
        judged(&oidc, &request),
        "session",
        "the cookie was kept and used again"
    );
}

#[test]
fn who_logs_out_while_tokens_are_fetched_stays_logged_out() {
    let scene = Scene::new();
    let oidc = scene.oidc(&format!("{KEYS}\nstore = 'shared'"));
    let request = carrying(&wait(oidc.keep(&session(&oidc, 1))).unwrap());
    let renewed = |life| wait(oidc.renew(&session(&oidc, life)));
    assert!(renewed(600).is_ok());
    scene.passes(1);
    assert_eq!(judged(&oidc, &request), "alice", "it is the new one");
    let key = oidc.store_key("one");
    wait(oidc.store.as_ref().unwrap().delete(key.as_bytes())).unwrap();
    assert!(matches!(renewed(900), Err(NoSession::Over(_))));
    assert_eq!(judged(&oidc, &request), "session");
    assert!(scene.store.kept().is_empty());
    scene.store.leave();
    assert!(matches!(renewed(900), Err(NoSession::Store(_))));
}

#[test]
fn a_cookie_of_the_one_kind_is_none_of_the_other() {
    let scene = Scene::new();
    let (plain, stored) = (
        scene.oidc(KEYS),
        scene.oidc(&format!("{KEYS}\nstore = 'shared'")),
    );
    let by_cookie = carrying(&wait(plain.keep(&session(&plain, 600))).unwrap());
    let by_store = carrying(&wait(stored.keep(&session(&stored, 600))).unwrap());
    assert_eq!(judged(&stored, &by_cookie), "session");
    assert_eq!(judged(&plain, &by_store), "session");
}

#[test]
fn keys_have_thirty_two_bytes() {
    let scene = Scene::new();
    let wrong = |more: &str| scene.compiled(more).err().unwrap().message;
    assert!(wrong("cookie-keys = ['env:KEY', 'env:SHORT']").contains("at least 32 bytes"));
}

#[test]
fn another_store_of_the_same_name_makes_another_provider() {
    let kind = KindConfig::Oidc(config(&format!("{KEYS}\nstore = 'shared'")));
    let definition = |scene: &Scene| Definition::new(&kind, &scene.services).unwrap();
    let (one, other) = (Scene::new(), Scene::new());
    assert_eq!(definition(&one), definition(&one));
    assert_ne!(definition(&one), definition(&other));
}

#[test]
fn complains_about_what_cannot_be_meant() {
    let codes = |external: &str, more: &str| {
        let report = read(&format!("external-url = '{external}'\n{more}")).1;
        report
            .complaints()
            .iter()
            .map(|one| one.code)
            .collect::<Vec<_>>()
    };
    let app = "https://app.example";
    assert_eq!(
        codes("https://app.example/app", KEYS),
        ["auth.oidc-external"]
    );
    assert_eq!(codes("http://app.example", KEYS), ["auth.plain-http"]);
    assert_eq!(codes(app, "cookie-keys = []"), ["auth.oidc-keys"]);
    for (key, code) in [
        ("callback-path = 'oauth'", "auth.oidc-path"),
        ("callback-path = '/a?b'", "auth.oidc-path"),
        ("callback-path = '//evil.example'", "auth.oidc-path"),
        ("callback-path = '/a/../b'", "auth.oidc-path"),
        ("logout-path = '/oauth2/callback'", "auth.oidc-path"),
        ("after-logout = 'https://evil.example'", "auth.oidc-path"),
        ("algorithms = []", "auth.oidc-algorithms"),
        ("algorithms = ['HS256']", "auth.oidc-algorithms"),
        ("cookie = 'a b'", "auth.oidc-cookie"),
        ("session-max = '59s'", "auth.oidc-session"),
        ("session-max = '31d'", "auth.oidc-session"),
        ("groups = 'header.x-groups'", "auth.claim"),
    ] {
        assert_eq!(codes(app, &format!("{KEYS}\n{key}")), [code], "{key}");
    }
    assert!(codes(app, &format!("{KEYS}\nsession-max = '30d'")).is_empty());
}
