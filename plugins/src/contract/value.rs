//! Values taken from a request, in the one spelling they have everywhere: `client.ip`, `path.id`, `header.x-tenant` …
//!
//! What is read was sent by a client, so a value that occurs twice is an error and never the first or the last of
//! them: the gateway and the upstream could otherwise read different ones. The caller answers 400.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderName, header};
use percent_encoding::percent_decode_str;

use super::identity::Identity;
use super::leaf::LeafError;
use super::report::nearest;
use super::view::RequestView;
use crate::leaf;

/// Something that a request says, or that the gateway knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// `client.ip`: the client's address behind trusted proxies.
    ClientIp,
    /// `method`
    Method,
    /// `host`: in lower case, without port.
    Host,
    /// `host.NAME`: what the route's host pattern captured.
    HostPart(Box<str>),
    /// `path.NAME`: what the route's path pattern captured.
    PathPart(Box<str>),
    /// `query.NAME`: a query parameter.
    Query(Box<str>),
    /// `header.NAME`: a header field.
    Header(HeaderName),
    /// `cookie.NAME`: a cookie.
    Cookie(Box<str>),
    /// `claim.NAME`: a claim of the verified token.
    Claim(Box<str>),
    /// `consumer.name`
    ConsumerName,
    /// `consumer.plan`
    ConsumerPlan,
    /// `identity`: provider, issuer and subject of whoever was authenticated.
    Identity,
    /// `route`: the route's name.
    Route,
    /// `listener`: the listener's name.
    Listener,
}

leaf!(
    Value,
    "value",
    "a value of the request: client.ip, method, host, host.NAME, path.NAME, query.NAME, header.NAME, cookie.NAME, \
     claim.NAME, consumer.name, consumer.plan, identity, route, listener"
);

/// Why a request has no such value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The request does not have it.
    #[error("is missing")]
    Missing,
    /// The request has it more than once.
    #[error("is repeated")]
    Repeated,
    /// Its bytes are not UTF-8.
    #[error("is not text")]
    NotText,
    /// It would change the shape of the path it lands in: a `.` or `..` segment, or an empty one.
    #[error("does not fit into a path")]
    NotPath,
}

const PLAIN: &[(&str, Value)] = &[
    ("client.ip", Value::ClientIp),
    ("method", Value::Method),
    ("host", Value::Host),
    ("consumer.name", Value::ConsumerName),
    ("consumer.plan", Value::ConsumerPlan),
    ("identity", Value::Identity),
    ("route", Value::Route),
    ("listener", Value::Listener),
];
const KINDS: &[&str] = &["host", "path", "query", "header", "cookie", "claim"];

impl FromStr for Value {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        if let Some((_, value)) = PLAIN.iter().find(|(name, _)| *name == text) {
            return Ok(value.clone());
        }
        let Some((kind, name)) = text.split_once('.') else {
            return Err(unknown(text));
        };
        let at = kind.len() + 1..text.len();
        match kind {
            "host" => captured(name).map(Self::HostPart),
            "path" => captured(name).map(Self::PathPart),
            "query" | "claim" if !is_printable(name) => {
                Err(LeafError::new(format!("`{text}` names no {kind} value")))
            }
            "query" => Ok(Self::Query(name.into())),
            "claim" => Ok(Self::Claim(name.into())),
            "header" => header_name(name).map(Self::Header),
            "cookie" => cookie_name(name).map(Self::Cookie),
            _ => return Err(unknown(text)),
        }
        .map_err(|error| error.at(at))
    }
}

fn captured(name: &str) -> Result<Box<str>, LeafError> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if starts && name.bytes().all(rest) {
        return Ok(name.into());
    }
    Err(
        LeafError::new(format!("`{name}` cannot be the name of a captured part"))
            .help("write the name as in the match line: letters, digits, `_` and `-`"),
    )
}

