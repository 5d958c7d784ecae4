//! Fixed windows of the calendar: the hours, days and months of a time zone.
//!
//! Goes by the wall clock. When it jumps back over the start of a window, what is counted already stays counted: nobody
//! has a quota twice.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use super::Verdict;
use super::rate::Period;
use super::table::Count;

/// One window, in microseconds since 1970; the end is the next one's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first microsecond.
    pub start: u64,
    /// The first microsecond of the next.
    pub end: u64,
}

/// The windows of one length in one time zone.
pub struct Calendar {
    zone: TimeZone,
    length: Length,
    /// The last one that was asked for: the calendar is looked at once a window, not once a request.
    current: ArcSwap<Window>,
}

/// How long a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// An hour of the zone's clock.
    Hour,
    /// From midnight to midnight, 23 to 25 hours.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

impl Length {
    /// The window that a rate means; `None` for seconds and minutes, which no calendar is needed for.
    pub fn of(period: Period) -> Option<Self> {
        match period {
            Period::Second | Period::Minute => None,
            Period::Hour => Some(Self::Hour),
            Period::Day => Some(Self::Day),
            Period::Month => Some(Self::Month),
        }
    }

    /// Its usual length in seconds, for what tells clients; a month has 30 days there.
    pub fn seconds(self) -> u64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Month => 30 * 86_400,
        }
    }
}

impl Calendar {
    /// The windows of this length in this time zone.
    pub fn new(zone: TimeZone, length: Length) -> Self {
        let nothing = Window { start: 0, end: 0 };
        Self {
            zone,
            length,
            current: ArcSwap::from_pointee(nothing),
        }
    }

    /// The window that a moment is in.
    pub fn window(&self, now: u64) -> Window {
        let current = **self.current.load();
        if current.start <= now && now < current.end {
            return current;
        }
        let window = self.find(now).unwrap_or(Window {
            start: now,
            // Beyond the years of the calendar there are no windows: count in steps of the usual length.
            end: now.saturating_add(self.length.seconds() * 1_000_000),
        });
        self.current.store(Arc::new(window));
        window
    }

    /// The window that follows another.
    pub fn following(&self, window: Window) -> Window {
        self.find(window.end).unwrap_or(window)
    }

    fn find(&self, now: u64) -> Option<Window> {
        let now = Timestamp::from_microsecond(i64::try_from(now).ok()?).ok()?;
        let here = now.to_zoned(self.zone.clone());
        let (start, end) = match self.length {
            Length::Hour => return hour(&here),
            Length::Day => {
                let start = here.start_of_day().ok()?;
                let next = start.date().checked_add(1.day()).ok()?;
                (start, next)
            }
            Length::Month => {
                let start = here.first_of_month().ok()?.start_of_day().ok()?;
                let next = start.date().checked_add(1.month()).ok()?;
                (start, next)
            }
        };
        let end = end.to_zoned(self.zone.clone()).ok()?;
        Some(Window {
            start: micros_of(&start)?,
            end: micros_of(&end)?,
        })
    }
}

/// Hours begin where the minutes of the local clock are 0; the one that is repeated in autumn is two.
fn hour(here: &Zoned) -> Option<Window> {
    const HOUR: i64 = 3_600;
    let seconds = here.timestamp().as_second();
    let local = seconds.checked_add(i64::from(here.offset().seconds()))?;
    let start = seconds.checked_sub(local.rem_euclid(HOUR))?;
    let micros = |seconds: i64| u64::try_from(seconds).ok()?.checked_mul(1_000_000);
    Some(Window {
        start: micros(start)?,
        end: micros(start.checked_add(HOUR)?)?,
    })
}

fn micros_of(moment: &Zoned) -> Option<u64> {
    u64::try_from(moment.timestamp().as_microsecond()).ok()
}

/// The wall clock in microseconds since 1970; 0 before.
pub fn micros(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The highest count of a quota is that of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaRule {
    /// Units of cost in each window.
    pub count: u64,
}

/// What one key has used in one window.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quota {
    start: u64,
    end: u64,
    used: u64,
}

/// The time, and the window that it is in.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Microseconds since 1970.
    pub now: u64,
    /// The window.
    pub window: Window,
}

impl Count for Quota {
    type Align = u64;
    type Rule = QuotaRule;
    type Now = Moment;

