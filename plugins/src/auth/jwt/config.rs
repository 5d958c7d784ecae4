//! `jwt` as written and as meant.

use std::str::FromStr;
use std::time::Duration;

use http::Uri;

use super::algorithm::Algorithm;
use super::claims::Rules;
use super::header::TokenType;
use super::mapping::Mapping;
use super::verify::Terms;
use crate::auth::credential::{Scheme, Source, Sources};
use crate::contract::file::FileRef;
use crate::contract::prelude::*;
use crate::contract::secret::SecretRef;
use crate::leaf;

const LEEWAY: Duration = Duration::from_secs(30);
const LEEWAY_MAX: Duration = Duration::from_mins(5);
const SIZE_MAX: Size = Size::from_bytes(16 << 10);
const SIZE_MAX_LEAST: Size = Size::from_bytes(1 << 10);
const SIZE_MAX_MOST: Size = Size::from_bytes(64 << 10);

/// `jwt` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawJwt {
    /// The issuer's set of keys (RFC 7517): a URL, or `"file:keys.json"`. One of this, `public-key` and `secret` must be there.
    jwks: Option<At<KeySet>>,
    /// The issuer's one public key, a PEM file: `"file:issuer.pem"`.
    public_key: Option<At<FileRef>>,
    /// The secret that the issuer signs with; at least as long as the tags that it makes: 32 bytes for HS256.
    secret: Option<At<SecretRef>>,
    /// Who issues the tokens: their `iss`, to the letter.
    issuer: At<String>,
    /// Whom the tokens must be for: one of these must be in their `aud`.
    audience: At<Vec<At<String>>>,
    /// By which algorithms they may be signed; what a token says cannot add one.
    algorithms: At<Vec<At<Algorithm>>>,
    /// What the clocks of the issuer and of this machine may differ by. Default: `"30s"`, at most `"5min"`.
    leeway: Option<At<Time>>,
    /// The longest time since a token was issued (`iat`, which it must have then), whatever its `exp` says. Default: none.
    age_max: Option<At<Time>>,
    /// Claims that a token must have: `["tenant"]`.
    required: Option<At<Vec<At<String>>>>,
    /// The type that a token must have: `"at+jwt"`. Default: none, `JWT` or `at+jwt`.
    r#type: Option<At<String>>,
    /// The longest token. Default: `"16KiB"`, at most `"64KiB"`.
    size_max: Option<At<Size>>,
    /// Where the token stands: headers, cookies, query parameters; `"header.authorization"` with the scheme `Bearer`.
    /// Default: `["header.authorization"]`.
    from: Option<At<Vec<At<Value>>>>,
    /// The claim that names the consumer: its `jwt-subject` or its name. Default: none; the `jwt-subject` that is the `sub`.
    consumer: Option<At<Value>>,
    /// The claim that holds the plan. Default: none; the consumer's.
    plan: Option<At<Value>>,
    /// The claim that holds the scopes, a list or a text with spaces. Default: `"claim.scope"`.
    scopes: Option<At<Value>>,
    /// The claim that holds the groups, a list or a text that is one. Default: none.
    groups: Option<At<Value>>,
}

/// `jwt` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct JwtConfig {
    pub(super) keys: KeysConfig,
    pub(super) terms: Terms,
    pub(in crate::auth) mapping: Mapping,
    pub(super) sources: Sources,
}

/// Where keys come from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum KeysConfig {
    /// A set that the issuer publishes.
    Published(At<Uri>),
    /// A set in a file.
    Set(At<FileRef>),
    /// A public key in a file.
    PublicKey(At<FileRef>),
    /// A secret.
    Secret(At<SecretRef>),
}

/// A set of keys: `"https://idp.example.com/keys"` or `"file:keys.json"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySet {
    /// Published.
    Url(Uri),
    /// In a file.
    File(FileRef),
}

leaf!(
    KeySet,
    "key-set",
    "a set of keys: \"https://idp.example.com/.well-known/jwks.json\" or \"file:keys.json\""
);

impl FromStr for KeySet {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        if text.starts_with("file:") {
            return text.parse().map(Self::File);
        }
        text.parse::<ServiceUrl>().map(|url| Self::Url(url.0))
    }
}

/// The URL of somebody who is asked: absolute, `https` or `http`, without user and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl(pub(in crate::auth) Uri);

leaf!(
    ServiceUrl,
    "service-url",
    "a URL: \"https://idp.example.com/introspect\""
);

