//! What a policy counts. All words are from here, none from a request.

use crate::contract::services::{Count, Family, Meter};

static REQUESTS: Family = Family {
    name: "gateway_idempotency_requests_total",
    help: "Requests of methods that a policy is for, by what their key was.",
    labels: &["policy", "key"],
};

static ANSWERS: Family = Family {
    name: "gateway_idempotency_answers_total",
    help: "Answers to the first request with a key, by what became of them.",
    labels: &["policy", "result"],
};

static STORELESS: Family = Family {
    name: "gateway_idempotency_store_failures_total",
    help: "Keys that were looked for without the store, by what was done instead.",
    labels: &["policy", "instead"],
};

/// The counters of one policy.
pub(super) struct Meters {
    /// There was none.
    pub(super) keyless: Count,
    /// Nobody had used it.
    pub(super) first: Count,
    /// Its first request is under way.
    pub(super) running: Count,
    /// Its answer was given again, or would have been.
    pub(super) replayed: Count,
    /// It was another request's.
    pub(super) different: Count,
    /// It was used, and its answer is not there.
    pub(super) unkept: Count,
    pub(super) answers: Answers,
    storeless: Count,
}

/// What became of answers.
#[derive(Clone)]
pub(super) struct Answers {
    /// Kept.
    pub(super) kept: Count,
    /// Too large, or a stream: only that there was one is known.
    pub(super) unkept: Count,
    /// The key was given back.
    pub(super) released: Count,
    /// The request ended without an answer: the key stays taken for its time.
    pub(super) left: Count,
    /// Somebody else had the key by then, or the store did not take the answer.
    pub(super) lost: Count,
}

impl Meters {
    pub(super) fn new(meter: &dyn Meter, policy: &str, instead: &str) -> Self {
        let key = |word: &str| meter.counter(&REQUESTS, &[policy, word]);
        let answer = |word: &str| meter.counter(&ANSWERS, &[policy, word]);
        Self {
            keyless: key("none"),
            first: key("first"),
            running: key("running"),
            replayed: key("replayed"),
            different: key("different"),
            unkept: key("unkept"),
            answers: Answers {
                kept: answer("kept"),
                unkept: answer("unkept"),
                released: answer("released"),
                left: answer("left"),
                lost: answer("lost"),
            },
            storeless: meter.counter(&STORELESS, &[policy, instead]),
        }
    }

    /// The store did not answer.
    pub(super) fn storeless(&self) {
        self.storeless.add_one();
    }
}
