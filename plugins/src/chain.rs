//! The list of plugins, which is their only order: requests go down it, responses come back up.
//!
//! The order is a security decision. Where two positions make sense there are two plugins with two names, never a
//! priority number.

mod list;
pub mod resolve;
pub mod slot;

use list::chain;

pub use slot::{Instance, Observer, Silent, Slot, States, Step};

chain! {
    /// Cheap and absolute, so it comes first.
    ip_filter: crate::ip_filter::IpFilter,
    /// What is too large or of the wrong shape costs those below nothing.
    protect: crate::protect::Protect,
    /// Preflights carry no credentials, so they are answered before anything below asks for some.
    cors: crate::cors::Cors,
    /// By address, so that whatever costs more below is shielded, guessing credentials too.
    throttle: crate::throttle::Throttle,
    /// Who asks: whatever follows may depend on it.
    auth: crate::auth::Auth,
    /// Judges whoever authentication found, so it stands under it.
    authorize: crate::authorize::Authorize,
    /// By whoever was authenticated and may do what is asked, so that refused requests use nothing up.
    rate_limit: crate::rate_limit::RateLimit,
    /// Long windows come after short ones: what a burst is refused for does not use up a month.
    quota: crate::quota::Quota,
    /// Whoever is refused anyway takes no place and waits for none.
    concurrency: crate::concurrency::Concurrency,
    /// Only what would be carried out takes a key; it comes before whatever changes the request, so that what the client
    /// sent is compared.
    idempotency: crate::idempotency::Idempotency,
    /// Only requests that passed everything are rewritten, so that everything above judges what the client sent.
    headers: crate::headers::Headers,
}

#[cfg(test)]
mod tests;