impl FromStr for ServiceUrl {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let wrong = || LeafError::new(format!("`{text}` is not the URL of a service"));
        let help = "write for example \"https://idp.example.com/path\"";
        // The parser would drop it silently.
        if text.contains('#') {
            return Err(wrong().help("remove what begins with `#`"));
        }
        let url: Uri = text.parse().map_err(|_| wrong().help(help))?;
        let scheme = matches!(url.scheme_str(), Some("https" | "http"));
        match url.authority() {
            Some(authority) if authority.as_str().contains('@') => {
                // What stands there may be a password: it is not repeated.
                Err(LeafError::new(
                    "a URL of a service holds no user and no password",
                ))
            }
            Some(authority) if scheme && !authority.host().is_empty() => Ok(Self(url)),
            _ => Err(wrong().help(help)),
        }
    }
}

/// Warns of a service whose answers anybody on the way could change.
pub(in crate::auth) fn warn_if_plain(url: &Uri, place: Span, report: &mut Report) {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost",
    };
    if url.scheme_str() == Some("http") && !is_here {
        report
            .warn(
                place,
                "auth.plain-http",
                "whoever stands between can change what this service says",
            )
            .help("use https");
    }
}

impl RawJwt {
    pub(in crate::auth) fn validate(self, table: Span, report: &mut Report) -> Option<JwtConfig> {
        let algorithms = algorithms(&self.algorithms, report);
        let rules = self.rules(report);
        let mapping = mapping(
            [&self.consumer, &self.plan, &self.scopes, &self.groups],
            report,
        );
        let default = Source::Scheme(Scheme::Bearer);
        let sources = Sources::validate(self.from.as_ref(), &[default], report);
        let bytes_max = self.bytes_max(report);
        let types = match self.r#type {
            Some(name) => TokenType::Exactly(name.into_inner().into()),
            None => TokenType::Usual,
        };
        let keys = keys(self.jwks, self.public_key, self.secret, table, report)?;
        fitting(&keys, &self.algorithms, report);
        Some(JwtConfig {
            keys,
            terms: Terms {
                algorithms,
                types,
                bytes_max,
                rules,
            },
            mapping,
            sources,
        })
    }

    fn rules(&self, report: &mut Report) -> Rules {
        if self.issuer.is_empty() {
            report
                .error(self.issuer.span(), "auth.jwt-issuer", "`issuer` is empty")
                .help("write what the tokens' `iss` says");
        }
        let empty = self.audience.iter().find(|name| name.is_empty());
        if self.audience.is_empty() || empty.is_some() {
            let span = empty.map_or(self.audience.span(), At::span);
            report
                .error(span, "auth.jwt-audience", "`audience` names nobody")
                .help("write what the tokens' `aud` says of this service");
        }
        Rules {
            issuer: self.issuer.as_str().into(),
            audience: boxed(&self.audience),
            leeway: leeway(self.leeway.as_ref(), report),
            age_max: self.age_max.as_ref().map(|age| age.duration()),
            required: self
                .required
                .as_ref()
                .map(|names| boxed(names))
                .unwrap_or_default(),
        }
    }

    fn bytes_max(&self, report: &mut Report) -> usize {
        let written = self.size_max.as_ref();
        let size = written.map_or(SIZE_MAX, |size| **size);
        if let Some(written) = written.filter(|_| !(SIZE_MAX_LEAST..=SIZE_MAX_MOST).contains(&size))
        {
            report.error(
                written.span(),
                "auth.jwt-size",
                format!("`size-max` lies between {SIZE_MAX_LEAST} and {SIZE_MAX_MOST}"),
            );
        }
        usize::try_from(size.bytes()).unwrap_or_default()
    }
}

/// What clocks may differ by.
fn leeway(written: Option<&At<Time>>, report: &mut Report) -> Duration {
    let leeway = written.map_or(LEEWAY, |leeway| leeway.duration());
    if let Some(written) = written.filter(|_| leeway > LEEWAY_MAX) {
        report
            .error(
                written.span(),
                "auth.jwt-leeway",
                "clocks do not differ by more than five minutes",
            )
            .help("set the clocks, and write at most \"5min\"");
    }
    leeway
}

