//! The refusals of `auth`, and the answers that carry them.

use http::header;

use crate::contract::prelude::*;

pub(super) static MISSING: Refusal = Refusal {
    status: 401,
    code: "auth.missing",
    title: "This needs a credential.",
};
pub(super) static INVALID: Refusal = Refusal {
    status: 401,
    code: "auth.invalid",
    title: "The credential is not valid.",
};
pub(super) static AMBIGUOUS: Refusal = Refusal {
    status: 400,
    code: "auth.ambiguous",
    title: "The request shows more than one credential.",
};
pub(super) static ORIGIN: Refusal = Refusal {
    status: 403,
    code: "auth.origin",
    title: "Pages of other origins may not do this with your cookies.",
};
pub(super) static REFUSED: Refusal = Refusal {
    status: 403,
    code: "auth.refused",
    title: "The service that was asked does not allow this.",
};
pub(super) static LOGIN: Refusal = Refusal {
    status: 400,
    code: "auth.login-failed",
    title: "The login could not be completed; begin it again.",
};
pub(super) static LOGIN_DENIED: Refusal = Refusal {
    status: 403,
    code: "auth.login-denied",
    title: "The identity provider has not let you in.",
};
pub(super) static LOGOUT_METHOD: Refusal = Refusal {
    status: 405,
    code: "auth.logout-method",
    title: "A session is ended by a POST.",
};
pub(super) static UNAVAILABLE: Refusal = Refusal {
    status: 503,
    code: "auth.unavailable",
    title: "Credentials cannot be checked at the moment.",
};
pub(super) static BUSY: Refusal = Refusal {
    status: 503,
    code: "auth.busy",
    title: "Too many credentials are being checked at the moment.",
};

/// A refusal with challenges, each once.
pub(super) fn challenged<'c>(
    refusal: &'static Refusal,
    challenges: impl Iterator<Item = Option<&'c HeaderValue>>,
) -> Flow {
    let mut reply = Reply::refusal(refusal);
    for challenge in challenges.flatten() {
        let said = reply.headers.iter().any(|(_, other)| other == challenge);
        if !said {
            reply = reply.header(header::WWW_AUTHENTICATE, challenge.clone());
        }
    }
    reply.into()
}

/// A refusal that is over soon.
pub(super) fn soon(refusal: &'static Refusal) -> Flow {
    let seconds = HeaderValue::from_static("1");
    Reply::refusal(refusal)
        .header(header::RETRY_AFTER, seconds)
        .into()
}
