//! How long an answer is fresh and how old it is (RFC 9111 section 4.2). Pure: the clock is an argument.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

use super::directives::{FOREVER, RequestDirectives, ResponseDirectives};

/// When an answer was had, how old it was then and how long it is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When its head had arrived.
    pub arrived: SystemTime,
    /// How old it was by then (RFC 9111 section 4.2.3).
    pub initial_age: Duration,
    /// How old it may get.
    pub lifetime: Duration,
    /// How long after that it may be used while a new one is fetched.
    pub stale_while_revalidate: Duration,
    /// How long after that it may be used when none can be had.
    pub stale_if_error: Duration,
    /// Whether it must never be used stale, whatever a client says.
    pub strict: bool,
}

/// What a stored answer is good for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// As it is.
    Fresh,
    /// As it is, though stale: the client takes it so.
    Tolerated,
    /// As it is, while a new one is fetched.
    WhileRevalidate,
    /// Not before the origin has confirmed it: it is stale.
    Stale,
    /// Not before the origin has confirmed it: the client wants that.
    Asked,
}

impl Times {
    /// How old it is.
    pub fn age(&self, now: SystemTime) -> Duration {
        let resident = now.duration_since(self.arrived).unwrap_or_default();
        self.initial_age.saturating_add(resident)
    }

    /// How long it stays fresh; none when it is stale.
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        let left = self.lifetime.checked_sub(self.age(now))?;
        Some(left).filter(|left| !left.is_zero())
    }

    /// What it is good for. `expired` says that an operator has marked it stale.
    pub fn judge(&self, asks: &RequestDirectives, expired: bool, now: SystemTime) -> Use {
        let age = self.age(now);
        let left = self.left(now).filter(|_| !expired);
        let too_old = |most: u64| age > Duration::from_secs(most);
        if asks.no_cache || asks.max_age.is_some_and(too_old) {
            return Use::Asked;
        }
        let soon = |least: u64| left.is_some_and(|left| left < Duration::from_secs(least));
        if asks.min_fresh.is_some_and(soon) {
            return Use::Asked;
        }
        if left.is_some() {
            return Use::Fresh;
        }
        let stale = age.saturating_sub(self.lifetime);
        if self.strict || (self.lifetime.is_zero() && self.stale_while_revalidate.is_zero()) {
            return Use::Stale;
        }
        if !expired
            && asks
                .max_stale
                .is_some_and(|most| stale <= Duration::from_secs(most))
        {
            return Use::Tolerated;
        }
        if stale < self.stale_while_revalidate {
            return Use::WhileRevalidate;
        }
        Use::Stale
    }

    /// Whether it may still be used when the origin fails.
    pub fn covers_errors(&self, now: SystemTime) -> bool {
        !self.strict && self.age(now) < self.lifetime.saturating_add(self.stale_if_error)
    }
}

/// Age by the time of arrival: what `Date` suggests or what `Age` says with the time that the exchange took, the greater.
pub fn initial_age(fields: &HeaderMap, asked: SystemTime, arrived: SystemTime) -> Duration {
    let apparent = date(fields, &header::DATE)
        .and_then(|date| arrived.duration_since(date).ok())
        .unwrap_or_default();
    let delay = arrived.duration_since(asked).unwrap_or_default();
    let said = age_field(fields).unwrap_or(FOREVER);
    let corrected = Duration::from_secs(said).saturating_add(delay);
    // `Date` has whole seconds: less than one says nothing.
    if apparent < Duration::from_secs(1) {
        corrected
    } else {
        corrected.max(apparent)
    }
}

/// The value of `Age`; `None` for anything but one number, which says that nobody knows. (RFC 9111 section 5.1 would have us
/// pass over what cannot be read; that could make old answers fresh.)
fn age_field(fields: &HeaderMap) -> Option<u64> {
    let mut lines = fields.get_all(header::AGE).iter();
    let Some(line) = lines.next() else {
        return Some(0);
    };
    let digits = line.to_str().ok().filter(|_| lines.next().is_none())?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().map_or(FOREVER, |age: u64| age.min(FOREVER)))
}

