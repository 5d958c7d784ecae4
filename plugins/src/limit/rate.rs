//! Rates as operators write them: `"100/min"`, `"5/s"`, `"1000/h"`, `"10000/day"`, and for quotas `"1000000/month"`.

use std::fmt;
use std::str::FromStr;

use crate::contract::leaf::LeafError;
use crate::leaf;

/// So many units of cost in each period; at least 1, at most [`COUNT_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u64,
    period: Period,
}

/// The period of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// `s`
    Second,
    /// `min`
    Minute,
    /// `h`
    Hour,
    /// `day`
    Day,
    /// `month`: of the calendar, so for quotas alone.
    Month,
}

/// The highest count of a rate.
pub const COUNT_MAX: u64 = 1_000_000_000;

leaf!(
    Rate,
    "rate",
    "a rate: \"5/s\", \"100/min\", \"1000/h\", \"10000/day\"; for quotas also \"1000000/month\""
);

const PERIODS: &[(&str, Period)] = &[
    ("s", Period::Second),
    ("min", Period::Minute),
    ("h", Period::Hour),
    ("day", Period::Day),
    ("month", Period::Month),
];

impl Rate {
    /// Units of cost in each period.
    pub fn count(self) -> u64 {
        self.count
    }

    /// The period.
    pub fn period(self) -> Period {
        self.period
    }
}

impl Period {
    /// Its length in microseconds; `None` for a month, which has no fixed one.
    pub fn micros(self) -> Option<u64> {
        match self {
            Self::Second => Some(1_000_000),
            Self::Minute => Some(60_000_000),
            Self::Hour => Some(3_600_000_000),
            Self::Day => Some(86_400_000_000),
            Self::Month => None,
        }
    }

    fn name(self) -> &'static str {
        let found = PERIODS.iter().find(|(_, period)| *period == self);
        found.map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.period.name())
    }
}

impl FromStr for Rate {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let Some((digits, unit)) = text.split_once('/') else {
            return Err(LeafError::new(format!("`{text}` is not a rate"))
                .help("write a number and a period, for example \"100/min\""));
        };
        let period = period(digits, unit)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(LeafError::new(format!("`{digits}` is not a whole number"))
                .help(format!("write for example \"100/{unit}\"")));
        }
        match digits.parse() {
            Ok(0) => Err(LeafError::new(format!("`{text}` admits nobody"))
                .help("write at least 1; to close a route answer with respond = { status = 403 }")),
            Ok(count) if count <= COUNT_MAX => Ok(Self { count, period }),
            Ok(_) | Err(_) => Err(LeafError::new(format!("`{text}` is too much"))
                .help(format!("write at most \"{COUNT_MAX}/{unit}\""))),
        }
    }
}

fn period(digits: &str, unit: &str) -> Result<Period, LeafError> {
    if let Some((_, period)) = PERIODS.iter().find(|(name, _)| *name == unit) {
        return Ok(*period);
    }
    let meant = match unit.to_ascii_lowercase().as_str() {
        "sec" | "secs" | "second" | "seconds" => Some("s"),
        "m" | "mins" | "minute" | "minutes" => Some("min"),
        "hr" | "hour" | "hours" => Some("h"),
        "d" | "days" => Some("day"),
        "mo" | "months" => Some("month"),
        _ => None,
    };
    let error = LeafError::new(format!("`{unit}` is not the period of a rate"));
    Err(match meant {
        Some(meant) => error.help(format!("write \"{digits}/{meant}\"")),
        None => error.help("the periods are s, min, h, day and month"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_each_period() {
        for text in ["5/s", "100/min", "1000/h", "10000/day", "1000000/month"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn names_the_cure() {
        let help = |text: &str| text.parse::<Rate>().unwrap_err().help.unwrap();
        assert!(help("0/s").starts_with("write at least 1"));
        assert_eq!(help("5/m"), "write \"5/min\"");
        assert_eq!(
            help("5/fortnight"),
            "the periods are s, min, h, day and month"
        );
        assert_eq!(help("1000000001/s"), "write at most \"1000000000/s\"");
        assert_eq!(help("x/s"), "write for example \"100/s\"");
        assert_eq!(
            help("100"),
            "write a number and a period, for example \"100/min\""
        );
    }

    #[test]
    fn refuses_what_is_no_rate() {
        for text in [
            "",
            "/s",
            "-1/s",
            "+1/s",
            "1.5/s",
            "1 /s",
            "1/",
            "1/s/s",
            "99999999999999999999/s",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text:?}");
        }
        assert!("1000000000/s".parse::<Rate>().is_ok());
    }
}
