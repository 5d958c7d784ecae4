//! Tokens: fetched and refreshed by the `oauth2` crate over our client, ID tokens verified as any token is.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthorizationCode, Client, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, StandardRevocableToken, StandardTokenResponse, TokenResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::Oidc;
use super::discovery::{CALL, Known};
use crate::auth::credential::is_token68;
use crate::auth::jwt::algorithm::Algorithm;
use crate::auth::jwt::fault::Fault;
use crate::auth::session::{Session, seconds};
use crate::contract::services::{CallError, Outbound};

/// How long tokens are good where the provider does not say.
const LIFE: Duration = Duration::from_mins(5);

/// What `OpenID` Connect adds to an answer of the token endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct IdFields {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdFields {}

type Tokens = StandardTokenResponse<IdFields, BasicTokenType>;
/// A client of the provider, with its two addresses.
pub(super) type OauthClient = Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LoginError {
    /// The provider refuses: the code or the refresh token is used, old or another's.
    #[error("the identity provider refuses: {0}")]
    Refused(Box<str>),
    /// The provider says no more than that it cannot, or nothing that can be read.
    #[error("the identity provider cannot be asked: {0}")]
    Unavailable(Box<str>),
    /// There is no ID token in its answer.
    #[error("the identity provider has sent no ID token")]
    NoIdToken,
    /// The ID token counts for nothing.
    #[error(transparent)]
    Token(Fault),
    /// The ID token was made for another login.
    #[error("the ID token is that of another login (`nonce`)")]
    Nonce,
    /// The ID token was made for another client.
    #[error("the ID token is another client's (`azp`)")]
    Party,
    /// The access token is not the one that the ID token names.
    #[error("the access token is not the one of the ID token (`at_hash`)")]
    AccessToken,
    /// The access token is of a type that nobody can carry for somebody else.
    #[error("the access token is no bearer token and cannot be forwarded")]
    NotBearer,
    /// The new ID token is about somebody else.
    #[error("the new ID token is about somebody else")]
    Subject,
}

impl LoginError {
    /// Whether trying again later may help.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl Oidc {
    /// A client with the addresses that are known.
    pub(super) fn client(&self, known: &Known) -> Option<OauthClient> {
        let redirect = format!("{}{}", self.config.origin, self.config.callback_path);
        let client = Client::new(ClientId::new(self.config.client_id.to_string()))
            .set_client_secret(ClientSecret::new(self.secret.expose().to_owned()))
            .set_auth_uri(known.authorization.clone())
            .set_token_uri(known.token.clone())
            .set_redirect_uri(RedirectUrl::new(redirect).ok()?);
        Some(client)
    }

