//! Whether a policy refuses (`enforce`) or only says what it would have refused (`shadow`).

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Deserialize;

use super::leaf::LeafError;
use super::place::{At, Span};
use super::report::Report;
use crate::leaf;

/// As written: `mode = "enforce"` or `mode = "shadow"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawMode {
    /// Refuse.
    Enforce,
    /// Count and log what would have been refused, and let it pass.
    Shadow,
}

/// As meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Refuse.
    #[default]
    Enforce,
    /// Let pass until the end of the day before this moment (for ever where there is none), then refuse.
    Shadow {
        /// The first moment at which the policy refuses again.
        until: Option<SystemTime>,
    },
}

/// A calendar day, `"2027-01-31"`, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date(SystemTime);

leaf!(Date, "date", "a day, \"2027-01-31\"");

impl Mode {
    /// Mode of a policy that may be shadowed for as long as the operator likes.
    pub fn open_ended(raw: Option<At<RawMode>>) -> Self {
        match raw.map(At::into_inner) {
            None | Some(RawMode::Enforce) => Self::Enforce,
            Some(RawMode::Shadow) => Self::Shadow { until: None },
        }
    }

    /// Mode of a policy that guards access: shadow needs an end, `shadow-until`.
    pub fn until(
        raw: Option<At<RawMode>>,
        until: Option<At<Date>>,
        table: Span,
        report: &mut Report,
    ) -> Self {
        match (raw.as_deref(), until) {
            (Some(RawMode::Shadow), Some(until)) => Self::Shadow {
                until: Some(until.0),
            },
            (Some(RawMode::Shadow), None) => {
                let span = raw.map_or(table, |raw| raw.span());
                report
                    .error(
                        span,
                        "policy.shadow-without-end",
                        "a policy that guards access is in shadow without an end",
                    )
                    .label("lets everybody through")
                    .help("add shadow-until = \"2027-01-31\": from that day it refuses again");
                Self::Enforce
            }
            (None | Some(RawMode::Enforce), Some(until)) => {
                report
                    .error(
                        until.span(),
                        "policy.shadow-until-alone",
                        "`shadow-until` without mode = \"shadow\" does nothing",
                    )
                    .help("add mode = \"shadow\" or remove this key");
                Self::Enforce
            }
            (None | Some(RawMode::Enforce), None) => Self::Enforce,
        }
    }

    /// Whether the policy only observes at this moment.
    pub fn is_shadow(self, now: SystemTime) -> bool {
        match self {
            Self::Enforce => false,
            Self::Shadow { until } => until.is_none_or(|until| now < until),
        }
    }

    /// The word for logs, metrics and `explain`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow { .. } => "shadow",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Date {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let wrong = || {
            LeafError::new(format!("`{text}` is not a day"))
                .help("write year-month-day, for example \"2027-01-31\"")
        };
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts.as_slice() else {
            return Err(wrong());
        };
        if (year.len(), month.len(), day.len()) != (4, 2, 2)
            || !text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        {
            return Err(wrong());
        }
        let number = |part: &str| part.parse::<u64>().map_err(|_| wrong());
        let days =
            days_since_1970(number(year)?, number(month)?, number(day)?).ok_or_else(wrong)?;
        Ok(Self(
            SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400),
        ))
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar; `None` for a day that does not exist or lies before.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let in_month = |month: u64| match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if year < 1970 || !(1..=12).contains(&month) || !(1..=in_month(month)).contains(&day) {
        return None;
    }
    let years: u64 = (1970..year)
        .map(|year| if leap(year) { 366 } else { 365 })
        .sum();
    let months: u64 = (1..month).map(in_month).sum();
    Some(years + months + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_days() {
        assert_eq!(days_since_1970(1970, 1, 1), Some(0));
        assert_eq!(days_since_1970(2000, 3, 1), Some(11_017));
        assert_eq!(days_since_1970(2027, 1, 31), Some(20_849));
        assert_eq!(days_since_1970(2027, 2, 29), None);
        assert_eq!(days_since_1970(2028, 2, 29), Some(21_243));
    }

    #[test]
    fn a_shadow_ends_on_its_day() {
        let day = "2027-01-31".parse::<Date>().unwrap();
        let mode = Mode::Shadow { until: Some(day.0) };
        assert!(mode.is_shadow(day.0 - Duration::from_secs(1)));
        assert!(!mode.is_shadow(day.0));
    }

    #[test]
    fn refuses_what_is_no_day() {
        for text in [
            "",
            "2027-1-31",
            "2027-13-01",
            "2027-02-30",
            "31-01-2027",
            "2027-01-31T00:00",
            "+027-01-31",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text:?}");
        }
    }
}
