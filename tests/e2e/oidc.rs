//! `[auth.NAME] oidc`: browsers log in at a real identity provider, and keep a session that nobody can forge.

mod provider;
mod stored;

use harness::{Authority, Backend, Config, Gateway, Idp, Page, Tls, Visitor};

use crate::fixture::assert_refused;

const SECRET: &str = "app-secret-of-at-least-32-characters";
const KEY: &str = "a key for cookies of more than 32 bytes";

/// `[auth.browsers]` with further keys, and the routes that have it.
fn text(issuer: &str, external: &str, more: &str) -> String {
    format!(
        r#"
        [listener.public]
        address = "@address.public@"
        [upstream.orders]
        targets = ["@upstream.orders@"]
        [auth.browsers]
        identity-headers = {{ x-user = "claim.sub", x-groups = "claim.plan" }}
        oidc = {{
          issuer = "{issuer}", client-id = "app", client-secret = "env:IDP_SECRET", groups = "claim.groups",
          external-url = "{external}", {more}
        }}
        [route.orders]
        match = "/**"
        upstream = "orders"
        auth = "browsers"
        [route.admins]
        match = "/admin"
        upstream = "orders"
        auth = "browsers"
        authorize = {{ groups = ["admins"] }}
        [route.public]
        match = "/public"
        upstream = "orders"
        auth = "none"
        "#
    )
}

const KEYS: &str = r#"cookie-keys = ["env:COOKIE_KEY"]"#;

fn config(idp: &Idp, orders: &Backend, more: &str, tables: &str) -> Config {
    let text = text(&idp.issuer(), "http://@address.public@", more) + tables;
    keyed(Config::new(text).upstream("orders", orders.addr()))
}

fn keyed(config: Config) -> Config {
    config.env("IDP_SECRET", SECRET).env("COOKIE_KEY", KEY).env(
        "COOKIE_KEY_NEW",
        "another key for cookies of more than 32 bytes",
    )
}

/// A provider and a gateway that know each other.
struct Place {
    idp: Idp,
    gateway: Gateway,
    orders: Backend,
}

impl Place {
    fn new(more: &str) -> Self {
        Self::with(more, "")
    }

    fn with(more: &str, tables: &str) -> Self {
        let (idp, orders) = (Idp::start(), Backend::start());
        let gateway = Gateway::start(config(&idp, &orders, more, tables));
        let place = Self {
            idp,
            gateway,
            orders,
        };
        place.register("http");
        place
    }

    fn register(&self, scheme: &str) {
        let host = if scheme == "https" {
            "localhost"
        } else {
            "127.0.0.1"
        };
        let url = format!("{scheme}://{host}:{}", self.gateway.addr().port());
        let callback = format!("{url}/oauth2/callback");
        self.idp
            .register("app", SECRET, &callback, &format!("{url}/"));
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.addr())
    }

    /// Somebody who has logged in.
    fn visitor(&self, account: &str) -> Visitor {
        let mut visitor = Visitor::new();
        let page = visitor.visit(&self.url("/orders/7"));
        let back = visitor.log_in(&page, account);
        assert_eq!(
            back.response.status,
            200,
            "{:?} {}",
            back.way,
            back.response.text()
        );
        visitor
    }

    /// What a script of the page gets.
    fn fetch(&self, visitor: &mut Visitor) -> Page {
        visitor.request(
            "GET",
            &self.url("/orders/7"),
            &[("sec-fetch-mode", "cors")],
            "",
        )
    }

    /// As far as the way back from the provider, which has not been gone yet.
    fn callback(&self, visitor: &mut Visitor) -> String {
        let page = visitor.visit(&self.url("/orders/7"));
        let mut page = visitor.post(&page.url, "login=alice");
        loop {
            let next = page.next().expect("the provider redirects");
            if next.contains("/oauth2/callback") {
                return next;
            }
            page = visitor.get(&next);
        }
    }
}

