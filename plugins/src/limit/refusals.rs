//! How `throttle`, `rate-limit` and `quota` refuse: each with codes of its own, and alike but for that.

use crate::contract::flow::Refusal;

/// The refusals of one of the three.
pub struct Refusals {
    /// The limit is used up.
    pub exceeded: Refusal,
    /// The request lacks what it is counted by, or says it twice.
    pub keyless: Refusal,
    /// The request says no cost that could be counted.
    pub costless: Refusal,
    /// The store does not answer, and the policy does without nobody.
    pub uncounted: Refusal,
}

/// The refusals of the plugin of this name, whose limit is used up in these words.
macro_rules! refusals {
    ($name:literal, $exceeded:literal) => {
        $crate::limit::refusals::Refusals {
            exceeded: Refusal {
                status: 429,
                code: concat!($name, ".exceeded"),
                title: $exceeded,
            },
            keyless: Refusal {
                status: 400,
                code: concat!($name, ".key"),
                title: "The request lacks a value by which requests are counted, or repeats it.",
            },
            costless: Refusal {
                status: 400,
                code: concat!($name, ".cost"),
                title: "The request says what it costs in a way that cannot be counted.",
            },
            uncounted: Refusal {
                status: 503,
                code: concat!($name, ".uncounted"),
                title: "Requests cannot be counted at the moment.",
            },
        }
    };
}

pub(crate) use refusals;
