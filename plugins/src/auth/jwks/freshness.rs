//! For how long a set of keys may be used before it is fetched again (RFC 9111 sections 4.2 and 5).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// No provider is asked more often, whatever it says.
const LEAST: Duration = Duration::from_secs(30);
/// No key is trusted for longer without asking, whatever the provider says.
const MOST: Duration = Duration::from_hours(24);
/// Where the provider says nothing.
const UNSAID: Duration = Duration::from_mins(10);

/// For how long an answer is fresh, from now.
pub fn of(headers: &HeaderMap, now: SystemTime) -> Duration {
    let said = controlled(headers).or_else(|| expires(headers, now));
    let age = number(headers, header::AGE).unwrap_or_default();
    let left = said.map(|said| said.saturating_sub(Duration::from_secs(age)));
    left.unwrap_or(UNSAID).clamp(LEAST, MOST)
}

/// `Cache-Control`; the strictest of its words counts.
fn controlled(headers: &HeaderMap) -> Option<Duration> {
    let fields = headers.get_all(header::CACHE_CONTROL).iter();
    let words = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .filter_map(word);
    words.min()
}

fn word(word: &str) -> Option<Duration> {
    let word = word.trim().to_ascii_lowercase();
    if matches!(word.as_str(), "no-store" | "no-cache") {
        return Some(Duration::ZERO);
    }
    let seconds = word.strip_prefix("max-age=")?.trim_matches('"');
    // What cannot be read is stale (RFC 9111 section 4.2.1).
    Some(Duration::from_secs(seconds.parse().unwrap_or_default()))
}

fn expires(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let date = |name| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    headers.get(header::EXPIRES)?;
    let (Some(until), from) = (date(header::EXPIRES), date(header::DATE).unwrap_or(now)) else {
        return Some(Duration::ZERO);
    };
    Some(until.duration_since(from).unwrap_or_default())
}

fn number(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(fields: &[(&'static str, &'static str)]) -> u64 {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        of(&headers, now).as_secs()
    }

    #[test]
    fn follows_the_provider_within_limits() {
        assert_eq!(fresh(&[]), 600);
        assert_eq!(
            fresh(&[("cache-control", "public, Max-Age=3600, must-revalidate")]),
            3600
        );
        assert_eq!(fresh(&[("cache-control", "max-age=\"120\"")]), 120);
        assert_eq!(
            fresh(&[("cache-control", "max-age=3600"), ("age", "600")]),
            3000
        );
        assert_eq!(fresh(&[("cache-control", "max-age=0")]), 30);
        assert_eq!(fresh(&[("cache-control", "max-age=29")]), 30);
        assert_eq!(fresh(&[("cache-control", "max-age=86401")]), 86_400);
        assert_eq!(
            fresh(&[("cache-control", "max-age=99999999999999999999999")]),
            30
        );
        assert_eq!(fresh(&[("cache-control", "max-age=-1")]), 30);
        assert_eq!(fresh(&[("cache-control", "max-age=3600, no-cache")]), 30);
        assert_eq!(
            fresh(&[
                ("cache-control", "max-age=3600"),
                ("cache-control", "no-store")
            ]),
            30
        );
        assert_eq!(fresh(&[("cache-control", "private")]), 600);
    }

    #[test]
    fn reads_dates_where_there_is_nothing_else() {
        let later = ("expires", "Sun, 06 Nov 1994 09:49:37 GMT");
        assert_eq!(fresh(&[later]), 3600);
        assert_eq!(
            fresh(&[later, ("date", "Sun, 06 Nov 1994 09:19:37 GMT")]),
            1800
        );
        assert_eq!(fresh(&[later, ("cache-control", "max-age=60")]), 60);
        assert_eq!(fresh(&[("expires", "0")]), 30);
        assert_eq!(fresh(&[("expires", "Sun, 06 Nov 1994 07:49:37 GMT")]), 30);
    }
}
