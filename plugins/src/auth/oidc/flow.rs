//! A login: to the provider and back, and the end of a session.
//!
//! ```text
//! browser ── GET /orders ─▶ 302 to the provider, and a cookie that only the callback gets: state, nonce, verifier, /orders
//!         ── logs in there ─▶ 302 to the callback with code, state, iss
//!         ── GET callback ─▶ state is the cookie's, iss is the issuer; code and verifier for tokens; 303 to /orders
//! ```
//!
//! Whatever is wrong on the way ends this login: nothing is tried twice, and the cookie of the login is gone with its
//! first answer.

use std::time::Duration;

use http::header;
use oauth2::{CsrfToken, PkceCodeChallenge, Scope};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::Oidc;
use super::discovery::Known;
use crate::auth::csrf;
use crate::auth::refusals::{LOGIN, LOGIN_DENIED, LOGOUT_METHOD, ORIGIN, UNAVAILABLE};
use crate::auth::session::Ticket;
use crate::contract::prelude::*;
use crate::contract::value;

/// How long somebody may take to log in.
const FLOW: Duration = Duration::from_mins(10);
/// A longer page is not returned to.
const RETURN_MAX: usize = 2048;
/// Logins of one browser at the same time, in several windows.
const FLOWS_MAX: u8 = 8;

/// What the browser carries from the login to the callback.
#[derive(Serialize, Deserialize)]
struct FlowState {
    #[serde(rename = "s")]
    state: String,
    #[serde(rename = "n")]
    nonce: String,
    #[serde(rename = "v")]
    verifier: String,
    #[serde(rename = "r")]
    return_to: String,
    #[serde(rename = "e")]
    end: u64,
}

type Answer = Box<Reply>;

impl Oidc {
    /// Sends a browser to the login, where it would show a page; `None` for a script's request, which gets a 401.
    pub(super) fn to_login(&self, request: &RequestView<'_>) -> Option<Answer> {
        if !is_navigation(request) {
            return None;
        }
        let target = target(request);
        if request.host != &*self.config.host {
            // Cookies are for one host: the login must begin where it ends.
            let there = format!("{}{target}", self.config.origin);
            return Some(Box::new(redirect(StatusCode::FOUND, there)));
        }
        let Some(known) = &*self.known.load() else {
            request
                .facts
                .note(|| "the identity provider has not said where its login is".to_owned());
            return Some(soon());
        };
        request
            .facts
            .note(|| format!("sent to the login of {}", self.config.issuer));
        Some(self.begin(known, target).unwrap_or_else(soon))
    }

