//! The policies that a request must not lose on its way to a less specific route.

use std::fmt;

use plugins::chain::PoliciesConfig;

/// A policy that keeps somebody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// `auth`
    Auth,
    /// `authorize`
    Authorize,
    /// `ip-filter`
    IpFilter,
}

impl Guard {
    const ALL: [Self; 3] = [Self::Auth, Self::Authorize, Self::IpFilter];

    const fn bit(self) -> u8 {
        match self {
            Self::Auth => 1,
            Self::Authorize => 2,
            Self::IpFilter => 4,
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auth => "auth",
            Self::Authorize => "authorize",
            Self::IpFilter => "ip-filter",
        })
    }
}

/// A set of guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Guards(u8);

impl Guards {
    /// Whom the policies of a route keep out.
    pub fn of(policies: &PoliciesConfig) -> Self {
        // Where nobody in particular may pass, nobody is kept out.
        let mut auth = policies.auth.iter();
        let known = auth.any(|auth| !auth.config.is_optional());
        [
            (Guard::Auth, known),
            (Guard::Authorize, !policies.authorize.is_empty()),
            (Guard::IpFilter, !policies.ip_filter.is_empty()),
        ]
        .into_iter()
        .filter(|(_, here)| *here)
        .fold(Self::NONE, |guards, (guard, _)| guards.with(guard))
    }

    /// No guard.
    pub const NONE: Self = Self(0);

    /// These and one more.
    pub const fn with(self, guard: Guard) -> Self {
        Self(self.0 | guard.bit())
    }

    /// Whether the guard is here.
    pub const fn has(self, guard: Guard) -> bool {
        self.0 & guard.bit() != 0
    }

    /// Whether nobody guards.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The guards here that the other set lacks.
    pub fn missing_in(self, other: Self) -> impl Iterator<Item = Guard> {
        Guard::ALL
            .into_iter()
            .filter(move |guard| self.has(*guard) && !other.has(*guard))
    }
}
