//! `concurrency` with `adaptive = true`: the limit follows a backend that gets slower the more it is asked at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use harness::{Backend, Client, Gate, Gateway, Script, wait};

use crate::fixture::{config, consumers};

/// What the backend takes for each request; it does one at a time.
const WORK: Duration = Duration::from_millis(4);
/// Clients of the first plan, more than may ever be under way.
const FREE: usize = 40;
/// Where an adaptive limit starts.
const FIRST: u64 = 20;

const POLICY: &str = r#"
    [concurrency.orders]
    max = 1000
    adaptive = true
    queue = 4
    queue-timeout = "60s"
    plans = ["free", "premium"]
    [route.all]
    match = "/**"
    upstream = "orders"
    auth = "keys"
    concurrency = "orders"
"#;

/// Lets one request after the other through, each after its time.
fn work(gate: &Gate, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        pause(WORK);
        if gate.waiting() > 0 {
            gate.step();
        }
    }
    gate.open();
}

/// The time that something takes here, not a wait for it.
fn pause(time: Duration) {
    let _elapsed = wait::try_until(time, || None::<()>);
}

fn ask(client: &mut Client, key: &str) -> u16 {
    let answer = client.try_request("GET", "/", &[("x-api-key", key)], b"");
    answer.map_or(0, |answer| answer.status)
}

/// The limit in force, as operators see it; `None` while nobody is under way.
fn limit(gateway: &Gateway) -> Option<u64> {
    let page = gateway.admin_get("/limits").json();
    page["concurrency"]["orders"]["busiest"][0]["limit"].as_u64()
}

#[test]
fn the_limit_comes_down_and_the_first_plan_is_refused_first() {
    let (orders, gate) = (Backend::start(), Gate::new());
    orders.always(Script::echo().gated(&gate));
    let gateway = Gateway::start(config(&format!("{}{POLICY}", consumers()), &orders));
    let (over, refused, served) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let free = |client: &mut Client| match ask(client, "sesame") {
        200 => {}
        status => {
            assert_eq!(status, 503);
            refused.fetch_add(1, Ordering::Relaxed);
            pause(WORK);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| work(&gate, &over));
        // One at a time, so that it knows what an answer takes when nobody is in the way.
        let mut alone = gateway.client();
        for _ in 0..60 {
            assert_eq!(ask(&mut alone, "sesame"), 200);
        }
        for _ in 0..FREE {
            scope.spawn(|| {
                let mut client = gateway.client();
                while !over.load(Ordering::Relaxed) {
                    free(&mut client);
                }
            });
        }
        let premium = scope.spawn(|| {
            let mut client = gateway.client();
            while !over.load(Ordering::Relaxed) {
                assert_eq!(
                    ask(&mut client, "abracadabra"),
                    200,
                    "the last plan is served"
                );
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
        let fell = wait::try_until(wait::DEADLINE, || {
            let limit = limit(&gateway).filter(|limit| *limit < FIRST * 3 / 4);
            let both = refused.load(Ordering::Relaxed) > 100 && served.load(Ordering::Relaxed) > 5;
            limit.filter(|_| both)
        });
        over.store(true, Ordering::Relaxed);
        premium.join().expect("premium is never refused");
        assert!(fell.is_some(), "{}", gateway.admin_get("/limits").text());
    });
}