fn header_name(name: &str) -> Result<HeaderName, LeafError> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| LeafError::new(format!("`{name}` is not the name of a header")))?;
    if name.contains('_') {
        return Err(LeafError::new(format!("no header `{name}` ever arrives"))
            .help("headers whose names hold `_` are dropped; write `-`"));
    }
    if parsed == header::COOKIE {
        return Err(
            LeafError::new("`header.cookie` is all cookies at once").help("write cookie.NAME")
        );
    }
    Ok(parsed)
}

/// A cookie's name is a token (RFC 6265 section 4.1.1), as a method and a header's name are.
fn cookie_name(name: &str) -> Result<Box<str>, LeafError> {
    match http::Method::from_bytes(name.as_bytes()) {
        Ok(_token) => Ok(name.into()),
        Err(_) => Err(LeafError::new(format!(
            "`{name}` is not the name of a cookie"
        ))),
    }
}

/// Names of query parameters and claims may be nearly anything, but not what a template needs for itself.
fn is_printable(name: &str) -> bool {
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '{' | '}');
    !name.is_empty() && name.chars().all(fits)
}

fn unknown(text: &str) -> LeafError {
    let error = LeafError::new(format!("`{text}` is not a value of a request"));
    if let Some(near) = nearest(text, PLAIN.iter().map(|(name, _)| *name)) {
        return error.help(format!("did you mean `{near}`?"));
    }
    match text.split_once('.') {
        Some((kind, name)) => match nearest(kind, KINDS.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}.{name}`?")),
            None => error.help("the kinds are host, path, query, header, cookie and claim"),
        },
        None if KINDS.contains(&text) => error.help(format!("write {text}.NAME")),
        None if captured(text).is_ok() => error.help(format!(
            "a part that the match line captures is `path.{text}` or `host.{text}`"
        )),
        None => error.help("write for example client.ip, path.id or header.x-tenant"),
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIp => f.write_str("client.ip"),
            Self::Method => f.write_str("method"),
            Self::Host => f.write_str("host"),
            Self::HostPart(name) => write!(f, "host.{name}"),
            Self::PathPart(name) => write!(f, "path.{name}"),
            Self::Query(name) => write!(f, "query.{name}"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Cookie(name) => write!(f, "cookie.{name}"),
            Self::Claim(name) => write!(f, "claim.{name}"),
            Self::ConsumerName => f.write_str("consumer.name"),
            Self::ConsumerPlan => f.write_str("consumer.plan"),
            Self::Identity => f.write_str("identity"),
            Self::Route => f.write_str("route"),
            Self::Listener => f.write_str("listener"),
        }
    }
}

impl<'a> RequestView<'a> {
    /// What a table has for a value of the request. A request without the value is like one whose value the table has not.
    pub fn look_in<T>(
        &self,
        value: &Value,
        table: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ValueError> {
        match self.lookup(value) {
            Ok(text) => Ok(table(&text)),
            Err(ValueError::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the request says, as text: query parameters and captured parts percent-decoded.
    ///
    /// Claims, consumers and identities are missing where nobody was authenticated. A claim that is a list or an object is no
    /// text.
    pub fn lookup(&self, value: &Value) -> Result<Cow<'a, str>, ValueError> {
        match value {
            Value::ClientIp => {
                let client = self.client.ok_or(ValueError::Missing)?;
                Ok(Cow::Owned(client.to_string()))
            }
            Value::Method => Ok(Cow::Borrowed(self.method.as_str())),
            Value::Host => Ok(Cow::Borrowed(self.host)),
            Value::HostPart(name) => self.captured_host(name),
            Value::PathPart(name) => self.captured_path(name).and_then(decoded),
            Value::Query(name) => query(self.query.unwrap_or_default(), name),
            Value::Header(name) => header(self.headers, name),
            Value::Cookie(name) => cookie(self.headers, name),
            Value::Claim(name) => claim(self.identity()?, name),
            Value::ConsumerName => consumer(self.identity()?),
            Value::ConsumerPlan => plan(self.identity()?),
            Value::Identity => Ok(Cow::Borrowed(self.identity()?.key())),
            Value::Route => Ok(Cow::Borrowed(self.route)),
            Value::Listener => Ok(Cow::Borrowed(self.listener)),
        }
    }

    fn identity(&self) -> Result<&'a Identity, ValueError> {
        let identity = self.facts.identity().ok_or(ValueError::Missing)?;
        Ok(identity)
    }

    fn captured_host(&self, name: &str) -> Result<Cow<'a, str>, ValueError> {
        let part = self.captures.host(name).ok_or(ValueError::Missing)?;
        Ok(Cow::Borrowed(part))
    }

    /// A part of the normalised path as it stands there, not decoded.
    pub(super) fn captured_path(&self, name: &str) -> Result<&'a str, ValueError> {
        self.captures.path(name).ok_or(ValueError::Missing)
    }
}

fn claim<'a>(identity: &'a Identity, name: &str) -> Result<Cow<'a, str>, ValueError> {
    match identity.claim(name).ok_or(ValueError::Missing)? {
        serde_json::Value::Null => Err(ValueError::Missing),
        serde_json::Value::String(text) => Ok(Cow::Borrowed(text)),
        serde_json::Value::Bool(truth) => Ok(Cow::Borrowed(if *truth { "true" } else { "false" })),
        serde_json::Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => Err(ValueError::NotText),
    }
}

fn consumer(identity: &Identity) -> Result<Cow<'_, str>, ValueError> {
    let consumer = identity.consumer.as_ref().ok_or(ValueError::Missing)?;
    Ok(Cow::Borrowed(&consumer.name))
}

fn plan(identity: &Identity) -> Result<Cow<'_, str>, ValueError> {
    let plan = identity.plan.as_ref().ok_or(ValueError::Missing)?;
    Ok(Cow::Borrowed(plan))
}

fn decoded(text: &str) -> Result<Cow<'_, str>, ValueError> {
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| ValueError::NotText)
}

/// The value of the one field of this name.
pub fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Cow<'a, str>, ValueError> {
    let mut fields = headers.get_all(name).iter();
    let field = fields.next().ok_or(ValueError::Missing)?;
    if fields.next().is_some() {
        return Err(ValueError::Repeated);
    }
    text(field.as_bytes()).map(Cow::Borrowed)
}

/// The value of the one query parameter of this name. Names and values are read as browsers write them
/// (`application/x-www-form-urlencoded`): `%XX` decoded, `+` is a space. Without `=` the value is empty.
pub fn query<'a>(query: &'a str, name: &str) -> Result<Cow<'a, str>, ValueError> {
    let mut found = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if is_query_key(key, name) && found.replace(value).is_some() {
            return Err(ValueError::Repeated);
        }
    }
    form_decoded(found.ok_or(ValueError::Missing)?)
}

/// Whether a query parameter that is written like this has this name.
pub fn is_query_key(written: &str, name: &str) -> bool {
    form_decoded(written).is_ok_and(|key| key == name)
}

fn form_decoded(text: &str) -> Result<Cow<'_, str>, ValueError> {
    if text.contains('+') {
        return decoded(&text.replace('+', " ")).map(|text| Cow::Owned(text.into_owned()));
    }
    decoded(text)
}

/// The value of the one cookie of this name (RFC 6265 section 4.2.1), quotes included. `Cookie` may be several
/// fields: HTTP/2 clients split it (RFC 9113 section 8.2.3).
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Result<Cow<'a, str>, ValueError> {
    let mut found = None;
    let fields = headers.get_all(header::COOKIE).iter();
    for pair in fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';')) {
        let pair = pair.trim_ascii();
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (key, value) = pair.split_at(equals);
        if key.trim_ascii_end() == name.as_bytes() && found.replace(value).is_some() {
            return Err(ValueError::Repeated);
        }
    }
    let value = found.and_then(|value| value.get(1..));
    text(value.ok_or(ValueError::Missing)?.trim_ascii_start()).map(Cow::Borrowed)
}

fn text(bytes: &[u8]) -> Result<&str, ValueError> {
    std::str::from_utf8(bytes).map_err(|_| ValueError::NotText)
}

#[cfg(test)]
mod tests;
