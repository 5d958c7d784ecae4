//! `Cache-Control` and its relatives as lists of directives (RFC 9111 section 5.2).
//!
//! Takes what a client or an origin sends as it is: unknown directives are passed over, quoted strings hold no directive,
//! and a number that is none makes its directive the strictest it could be.

use http::HeaderMap;
use http::header::{self, HeaderName};

/// Seconds beyond this are this many (RFC 9111 section 1.2.2).
pub const FOREVER: u64 = 1 << 31;

/// What a response says to caches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a directive that is there or not, on its own"
)]
pub struct ResponseDirectives {
    /// Whether the field was there at all.
    pub said: bool,
    /// The directive of this name.
    pub no_store: bool,
    /// Without fields: nothing may be used unvalidated.
    pub no_cache: bool,
    /// With fields: these must not be used unvalidated.
    pub no_cache_fields: Vec<HeaderName>,
    /// The directive of this name.
    pub private: bool,
    /// With fields: only these are private.
    pub private_fields: Vec<HeaderName>,
    /// The directive of this name.
    pub public: bool,
    /// The directive of this name.
    pub must_revalidate: bool,
    /// The directive of this name.
    pub proxy_revalidate: bool,
    /// The directive of this name.
    pub must_understand: bool,
    /// The directive of this name.
    pub max_age: Option<u64>,
    /// The directive of this name.
    pub s_maxage: Option<u64>,
    /// The directive of this name.
    pub stale_while_revalidate: Option<u64>,
    /// The directive of this name.
    pub stale_if_error: Option<u64>,
}

/// What a request says to caches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// The directive of this name.
    pub no_store: bool,
    /// The directive of this name, or that of `Pragma`.
    pub no_cache: bool,
    /// The directive of this name.
    pub only_if_cached: bool,
    /// The directive of this name.
    pub max_age: Option<u64>,
    /// The directive of this name.
    pub min_fresh: Option<u64>,
    /// `max-stale` without a number is [`FOREVER`].
    pub max_stale: Option<u64>,
}

impl ResponseDirectives {
    /// Reads one field, however many lines it has.
    pub fn read(fields: &HeaderMap, name: &HeaderName) -> Self {
        let mut found = Self::default();
        for_each(fields, name, |directive, value| {
            found.said = true;
            found.take(directive, value);
        });
        found
    }

    fn take(&mut self, directive: &str, value: Option<&str>) {
        match directive {
            "no-store" => self.no_store = true,
            "no-cache" => listed(value, &mut self.no_cache, &mut self.no_cache_fields),
            "private" => listed(value, &mut self.private, &mut self.private_fields),
            "public" => self.public = true,
            "must-revalidate" => self.must_revalidate = true,
            "proxy-revalidate" => self.proxy_revalidate = true,
            "must-understand" => self.must_understand = true,
            "max-age" => least(&mut self.max_age, seconds(value)),
            "s-maxage" => least(&mut self.s_maxage, seconds(value)),
            "stale-while-revalidate" => least(&mut self.stale_while_revalidate, seconds(value)),
            "stale-if-error" => least(&mut self.stale_if_error, seconds(value)),
            _ => {}
        }
    }

    /// Whether a stale answer must never be used, whatever else would allow it.
    pub fn strict(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate || self.no_cache || self.s_maxage.is_some()
    }

    /// Whether the origin allows an answer to a request with credentials to be used for others (RFC 9111 section 3.5).
    pub fn shareable(&self) -> bool {
        self.public || self.s_maxage.is_some()
    }
}

impl RequestDirectives {
    /// Reads `Cache-Control`, and `Pragma` where there is none.
    pub fn read(fields: &HeaderMap) -> Self {
        let mut found = Self::default();
        if !fields.contains_key(header::CACHE_CONTROL) {
            for_each(fields, &header::PRAGMA, |directive, _| {
                found.no_cache |= directive == "no-cache";
            });
            return found;
        }
        for_each(
            fields,
            &header::CACHE_CONTROL,
            |directive, value| match directive {
                "no-store" => found.no_store = true,
                "no-cache" => found.no_cache = true,
                "only-if-cached" => found.only_if_cached = true,
                "max-age" => least(&mut found.max_age, seconds(value)),
                "min-fresh" => found.min_fresh = Some(number(value).unwrap_or(FOREVER)),
                "max-stale" if value.is_none() => found.max_stale = Some(FOREVER),
                "max-stale" => found.max_stale = Some(seconds(value)),
                _ => {}
            },
        );
        found
    }
}

