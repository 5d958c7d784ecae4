//! Any path: normalising never panics, never climbs out, and is done after once.

#![no_main]

use gateway::routing::path::{PathPolicy, normalise};
use gateway::routing::pattern::Matcher;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for policy in [PathPolicy::default(), PathPolicy::LENIENT] {
        let Ok(once) = normalise(text, policy) else { continue };
        assert!(once.starts_with('/') && !once.contains("//"));
        assert!(!once.split('/').any(|segment| matches!(segment, "." | "..")));
        assert_eq!(normalise(&once, policy).as_deref(), Ok(&*once));
    }
    if let Ok(matcher) = Matcher::parse_line(text) {
        assert_eq!(Matcher::parse_line(&matcher.to_string()), Ok(matcher));
    }
});
