//! Any beginning of a connection: reading a PROXY header never panics, never takes bytes beyond it, and ends.

#![no_main]

use gateway::listen::proxy_protocol::{Step, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut taken = 0;
    while let Some(header) = bytes.get(..taken) {
        match parse(header) {
            Ok(Step::Wants(count)) => {
                assert!(count > 0);
                taken += count;
            }
            Ok(Step::Done(_, length)) => {
                assert_eq!(length, taken);
                return;
            }
            Err(_) => return,
        }
    }
});
