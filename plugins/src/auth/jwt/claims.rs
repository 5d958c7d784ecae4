//! What a verified token must claim before it counts: issuer, audience, times, and what the provider's table requires
//! (RFC 7519 section 4.1).

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::fault::Fault;

/// The rules of one provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// `iss`, to the letter.
    pub issuer: Box<str>,
    /// Who we are: one of these must be in `aud`.
    pub audience: Box<[Box<str>]>,
    /// What clocks may differ by.
    pub leeway: Duration,
    /// The longest time since `iat`.
    pub age_max: Option<Duration>,
    /// Claims that must be there.
    pub required: Box<[Box<str>]>,
}

impl Rules {
    /// Judges claims at a moment; answers until when they hold.
    pub fn check(&self, claims: &Map<String, Value>, now: SystemTime) -> Result<SystemTime, Fault> {
        check_issuer(claims, &self.issuer)?;
        check_audience(claims, &self.audience)?;
        let until = self.check_times(claims, seconds(now))?;
        for name in &self.required {
            match find(claims, name) {
                None | Some(Value::Null) => return Err(Fault::Missing(name.clone())),
                Some(_) => {}
            }
        }
        Ok(until)
    }

    fn check_times(&self, claims: &Map<String, Value>, now: f64) -> Result<SystemTime, Fault> {
        let leeway = self.leeway.as_secs_f64();
        let mut until = date(claims, "exp")?.ok_or_else(|| missing("exp"))? + leeway;
        if now >= until {
            return Err(Fault::Expired);
        }
        if date(claims, "nbf")?.is_some_and(|from| now + leeway < from) {
            return Err(Fault::NotYet);
        }
        let issued = date(claims, "iat")?;
        if issued.is_some_and(|issued| now + leeway < issued) {
            return Err(Fault::Future);
        }
        if let Some(age_max) = self.age_max {
            let old = issued.ok_or_else(|| missing("iat"))? + age_max.as_secs_f64() + leeway;
            if now >= old {
                return Err(Fault::TooOld);
            }
            until = until.min(old);
        }
        Ok(moment(until))
    }
}

/// `iss` must be this, to the letter.
pub fn check_issuer(claims: &Map<String, Value>, ours: &str) -> Result<(), Fault> {
    let said = claims.get("iss").ok_or_else(|| missing("iss"))?;
    let issuer = said.as_str().ok_or_else(|| wrong_type("iss"))?;
    if issuer == ours {
        Ok(())
    } else {
        Err(Fault::Issuer)
    }
}

/// One of these must be in `aud`, which is a text or a list of them.
pub fn check_audience(claims: &Map<String, Value>, ours: &[Box<str>]) -> Result<(), Fault> {
    let is_ours = |name: &str| ours.iter().any(|ours| **ours == *name);
    let found = match claims.get("aud").ok_or_else(|| missing("aud"))? {
        Value::String(name) => is_ours(name),
        Value::Array(names) => {
            let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
            let names = names.ok_or_else(|| wrong_type("aud"))?;
            names.into_iter().any(is_ours)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(wrong_type("aud"));
        }
    };
    if found { Ok(()) } else { Err(Fault::Audience) }
}

/// `exp` where it is there, with what clocks may differ by: until then the claims hold.
pub fn check_end(
    claims: &Map<String, Value>,
    leeway: Duration,
    now: SystemTime,
) -> Result<Option<SystemTime>, Fault> {
    let Some(end) = date(claims, "exp")? else {
        return Ok(None);
    };
    let end = end + leeway.as_secs_f64();
    if seconds(now) >= end {
        return Err(Fault::Expired);
    }
    Ok(Some(moment(end)))
}

/// A claim by its name; where no claim has the whole name, its dots are steps into objects: `realm_access.roles`.
pub fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let mut steps = name.split('.');
        let first = claims.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    })
}

fn missing(name: &str) -> Fault {
    Fault::Missing(name.into())
}

fn wrong_type(name: &str) -> Fault {
    Fault::WrongType(name.into())
}

/// A `NumericDate`: seconds since 1970, perhaps with a fraction. Text is none, though some issuers write it.
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, Fault> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite());
    match seconds {
        Some(seconds) if seconds >= 0.0 => Ok(Some(seconds)),
        _ => Err(wrong_type(name)),
    }
}

fn seconds(moment: SystemTime) -> f64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// A date beyond what the clock can say is its end, a hundred years from 1970 and more.
fn moment(seconds: f64) -> SystemTime {
    const LATEST: f64 = 4_102_444_800.0;
    let since = Duration::try_from_secs_f64(seconds.min(LATEST)).unwrap_or_default();
    SystemTime::UNIX_EPOCH + since
}

#[cfg(test)]
mod tests;