    fn begin(&self, known: &Known, return_to: String) -> Option<Answer> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = self.client(known)?;
        let nonce = CsrfToken::new_random().into_secret();
        let scopes = self.config.scopes.iter();
        let scopes = scopes.map(|scope| Scope::new(scope.to_string()));
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new("openid".to_owned()))
            .add_scopes(scopes)
            .add_extra_param("nonce", nonce.clone())
            .set_pkce_challenge(challenge)
            .url();
        let flow = FlowState {
            state: state.into_secret(),
            nonce,
            verifier: verifier.into_secret(),
            return_to,
            end: self.now().saturating_add(FLOW.as_secs()),
        };
        let name = self.flow_cookie(&flow.state);
        let sealed = self.seal.close("flow", &flow)?;
        let cookie = self
            .cookies
            .field(name, sealed, &self.config.callback_path, FLOW)?;
        let reply = redirect(StatusCode::FOUND, url.to_string());
        Some(Box::new(reply.header(header::SET_COOKIE, cookie)))
    }

    /// The name of a login's cookie: a few logins go on beside each other, and many do not fill the head.
    fn flow_cookie(&self, state: &str) -> String {
        let number = state.bytes().fold(0_u8, u8::wrapping_add) % FLOWS_MAX;
        self.cookies.beside(&format!("login-{number}"))
    }

    /// A browser comes back from the provider.
    pub(super) async fn callback(&self, request: &RequestView<'_>) -> Answer {
        let parameter = |name: &str| value::query(request.query.unwrap_or_default(), name);
        let Ok(state) = parameter("state") else {
            return failed(request, "there is no `state`, or there are several");
        };
        let name = self.flow_cookie(&state);
        let gone = self.cookies.gone(name.clone(), &self.config.callback_path);
        let answer = self.answered(request, &name, &state).await;
        match gone {
            Some(gone) => Box::new(answer.header(header::SET_COOKIE, gone)),
            None => answer,
        }
    }

    async fn answered(&self, request: &RequestView<'_>, cookie: &str, state: &str) -> Answer {
        let parameter = |name: &str| value::query(request.query.unwrap_or_default(), name);
        let flow = value::cookie(request.headers, cookie);
        let flow = flow
            .ok()
            .and_then(|sealed| self.seal.open::<FlowState>("flow", &sealed));
        let Some(flow) = flow.filter(|flow| flow.end > self.now()) else {
            return failed(
                request,
                "this browser has not begun this login, or too long ago",
            );
        };
        if !bool::from(flow.state.as_bytes().ct_eq(state.as_bytes())) {
            return failed(request, "the `state` is that of another login");
        }
        let Some(known) = self.known.load_full() else {
            return soon();
        };
        match parameter("iss") {
            Ok(issuer) if issuer == *self.config.issuer => {}
            Err(ValueError::Missing) if !known.names_itself => {}
            _ => return failed(request, "the answer is not the issuer's own (`iss`)"),
        }
        let code = match (parameter("code"), parameter("error")) {
            (Ok(code), Err(ValueError::Missing)) => code.into_owned(),
            (Err(ValueError::Missing), Ok(error)) => {
                request
                    .facts
                    .note(|| format!("the identity provider says `{error}`"));
                return Box::new(Reply::refusal(&LOGIN_DENIED));
            }
            _ => return failed(request, "there is no `code`, or there are several"),
        };
        match self
            .exchange(&known, code, flow.verifier, &flow.nonce)
            .await
        {
            Ok(session) => self.logged_in(session, &flow.return_to).await,
            Err(error) => {
                tracing::info!(provider = %self.name, %error, "A login failed");
                if error.is_passing() {
                    return soon();
                }
                failed(request, &error.to_string())
            }
        }
    }

    async fn logged_in(&self, session: super::Session, return_to: &str) -> Answer {
        let cookies = match self.keep(&session).await {
            Ok(cookies) => cookies,
            Err(error) => {
                tracing::warn!(provider = %self.name, error, "A session cannot be kept");
                return soon();
            }
        };
        let reply = redirect(StatusCode::SEE_OTHER, local(return_to).to_owned());
        with_cookies(reply, cookies)
    }

    /// Ends the session of whoever asks for it by a page of ours.
    pub(super) async fn logout(&self, request: &RequestView<'_>) -> Answer {
        if *request.method != Method::POST {
            let allow = HeaderValue::from_static("POST");
            return Box::new(Reply::refusal(&LOGOUT_METHOD).header(header::ALLOW, allow));
        }
        if !csrf::is_same_origin(request, Some(&self.config.origin)) {
            return Box::new(Reply::refusal(&ORIGIN));
        }
        let sealed = self.cookies.read(request).ok().flatten();
        let session = match &sealed {
            Some(sealed) => self.find(sealed).await.ok(),
            None => None,
        };
        if let (Some(store), Some(sealed)) = (&self.store, &sealed)
            && let Some(ticket) = self.seal.open::<Ticket>("ticket", sealed)
            && store
                .delete(self.store_key(&ticket.id).as_bytes())
                .await
                .is_err()
        {
            // It would still count elsewhere: nobody may believe that it has ended.
            return soon();
        }
        let to = self.after_logout(session.and_then(|session| session.id_token));
        with_cookies(redirect(StatusCode::SEE_OTHER, to), self.cookies.forget())
    }

    /// Where a browser goes: to the provider's own logout, or to a page of ours.
    fn after_logout(&self, id_token: Option<String>) -> String {
        let ours = format!("{}{}", self.config.origin, self.config.after_logout);
        let known = self.known.load();
        let end = known.as_ref().and_then(|known| known.end_session.clone());
        match end.filter(|_| self.config.logout_provider) {
            Some(mut url) => {
                let mut query = url.query_pairs_mut();
                query.append_pair("client_id", &self.config.client_id);
                query.append_pair("post_logout_redirect_uri", &ours);
                if let Some(id_token) = id_token {
                    query.append_pair("id_token_hint", &id_token);
                }
                drop(query);
                url.to_string()
            }
            None => ours,
        }
    }
}

