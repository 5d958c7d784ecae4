//! Any text as a token: never a panic, and whatever is well-formed is written in the one way that it can be.
//! The unit tests of `auth::jwt::verify` run the same body on generated tokens.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plugins::auth::jwt::compact::Compact;

const LONGEST: usize = 16 << 10;

fuzz_target!(|text: &str| {
    let Ok(compact) = Compact::parse(text, LONGEST) else { return };
    assert!(text.len() <= LONGEST && text.is_ascii() && !text.contains(['=', ' ', '+', '/']));
    assert_eq!(text.matches('.').count(), 2);
    assert!(text.as_bytes().starts_with(compact.signed));
    if let Ok(claims) = compact.claims() {
        let written = serde_json::to_vec(&claims).expect("claims are JSON");
        assert!(plugins::auth::jwt::json::object(&written).is_some());
    }
});
