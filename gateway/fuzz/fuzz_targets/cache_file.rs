//! Any bytes as a file of a kept answer, as a head and as a record of purges: never a panic, and whatever is taken for an answer
//! is written again in the very same bytes. The unit tests of `cache::disk::format` run the same on generated files.

#![no_main]

use gateway::cache::disk::{format, purges};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((end, _, body)) = format::parse(bytes) {
        let (_, _, head, _) = format::parts(bytes).expect("it was parsed");
        assert_eq!(format::whole(end.stamp, head, body), bytes);
    }
    // With honest checksums around it, so that the fuzzer gets past them.
    let file = format::whole(1, bytes, b"content");
    assert_eq!(format::parse(&file).is_ok(), format::decode(bytes).is_ok());
    let (records, whole) = purges::read_all(bytes);
    let again: Vec<u8> = records.iter().flat_map(purges::Record::bytes).collect();
    assert!(!whole || again.len() == bytes.len());
});