#[test]
fn a_browser_logs_in_and_comes_back_to_its_page() {
    let place = Place::new(KEYS);
    let mut visitor = Visitor::new();
    let page = visitor.visit(&place.url("/orders/7?a=b&c"));
    assert!(
        page.way[1].starts_with(&place.idp.url("/auth?")),
        "{:?}",
        page.way
    );
    for part in [
        "code_challenge_method=S256",
        "scope=openid",
        "state=",
        "nonce=",
    ] {
        assert!(page.way[1].contains(part), "{part}: {}", page.way[1]);
    }
    let back = visitor.log_in(&page, "alice");
    assert_eq!(
        (back.response.status, &*back.url),
        (200, &*place.url("/orders/7?a=b&c"))
    );
    let seen = place.orders.last();
    assert_eq!(seen.header("x-user"), Some("alice"));
    assert_eq!(seen.header("x-groups"), Some("premium"));
    let cookies = seen.header("cookie").unwrap_or_default();
    let mut ours = cookies
        .split("; ")
        .filter(|cookie| cookie.starts_with("session"));
    assert_eq!(ours.next(), None);
    assert_eq!(visitor.visit(&place.url("/admin")).response.status, 200);
    assert_eq!(place.fetch(&mut visitor).response.status, 200);
}

#[test]
fn who_may_not_stays_out() {
    let place = Place::new(KEYS);
    let mut bob = place.visitor("bob");
    assert_refused(
        &bob.visit(&place.url("/admin")).response,
        403,
        "authorize.denied",
    );
    let mut nobody = Visitor::new();
    let page = nobody.visit(&place.url("/orders/7"));
    let refused = nobody.log_in(&page, "mallory");
    assert_refused(&refused.response, 403, "auth.login-denied");
    assert_eq!(nobody.cookie("session"), None);
}

#[test]
fn scripts_and_forms_are_not_sent_to_the_login() {
    let place = Place::new(KEYS);
    let mut visitor = Visitor::new();
    let answer = place.fetch(&mut visitor).response;
    assert_refused(&answer, 401, "auth.missing");
    assert_eq!(
        answer.header("www-authenticate"),
        Some(r#"Cookie realm="browsers", cookie-name="session""#)
    );
    let form = visitor.post(&place.url("/orders"), "a=b").response;
    assert_refused(&form, 401, "auth.missing");
    assert_eq!(place.gateway.get("/orders").status, 401);
}

#[test]
fn a_logout_is_a_post_of_a_page_of_ours() {
    let place = Place::new(KEYS);
    let mut visitor = place.visitor("alice");
    let logout = place.url("/oauth2/logout");
    let by_get = visitor.get(&logout).response;
    assert_refused(&by_get, 405, "auth.logout-method");
    assert_eq!(by_get.header("allow"), Some("POST"));
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("origin", "http://evil.example")],
        &[],
    ] {
        let answer = visitor.request("POST", &logout, headers, "").response;
        assert_refused(&answer, 403, "auth.origin");
    }
    assert_eq!(place.fetch(&mut visitor).response.status, 200);
    let out = visitor.post(&logout, "");
    assert_eq!(
        (out.response.status, out.next()),
        (303, Some(place.url("/")))
    );
    assert_eq!(visitor.cookie("session"), None);
    assert_refused(&place.fetch(&mut visitor).response, 401, "auth.missing");
}

#[test]
fn a_logout_may_end_the_providers_session_too() {
    let place = Place::new(&format!("{KEYS}, logout-provider = true"));
    let mut visitor = place.visitor("alice");
    let out = visitor.post(&place.url("/oauth2/logout"), "");
    let to = out.next().unwrap();
    assert!(to.starts_with(&place.idp.url("/session/end?")), "{to}");
    assert!(
        to.contains("id_token_hint=") && to.contains("post_logout_redirect_uri="),
        "{to}"
    );
    assert_eq!(visitor.visit(&to).response.status, 200);
}

#[test]
fn a_cookie_that_was_touched_is_no_session() {
    let place = Place::new(KEYS);
    let mut visitor = place.visitor("alice");
    let good = visitor.cookie("session").unwrap().to_owned();
    let middle = good.len() / 2;
    let mut touched = good.clone().into_bytes();
    touched[middle] = if touched[middle] == b'A' { b'B' } else { b'A' };
    for bad in [
        String::from_utf8(touched).unwrap(),
        good[..middle].to_owned(),
        good.replacen("1.", "2.", 1),
        "1.".to_owned(),
        "x".to_owned(),
        "1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    ] {
        visitor.tamper("session", &bad);
        assert_refused(&place.fetch(&mut visitor).response, 401, "auth.invalid");
        let page = visitor.get(&place.url("/orders/7"));
        assert_eq!(page.response.status, 302, "{bad}");
    }
    visitor.tamper("session", &good);
    assert_eq!(place.fetch(&mut visitor).response.status, 200);
    let twice = format!("session={good}; session={good}");
    let headers = [("cookie", twice.as_str()), ("sec-fetch-mode", "cors")];
    let answer = place.gateway.request("GET", "/orders/7", &headers, b"");
    assert_refused(&answer, 400, "auth.ambiguous");
}