fn algorithms(written: &At<Vec<At<Algorithm>>>, report: &mut Report) -> Box<[Algorithm]> {
    if written.is_empty() {
        report
            .error(
                written.span(),
                "auth.jwt-algorithms",
                "`algorithms` is empty, so no token could be valid",
            )
            .help("name those that the issuer signs with, for example [\"RS256\"]");
    }
    let mut all = Vec::new();
    for algorithm in written.iter() {
        if all.contains(&**algorithm) {
            let message = format!("`{}` is named twice", **algorithm);
            report
                .error(algorithm.span(), "auth.jwt-algorithms", message)
                .help("remove one of the two");
        }
        all.push(**algorithm);
    }
    all.into()
}

/// A secret serves HS algorithms and nothing else does: a public key that served as a secret would let anybody sign.
fn fitting(keys: &KeysConfig, algorithms: &At<Vec<At<Algorithm>>>, report: &mut Report) {
    let is_secret = matches!(keys, KeysConfig::Secret(_));
    for algorithm in algorithms.iter() {
        if algorithm.is_symmetric() == is_secret {
            continue;
        }
        let name = **algorithm;
        let (wrong, help) = if is_secret {
            (
                format!("{name} verifies with a public key, and here is a secret"),
                "write `jwks` or `public-key`, or name HS256, HS384 or HS512",
            )
        } else {
            (
                format!(
                    "{name} verifies with a secret, and here are public keys, which everybody has"
                ),
                "write `secret`, or name the algorithm of the public keys, for example RS256",
            )
        };
        report
            .error(algorithm.span(), "auth.jwt-algorithms", wrong)
            .help(help);
    }
}

fn keys(
    jwks: Option<At<KeySet>>,
    public_key: Option<At<FileRef>>,
    secret: Option<At<SecretRef>>,
    table: Span,
    report: &mut Report,
) -> Option<KeysConfig> {
    let jwks = jwks.map(|set| {
        let span = set.span();
        match set.into_inner() {
            KeySet::Url(url) => {
                warn_if_plain(&url, span.clone(), report);
                (KeysConfig::Published(At::new(url, span.clone())), span)
            }
            KeySet::File(file) => (KeysConfig::Set(At::new(file, span.clone())), span),
        }
    });
    let public_key = public_key.map(|file| (file.span(), file));
    let public_key = public_key.map(|(span, file)| (KeysConfig::PublicKey(file), span));
    let secret = secret.map(|secret| (secret.span(), secret));
    let secret = secret.map(|(span, secret)| (KeysConfig::Secret(secret), span));
    let mut given = [jwks, public_key, secret].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some((keys, _)), None) => Some(keys),
        (Some((_, first)), Some((_, second))) => {
            report
                .error(second, "auth.jwt-keys", "the keys come from two places")
                .related(first, "the first one")
                .help("write one of `jwks`, `public-key` and `secret`");
            None
        }
        (None, _) => {
            report
                .error(
                    table,
                    "auth.jwt-keys",
                    "this `jwt` has no keys to verify with",
                )
                .help("write `jwks`, `public-key` or `secret`");
            None
        }
    }
}

/// `consumer`, `plan`, `scopes` and `groups`, in this order.
pub(in crate::auth) fn mapping(written: [&Option<At<Value>>; 4], report: &mut Report) -> Mapping {
    let [consumer, plan, scopes, groups] = written.map(|value| claim(value.as_ref(), report));
    Mapping {
        consumer,
        plan,
        scopes,
        groups,
    }
}

fn claim(written: Option<&At<Value>>, report: &mut Report) -> Option<Box<str>> {
    let written = written?;
    if let Value::Claim(name) = &**written {
        return Some(name.clone());
    }
    report
        .error(
            written.span(),
            "auth.claim",
            format!("`{}` is no claim of the token", **written),
        )
        .help("write for example \"claim.sub\"");
    None
}

pub(in crate::auth) fn boxed(names: &[At<String>]) -> Box<[Box<str>]> {
    names.iter().map(|name| name.as_str().into()).collect()
}

impl JwtConfig {
    pub(in crate::auth) fn files(&self) -> Vec<At<FileRef>> {
        match &self.keys {
            KeysConfig::Set(file) | KeysConfig::PublicKey(file) => vec![file.clone()],
            KeysConfig::Published(_) | KeysConfig::Secret(_) => Vec::new(),
        }
    }

    pub(in crate::auth) fn secrets(&self) -> Vec<At<SecretRef>> {
        match &self.keys {
            KeysConfig::Secret(secret) => vec![secret.clone()],
            KeysConfig::Published(_) | KeysConfig::Set(_) | KeysConfig::PublicKey(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
