//! A real identity provider, `oidc-provider` of npm, on a free port.
//!
//! `http` on 127.0.0.1; PKCE is required; whoever logs in has agreed to everything. It knows:
//!
//! | what | who |
//! |---|---|
//! | accounts | `alice` (groups staff, admins; plan premium; tenant acme), `bob` (staff; free; globex) |
//! | clients | `service` / [`SERVICE_SECRET`] (client credentials), `inspector` / [`INSPECTOR_SECRET`] (asks for introspection) |
//! | scopes | `openid`, `offline_access`, `profile`, `email`, `orders.read`, `orders.write` |
//!
//! A token for the resource `urn:orders` is a JWT (`aud = "orders"`, `iss` = [`Idp::issuer`]); any other is opaque.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::client::{Client, Response};
use crate::tool::Server;

/// The secret of the client `service`.
pub const SERVICE_SECRET: &str = "service-secret-of-32-characters!";
/// The secret of the client `inspector`.
pub const INSPECTOR_SECRET: &str = "inspector-secret-of-32-characters";

/// A running identity provider, until it is dropped.
#[derive(Debug)]
pub struct Idp {
    server: Server,
}

impl Idp {
    /// Starts a provider that signs with RS256 and waits until it listens.
    pub fn start() -> Self {
        Self {
            server: Server::node("idp.mjs"),
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// Its `iss`, without a slash at the end.
    pub fn issuer(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// A URL of it: `/jwks`, `/token/introspection`, `/token/revocation`, `/.well-known/openid-configuration` …
    pub fn url(&self, path: &str) -> String {
        self.issuer() + path
    }

    /// Replaces the signing key; the old one stays in the published set where `keep` says so.
    pub fn rotate_keys(&self, keep: bool) {
        self.control("rotate", &json!({ "keep": keep }));
    }

    /// Signs with another algorithm (`RS256`, `PS256`, `ES256`) and a new key from now on.
    pub fn sign_with(&self, algorithm: &str) {
        self.control("settings", &json!({ "algorithm": algorithm }));
        self.rotate_keys(false);
    }

    /// How long access tokens and ID tokens issued from now on are good for.
    pub fn token_seconds(&self, seconds: u32) {
        self.control("settings", &json!({ "accessTokenSeconds": seconds }));
    }

    /// Adds accounts or replaces their claims: `{ "carol": { "groups": [] } }`.
    pub fn accounts(&self, accounts: &Value) {
        self.control("accounts", accounts);
    }

    /// Registers a client for the authorization code flow with refresh tokens.
    pub fn register(&self, id: &str, secret: &str, redirect: &str, after_logout: &str) {
        let client = json!({
            "client_id": id,
            "client_secret": secret,
            "redirect_uris": [redirect],
            "post_logout_redirect_uris": [after_logout],
            "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"],
        });
        self.control("clients", &json!([client]));
    }

    /// A token that the client `service` gets for itself; a JWT or an opaque one.
    pub fn service_token(&self, scope: &str, jwt: bool) -> String {
        let resource = if jwt { "&resource=urn:orders" } else { "" };
        let form = format!("grant_type=client_credentials&scope={scope}{resource}");
        let answer = self.post_as("service", SERVICE_SECRET, "/token", &form);
        let token = answer.json()["access_token"].as_str().map(str::to_owned);
        token.unwrap_or_else(|| panic!("no token: {}", answer.text()))
    }

    /// Takes an opaque token back.
    pub fn revoke(&self, token: &str) {
        let form = format!("token={token}");
        let answer = self.post_as("service", SERVICE_SECRET, "/token/revocation", &form);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// How many requests the token endpoint (`/token`), or one below it (`/token/introspection`), has answered with
    /// this status.
    pub fn answered(&self, path: &str, status: u16) -> usize {
        let log = Client::connect(self.addr()).get("/test/log").json();
        let same = |entry: &&Value| entry["path"] == path && entry["status"] == status;
        log.as_array()
            .map_or(0, |log| log.iter().filter(same).count())
    }

    /// `POST` of a form by a client that authenticates itself.
    pub fn post_as(&self, id: &str, secret: &str, path: &str, form: &str) -> Response {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        // These secrets need no encoding in a form, so the body may hold them.
        let body = format!("{form}&client_id={id}&client_secret={secret}");
        Client::connect(self.addr()).request("POST", path, &headers, body.as_bytes())
    }

    fn control(&self, what: &str, value: &Value) {
        let path = format!("/test/{what}");
        let answer =
            Client::connect(self.addr()).request("POST", &path, &[], value.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
}
