//! What a store has refused is refused here for a moment, without asking again.

use harness::{Backend, FakeRedis, Gateway, Redis, Says, wait};

use super::{by_tenant, calls, counting, passed};
use crate::fixture::assert_refused;

/// What a script returns: refused, nothing left, an hour to wait.
const REFUSED: &str = "*4\r\n:0\r\n:0\r\n:3600000000\r\n:3600000000\r\n";
/// Refused, for a millisecond.
const NOT_YET: &str = "*4\r\n:0\r\n:0\r\n:1000\r\n:1000\r\n";
const LIMIT: &str = "rate = \"2/h\"\non-error = \"deny\"";

fn start(says: Says, keys: &str) -> (FakeRedis, Gateway, Backend) {
    let (redis, orders) = (FakeRedis::start(says), Backend::start());
    let limit = format!("{LIMIT}\n{keys}");
    let gateway = Gateway::start(counting(redis.addr(), "", &limit, &orders));
    (redis, gateway, orders)
}

#[test]
fn a_refusal_holds_without_asking_again() {
    let (redis, gateway, _orders) = start(Says::Bytes(REFUSED), "");
    // 5 s are over once or twice where the machine is very busy.
    for _ in 0..50 {
        let refused = by_tenant(&gateway, "acme");
        assert_refused(&refused, 429, "rate-limit.exceeded");
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((3_590..=3_600).contains(&wait), "{wait}");
        assert!(refused.header("ratelimit").is_some());
    }
    assert!(redis.scripts() < 10, "{}", redis.scripts());
    let asked = redis.scripts();
    assert_refused(&by_tenant(&gateway, "globex"), 429, "rate-limit.exceeded");
    assert!(redis.scripts() > asked, "another key is asked for");
}

#[test]
fn a_refusal_ends_with_its_time() {
    let (redis, gateway, _orders) = start(Says::Bytes(NOT_YET), "");
    for asked in 1..=5 {
        wait::until(wait::DEADLINE, "it is asked again", || {
            by_tenant(&gateway, "acme");
            redis.scripts() > asked
        });
    }
}

#[test]
fn every_request_asks_where_that_is_wanted() {
    let (redis, gateway, _orders) = start(Says::Bytes(REFUSED), "local-refusals = false");
    for asked in 1..=20 {
        assert_refused(&by_tenant(&gateway, "acme"), 429, "rate-limit.exceeded");
        assert_eq!(redis.scripts(), asked);
    }
}

/// A store that was away may come back empty.
#[test]
fn refusals_are_forgotten_when_the_store_fails() {
    let (mut redis, orders) = (Redis::start(), Backend::start());
    let gateway = Gateway::start(counting(redis.addr(), "", LIMIT, &orders));
    assert_eq!(passed(&gateway, "acme", 5), 2);
    redis.kill();
    wait::until(wait::DEADLINE, "the store is given up", || {
        by_tenant(&gateway, "finds-it-out");
        calls(&gateway, "down") > 0
    });
    assert_refused(&by_tenant(&gateway, "acme"), 503, "rate-limit.uncounted");
    redis.restart();
    super::until_counting(&gateway);
    assert_eq!(passed(&gateway, "acme", 5), 2, "its counts are gone");
}
