//! The mark of a repeated request, which keeps a chain of proxies from repeating it once more at each of them.

use http::{HeaderMap, HeaderName};

/// The number of the attempt, where it is a repetition.
pub static ATTEMPT: HeaderName = HeaderName::from_static("x-gateway-attempt");
/// The same, as Envoy says it.
static ENVOY_ATTEMPT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");

/// Whether a request is a repetition already. To be asked only of those that a trusted proxy sent.
pub fn is_marked(headers: &HeaderMap) -> bool {
    let above_one = |name: &HeaderName| {
        let text = headers.get(name).and_then(|value| value.to_str().ok());
        text.and_then(|text| text.parse::<u32>().ok())
            .is_some_and(|attempt| attempt > 1)
    };
    above_one(&ATTEMPT) || above_one(&ENVOY_ATTEMPT)
}
