//! What a throttle has of its own: its key, and its place before authentication.

use super::*;
use crate::contract::services::Services;
use crate::contract::testing::{TestRequest, admit, compiled_with, complaints, config};

#[test]
fn counts_addresses_unless_told_otherwise() {
    let throttle: Throttle =
        compiled_with(&config::<Throttle>("rate = '1/min'"), &Services::nothing());
    let from = |address: &str| TestRequest::get("http://example.com/").from(address);
    assert!(matches!(
        admit(&throttle, &from("192.0.2.1")),
        Flow::Continue
    ));
    assert!(matches!(
        admit(&throttle, &from("192.0.2.2")),
        Flow::Continue
    ));
    let refused = admit(&throttle, &from("192.0.2.1"));
    assert!(matches!(refused, Flow::Reply(reply) if reply.refusal == Some(&REFUSALS.exceeded)));
}

#[test]
fn what_only_authentication_knows_is_no_key() {
    for table in [
        "rate = '1/s'\nkey = 'identity'",
        "rate = '1/s'\nkey = ['client.ip', 'consumer.name']",
        "rate = '1/s'\ncost = 'claim.cost'",
        "rates = { a = '1/s' }\notherwise = 'a'",
    ] {
        assert_eq!(
            complaints::<Throttle>(table),
            ["limit.too-early"],
            "{table}"
        );
    }
    let by_header = "rates = { a = '1/s' }\notherwise = 'a'\nplan = 'header.x-plan'";
    assert_eq!(complaints::<Throttle>(by_header), [""; 0]);
}
