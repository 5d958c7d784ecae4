//! May an answer be kept, and for how long (RFC 9111 section 3)? Pure: everything that counts is an argument.

use std::time::{Duration, SystemTime};

use http::header::{self, HeaderName};
use http::{HeaderMap, StatusCode};

use super::directives::ResponseDirectives;
use super::freshness::{Times, explicit_lifetime, heuristic_lifetime, initial_age};
use super::policy::Rules;
use super::vary;

/// What the request was, as far as it counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asker {
    /// It held `Authorization`.
    pub authorization: bool,
    /// It held cookies that count.
    pub cookie: bool,
}

/// The exchange that brought an answer.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// When the request was sent.
    pub asked: SystemTime,
    /// When the head of the answer had come.
    pub arrived: SystemTime,
}

/// How an answer is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Keeping {
    /// When it is fresh and what it is good for later.
    pub times: Times,
    /// Which fields of requests choose it.
    pub vary: Vec<HeaderName>,
    /// Fields that are not kept.
    pub without: Vec<HeaderName>,
    /// Whether the origin lets it serve every identity.
    pub shareable: bool,
}

/// Why an answer is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A status that is no whole final answer.
    Status,
    /// `no-store`
    NoStore,
    /// `private`
    Private,
    /// `must-understand` with a status that we do not.
    NotUnderstood,
    /// `Vary` that nothing matches.
    Vary,
    /// It sets a cookie and the origin does not call it public.
    SetCookie,
    /// The request held credentials and the origin does not share the answer.
    Authorization,
    /// Nobody says how long it is good for.
    NoLifetime,
    /// It would be stale at once and nothing could confirm it.
    Useless,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Status,
        Self::NoStore,
        Self::Private,
        Self::NotUnderstood,
        Self::Vary,
        Self::SetCookie,
        Self::Authorization,
        Self::NoLifetime,
        Self::Useless,
    ];

    /// Its name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::NotUnderstood => "must-understand",
            Self::Vary => "vary",
            Self::SetCookie => "set-cookie",
            Self::Authorization => "authorization",
            Self::NoLifetime => "no-lifetime",
            Self::Useless => "stale-at-once",
        }
    }
}

/// Decides.
pub fn keep(
    rules: &Rules,
    asker: Asker,
    status: StatusCode,
    fields: &HeaderMap,
    exchange: Exchange,
) -> Result<Keeping, Refused> {
    let (says, targeted) = directives(fields);
    if status.is_informational() || [206, 304].contains(&status.as_u16()) {
        return Err(Refused::Status);
    }
    if says.must_understand && !understood(status) {
        return Err(Refused::NotUnderstood);
    }
    if says.no_store && !(says.must_understand && understood(status)) {
        return Err(Refused::NoStore);
    }
    if says.private {
        return Err(Refused::Private);
    }
    let vary = vary::names(fields).ok_or(Refused::Vary)?;
    let mut without = [says.no_cache_fields.clone(), says.private_fields.clone()].concat();
    let sets_cookie =
        fields.contains_key(header::SET_COOKIE) && !without.contains(&header::SET_COOKIE);
    let cookies_ignored = sets_cookie && all_ignored(rules, fields);
    if cookies_ignored {
        without.push(header::SET_COOKIE);
    }
    let sets_cookie = sets_cookie && !cookies_ignored;
    if sets_cookie && !says.shareable() && !targeted {
        return Err(Refused::SetCookie);
    }
    if asker.authorization && !(says.shareable() || says.must_revalidate) {
        return Err(Refused::Authorization);
    }
    let personal = sets_cookie || asker.authorization || asker.cookie;
    let lifetime = lifetime(
        rules,
        personal,
        status,
        fields,
        &says,
        targeted,
        exchange.arrived,
    )?;
    let windows = windows(rules, &says);
    let times = Times {
        arrived: exchange.arrived,
        initial_age: initial_age(fields, exchange.asked, exchange.arrived),
        lifetime,
        stale_while_revalidate: windows.0,
        stale_if_error: windows.1,
        strict: says.strict() && rules.ttl_override.is_none(),
    };
    if times.left(exchange.arrived).is_none() && !worth_asking(fields) && !serves_stale(&times) {
        return Err(Refused::Useless);
    }
    Ok(Keeping {
        times,
        vary,
        without,
        shareable: says.shareable() || targeted,
    })
}