/// The lifetime that the origin says: the targeted field alone where there is one, else `s-maxage`, `max-age`, `Expires`.
pub fn explicit_lifetime(
    fields: &HeaderMap,
    directives: &ResponseDirectives,
    targeted: bool,
    arrived: SystemTime,
) -> Option<Duration> {
    if let Some(seconds) = directives.s_maxage.or(directives.max_age) {
        return Some(Duration::from_secs(seconds));
    }
    if targeted || !fields.contains_key(header::EXPIRES) {
        return None;
    }
    let base = date(fields, &header::DATE).unwrap_or(arrived);
    let until = expires(fields).and_then(|expires| expires.duration_since(base).ok());
    // What cannot be read, and what is past, is over (RFC 9111 section 5.3).
    Some(until.unwrap_or_default())
}

/// Two that differ make none that counts.
fn expires(fields: &HeaderMap) -> Option<SystemTime> {
    let mut lines = fields.get_all(header::EXPIRES).iter();
    let first = lines.next()?;
    lines.all(|other| other == first).then_some(())?;
    httpdate::parse_http_date(first.to_str().ok()?).ok()
}

fn date(fields: &HeaderMap, name: &header::HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(fields.get(name)?.to_str().ok()?).ok()
}

/// A tenth of the time since the last change, a day at most (RFC 9111 section 4.2.2).
pub fn heuristic_lifetime(
    fields: &HeaderMap,
    status: StatusCode,
    public: bool,
    arrived: SystemTime,
) -> Option<Duration> {
    if !public && !heuristically_cacheable(status) {
        return None;
    }
    let changed = date(fields, &header::LAST_MODIFIED)?;
    let base = date(fields, &header::DATE).unwrap_or(arrived);
    let since = base.duration_since(changed).ok()?;
    Some((since / 10).min(Duration::from_hours(24)))
}

