//! What an issuer says of a token (RFC 7662 section 2.2), and what of that is a yes.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::{Map, Value as Json};

use crate::auth::jwt::claims;
use crate::auth::jwt::fault::Fault;
use crate::auth::jwt::json;
use crate::contract::services::CallError;

/// Members of the answer.
pub(super) type Claims = Map<String, Json>;

/// Why there is neither a yes nor a no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Nothing was said.
    #[error("the issuer was not heard: {0}")]
    Call(#[from] CallError),
    /// It could not even be asked.
    #[error("the issuer cannot be asked")]
    Request,
    /// Neither yes nor no: 401 where it does not know us.
    #[error("the issuer answered with the status {0}")]
    Status(StatusCode),
    /// A page, for example.
    #[error("the issuer's answer is no JSON")]
    NotJson,
}

/// What clocks may differ by.
const LEEWAY: Duration = Duration::from_secs(30);

/// What a yes must say beside that.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Terms {
    /// `iss`, where it is asked for.
    pub(super) issuer: Option<Box<str>>,
    /// One of these must be in `aud`; none: whatever it is.
    pub(super) audience: Box<[Box<str>]>,
}

impl Terms {
    /// The claims of a yes, and until when they hold.
    pub(super) fn judge(
        &self,
        claims: Claims,
        now: SystemTime,
    ) -> Result<(Claims, Option<SystemTime>), Fault> {
        match claims.get("active") {
            Some(Json::Bool(true)) => {}
            Some(Json::Bool(false)) => return Err(Fault::Inactive),
            Some(_) => return Err(Fault::WrongType("active".into())),
            None => return Err(Fault::Missing("active".into())),
        }
        if let Some(issuer) = &self.issuer {
            claims::check_issuer(&claims, issuer)?;
        }
        if !self.audience.is_empty() {
            claims::check_audience(&claims, &self.audience)?;
        }
        let until = claims::check_end(&claims, LEEWAY, now)?;
        Ok((claims, until))
    }
}

/// Reads an answer of 200 with JSON.
pub(super) fn read(answer: &Response<Bytes>) -> Result<Claims, NoAnswer> {
    if answer.status() != StatusCode::OK {
        return Err(NoAnswer::Status(answer.status()));
    }
    if !is_json(answer) {
        return Err(NoAnswer::NotJson);
    }
    json::object(answer.body()).ok_or(NoAnswer::NotJson)
}

fn is_json(answer: &Response<Bytes>) -> bool {
    let said = answer.headers().get(header::CONTENT_TYPE);
    let said = said.and_then(|said| said.to_str().ok()).unwrap_or_default();
    let media = said.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json")
}
