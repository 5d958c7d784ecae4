//! How late a worker comes to what is due, and how much it should refuse to catch up.
//!
//! The share of refusals is what a controller finds (proportional and integral): it rises while the smoothed lag is
//! above the limit, the faster the further above, and falls while it is below. So it settles where just enough is
//! refused, instead of swinging between everything and nothing.

use std::time::Duration;

/// What lies so many seconds back has half its weight in the smoothed lag.
const SMOOTH: f64 = 0.1;
/// So much is turned away at once for every limit that the lag is above the limit.
const AT_ONCE: f64 = 0.25;
/// So many seconds at twice the limit turn everybody away, and as many without lag nobody.
const RAMP: f64 = 2.0;
/// A sample counts for so long at most: whoever was stopped as a whole has not been late all the time.
const SAMPLE_MAX: f64 = 0.1;
/// Lateness beyond so many limits says no more: one stall must be forgotten soon.
const LATE_MAX: f64 = 4.0;

/// What has been seen of one worker.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// In seconds.
    smoothed: f64,
    /// The share that was found to be needed over time.
    needed: f64,
}

impl Lag {
    /// A timer that was due fires so late, so long after the last one; the share that should be turned away, 0 to 1.
    pub(super) fn see(&mut self, late: Duration, since: Duration, limit: Duration) -> f64 {
        let limit = limit.as_secs_f64().max(f64::EPSILON);
        let late = late.as_secs_f64().min(limit * LATE_MAX);
        let since = since.as_secs_f64().min(SAMPLE_MAX);
        self.smoothed += (late - self.smoothed) * since / (since + SMOOTH);
        let excess = (self.smoothed / limit - 1.0).max(-1.0);
        self.needed = (self.needed + excess * since / RAMP).clamp(0.0, 1.0);
        (self.needed + excess * AT_ONCE).clamp(0.0, 1.0)
    }

    /// The smoothed lag.
    pub(super) fn smoothed(&self) -> Duration {
        Duration::try_from_secs_f64(self.smoothed).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);
    const TICK: Duration = Duration::from_millis(10);

    /// The shares after each of so many ticks that are each so late.
    fn shares(lag: &mut Lag, ticks: u32, late: u64) -> Vec<f64> {
        let late = Duration::from_millis(late);
        let see = |_| lag.see(late, TICK + late, LIMIT);
        (0..ticks).map(see).collect()
    }

    fn after(lag: &mut Lag, ticks: u32, late: u64) -> f64 {
        shares(lag, ticks, late).pop().unwrap()
    }

    #[test]
    fn nobody_is_turned_away_up_to_the_limit() {
        let mut lag = Lag::default();
        assert!(
            shares(&mut lag, 1_000, 50)
                .iter()
                .all(|share| *share <= 0.0)
        );
        assert!(lag.smoothed() <= LIMIT);
        assert!(after(&mut lag, 1_000, 51) > 0.0);
    }

    #[test]
    fn one_stall_is_no_overload() {
        let mut lag = Lag::default();
        after(&mut lag, 100, 0);
        assert!(after(&mut lag, 1, 5_000) < 0.35);
        // Nobody is turned away any more after some tenths of a second.
        assert!(
            shares(&mut lag, 50, 0)
                .split_off(20)
                .iter()
                .all(|share| *share <= 0.0)
        );
    }

    #[test]
    fn turns_more_away_until_it_catches_up_and_then_lets_them_in_again() {
        let mut lag = Lag::default();
        let some = after(&mut lag, 10, 100);
        let more = after(&mut lag, 10, 100);
        assert!(0.0 < some && some < more);
        assert!(after(&mut lag, 100, 100) >= 1.0);
        let less = after(&mut lag, 60, 0);
        assert!(less < 1.0);
        assert!(after(&mut lag, 400, 0) <= 0.0);
    }

    /// A worker whose queue grows by what is offered beyond what it can do; it is looked at when the queue lets it.
    fn settled(offered: f64) -> (f64, f64) {
        let (mut lag, mut queue, mut share) = (Lag::default(), 0.0_f64, 0.0);
        let (mut now, mut seen, mut due) = (0_u32, 0_u32, 10_u32);
        while now < 30_000 {
            now += 1;
            queue = (queue + (offered * (1.0 - share) - 1.0) / 1_000.0).max(0.0);
            if now >= due {
                let since = Duration::from_millis(u64::from(now - seen));
                share = lag.see(Duration::from_secs_f64(queue), since, LIMIT);
                let wait = TICK + Duration::from_secs_f64(queue);
                (seen, due) = (now, now + u32::try_from(wait.as_millis()).unwrap());
            }
        }
        (share, queue)
    }

    #[test]
    fn settles_where_just_enough_is_turned_away() {
        for offered in [1.2, 1.5, 2.0, 4.0] {
            let (share, queue) = settled(offered);
            let wanted = 1.0 - 1.0 / offered;
            assert!((share - wanted).abs() < 0.02, "{offered}: {share} {wanted}");
            assert!((queue - LIMIT.as_secs_f64()).abs() < 0.01, "{queue}");
        }
    }
}
