//! Leaves of `health`: the path that is asked for and the statuses that pass.

use std::ops::RangeInclusive;
use std::str::FromStr;

use http::uri::PathAndQuery;
use plugins::contract::leaf::LeafError;
use plugins::leaf;

/// Path and query of a check.
#[derive(Debug, Clone)]
pub(in crate::config) struct CheckPath(pub(in crate::config) PathAndQuery);

/// `"200-299"` or `"204"`
#[derive(Debug, Clone)]
pub(in crate::config) struct StatusRange(pub(in crate::config) RangeInclusive<u16>);

leaf!(
    CheckPath,
    "check-path",
    "a path with or without a query: \"/healthz\""
);
leaf!(
    StatusRange,
    "status-range",
    "a status or a range of them: \"200-299\""
);

impl FromStr for CheckPath {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let wrong = || LeafError::new(format!("`{text}` is not a path"));
        if !text.starts_with('/') {
            return Err(wrong().help("a path starts with `/`, for example \"/healthz\""));
        }
        // `http` takes some bytes that no request line should have, and drops what follows a `#`.
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return Err(wrong().help("a path holds visible ASCII letters; encode others as %XX"));
        }
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl FromStr for StatusRange {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| {
            let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u16>()
                .ok()
                .filter(|status| digits && (200..=599).contains(status))
        };
        match (status(from), status(to)) {
            (Some(from), Some(to)) if from <= to => Ok(Self(from..=to)),
            _ => Err(
                LeafError::new(format!("`{text}` is not a range of statuses"))
                    .help("write two statuses from 200 to 599, \"200-299\", or one, \"204\""),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_statuses() {
        for (text, range) in [("204", 204..=204), ("200-299", 200..=299)] {
            assert_eq!(text.parse::<StatusRange>().unwrap().0, range);
        }
        for bad in [
            "", "2xx", "100", "600", "299-200", "200-", "-200", "+20", "0200",
        ] {
            assert!(bad.parse::<StatusRange>().is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_paths() {
        for good in ["/", "/healthz?full=1"] {
            assert_eq!(good.parse::<CheckPath>().unwrap().0.as_str(), good);
        }
        for bad in ["", "healthz", "/a b", "/a#b", "/\u{e9}", "*"] {
            assert!(bad.parse::<CheckPath>().is_err(), "{bad}");
        }
    }
}