    /// A session for a code.
    pub(super) async fn exchange(
        &self,
        known: &Known,
        code: String,
        verifier: String,
        nonce: &str,
    ) -> Result<Session, LoginError> {
        let client = self.client(known).ok_or_else(no_client)?;
        let http = http_client(&self.services.outbound);
        let request = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier));
        let tokens = request.request_async(&http).await.map_err(failed)?;
        let id_token = tokens.extra_fields().id_token.clone();
        let id_token = id_token.ok_or(LoginError::NoIdToken)?;
        let access = tokens.access_token().secret();
        let claims = self.verified(known, &id_token, access).await?;
        let said = claims.get("nonce").and_then(Value::as_str);
        let same = said.is_some_and(|said| bool::from(said.as_bytes().ct_eq(nonce.as_bytes())));
        if !same {
            return Err(LoginError::Nonce);
        }
        let now = self.services.clock.now();
        let end = seconds(now).saturating_add(self.config.session_max.as_secs());
        let id = oauth2::CsrfToken::new_random_len(24).into_secret();
        self.session(&tokens, id, end, claims, id_token)
    }

    /// The same session with new tokens.
    pub(super) async fn refreshed(
        &self,
        known: &Known,
        session: &Session,
    ) -> Result<Session, LoginError> {
        let token = session.refresh.clone().unwrap_or_default();
        let client = self.client(known).ok_or_else(no_client)?;
        let http = http_client(&self.services.outbound);
        let token = RefreshToken::new(token);
        let request = client.exchange_refresh_token(&token);
        let tokens = request.request_async(&http).await.map_err(failed)?;
        let (claims, id_token) = match &tokens.extra_fields().id_token {
            Some(id_token) => {
                let access = tokens.access_token().secret();
                let claims = self.verified(known, id_token, access).await?;
                (claims, id_token.clone())
            }
            // It need not send a new one (`OpenID` Connect Core 1.0 section 12.2).
            None => (
                session.claims.clone(),
                session.id_token.clone().unwrap_or_default(),
            ),
        };
        if claims.get("sub") != session.claims.get("sub") {
            return Err(LoginError::Subject);
        }
        let mut new = self.session(&tokens, session.id.clone(), session.end, claims, id_token)?;
        new.refresh = new.refresh.or_else(|| session.refresh.clone());
        if tokens.scopes().is_none() {
            new.scopes.clone_from(&session.scopes);
        }
        Ok(new)
    }

    fn session(
        &self,
        tokens: &Tokens,
        id: String,
        end: u64,
        mut claims: Map<String, Value>,
        id_token: String,
    ) -> Result<Session, LoginError> {
        // Of use in one login only.
        for name in ["nonce", "at_hash", "c_hash", "s_hash"] {
            claims.remove(name);
        }
        let now = seconds(self.services.clock.now());
        let life = tokens.expires_in().unwrap_or(LIFE).as_secs();
        let scopes = match tokens.scopes() {
            Some(scopes) => scopes.iter().map(|scope| scope.as_str().into()).collect(),
            // What was asked for was granted, where the answer does not say otherwise (RFC 6749 section 5.1).
            None => self.config.scopes.clone(),
        };
        Ok(Session {
            id,
            fresh_until: now.saturating_add(life).min(end),
            end,
            claims,
            scopes,
            refresh: tokens.refresh_token().map(|token| token.secret().clone()),
            id_token: self.config.logout_provider.then_some(id_token),
            access: self.forwarded(tokens)?,
        })
    }

    /// The access token, where upstreams get it.
    fn forwarded(&self, tokens: &Tokens) -> Result<Option<String>, LoginError> {
        if !self.config.forward_token {
            return Ok(None);
        }
        let token = tokens.access_token().secret();
        let fits = *tokens.token_type() == BasicTokenType::Bearer && is_token68(token.as_bytes());
        fits.then(|| Some(token.clone()))
            .ok_or(LoginError::NotBearer)
    }

    /// The claims of an ID token (`OpenID` Connect Core 1.0 section 3.1.3.7) that came with this access token.
    async fn verified(
        &self,
        known: &Known,
        token: &str,
        access: &str,
    ) -> Result<Map<String, Value>, LoginError> {
        let mut asked = false;
        loop {
            let unverified = self.terms.open(token).map_err(LoginError::Token)?;
            let verified = match &*known.keys.known() {
                Some(keys) => {
                    let now = self.services.clock.now();
                    Some(self.terms.verify(&unverified, &keys.keys, now))
                }
                None => None,
            };
            match verified {
                Some(Ok(verified)) => {
                    same_login(&verified.claims, unverified.algorithm(), access)?;
                    return self.for_us(verified.claims);
                }
                Some(Err(fault)) if asked || fault != Fault::UnknownKey => {
                    return Err(LoginError::Token(fault));
                }
                None if asked => return Err(LoginError::Unavailable("it has no keys".into())),
                // Perhaps the provider has new keys.
                Some(Err(_)) | None => {
                    asked = true;
                    known.keys.refresh().await;
                }
            }
        }
    }

    fn for_us(&self, claims: Map<String, Value>) -> Result<Map<String, Value>, LoginError> {
        let several = claims.get("aud").and_then(Value::as_array);
        let several = several.is_some_and(|all| all.len() > 1);
        match claims.get("azp") {
            None if !several => Ok(claims),
            Some(Value::String(party)) if **party == *self.config.client_id => Ok(claims),
            _ => Err(LoginError::Party),
        }
    }
}

/// Whether an ID token that says so came with this access token (`OpenID` Connect Core 1.0 section 3.1.3.6).
fn same_login(
    claims: &Map<String, Value>,
    algorithm: Algorithm,
    access: &str,
) -> Result<(), LoginError> {
    let Some(said) = claims.get("at_hash") else {
        return Ok(());
    };
    let digest = digest(algorithm.digest(), access.as_bytes());
    let (half, _) = digest.as_ref().split_at(digest.as_ref().len() / 2);
    let same = said.as_str() == Some(&*URL_SAFE_NO_PAD.encode(half));
    same.then_some(()).ok_or(LoginError::AccessToken)
}

fn no_client() -> LoginError {
    LoginError::Unavailable("its addresses are no URLs".into())
}

/// What the `oauth2` crate calls by.
fn http_client(
    outbound: &Arc<dyn Outbound>,
) -> impl Fn(HttpRequest) -> oauth2_future::Answer + use<> {
    let outbound = outbound.clone();
    move |request: HttpRequest| {
        let outbound = outbound.clone();
        Box::pin(async move {
            let answer = outbound.send(request.map(Bytes::from), CALL).await?;
            Ok(answer.map(|body| body.to_vec()))
        })
    }
}

mod oauth2_future {
    use super::{CallError, HttpResponse};
    use crate::contract::services::Boxed;

    /// An answer to come.
    pub(super) type Answer = Boxed<'static, Result<HttpResponse, CallError>>;
}

fn failed(error: RequestTokenError<CallError, BasicErrorResponse>) -> LoginError {
    match error {
        // Ours to mend, or a matter of patience: no reason to send people to a login that ends here again.
        RequestTokenError::ServerResponse(answer)
            if matches!(
                answer.error(),
                BasicErrorResponseType::InvalidClient
                    | BasicErrorResponseType::UnauthorizedClient
                    | BasicErrorResponseType::Extension(_)
            ) =>
        {
            LoginError::Unavailable(answer.error().as_ref().into())
        }
        RequestTokenError::ServerResponse(answer) => {
            LoginError::Refused(answer.error().as_ref().into())
        }
        RequestTokenError::Request(error) => LoginError::Unavailable(error.to_string().into()),
        RequestTokenError::Parse(..) => LoginError::Unavailable("its answer cannot be read".into()),
        RequestTokenError::Other(_) => LoginError::Unavailable("its answer is none".into()),
    }
}
