//! The time of a log line, RFC 3339 in UTC with milliseconds, formatted once a second.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `2026-11-22T00:00:00`
type Second = [u8; 19];

thread_local! {
    static LAST: Cell<(u64, Second)> = const { Cell::new((u64::MAX, [0; 19])) };
}

/// Appends a moment.
pub fn write(now: SystemTime, out: &mut Vec<u8>) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (mut second, mut text) = LAST.get();
    if second != since.as_secs() {
        second = since.as_secs();
        text = format(second);
        LAST.set((second, text));
    }
    out.extend_from_slice(&text);
    out.push(b'.');
    digits(out, u64::from(since.subsec_millis()), 3);
    out.push(b'Z');
}

fn format(second: u64) -> Second {
    let (year, month, day) = civil(second / 86_400);
    let (hour, minute) = (second / 3_600 % 24, second / 60 % 60);
    let mut out = Vec::with_capacity(19);
    for (number, width, after) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (hour, 2, b':'),
        (minute, 2, b':'),
        (second % 60, 2, 0),
    ] {
        digits(&mut out, number, width);
        out.extend((after != 0).then_some(after));
    }
    // A year beyond 9999 has more digits; nobody will read that log.
    out.try_into().unwrap_or(*b"9999-12-31T23:59:59")
}

fn digits(out: &mut Vec<u8>, number: u64, width: u32) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    let width = usize::try_from(width).unwrap_or_default();
    out.resize(out.len() + width.saturating_sub(text.len()), b'0');
    out.extend_from_slice(text.as_bytes());
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(millis: u64) -> String {
        let mut out = Vec::new();
        write(UNIX_EPOCH + Duration::from_millis(millis), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_rfc_3339() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_400_007), "2000-02-29T00:00:00.007Z");
        assert_eq!(text(1_795_305_599_999), "2026-11-21T23:59:59.999Z");
    }
}