/// `no-cache` and `private` say everything, or name fields. A list that names nothing that could be a field says everything.
fn listed(value: Option<&str>, all: &mut bool, fields: &mut Vec<HeaderName>) {
    let names: Vec<HeaderName> = value
        .into_iter()
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    if names.is_empty() {
        *all = true;
    } else {
        fields.extend(names);
    }
}

/// Of two, the stricter.
fn least(slot: &mut Option<u64>, value: u64) {
    *slot = Some(slot.map_or(value, |other| other.min(value)));
}

/// A number of seconds; what is none counts as zero.
fn seconds(value: Option<&str>) -> u64 {
    number(value).unwrap_or(0)
}

fn number(value: Option<&str>) -> Option<u64> {
    let digits = value?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Too many digits for a number are still a number.
    Some(digits.parse().map_or(FOREVER, |n: u64| n.min(FOREVER)))
}

/// Calls for every directive of a field: its name in lower case and its value without quotes.
pub fn for_each(fields: &HeaderMap, name: &HeaderName, mut each: impl FnMut(&str, Option<&str>)) {
    for line in fields.get_all(name) {
        let text = String::from_utf8_lossy(line.as_bytes());
        for part in members(&text) {
            let (directive, value) = match part.split_once('=') {
                Some((directive, value)) => (directive, Some(unquoted(value))),
                None => (part, None),
            };
            let directive = directive.to_ascii_lowercase();
            if !directive.is_empty() {
                each(&directive, value);
            }
        }
    }
}

fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"');
    inner.map_or(value, |inner| inner.strip_suffix('"').unwrap_or(inner))
}

/// The members of a list: commas within quotes do not part.
pub fn members(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.bytes().position(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' => return !quoted,
                _ => {}
            }
            false
        });
        let (member, after) = match end {
            Some(end) => (text.get(..end), text.get(end + 1..)),
            None => (Some(text), None),
        };
        rest = after;
        member.map(str::trim)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(lines: &[&str]) -> ResponseDirectives {
        let mut fields = HeaderMap::new();
        for line in lines {
            fields.append(header::CACHE_CONTROL, line.parse().unwrap());
        }
        ResponseDirectives::read(&fields, &header::CACHE_CONTROL)
    }

    #[test]
    fn numbers_are_digits_alone() {
        for (written, meant) in [
            ("max-age=60", 60),
            ("MAX-AGE=60", 60),
            ("max-age=\"60\"", 60),
            ("max-age='60'", 0),
            ("max-age=-60", 0),
            ("max-age=6.5", 0),
            ("max-age=a60", 0),
            ("max-age=", 0),
            ("max-age", 0),
            ("max-age=0060", 60),
            ("max-age=99999999999999999999999", FOREVER),
        ] {
            assert_eq!(response(&[written]).max_age, Some(meant), "{written}");
        }
    }

    #[test]
    fn of_two_the_stricter_holds() {
        assert_eq!(response(&["max-age=60, max-age=5"]).max_age, Some(5));
        assert_eq!(response(&["max-age=5", "max-age=60"]).max_age, Some(5));
    }

    #[test]
    fn quotes_hold_no_directive() {
        let found = response(&["ext=\"max-age=9, no-store\\\", private\", max-age=60"]);
        assert_eq!(
            (found.max_age, found.no_store, found.private),
            (Some(60), false, false)
        );
    }

    #[test]
    fn fields_are_told_from_everything() {
        let found = response(&["no-cache=\"set-cookie, x-a\", private"]);
        assert!(!found.no_cache && found.private);
        assert_eq!(found.no_cache_fields.len(), 2);
        assert!(response(&["no-cache=\"\""]).no_cache);
    }

    #[test]
    fn pragma_counts_where_there_is_no_cache_control() {
        let mut fields = HeaderMap::new();
        fields.insert(header::PRAGMA, "no-cache".parse().unwrap());
        assert!(RequestDirectives::read(&fields).no_cache);
        fields.insert(header::CACHE_CONTROL, "max-stale".parse().unwrap());
        let found = RequestDirectives::read(&fields);
        assert_eq!((found.no_cache, found.max_stale), (false, Some(FOREVER)));
    }
}
