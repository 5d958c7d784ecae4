//! What is said to clients whose key cannot be honoured.

use crate::contract::flow::Refusal;

pub(super) static MISSING: Refusal = Refusal {
    status: 400,
    code: "idempotency.missing",
    title: "The request needs an Idempotency-Key.",
};
pub(super) static MALFORMED: Refusal = Refusal {
    status: 400,
    code: "idempotency.malformed",
    title: "The Idempotency-Key cannot be read.",
};
pub(super) static RUNNING: Refusal = Refusal {
    status: 409,
    code: "idempotency.running",
    title: "The first request with this Idempotency-Key is under way.",
};
pub(super) static UNKEPT: Refusal = Refusal {
    status: 409,
    code: "idempotency.unkept",
    title: "The first request with this Idempotency-Key was answered, and its answer could not be kept.",
};
pub(super) static DIFFERENT: Refusal = Refusal {
    status: 422,
    code: "idempotency.different",
    title: "The Idempotency-Key was used for another request.",
};
pub(super) static TOO_LARGE: Refusal = Refusal {
    status: 413,
    code: "idempotency.too-large",
    title: "A request with an Idempotency-Key may not be this large.",
};
pub(super) static FULL: Refusal = Refusal {
    status: 503,
    code: "idempotency.full",
    title: "No further Idempotency-Key can be remembered at the moment.",
};
pub(super) static UNAVAILABLE: Refusal = Refusal {
    status: 503,
    code: "idempotency.unavailable",
    title: "The Idempotency-Key cannot be looked up at the moment.",
};
