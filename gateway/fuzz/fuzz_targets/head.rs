//! Arbitrary bytes as a request head: never a panic, and whatever passes is read the same by Pingora's parser.
//! The unit tests of `listen::check` run the same body on generated heads.

#![no_main]

use gateway::listen::HeadLimits;
use gateway::listen::check::Checker;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(checked)) = Checker::default().advance(bytes, &HeadLimits::default()) else { return };
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(bytes).expect("what we accept, httparse accepts");
    assert_eq!(parsed, httparse::Status::Complete(checked.end));
    assert_eq!(request.method.map(str::as_bytes), bytes.get(checked.method));
    assert_eq!(request.path.map(str::as_bytes), bytes.get(checked.target));
    assert_eq!(request.version, Some(u8::from(checked.http_11)));
});
