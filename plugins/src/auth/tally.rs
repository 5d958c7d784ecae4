//! Counts the verdicts of one provider: `gateway_auth_total{provider,verdict}`.

use super::verdict::{Reason, Verdict};
use crate::contract::services::{Count, Family, Meter};

static VERDICTS: Family = Family {
    name: "gateway_auth_total",
    help: "Credentials that were judged, by provider and verdict.",
    labels: &["provider", "verdict"],
};

/// One counter a verdict, resolved at reload.
pub(super) struct Tally {
    accepted: Count,
    unavailable: Count,
    busy: Count,
    answered: Count,
    rejected: Box<[Count]>,
}

impl Tally {
    pub(super) fn new(meter: &dyn Meter, provider: &str) -> Self {
        let count = |verdict: &str| meter.counter(&VERDICTS, &[provider, verdict]);
        Self {
            accepted: count("accepted"),
            unavailable: count("unavailable"),
            busy: count("busy"),
            answered: count("answered"),
            rejected: Reason::ALL
                .iter()
                .map(|reason| count(reason.label()))
                .collect(),
        }
    }

    pub(super) fn add(&self, verdict: &Verdict) {
        match verdict {
            Verdict::Accepted(_) => self.accepted.add_one(),
            Verdict::Unavailable(_) => self.unavailable.add_one(),
            Verdict::Busy => self.busy.add_one(),
            Verdict::Answer(_) => self.answered.add_one(),
            Verdict::Rejected(reason) => {
                if let Some(count) = self.rejected.get(*reason as usize) {
                    count.add_one();
                }
            }
        }
    }
}