    fn take(&mut self, rule: &QuotaRule, moment: Moment, cost: u64) -> Verdict {
        if moment.window.start > self.start {
            *self = Self {
                start: moment.window.start,
                end: moment.window.end,
                used: 0,
            };
        }
        let wanted = self.used.saturating_add(cost);
        let admitted = wanted <= rule.count;
        if admitted {
            self.used = wanted;
        }
        let end = self.end.saturating_sub(moment.now);
        Verdict {
            admitted,
            remaining: rule.count.saturating_sub(self.used),
            retry_after: match admitted {
                true => Some(0),
                false if cost > rule.count => None,
                false => Some(end),
            },
            reset: end,
        }
    }

    fn idle_at(&self, _rule: &QuotaRule) -> u64 {
        self.end
    }

    fn used(&self, _rule: &QuotaRule, now: u64) -> u64 {
        if now < self.end { self.used } else { 0 }
    }

    fn time(moment: Moment) -> u64 {
        moment.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(zone: &str, length: Length) -> Calendar {
        Calendar::new(TimeZone::get(zone).unwrap(), length)
    }

    fn at(text: &str) -> u64 {
        let moment: Timestamp = text.parse().unwrap();
        u64::try_from(moment.as_microsecond()).unwrap()
    }

    fn window(zone: &str, length: Length, now: &str) -> (String, String) {
        let window = calendar(zone, length).window(at(now));
        let text = |micros: u64| {
            let micros = i64::try_from(micros).unwrap();
            Timestamp::from_microsecond(micros).unwrap().to_string()
        };
        (text(window.start), text(window.end))
    }

    #[test]
    fn windows_are_those_of_the_zone() {
        let pair = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        let berlin = "Europe/Berlin";
        assert_eq!(
            window(berlin, Length::Day, "2026-11-22T06:30:00Z"),
            pair("2026-11-21T23:00:00Z", "2026-11-22T23:00:00Z")
        );
        assert_eq!(
            window(berlin, Length::Month, "2026-10-31T23:30:00Z"),
            pair("2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z")
        );
        assert_eq!(
            window("Asia/Kolkata", Length::Hour, "2026-11-22T06:29:59Z"),
            pair("2026-11-22T05:30:00Z", "2026-11-22T06:30:00Z")
        );
    }

    #[test]
    fn days_of_23_and_25_hours_are_one_window_each() {
        let hours = |now: &str| {
            let window = calendar("Europe/Berlin", Length::Day).window(at(now));
            (window.end - window.start) / 3_600_000_000
        };
        assert_eq!(hours("2026-03-29T12:00:00Z"), 23);
        assert_eq!(hours("2026-10-25T12:00:00Z"), 25);
        let calendar = calendar("Europe/Berlin", Length::Hour);
        let first = calendar.window(at("2026-10-25T00:30:00Z"));
        let second = calendar.window(at("2026-10-25T01:30:00Z"));
        assert_eq!(first.end, second.start, "both are 02:00 on the clock");
    }

    #[test]
    fn a_window_ends_where_the_next_begins() {
        let calendar = calendar("UTC", Length::Month);
        let window = calendar.window(at("2028-02-29T23:59:59Z"));
        assert_eq!(window.end, at("2028-03-01T00:00:00Z"));
        assert_eq!(calendar.following(window).start, window.end);
        assert_eq!(calendar.window(window.end).start, window.end);
    }

    #[test]
    fn a_clock_that_jumps_back_gives_nothing_twice() {
        let calendar = calendar("UTC", Length::Hour);
        let rule = QuotaRule { count: 2 };
        let mut quota = Quota::default();
        let mut take = |now: &str| {
            let now = at(now);
            let window = calendar.window(now);
            quota.take(&rule, Moment { now, window }, 1)
        };
        assert!(take("2026-11-22T10:30:00Z").admitted);
        assert!(take("2026-11-22T11:00:00Z").admitted);
        assert!(take("2026-11-22T10:59:00Z").admitted, "counts for 11:00");
        let refused = take("2026-11-22T10:59:30Z");
        assert_eq!(refused.retry_after, Some(3_630_000_000));
        assert!(!take("2026-11-22T11:59:59Z").admitted);
        assert!(take("2026-11-22T12:00:00Z").admitted);
    }
}