/// RFC 9110 section 15.1.
pub fn heuristically_cacheable(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn fields(pairs: &[(header::HeaderName, String)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in pairs {
            fields.append(name, value.parse().unwrap());
        }
        fields
    }

    /// RFC 9111 section 4.2.3 in whole seconds, as it stands there.
    fn naive_age(date: i64, age: i64, asked: i64, arrived: i64, now: i64) -> i64 {
        let apparent_age = (arrived - date).max(0);
        let response_delay = arrived - asked;
        let corrected_age_value = age + response_delay;
        let corrected_initial_age = apparent_age.max(corrected_age_value);
        let resident_time = now - arrived;
        corrected_initial_age + resident_time
    }

    proptest! {
        #[test]
        fn age_is_that_of_the_standard(
            date in 1_000_000i64..2_000_000, age in 0i64..100_000, asked in 1_000_000i64..2_000_000,
            delay in 0i64..100, resident in 0i64..1_000_000,
        ) {
            let (arrived, now) = (asked + delay, asked + delay + resident);
            let time = |seconds: i64| at(seconds.unsigned_abs());
            let fields = fields(&[
                (header::DATE, httpdate::fmt_http_date(time(date))),
                (header::AGE, age.to_string()),
            ]);
            let times = Times {
                arrived: time(arrived),
                initial_age: initial_age(&fields, time(asked), time(arrived)),
                lifetime: Duration::ZERO,
                stale_while_revalidate: Duration::ZERO,
                stale_if_error: Duration::ZERO,
                strict: false,
            };
            let naive = naive_age(date, age, asked, arrived, now);
            prop_assert_eq!(times.age(time(now)), Duration::from_secs(naive.unsigned_abs()));
        }

        #[test]
        fn lifetime_is_that_of_the_standard(
            s_maxage in proptest::option::of(0u64..10_000), max_age in proptest::option::of(0u64..10_000),
            expires in proptest::option::of(1_000_000u64..1_010_000), date in proptest::option::of(1_000_000u64..1_010_000),
            arrived in 1_000_000u64..1_010_000,
        ) {
            let mut said = Vec::new();
            if let Some(n) = s_maxage { said.push((header::CACHE_CONTROL, format!("s-maxage={n}"))); }
            if let Some(n) = max_age { said.push((header::CACHE_CONTROL, format!("max-age={n}"))); }
            if let Some(n) = expires { said.push((header::EXPIRES, httpdate::fmt_http_date(at(n)))); }
            if let Some(n) = date { said.push((header::DATE, httpdate::fmt_http_date(at(n)))); }
            let fields = fields(&said);
            let directives = ResponseDirectives::read(&fields, &header::CACHE_CONTROL);
            let naive = s_maxage
                .or(max_age)
                .or_else(|| expires.map(|expires| expires.saturating_sub(date.unwrap_or(arrived))));
            let found = explicit_lifetime(&fields, &directives, false, at(arrived));
            prop_assert_eq!(found, naive.map(Duration::from_secs));
        }

        #[test]
        fn fresh_while_younger_than_the_lifetime(age in 0u64..1000, lifetime in 0u64..1000, resident in 0u64..1000) {
            let times = times(age, lifetime);
            let fresh = lifetime > age + resident;
            let judged = times.judge(&RequestDirectives::default(), false, at(10_000 + resident));
            prop_assert_eq!(judged == Use::Fresh, fresh);
            prop_assert_eq!(times.left(at(10_000 + resident)).is_some(), fresh);
        }
    }

    fn times(age: u64, lifetime: u64) -> Times {
        Times {
            arrived: at(10_000),
            initial_age: Duration::from_secs(age),
            lifetime: Duration::from_secs(lifetime),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            strict: false,
        }
    }

    #[test]
    fn an_age_that_is_no_number_is_the_greatest() {
        for (value, age) in [
            ("7", 7),
            ("7, 0", FOREVER),
            ("-7", FOREVER),
            ("7.0", FOREVER),
            ("a7", FOREVER),
            ("", FOREVER),
            ("99999999999999999999", FOREVER),
        ] {
            let fields = fields(&[(header::AGE, value.to_owned())]);
            let found = initial_age(&fields, at(0), at(0));
            assert_eq!(found, Duration::from_secs(age), "{value}");
        }
        let twice = fields(&[(header::AGE, "0".to_owned()), (header::AGE, "0".to_owned())]);
        assert_eq!(
            initial_age(&twice, at(0), at(0)),
            Duration::from_secs(FOREVER)
        );
    }

    #[test]
    fn what_a_client_asks_for_is_kept() {
        let times = times(0, 60);
        let judge = |asks: RequestDirectives, now: u64| times.judge(&asks, false, at(10_000 + now));
        let none = RequestDirectives::default();
        let max_age = |n| RequestDirectives {
            max_age: Some(n),
            ..none.clone()
        };
        let min_fresh = |n| RequestDirectives {
            min_fresh: Some(n),
            ..none.clone()
        };
        let max_stale = |n| RequestDirectives {
            max_stale: Some(n),
            ..none.clone()
        };
        assert_eq!(judge(max_age(10), 10), Use::Fresh);
        assert_eq!(judge(max_age(10), 11), Use::Asked);
        assert_eq!(judge(min_fresh(50), 10), Use::Fresh);
        assert_eq!(judge(min_fresh(51), 10), Use::Asked);
        assert_eq!(judge(max_stale(10), 70), Use::Tolerated);
        assert_eq!(judge(max_stale(9), 70), Use::Stale);
        let no_cache = RequestDirectives {
            no_cache: true,
            ..none.clone()
        };
        assert_eq!(judge(no_cache, 1), Use::Asked);
    }

    #[test]
    fn what_must_be_validated_is_never_used_stale() {
        let mut times = times(0, 60);
        times.stale_while_revalidate = Duration::from_mins(1);
        times.stale_if_error = Duration::from_mins(1);
        let asks = RequestDirectives {
            max_stale: Some(FOREVER),
            ..RequestDirectives::default()
        };
        assert_eq!(
            times.judge(&RequestDirectives::default(), false, at(10_100)),
            Use::WhileRevalidate
        );
        times.strict = true;
        assert_eq!(times.judge(&asks, false, at(10_100)), Use::Stale);
        assert!(!times.covers_errors(at(10_100)));
    }
}