#[test]
fn keys_for_cookies_are_replaced_one_by_one() {
    let mut place = Place::new(KEYS);
    let mut visitor = place.visitor("alice");
    let both = r#"cookie-keys = ["env:COOKIE_KEY_NEW", "env:COOKIE_KEY"]"#;
    place
        .gateway
        .rewrite_and_wait(config(&place.idp, &place.orders, both, ""));
    assert_eq!(place.fetch(&mut visitor).response.status, 200);
    let mut later = place.visitor("bob");
    let new = r#"cookie-keys = ["env:COOKIE_KEY_NEW"]"#;
    place
        .gateway
        .rewrite_and_wait(config(&place.idp, &place.orders, new, ""));
    assert_refused(&place.fetch(&mut visitor).response, 401, "auth.invalid");
    assert_eq!(place.fetch(&mut later).response.status, 200);
}

#[test]
fn a_login_ends_where_it_began_and_only_once() {
    let place = Place::new(KEYS);
    let failed = |page: Page| assert_refused(&page.response, 400, "auth.login-failed");
    let mut visitor = Visitor::new();
    let callback = place.callback(&mut visitor);
    let before = visitor.snapshot();
    // Whoever is given the URL has not begun this login.
    failed(Visitor::new().get(&callback));
    let other_state = callback.replace("state=", "state=x");
    failed(visitor.get(&other_state));
    visitor.restore(&before);
    failed(visitor.get(&format!("{callback}&state=x")));
    visitor.restore(&before);
    failed(visitor.get(&format!("{callback}&code=x")));
    visitor.restore(&before);
    let back = visitor.get(&callback);
    assert_eq!(
        (back.response.status, back.next()),
        (303, Some(place.url("/orders/7")))
    );
    // The cookie of the login is gone, and with it the login.
    failed(visitor.get(&callback));
    // Whoever has kept it finds the code used.
    visitor.restore(&before);
    failed(visitor.get(&callback));
    failed(Visitor::new().get(&place.url("/oauth2/callback")));
}

#[test]
fn the_answer_of_another_provider_is_none() {
    let place = Place::new(KEYS);
    let mut visitor = Visitor::new();
    let callback = place.callback(&mut visitor);
    let before = visitor.snapshot();
    let (rest, _) = callback.split_once("&iss=").unwrap();
    for mixed_up in [
        rest.to_owned(),
        format!("{rest}&iss=https%3A%2F%2Fevil.example"),
    ] {
        let page = visitor.get(&mixed_up);
        assert_refused(&page.response, 400, "auth.login-failed");
        visitor.restore(&before);
    }
    assert_eq!(visitor.get(&callback).response.status, 303);
}

#[test]
fn tokens_are_refreshed_and_the_old_cookie_still_counts_for_a_while() {
    let place = Place::new(KEYS);
    place.idp.token_seconds(1);
    let mut visitor = place.visitor("alice");
    let first = visitor.snapshot();
    harness::wait::until(harness::wait::DEADLINE, "a refresh", || {
        assert_eq!(place.fetch(&mut visitor).response.status, 200);
        place.idp.answered("/token", 200) > 1
    });
    visitor.restore(&first);
    assert_eq!(place.fetch(&mut visitor).response.status, 200);
    assert_eq!(place.idp.answered("/token", 400), 0);
}

#[test]
fn the_upstream_gets_the_token_of_the_session_and_no_other() {
    let place = Place::new(&format!("{KEYS}, forward-token = true"));
    place.idp.token_seconds(1);
    let mut visitor = place
        .visitor("alice")
        .header("authorization", "Bearer mine");
    let bearer = || {
        let seen = place.orders.last();
        seen.header("authorization").unwrap_or_default().to_owned()
    };
    let first = bearer();
    assert!(first.starts_with("Bearer ") && first.len() > 20, "{first}");
    harness::wait::until(harness::wait::DEADLINE, "a refresh", || {
        assert_eq!(place.fetch(&mut visitor).response.status, 200);
        place.idp.answered("/token", 200) > 1
    });
    assert_eq!(place.fetch(&mut visitor).response.status, 200);
    let later = bearer();
    assert!(
        later.starts_with("Bearer ") && later != first && later != "Bearer mine",
        "{later}"
    );
    assert!(!place.gateway.log().contains(&later));
}

