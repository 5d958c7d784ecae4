//! How many requests are to be turned away, as a number that one atomic holds.

/// What is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reason {
    /// A worker comes too late to what is due.
    #[default]
    Lag,
    /// The process holds too much memory.
    Memory,
    /// Too many connections are open.
    Connections,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Lag, Self::Memory, Self::Connections];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lag => "lag",
            Self::Memory => "memory",
            Self::Connections => "connections",
        }
    }
}

/// How much of the limit of memory may be in use before the first plans are turned away.
const CAREFUL: f64 = 0.8;

/// How many requests are to be turned away. Shares are of 255: 0 is nobody, 255 everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Level {
    /// Of all requests, before anything is known of them.
    pub early: u8,
    /// How far the first step has gone through the plans: at 255 only the last one is served.
    pub late: u8,
    /// Why there is an early or a late share.
    pub reason: Reason,
    /// Whether those on connections beyond the limit are turned away.
    pub crowded: bool,
}

impl Level {
    /// Nobody is turned away.
    pub const CALM: Self = Self {
        early: 0,
        late: 0,
        reason: Reason::Lag,
        crowded: false,
    };

    /// Whether nobody is turned away.
    pub fn is_calm(self) -> bool {
        self == Self::CALM
    }

    /// By how much is to be turned away, 0 to 1: of the first plans first, where there is an order of them.
    pub(super) fn of_share(share: f64, by_plan: bool) -> Self {
        let (early, late) = if by_plan {
            (share * 2.0 - 1.0, share * 2.0)
        } else {
            (share, 0.0)
        };
        Self::of(early, late, Reason::Lag)
    }

    /// By how much of its limit is in use.
    pub(super) fn of_memory(used: u64, limit: u64, by_plan: bool) -> Self {
        if used > limit {
            return Self::of(1.0, 1.0, Reason::Memory);
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of memory")]
        let part = used as f64 / limit.max(1) as f64;
        let late = if by_plan {
            (part - CAREFUL) / (1.0 - CAREFUL)
        } else {
            0.0
        };
        Self::of(0.0, late, Reason::Memory)
    }

    fn of(early: f64, late: f64, reason: Reason) -> Self {
        let (early, late) = (byte(early), byte(late));
        if early == 0 && late == 0 {
            return Self::CALM;
        }
        Self {
            early,
            late,
            reason,
            crowded: false,
        }
    }

    /// The worse of both; the reason is that of the one that turns away more.
    pub(super) fn worse(self, other: Self) -> Self {
        let first = (self.early, self.late) >= (other.early, other.late);
        Self {
            early: self.early.max(other.early),
            late: self.late.max(other.late),
            reason: if first { self } else { other }.reason,
            crowded: self.crowded || other.crowded,
        }
    }

    /// All but whether it is crowded, which is asked of the count itself.
    pub(super) fn pack(self) -> u32 {
        let reason = match self.reason {
            Reason::Lag => 0,
            Reason::Memory => 1,
            Reason::Connections => 2,
        };
        u32::from_le_bytes([self.early, self.late, reason, 0])
    }

    pub(super) fn unpack(packed: u32) -> Self {
        let [early, late, reason, _] = packed.to_le_bytes();
        Self {
            early,
            late,
            reason: match reason {
                1 => Reason::Memory,
                2 => Reason::Connections,
                _ => Reason::Lag,
            },
            crowded: false,
        }
    }
}

/// 0 to 1 as 0 to 255. A share that is there at all is not nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 255"
)]
fn byte(share: f64) -> u8 {
    (share.clamp(0.0, 1.0) * 255.0).ceil() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_case_is_zero() {
        assert_eq!(Level::CALM.pack(), 0);
        assert!(Level::unpack(0).is_calm());
        assert!(Level::of_share(0.0, true).is_calm());
        assert!(Level::of_memory(80, 100, true).is_calm());
    }

    #[test]
    fn one_atomic_holds_it() {
        for reason in Reason::ALL {
            let level = Level {
                early: 3,
                late: 255,
                reason,
                crowded: false,
            };
            assert_eq!(Level::unpack(level.pack()), level);
        }
    }

    #[test]
    fn the_first_plans_go_before_anybody_does() {
        let shares = |share| {
            let level = Level::of_share(share, true);
            (level.early, level.late)
        };
        assert_eq!(shares(0.25), (0, 128));
        assert_eq!(shares(0.5), (0, 255));
        assert_eq!(shares(0.75), (128, 255));
        assert_eq!(shares(1.0), (255, 255));
        let alike = Level::of_share(0.25, false);
        assert_eq!((alike.early, alike.late), (64, 0));
    }

    #[test]
    fn memory_has_a_limit_and_the_fifth_below_it_warns() {
        let of = |used, by_plan| {
            let level = Level::of_memory(used, 1_000, by_plan);
            (level.early, level.late)
        };
        assert_eq!(of(900, true), (0, 128));
        assert_eq!(of(1_000, true), (0, 255));
        assert_eq!(of(1_000, false), (0, 0));
        assert_eq!(of(1_001, false), (255, 255));
    }

    #[test]
    fn the_worse_of_two_says_why() {
        let (lag, memory) = (
            Level::of_share(0.3, true),
            Level::of_memory(1_001, 1_000, true),
        );
        assert_eq!(lag.worse(memory).reason, Reason::Memory);
        assert_eq!(memory.worse(lag).early, 255);
        let crowd = Level {
            crowded: true,
            ..Level::CALM
        };
        assert!(crowd.worse(lag).crowded && lag.worse(crowd).late > 0);
        assert_eq!(Level::CALM.worse(lag), lag);
    }
}
