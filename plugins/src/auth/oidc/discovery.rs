//! What an identity provider says of itself (`OpenID` Connect Discovery 1.0): fetched beside the requests, and kept while it
//! is away.
//!
//! The document must be the issuer's own to the letter, and its addresses must be URLs; a redirect, HTML or more than
//! 256 KiB is no document.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use oauth2::{AuthUrl, TokenUrl};
use serde_json::{Map, Value};

use crate::auth::jwks::Remote;
use crate::auth::jwt::{ServiceUrl, json};
use crate::contract::services::{CallError, CallLimits};

/// Time and size of any answer of a provider.
pub(super) const CALL: CallLimits = CallLimits {
    time: Duration::from_secs(5),
    bytes: 256 << 10,
};
/// The first pause after a failure; each further one doubles it.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_mins(1);
/// How long a document is good.
const FRESH: Duration = Duration::from_hours(1);

/// A provider's addresses.
pub(super) struct Known {
    pub(super) authorization: AuthUrl,
    pub(super) token: TokenUrl,
    pub(super) end_session: Option<url::Url>,
    /// Whether answers of its login page name it (RFC 9207).
    pub(super) names_itself: bool,
    keys_url: Uri,
    pub(super) keys: Arc<Remote>,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoveryError {
    /// No answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An answer, but not 200.
    #[error("its discovery document has the status {0}")]
    Status(StatusCode),
    /// Not a JSON object.
    #[error("its discovery document is not a JSON object")]
    Json,
    /// Another's.
    #[error("its discovery document is that of another issuer")]
    Issuer,
    /// An address is missing, or is none.
    #[error("its discovery document has no good `{0}`")]
    Address(&'static str),
}

impl super::Oidc {
    /// Fetches the document once.
    pub(super) async fn discover(&self) -> Result<(), DiscoveryError> {
        let issuer = self.config.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let request = Request::get(url)
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| CallError::Url)?;
        let answer = self.services.outbound.send(request, CALL).await?;
        if answer.status() != StatusCode::OK {
            return Err(DiscoveryError::Status(answer.status()));
        }
        let document = json::object(answer.body()).ok_or(DiscoveryError::Json)?;
        let known = self.read(&document)?;
        self.known.store(Some(Arc::new(known)));
        Ok(())
    }

    fn read(&self, document: &Map<String, Value>) -> Result<Known, DiscoveryError> {
        if document.get("issuer").and_then(Value::as_str) != Some(&self.config.issuer) {
            return Err(DiscoveryError::Issuer);
        }
        let keys_url = address(document, "jwks_uri")?
            .parse::<Uri>()
            .map_err(|_| DiscoveryError::Address("jwks_uri"))?;
        let bad = DiscoveryError::Address;
        Ok(Known {
            authorization: AuthUrl::new(address(document, "authorization_endpoint")?)
                .map_err(|_| bad("authorization_endpoint"))?,
            token: TokenUrl::new(address(document, "token_endpoint")?)
                .map_err(|_| bad("token_endpoint"))?,
            end_session: address(document, "end_session_endpoint")
                .ok()
                .and_then(|url| url::Url::parse(&url).ok()),
            names_itself: document
                .get("authorization_response_iss_parameter_supported")
                .is_some_and(|supported| *supported == Value::Bool(true)),
            keys: self.keys_at(&keys_url),
            keys_url,
        })
    }

    /// The keys that are known already, where they are still at this address.
    fn keys_at(&self, url: &Uri) -> Arc<Remote> {
        if let Some(known) = &*self.known.load()
            && known.keys_url == *url
        {
            return known.keys.clone();
        }
        let keys = Remote::new(
            &self.name,
            url.clone(),
            &self.config.algorithms,
            &self.services,
        );
        let keys = Arc::new(keys);
        keys.activate();
        keys
    }
}

fn address(document: &Map<String, Value>, name: &'static str) -> Result<String, DiscoveryError> {
    let text = document.get(name).and_then(Value::as_str);
    let text = text.ok_or(DiscoveryError::Address(name))?;
    match text.parse::<ServiceUrl>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(DiscoveryError::Address(name)),
    }
}

/// Fetches the document until nobody holds the provider any more.
pub(super) async fn keep_known(provider: std::sync::Weak<super::Oidc>) {
    let mut pause = RETRY;
    loop {
        let Some(oidc) = provider.upgrade() else {
            return;
        };
        let fetched = oidc.discover().await;
        let wait = match fetched {
            Ok(()) => {
                pause = RETRY;
                FRESH
            }
            Err(error) => {
                tracing::warn!(provider = %oidc.name, %error, "Cannot fetch what the identity provider says of itself");
                let now = pause;
                pause = (pause * 2).min(RETRY_MAX);
                now
            }
        };
        // Not held while asleep: a reload may have dropped it meanwhile.
        drop(oidc);
        tokio::time::sleep(wait).await;
    }
}
