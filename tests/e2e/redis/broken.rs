//! A store that answers, but not what it was asked.

use harness::{Backend, FakeRedis, Gateway, Says, wait};

use super::{by_tenant, calls, counting};
use crate::fixture::assert_refused;

const DENY: &str = "rate = \"2/day\"\non-error = \"deny\"";
/// What a script returns: admitted, one left.
const ADMITTED: &str = "*4\r\n:1\r\n:1\r\n:0\r\n:5\r\n";

fn start(says: Says) -> (FakeRedis, Gateway, Backend) {
    let (redis, orders) = (FakeRedis::start(says), Backend::start());
    let gateway = Gateway::start(counting(redis.addr(), "", DENY, &orders));
    (redis, gateway, orders)
}

/// Errors about one call: the policy does without, the store stays in use.
#[test]
fn an_answer_that_is_none_is_this_calls_alone() {
    for says in [
        "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        "-ERR Error running script: not a bucket\r\n",
        "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        "-BUSY Redis is busy running a script.\r\n",
        "*2\r\n:1\r\n:1\r\n",
        "*4\r\n:7\r\n:1\r\n:0\r\n:5\r\n",
        "*4\r\n:1\r\n:-1\r\n:0\r\n:5\r\n",
        "*4\r\n$1\r\nx\r\n:1\r\n:0\r\n:5\r\n",
        "*-1\r\n",
        "$-1\r\n",
        "+OK\r\n",
        ":1\r\n",
    ] {
        let (redis, gateway, _orders) = start(Says::Bytes(says));
        for asked in 1..=5 {
            assert_refused(&by_tenant(&gateway, "acme"), 503, "rate-limit.uncounted");
            assert_eq!(redis.scripts(), asked, "{says:?}");
        }
        assert_eq!(calls(&gateway, "down"), 0, "{says:?}");
        redis.on_script(Says::Bytes(ADMITTED));
        assert_eq!(by_tenant(&gateway, "acme").status, 200, "{says:?}");
    }
}

/// Errors that every call would get: the store is given up, probed, and used again when a probe succeeds.
#[test]
fn a_store_that_cannot_serve_is_given_up_until_a_probe_succeeds() {
    for says in [
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-READONLY You can't write against a read only replica.\r\n",
        "-MOVED 3999 127.0.0.1:6381\r\n",
        "-CLUSTERDOWN The cluster is down\r\n",
        "-MASTERDOWN Link with MASTER is down\r\n",
        "-NOPERM this user has no permissions to run the 'evalsha' command\r\n",
    ] {
        let (redis, gateway, _orders) = start(Says::Bytes(says));
        redis.on_probe(Says::Bytes(says));
        let probes = redis.probes();
        assert_refused(&by_tenant(&gateway, "acme"), 503, "rate-limit.uncounted");
        assert_refused(&by_tenant(&gateway, "acme"), 503, "rate-limit.uncounted");
        assert_eq!(redis.scripts(), 1, "nobody asks again after {says:?}");
        wait::until(wait::DEADLINE, "a probe", || redis.probes() > probes);
        assert_refused(&by_tenant(&gateway, "acme"), 503, "rate-limit.uncounted");
        assert_eq!(redis.scripts(), 1, "{says:?}");
        redis.on_script(Says::Bytes(ADMITTED));
        redis.on_probe(Says::Bytes("+OK\r\n"));
        wait::until(wait::DEADLINE, "the store is used again", || {
            by_tenant(&gateway, "acme").status == 200
        });
    }
}

#[test]
fn half_an_answer_and_nonsense_end_the_connection() {
    for says in [
        "*4\r\n:1\r\n:1",
        "*4\r\n:1\r\n",
        "",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
    ] {
        let (redis, gateway, _orders) = start(Says::Last(says));
        assert_refused(&by_tenant(&gateway, "acme"), 503, "rate-limit.uncounted");
        redis.on_script(Says::Bytes(ADMITTED));
        wait::until(wait::DEADLINE, "the store is used again", || {
            by_tenant(&gateway, "acme").status == 200
        });
    }
}

#[test]
fn a_script_that_the_store_has_forgotten_is_sent_again() {
    let (redis, orders) = (harness::Redis::start(), Backend::start());
    let gateway = Gateway::start(counting(redis.addr(), "", DENY, &orders));
    assert_eq!(by_tenant(&gateway, "acme").status, 200);
    assert_eq!(redis.command(&["SCRIPT", "FLUSH"]), "+OK");
    assert_eq!(by_tenant(&gateway, "acme").status, 200);
    assert_refused(&by_tenant(&gateway, "acme"), 429, "rate-limit.exceeded");
}
