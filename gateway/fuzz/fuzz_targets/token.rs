//! Any text as a token: never a panic, and whatever is well-formed is written in the one way that it can be.
//! The unit tests of `auth::jwt::verify` hold generated tokens against more rules.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plugins::auth::jwt::compact::Compact;

const LONGEST: usize = 16 << 10;

fuzz_target!(|text: &str| {
    let Ok(compact) = Compact::parse(text, LONGEST) else { return };
    assert!(text.len() <= LONGEST);
    assert_eq!(text.matches('.').count(), 2);
    assert!(text.as_bytes().starts_with(compact.signed));
    // The payload is looked at once the signature is known to be good.
    if let Ok(claims) = compact.claims() {
        assert!(text.is_ascii() && !text.contains(['=', ' ', '+', '/']));
        let written = serde_json::to_vec(&claims).expect("claims are JSON");
        assert!(plugins::auth::jwt::json::object(&written).is_some());
    }
});
