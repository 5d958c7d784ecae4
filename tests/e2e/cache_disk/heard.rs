//! Directories of zones that follow a log of purges: what was forgotten while a gateway was away stays forgotten.

use harness::{Backend, Config, Gateway, Redis};

use super::{
    DEADLINE, Directory, assert_hit, fetch, kill, lasting, stop, wait, wait_entries, wait_loaded,
};
use crate::fixture;

/// What is written survives the end of such a Redis.
const LASTING: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// Two gateways that tell each other; one of them comes and goes.
struct House {
    redis: Redis,
    orders: Backend,
    directory: Directory,
    other: Directory,
}

impl House {
    fn new() -> Self {
        let house = Self {
            redis: Redis::with(&LASTING),
            orders: Backend::start(),
            directory: Directory::new(),
            other: Directory::new(),
        };
        house.orders.always(lasting("x").header("etag", "\"a\""));
        house
    }

    fn config(&self, directory: &Directory) -> Config {
        let store = format!(
            "[store.shared.redis]\nurl = \"redis://{}\"\ntimeout = \"5s\"\n",
            self.redis.addr()
        );
        let zone = directory.text("1MiB", "64MiB");
        let zone = zone.replace("disk =", "store = \"shared\"\ndisk =");
        fixture::config(&format!("{store}{zone}"), &self.orders)
    }

    /// The one that comes and goes; what it stores from now on is stored for good.
    fn start(&self, teller: &Gateway) -> Gateway {
        let gateway = self.start_again();
        hears(&gateway, teller);
        gateway
    }

    fn start_again(&self) -> Gateway {
        let gateway = Gateway::start(self.config(&self.directory));
        wait_loaded(&gateway);
        gateway
    }

    /// The one that stays.
    fn teller(&self) -> Gateway {
        Gateway::start(self.config(&self.other))
    }
}

fn notices(gateway: &Gateway, result: &str) -> u64 {
    let result = format!("result=\"{result}\"");
    gateway.metric(
        "gateway_cache_notices_total",
        &["zone=\"lasting\"", &result],
    )
}

fn purge(gateway: &Gateway, what: &str) {
    let answer = gateway.admin_post(&format!("/purge?{what}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Waits until it hears what the other says now.
fn hears(gateway: &Gateway, teller: &Gateway) {
    let before = notices(gateway, "applied");
    wait::until(DEADLINE, "a notice", || {
        purge(teller, "tag=nobody");
        notices(gateway, "applied") > before
    });
}

fn told(gateway: &Gateway, path: &str) -> String {
    let answer = fetch(gateway, path);
    answer.header("cache-status").unwrap_or_default().to_owned()
}

#[test]
fn what_is_purged_while_a_gateway_is_away_is_not_found_on_its_disk() {
    let house = House::new();
    let teller = house.teller();
    for end in [stop as fn(Gateway), kill] {
        let gateway = house.start(&teller);
        for path in ["/gone", "/soft", "/heard", "/kept"] {
            fetch(&gateway, path);
        }
        wait_entries(&gateway, 4);
        purge(&teller, "url=http://shop.example/heard");
        wait_entries(&gateway, 3);
        end(gateway);
        purge(&teller, "url=http://shop.example/gone");
        purge(&teller, "url=http://shop.example/soft&soft=true");
        let gateway = house.start_again();
        assert!(told(&gateway, "/gone").contains("fwd=uri-miss"));
        assert!(told(&gateway, "/heard").contains("fwd=uri-miss"));
        assert!(told(&gateway, "/soft").contains("fwd=stale"));
        assert_hit(&fetch(&gateway, "/kept"));
        assert_eq!(notices(&gateway, "missed"), 0);
        stop(gateway);
    }
}

#[test]
fn what_requests_change_while_a_gateway_is_away_is_not_found_on_its_disk() {
    let house = House::new();
    let teller = house.teller();
    let gateway = house.start(&teller);
    for path in ["/changed?a=1", "/kept"] {
        fetch(&gateway, path);
    }
    wait_entries(&gateway, 2);
    hears(&gateway, &teller);
    stop(gateway);
    let before = notices(&teller, "told");
    let changed = teller.request("POST", "/changed?a=1", &[super::HOST], b"");
    assert_eq!(changed.status, 200);
    wait::until(DEADLINE, "the change to be told", || {
        notices(&teller, "told") > before
    });
    let gateway = house.start_again();
    assert!(told(&gateway, "/changed?a=1").contains("fwd=uri-miss"));
    assert_hit(&fetch(&gateway, "/kept"));
}

#[test]
fn a_log_that_is_another_one_makes_everything_stale() {
    let mut house = House::new();
    let (mut teller, mut gateway) = (house.teller(), None);
    for wrong in ["another store", "the log is lost"] {
        drop(gateway.take());
        let first = house.start(&teller);
        fetch(&first, "/kept");
        wait_entries(&first, 1);
        hears(&first, &teller);
        stop(first);
        if wrong == "another store" {
            house.redis = Redis::with(&LASTING);
            teller = house.teller();
        } else {
            house.redis.command(&["DEL", "gateway:cache:1:lasting"]);
        }
        let second = house.start_again();
        assert!(told(&second, "/kept").contains("fwd=stale"), "{wrong}");
        gateway = Some(second);
    }
}

#[test]
fn files_wait_for_the_log() {
    let mut house = House::new();
    let teller = house.teller();
    let gateway = house.start(&teller);
    for path in ["/gone", "/kept"] {
        fetch(&gateway, path);
    }
    wait_entries(&gateway, 2);
    hears(&gateway, &teller);
    stop(gateway);
    purge(&teller, "url=http://shop.example/gone");
    house.redis.kill();
    let gateway = Gateway::start(house.config(&house.directory));
    assert!(told(&gateway, "/gone").contains("fwd=uri-miss"));
    assert_eq!(gateway.metric("gateway_cache_disk_loaded", &[]), 0);
    house.redis.restart();
    wait_loaded(&gateway);
    assert_hit(&fetch(&gateway, "/kept"));
    assert_eq!(notices(&gateway, "missed"), 0);
}

#[test]
fn a_successor_hears_what_its_predecessor_did_not() {
    let house = House::new();
    let teller = house.teller();
    let control = "[server]\ncontrol-socket = \"@dir@/control.sock\"\nworkers = 1\n";
    let config = house.config(&house.directory);
    let mut gateway = Gateway::start(config.append(control));
    wait_loaded(&gateway);
    hears(&gateway, &teller);
    for path in ["/gone", "/kept"] {
        fetch(&gateway, path);
    }
    wait_entries(&gateway, 2);
    hears(&gateway, &teller);
    let successor = gateway.successor(&[]);
    successor.wait_log("Started");
    purge(&teller, "url=http://shop.example/gone");
    let former = gateway.succeed(successor);
    former.wait_log("Stopping");
    wait_loaded(&gateway);
    assert!(told(&gateway, "/gone").contains("fwd=uri-miss"));
    assert_hit(&fetch(&gateway, "/kept"));
}
