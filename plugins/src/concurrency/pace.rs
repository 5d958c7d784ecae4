//! How many at once do well: the limit falls while answers take longer than they use to, and rises again.
//!
//! After every [`SAMPLES`] answers their mean time is compared with the long-term one. The ratio, at least a half, is
//! what the limit is multiplied by; the square root of the limit is added, so that there is always room to find out
//! whether more would do. The limit does not rise where it was not used.

/// Answers that make up one step.
const SAMPLES: u32 = 20;
/// How much slower than usual is still usual.
const TOLERANCE: f64 = 1.5;
/// How much of a step's time goes into the long-term time.
const LONG: f64 = 0.05;
/// How much of a step's limit goes into the limit.
const SMOOTH: f64 = 0.2;
/// A limit at which nobody waits for another.
const FEW: usize = 10;
/// Where an adaptive limit starts.
const FIRST: usize = 20;

/// What has been learned.
#[derive(Debug, Default)]
pub(super) struct Pace {
    sum: f64,
    count: u32,
    was_busy: bool,
    usual: f64,
}

impl Pace {
    /// The limit to start with.
    pub(super) fn first_limit(max: usize, adaptive: bool) -> usize {
        if adaptive { max.min(FIRST) } else { max }
    }

    /// The limit after an answer that took so long.
    pub(super) fn learn(&mut self, limit: usize, max: usize, micros: u64, busy: bool) -> usize {
        #[expect(clippy::cast_precision_loss, reason = "a time of years is no answer's")]
        let taken = micros as f64;
        self.sum += taken;
        self.count += 1;
        self.was_busy |= busy;
        if self.count < SAMPLES {
            return limit;
        }
        let mean = (self.sum / f64::from(self.count)).max(1.0);
        self.step(mean, limit);
        let next = self.next(limit, mean);
        let next = if next > limit && !self.was_busy {
            limit
        } else {
            next
        };
        (self.sum, self.count, self.was_busy) = (0.0, 0, false);
        next.clamp(1, max)
    }

    /// The long-term time falls at once to what is possible. It rises only where few are under way: where many are, they may
    /// be the reason, and a limit that takes them for usual would never stop rising.
    fn step(&mut self, mean: f64, limit: usize) {
        if self.usual == 0.0 || mean < self.usual {
            self.usual = mean;
        } else if limit <= FEW {
            self.usual += (mean - self.usual) * LONG;
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "limits are between 1 and 100000"
    )]
    fn next(&self, limit: usize, mean: f64) -> usize {
        let limit = limit as f64;
        let gradient = (TOLERANCE * self.usual / mean).clamp(0.5, 1.0);
        let wanted = limit * gradient + limit.sqrt();
        let next = limit + (wanted - limit) * SMOOTH;
        // Rounded away from where it is, or small limits would never move.
        if wanted > limit {
            next.ceil() as usize
        } else {
            next.floor() as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit after so many answers of a service that does `good` at once in 1 ms each, and queues the rest.
    fn found(good: u64, mut limit: usize, answers: u32) -> usize {
        let mut pace = Pace::default();
        for _ in 0..answers {
            let under_way = limit as u64;
            let micros = 1_000 * under_way.max(good) / good;
            limit = pace.learn(limit, 10_000, micros, true);
        }
        limit
    }

    #[test]
    fn finds_what_a_service_can_do() {
        for good in [10, 50, 400] {
            let limit = found(good, 20, 40_000) as u64;
            assert!((good..good * 4).contains(&limit), "{good}: {limit}");
        }
    }

    #[test]
    fn falls_when_a_service_slows_down_and_rises_when_it_recovers() {
        let mut pace = Pace::default();
        let mut limit = 100;
        let mut run = |limit: &mut usize, micros: u64| {
            for _ in 0..200 {
                *limit = pace.learn(*limit, 1_000, micros, true);
            }
        };
        run(&mut limit, 1_000);
        let well = limit;
        run(&mut limit, 50_000);
        let slow = limit;
        run(&mut limit, 1_000);
        assert!(slow < well && limit > slow, "{well} {slow} {limit}");
    }

    #[test]
    fn does_not_rise_unused() {
        let mut pace = Pace::default();
        let mut limit = 20;
        for _ in 0..1_000 {
            limit = pace.learn(limit, 1_000, 1_000, false);
        }
        assert_eq!(limit, 20);
    }
}