#[test]
fn a_session_waits_for_a_provider_that_is_away() {
    let place = Place::new(KEYS);
    place.idp.token_seconds(1);
    let mut visitor = place.visitor("alice");
    let Place {
        idp,
        gateway,
        orders,
    } = place;
    drop(idp);
    harness::wait::until(harness::wait::DEADLINE, "the token to expire", || {
        let url = format!("http://{}/orders/7", gateway.addr());
        let answer = visitor
            .request("GET", &url, &[("sec-fetch-mode", "cors")], "")
            .response;
        let away = answer.status == 503;
        if away {
            assert_refused(&answer, 503, "auth.unavailable");
        }
        away
    });
    drop(orders);
}

#[test]
fn another_sites_page_cannot_use_the_session() {
    let place = Place::new(KEYS);
    let mut visitor = place.visitor("alice");
    let url = place.url("/orders/7");
    let mut ask = |method: &str, headers: &[(&str, &str)]| {
        visitor.request(method, &url, headers, "").response
    };
    assert_eq!(
        ask("POST", &[("sec-fetch-site", "same-origin")]).status,
        200
    );
    let origin = place.url("");
    assert_eq!(ask("DELETE", &[("origin", &origin)]).status, 200);
    for (method, headers) in [
        ("POST", &[("sec-fetch-site", "cross-site")][..]),
        ("PUT", &[("sec-fetch-site", "same-site")]),
        ("POST", &[("origin", "http://evil.example")]),
        ("POST", &[("origin", "null")]),
        ("POST", &[]),
        (
            "GET",
            &[
                ("upgrade", "websocket"),
                ("connection", "upgrade"),
                ("origin", "http://evil.example"),
            ],
        ),
    ] {
        assert_refused(&ask(method, headers), 403, "auth.origin");
    }
}

#[test]
fn on_https_the_cookie_is_for_this_host_alone() {
    let (idp, orders) = (Idp::start(), Backend::start());
    let authority = Authority::new("test authority");
    let identity = authority.issue(&["localhost"]);
    let text = text(&idp.issuer(), "https://localhost:@port.public@", KEYS).replacen(
        "[upstream.orders]",
        "[listener.public.tls]\ncertificates = [{ cert = \"file:cert.pem\", key = \"file:key.pem\" }]\n[upstream.orders]",
        1,
    );
    let config = keyed(Config::new(text).upstream("orders", orders.addr()))
        .file("cert.pem", identity.cert)
        .file("key.pem", identity.key);
    let gateway = Gateway::start(config);
    let place = Place {
        idp,
        gateway,
        orders,
    };
    place.register("https");
    let mut visitor = Visitor::new().tls(Tls::new(&authority, "localhost"));
    let url = format!("https://localhost:{}/orders/7", place.gateway.addr().port());
    let page = visitor.visit(&url);
    let begun = visitor
        .cookie_names()
        .iter()
        .any(|name| name.starts_with("__Secure-session-login-"));
    assert!(begun, "{:?}", visitor.cookie_names());
    let back = visitor.log_in(&page, "alice");
    assert_eq!(back.response.status, 200, "{}", back.response.text());
    assert!(
        visitor.cookie("__Host-session").is_some(),
        "{:?}",
        visitor.cookie_names()
    );
}

#[test]
fn many_claims_take_several_cookies() {
    let place = Place::new(KEYS);
    let groups: Vec<String> = (0..400)
        .map(|number| format!("group-{number:04}"))
        .collect();
    place
        .idp
        .accounts(&serde_json::json!({ "carol": { "groups": groups, "plan": "free" } }));
    let mut visitor = place.visitor("carol");
    assert!(
        visitor.cookie("session-1").is_some(),
        "{:?}",
        visitor.cookie_names()
    );
    assert_eq!(place.fetch(&mut visitor).response.status, 200);
    visitor.tamper("session-1", "x");
    assert_refused(&place.fetch(&mut visitor).response, 401, "auth.invalid");
}