/// Whether a browser asks for a page that it will show, with nothing that a redirect would lose.
fn is_navigation(request: &RequestView<'_>) -> bool {
    if !matches!(*request.method, Method::GET | Method::HEAD)
        || request.headers.contains_key(header::UPGRADE)
    {
        return false;
    }
    if let Some(mode) = request.headers.get("sec-fetch-mode") {
        return mode.as_bytes() == b"navigate";
    }
    let text = |name: &HeaderName| {
        let field = request.headers.get(name);
        field
            .and_then(|field| field.to_str().ok())
            .unwrap_or_default()
    };
    let by_script = request.headers.contains_key("x-requested-with");
    !by_script && text(&header::ACCEPT).contains("text/html")
}

/// Path and query of a request, where they are short enough to carry along.
fn target(request: &RequestView<'_>) -> String {
    let mut target = request.path.to_owned();
    if let Some(query) = request.query {
        target = format!("{target}?{query}");
    }
    let short = target.len() <= RETURN_MAX;
    if short {
        local(&target).to_owned()
    } else {
        "/".to_owned()
    }
}

/// A place of our own: what starts with two slashes would be another host.
fn local(target: &str) -> &str {
    let second = target.as_bytes().get(1);
    let ours = target.starts_with('/') && !matches!(second, Some(b'/' | b'\\'));
    let plain = target.bytes().all(|byte| byte.is_ascii_graphic());
    if ours && plain { target } else { "/" }
}

fn redirect(status: StatusCode, to: String) -> Reply {
    let reply = Reply::plain(status, ReplyBody::Empty)
        // What is answered to one browser is for no other.
        .header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match HeaderValue::try_from(to) {
        Ok(to) => reply.header(header::LOCATION, to),
        Err(_) => Reply::refusal(&LOGIN),
    }
}

fn with_cookies(mut reply: Reply, cookies: Vec<HeaderValue>) -> Answer {
    for cookie in cookies {
        reply = reply.header(header::SET_COOKIE, cookie);
    }
    Box::new(reply)
}

fn failed(request: &RequestView<'_>, why: &str) -> Answer {
    request.facts.note(|| why.to_owned());
    Box::new(Reply::refusal(&LOGIN))
}

fn soon() -> Answer {
    let seconds = HeaderValue::from_static("1");
    Box::new(Reply::refusal(&UNAVAILABLE).header(header::RETRY_AFTER, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::testing::TestRequest;

    #[test]
    fn scripts_are_told_from_browsers() {
        let get = || TestRequest::get("https://a.example/");
        let navigates = |request: &TestRequest| is_navigation(&request.view());
        assert!(navigates(&get().header("sec-fetch-mode", "navigate")));
        assert!(navigates(&get().header("accept", "text/html,*/*")));
        for script in [
            get(),
            get().header("accept", "application/json"),
            get()
                .header("accept", "text/html")
                .header("sec-fetch-mode", "cors"),
            get()
                .header("accept", "text/html")
                .header("x-requested-with", "XMLHttpRequest"),
            get()
                .header("sec-fetch-mode", "navigate")
                .header("upgrade", "websocket"),
            TestRequest::new("POST", "https://a.example/").header("sec-fetch-mode", "navigate"),
        ] {
            assert!(!navigates(&script));
        }
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        for ours in ["/", "/orders/7?a=b", "/a//b"] {
            assert_eq!(local(ours), ours);
        }
        for other in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "",
            "evil",
            "/a\r\nb",
            "/ä",
        ] {
            assert_eq!(local(other), "/", "{other}");
        }
        let long = |length: usize| format!("https://a.example/{}", "a".repeat(length - 1));
        assert_eq!(
            target(&TestRequest::get(&long(RETURN_MAX)).view()).len(),
            RETURN_MAX
        );
        assert_eq!(target(&TestRequest::get(&long(RETURN_MAX + 1)).view()), "/");
    }
}