/// What counts for us: the field that is meant for us alone where there is one (RFC 9213 section 2.2), else `Cache-Control`.
fn directives(fields: &HeaderMap) -> (ResponseDirectives, bool) {
    for name in [&CDN_CACHE_CONTROL, &SURROGATE_CONTROL] {
        if fields.contains_key(name) {
            let says = ResponseDirectives::read(fields, name);
            if says.said {
                return (says, true);
            }
        }
    }
    let mut says = ResponseDirectives::read(fields, &header::CACHE_CONTROL);
    if !says.said {
        let pragma = ResponseDirectives::read(fields, &header::PRAGMA);
        says.no_cache = pragma.no_cache;
    }
    (says, false)
}

/// Lifetimes for shared caches of one kind.
pub static CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
/// Its forerunner.
pub static SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

fn lifetime(
    rules: &Rules,
    personal: bool,
    status: StatusCode,
    fields: &HeaderMap,
    says: &ResponseDirectives,
    targeted: bool,
    arrived: SystemTime,
) -> Result<Duration, Refused> {
    if let Some(lifetime) = rules.ttl_override.filter(|_| !personal) {
        return Ok(lifetime);
    }
    if says.no_cache {
        return Ok(Duration::ZERO);
    }
    if let Some(lifetime) = explicit_lifetime(fields, says, targeted, arrived) {
        return Ok(lifetime);
    }
    if personal {
        return Err(Refused::NoLifetime);
    }
    let by_status = rules
        .ttl_by_status
        .iter()
        .find(|(statuses, _)| statuses.hold(status));
    if let Some((_, lifetime)) = by_status {
        return Ok(*lifetime);
    }
    if let Some(lifetime) = rules.ttl.filter(|_| lasting(status)) {
        return Ok(lifetime);
    }
    let guessed = rules
        .heuristic
        .then(|| heuristic_lifetime(fields, status, says.public, arrived))
        .flatten();
    guessed
        .or_else(|| {
            worth_asking(fields)
                .then_some(Duration::ZERO)
                .filter(|_| lasting(status))
        })
        .ok_or(Refused::NoLifetime)
}

/// What `ttl` is for: answers that say what the resource is. Errors need `ttl-by-status`.
fn lasting(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308)
}

fn windows(rules: &Rules, says: &ResponseDirectives) -> (Duration, Duration) {
    let of = |said: Option<u64>, default| said.map_or(default, Duration::from_secs);
    (
        of(says.stale_while_revalidate, rules.stale_while_revalidate),
        of(says.stale_if_error, rules.stale_if_error),
    )
}

/// Whether the origin can be asked if it still holds.
fn worth_asking(fields: &HeaderMap) -> bool {
    fields.contains_key(header::ETAG) || fields.contains_key(header::LAST_MODIFIED)
}

fn serves_stale(times: &Times) -> bool {
    let windows = times
        .stale_while_revalidate
        .saturating_add(times.stale_if_error);
    !times.strict && !windows.is_zero()
}

fn all_ignored(rules: &Rules, fields: &HeaderMap) -> bool {
    fields.get_all(header::SET_COOKIE).iter().all(|line| {
        let name = line.to_str().ok().and_then(|line| line.split('=').next());
        name.is_some_and(|name| {
            rules
                .ignored_cookies
                .iter()
                .any(|glob| glob.fits(name.trim()))
        })
    })
}

/// The statuses whose meaning for caches we know.
fn understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=205 | 300..=303 | 307 | 308 | 400..=417 | 421 | 422 | 425 | 426 | 428 | 429 | 431 | 451 | 500..=505
    )
}

/// Whether a request holds cookies that count.
pub fn cookies_count(rules: &Rules, fields: &HeaderMap) -> bool {
    fields.get_all(header::COOKIE).iter().any(|line| {
        let Ok(text) = line.to_str() else { return true };
        text.split(';').any(|pair| {
            let name = pair.split('=').next().unwrap_or_default().trim();
            !rules.ignored_cookies.iter().any(|glob| glob.fits(name))
        })
    })
}

#[cfg(test)]
#[path = "storable/tests.rs"]
mod tests;
