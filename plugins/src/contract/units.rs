//! Quantities with a unit: times, sizes, shares. A bare number is refused, so that nobody guesses.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::leaf::LeafError;
use crate::leaf;

/// A span of time, `"250ms"`, `"30s"`, `"5min"`, `"12h"`, `"7d"`; at most 366 days, millisecond steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Duration);

/// A number of bytes, `"512B"`, `"64KiB"`, `"10MiB"`, `"2GiB"`; at most 1 TiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

/// Bytes for each second, `"256B/s"`, `"1KiB/s"`; at most 1 TiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteRate(u64);

/// A share of a whole, `"20%"`; whole per cents from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u8);

leaf!(
    Time,
    "time",
    "a time with a unit: \"250ms\", \"30s\", \"5min\", \"12h\", \"7d\""
);
leaf!(
    Size,
    "size",
    "a size with a unit: \"512B\", \"64KiB\", \"10MiB\", \"2GiB\""
);
leaf!(
    ByteRate,
    "byte-rate",
    "bytes for each second: \"256B/s\", \"1KiB/s\""
);
leaf!(Share, "share", "a share in per cent: \"20%\"");

const TIME_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const TIME_MAX_MS: u64 = 366 * 86_400_000;
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
const SIZE_MAX: u64 = 1 << 40;

impl Time {
    /// From milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// From seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// As the standard library's duration.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl Size {
    /// From bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl ByteRate {
    /// From bytes for each second.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes for each second.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Share {
    /// From whole per cents; more than 100 are 100.
    pub const fn from_percent(percent: u8) -> Self {
        Self(if percent > 100 { 100 } else { percent })
    }

    /// In per cent, 0 to 100.
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// As a fraction between 0 and 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl FromStr for Time {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let millis = quantity(text, TIME_UNITS, "a time", "30s")?;
        if millis > TIME_MAX_MS {
            return Err(LeafError::new(format!("`{text}` is longer than 366 days")));
        }
        Ok(Self::from_millis(millis))
    }
}

impl FromStr for Size {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let bytes = quantity(text, SIZE_UNITS, "a size", "10MiB")?;
        if bytes > SIZE_MAX {
            return Err(LeafError::new(format!("`{text}` is more than 1024GiB")));
        }
        Ok(Self(bytes))
    }
}

impl FromStr for ByteRate {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let Some(size) = text.strip_suffix("/s") else {
            let wrong = format!("`{text}` does not say for each second");
            return Err(
                LeafError::new(wrong).help("write bytes for each second, for example \"1KiB/s\"")
            );
        };
        size.parse().map(|Size(bytes)| Self(bytes))
    }
}

impl FromStr for Share {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let percent = quantity(text, &[("%", 1)], "a share", "20%")?;
        match u8::try_from(percent) {
            Ok(percent) if percent <= 100 => Ok(Self(percent)),
            _ => Err(LeafError::new(format!("`{text}` is more than 100%"))),
        }
    }
}

/// Reads `<whole number><unit>` and multiplies.
fn quantity(
    text: &str,
    units: &[(&str, u64)],
    kind: &str,
    example: &str,
) -> Result<u64, LeafError> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    if digits.is_empty() {
        let wrong = format!("`{text}` is not {kind}");
        return Err(LeafError::new(wrong).help(format!(
            "write a whole number and a unit, for example \"{example}\""
        )));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(unit_error(text, digits, unit, units, kind));
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(*factor))
        .ok_or_else(|| LeafError::new(format!("`{text}` is too large")))
}

fn unit_error(
    text: &str,
    digits: &str,
    unit: &str,
    units: &[(&str, u64)],
    kind: &str,
) -> LeafError {
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    let meant = meant_unit(unit).filter(|meant| names.contains(meant));
    let message = if unit.is_empty() {
        format!("`{text}` has no unit")
    } else {
        format!("`{unit}` is not a unit of {kind}")
    };
    let help = match meant {
        Some(meant) => format!("write \"{digits}{meant}\""),
        None => format!("the units are {}", names.join(", ")),
    };
    LeafError::new(message).help(help)
}

/// What people write when they mean one of our units.
fn meant_unit(unit: &str) -> Option<&'static str> {
    match unit.to_ascii_lowercase().as_str() {
        "m" | "mins" | "minute" | "minutes" => Some("min"),
        "sec" | "secs" | "second" | "seconds" => Some("s"),
        "hr" | "hour" | "hours" => Some("h"),
        "day" | "days" => Some("d"),
        "msec" | "millis" => Some("ms"),
        "b" | "byte" | "bytes" => Some("B"),
        "k" | "kb" | "kib" => Some("KiB"),
        "mb" | "mib" => Some("MiB"),
        "g" | "gb" | "gib" => Some("GiB"),
        _ => None,
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        display(millis, TIME_UNITS, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self.0, SIZE_UNITS, f)
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self.0, SIZE_UNITS, f)?;
        f.write_str("/s")
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// In the largest unit that divides the number.
fn display(number: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let fits = |(_, factor): &&(&str, u64)| number >= *factor && number.is_multiple_of(*factor);
    match units.iter().rev().find(fits).or(units.first()) {
        Some((unit, factor)) => write!(f, "{}{unit}", number / factor),
        None => write!(f, "{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_unit() {
        let times = [
            ("250ms", 250),
            ("30s", 30_000),
            ("5min", 300_000),
            ("12h", 43_200_000),
            ("7d", 604_800_000),
        ];
        for (text, millis) in times {
            assert_eq!(
                text.parse::<Time>(),
                Ok(Time::from_millis(millis)),
                "{text}"
            );
        }
        assert_eq!("10MiB".parse::<Size>(), Ok(Size::from_bytes(10 << 20)));
        assert_eq!("2KiB/s".parse::<ByteRate>(), Ok(ByteRate(2048)));
        assert_eq!("20%".parse::<Share>().map(Share::fraction), Ok(0.2));
    }

    #[test]
    fn names_the_cure_for_a_wrong_unit() {
        let help = |text: &str| text.parse::<Time>().unwrap_err().help.unwrap();
        assert_eq!(help("5m"), "write \"5min\"");
        assert_eq!(help("5"), "the units are ms, s, min, h, d");
        assert_eq!(
            "10MB".parse::<Size>().unwrap_err().help.unwrap(),
            "write \"10MiB\""
        );
    }

    #[test]
    fn refuses_signs_spaces_fractions_and_overflow() {
        for text in [
            "",
            "s",
            "-1s",
            "+1s",
            "1 s",
            " 1s",
            "1.5s",
            "99999999999999999999s",
            "367d",
        ] {
            assert!(text.parse::<Time>().is_err(), "{text:?}");
        }
        assert!("1024GiB".parse::<Size>().is_ok());
        assert!("1025GiB".parse::<Size>().is_err());
        assert!("101%".parse::<Share>().is_err());
        for text in ["1KiB", "1KiB/min", "/s", "1/s", "1 B/s"] {
            assert!(text.parse::<ByteRate>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn prints_what_it_reads() {
        for text in ["0ms", "250ms", "30s", "5min", "12h", "7d"] {
            assert_eq!(text.parse::<Time>().unwrap().to_string(), text);
        }
        assert_eq!("1KiB/s".parse::<ByteRate>().unwrap().to_string(), "1KiB/s");
    }
}
