//! Which query parameters make a request another one. Pure.
//!
//! Parameters are told apart by `&` alone and kept as they are written; what does not count is not forwarded either, so that
//! nothing unkeyed can shape a stored answer.

use std::borrow::Cow;

/// Which parameters count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum QueryRule {
    /// All.
    #[default]
    All,
    /// Those whose name fits one of these.
    Keep(Vec<Glob>),
    /// Those whose name fits none of these.
    Drop(Vec<Glob>),
}

/// A name with `*` for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Box<str>);

impl Glob {
    /// Takes any text.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// As written.
    pub fn pattern(&self) -> &str {
        &self.0
    }

    /// Whether a name fits.
    pub fn fits(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

impl QueryRule {
    /// Whether a parameter, as written, counts.
    fn counts(&self, parameter: &str) -> bool {
        let (globs, wanted) = match self {
            Self::All => return true,
            Self::Keep(globs) => (globs, true),
            Self::Drop(globs) => (globs, false),
        };
        // To some upstreams `;` parts parameters too: what hides behind one must count.
        if parameter.contains(';') {
            return true;
        }
        let name = parameter.split('=').next().unwrap_or_default();
        let name = name.replace('+', " ");
        let name = percent_encoding::percent_decode_str(&name).decode_utf8_lossy();
        globs.iter().any(|glob| glob.fits(&name)) == wanted
    }

    /// What is forwarded: the parameters that count, as they are and in their order.
    pub fn forwarded<'a>(&self, query: &'a str) -> Cow<'a, str> {
        if *self == Self::All {
            return Cow::Borrowed(query);
        }
        let counting = query.split('&').filter(|parameter| self.counts(parameter));
        Cow::Owned(counting.collect::<Vec<_>>().join("&"))
    }

    /// What a key holds of a query: nothing where nothing of it is forwarded.
    pub fn part<'a>(&self, query: Option<&'a str>) -> Option<Cow<'a, str>> {
        let keyed = query.map(|query| self.keyed(query));
        keyed.filter(|keyed| !keyed.is_empty() || *self == Self::All)
    }

    /// The parameters that count, by name; those of one name stay in their order.
    fn keyed<'a>(&self, query: &'a str) -> Cow<'a, str> {
        // Where `;` may part parameters, their order is not ours to judge.
        let ordered = || query.contains(';') || query.split('&').map(folded).is_sorted();
        if *self == Self::All && ordered() {
            return Cow::Borrowed(query);
        }
        let mut counting: Vec<&str> = query
            .split('&')
            .filter(|parameter| self.counts(parameter))
            .collect();
        if !query.contains(';') {
            counting.sort_by_cached_key(|parameter| folded(parameter));
        }
        Cow::Owned(counting.join("&"))
    }
}

/// The name of a parameter so that those fall together that some upstream takes for one name: however it is encoded, in any
/// case, with any signs (PHP knows `a.b` as `a_b`). What falls together stays in its order.
fn folded(parameter: &str) -> Cow<'_, [u8]> {
    let name = parameter.split('=').next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if name.bytes().all(plain) {
        return Cow::Borrowed(name.as_bytes());
    }
    let fold = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            byte.to_ascii_lowercase()
        } else {
            b'_'
        }
    };
    Cow::Owned(
        percent_encoding::percent_decode_str(name)
            .map(fold)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Vec<Glob> {
        patterns.iter().map(|pattern| Glob::new(pattern)).collect()
    }

    #[test]
    fn a_glob_fits_whole_names() {
        for (glob, name, fits) in [
            ("utm_*", "utm_source", true),
            ("utm_*", "utm_", true),
            ("utm_*", "xutm_a", false),
            ("*id", "gclid", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("a*a", "a", false),
            ("page", "page", true),
            ("page", "pages", false),
            ("*", "", true),
        ] {
            assert_eq!(Glob::new(glob).fits(name), fits, "{glob} {name}");
        }
    }

    #[test]
    fn order_of_names_does_not_count_and_that_of_values_does() {
        let rule = QueryRule::All;
        assert_eq!(rule.keyed("b=2&a=1"), "a=1&b=2");
        assert_ne!(rule.keyed("a=1&a=2"), rule.keyed("a=2&a=1"));
        assert_eq!(rule.forwarded("b=2&a=1"), "b=2&a=1");
        // To some upstream these are one name, or more parameters than they seem.
        for (one, other) in [
            ("a=1&%61=2", "%61=2&a=1"),
            ("a=1&A=2", "A=2&a=1"),
            ("a.b=1&a_b=2", "a_b=2&a.b=1"),
            ("a=1;c=1&b=1;c=2", "b=1;c=2&a=1;c=1"),
        ] {
            assert_ne!(rule.keyed(one), rule.keyed(other), "{one}");
        }
        assert_eq!(
            rule.keyed("page_b=1&page_a=2"),
            rule.keyed("page_a=2&page_b=1")
        );
    }

    #[test]
    fn what_is_dropped_is_neither_keyed_nor_forwarded() {
        let rule = QueryRule::Drop(globs(&["utm_*"]));
        assert_eq!(rule.keyed("utm_a=1&b=2&utm%5Fc=3"), "b=2");
        assert_eq!(rule.forwarded("utm_a=1&b=2&a=3"), "b=2&a=3");
        let rule = QueryRule::Keep(globs(&["page"]));
        assert_eq!(rule.keyed("x=1&page=2"), "page=2");
    }

    #[test]
    fn what_is_all_dropped_is_no_query() {
        let rule = QueryRule::Drop(globs(&["utm_*"]));
        assert_eq!(rule.part(Some("utm_a=1&utm_b")), None);
        assert_eq!(rule.part(None), None);
        assert_eq!(rule.part(Some("utm_a=1&a")).as_deref(), Some("a"));
        assert_eq!(QueryRule::All.part(Some("")).as_deref(), Some(""));
    }

    #[test]
    fn nothing_hides_behind_a_semicolon() {
        let rule = QueryRule::Drop(globs(&["utm_*"]));
        assert_eq!(rule.keyed("utm_a=1;callback=evil"), "utm_a=1;callback=evil");
    }
}
