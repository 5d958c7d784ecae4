//! The door from the table to the answer.

use std::task::{Context, Waker};

use super::*;
use crate::contract::identity::Identity;
use crate::contract::services::Services;
use crate::contract::testing::{TestRequest, compiled_with, complaints, config, wait};

fn limit(table: &str) -> Concurrency {
    compiled_with(&config::<Concurrency>(table), &Services::nothing())
}

fn request() -> TestRequest {
    TestRequest::get("http://example.com/")
}

fn enter(limit: &Concurrency, request: &TestRequest) -> Result<Permit, &'static str> {
    let mut state = None;
    match wait(limit.on_request(&request.view(), &mut state)) {
        Flow::Continue => Ok(state.expect("who passes has a place")),
        Flow::Reply(reply) => Err(reply.refusal.unwrap().code),
    }
}

#[test]
fn so_many_are_under_way_and_no_more() {
    let limit = limit("max = 2");
    let first = enter(&limit, &request()).ok();
    let second = enter(&limit, &request()).ok();
    assert!(first.is_some() && second.is_some());
    assert_eq!(enter(&limit, &request()).err(), Some("concurrency.shed"));
    drop(first);
    let third = enter(&limit, &request());
    assert!(third.is_ok(), "a place is free when a request is over");
    assert_eq!(enter(&limit, &request()).err(), Some("concurrency.shed"));
}

#[test]
fn each_value_is_counted_apart() {
    let limit = limit("max = 1\nper = 'header.x-tenant'\nshed-status = 429");
    let tenant = |name: &str| request().header("x-tenant", name);
    let _a = enter(&limit, &tenant("a")).ok().unwrap();
    let _b = enter(&limit, &tenant("b")).ok().unwrap();
    assert_eq!(
        enter(&limit, &tenant("a")).err(),
        Some("concurrency.exceeded")
    );
    assert_eq!(enter(&limit, &request()).err(), Some("concurrency.key"));
    let twice = tenant("a").header("x-tenant", "c");
    assert_eq!(enter(&limit, &twice).err(), Some("concurrency.key"));
}

fn gate(table: &str) -> Arc<gate::Gate> {
    limit(table).gates.gate(&KeyBuilder::default().finish())
}

fn inside_and_limit(gate: &gate::Gate) -> (usize, usize) {
    let census = gate.census();
    (census.inside, census.limit)
}

fn now(turn: Turn) -> Permit {
    match turn {
        Turn::Now(permit) => permit,
        Turn::Later(_) | Turn::Never => panic!("there is room"),
    }
}

fn later(turn: Turn) -> tokio::sync::oneshot::Receiver<Permit> {
    match turn {
        Turn::Later(turn) => turn,
        Turn::Now(_) | Turn::Never => panic!("there is a queue"),
    }
}

#[test]
fn a_place_goes_to_who_has_waited_longest_in_the_highest_plan() {
    let gate = gate("max = 1\nqueue = 3\nplans = ['free', 'plus', 'premium']");
    let inside = now(gate.enter(0));
    let mut free = later(gate.enter(0));
    let mut first = later(gate.enter(2));
    let mut second = later(gate.enter(2));
    assert!(first.try_recv().is_err());
    drop(inside);
    let permit = first.try_recv().unwrap();
    assert!(second.try_recv().is_err() && free.try_recv().is_err());
    drop(permit);
    drop(second.try_recv().unwrap());
    drop(free.try_recv().unwrap());
    assert_eq!(inside_and_limit(&gate), (0, 1));
}

#[test]
fn a_full_queue_sheds_the_lowest_plan_first() {
    let gate = gate("max = 1\nqueue = 2\nplans = ['free', 'plus', 'premium']");
    let _inside = now(gate.enter(2));
    let mut free = later(gate.enter(0));
    let mut plus = later(gate.enter(1));
    assert!(matches!(gate.enter(0), Turn::Never));
    assert!(
        matches!(gate.enter(1), Turn::Later(_)),
        "takes the place of free"
    );
    let context = &mut Context::from_waker(Waker::noop());
    assert!(std::pin::Pin::new(&mut free).poll(context).is_ready());
    // The one above was dropped at once, so its place in the queue is free again.
    let _premium = later(gate.enter(2));
    let _another = later(gate.enter(2));
    assert!(std::pin::Pin::new(&mut plus).poll(context).is_ready());
    assert!(matches!(gate.enter(2), Turn::Never));
}

#[test]
fn who_stops_waiting_loses_no_place() {
    let gate = gate("max = 1\nqueue = 2");
    let inside = now(gate.enter(0));
    drop(later(gate.enter(0)));
    let mut second = later(gate.enter(0));
    drop(inside);
    // Whoever had gone was forgotten.
    let permit = second.try_recv().unwrap();
    assert_eq!(inside_and_limit(&gate), (1, 1));
    drop(permit);
    assert_eq!(inside_and_limit(&gate), (0, 1));
    let inside = now(gate.enter(0));
    let waiting = later(gate.enter(0));
    drop(inside);
    drop(waiting);
    assert_eq!(
        inside_and_limit(&gate),
        (0, 1),
        "also when it was sent and never received"
    );
}

/// Whether a request that must wait is refused, and how.
async fn waits_in_vain(limit: &Concurrency, request: &TestRequest) -> &'static str {
    match limit.on_request(&request.view(), &mut None).await {
        Flow::Continue => "",
        Flow::Reply(reply) => reply.refusal.unwrap().code,
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_its_own_time() {
    let until = |time| request().deadline(Instant::now() + time);
    let (over, short, long) = (
        Duration::ZERO,
        Duration::from_millis(5),
        Duration::from_hours(1),
    );
    let patient = limit("max = 1\nqueue = 9\nqueue-timeout = '60s'");
    let _inside = enter(&patient, &request()).ok().unwrap();
    for time in [over, short] {
        let refused = waits_in_vain(&patient, &until(time)).await;
        assert_eq!(refused, "concurrency.deadline");
    }
    let hasty = limit("max = 1\nqueue = 9\nqueue-timeout = '1ms'");
    let inside = enter(&hasty, &request()).ok().unwrap();
    assert_eq!(
        waits_in_vain(&hasty, &until(long)).await,
        "concurrency.shed"
    );
    assert_eq!(waits_in_vain(&hasty, &request()).await, "concurrency.shed");
    drop(inside);
    assert_eq!(waits_in_vain(&hasty, &until(long)).await, "");
}

#[test]
fn in_shadow_nobody_waits_and_the_queue_is_inside() {
    let limit = limit("max = 1\nqueue = 2\nmode = 'shadow'");
    let inside: Vec<_> = (0..3)
        .map(|_| enter(&limit, &request()).ok().unwrap())
        .collect();
    assert_eq!(enter(&limit, &request()).err(), Some("concurrency.shed"));
    drop(inside);
    assert!(enter(&limit, &request()).is_ok());
}

#[test]
fn shows_who_is_there() {
    let limit = limit("max = 1\nqueue = 1\nper = 'header.x-tenant'");
    let tenant = |name: &str| request().header("x-tenant", name);
    drop(enter(&limit, &tenant("gone")).ok().unwrap());
    let _inside = enter(&limit, &tenant("acme")).ok().unwrap();
    let mut seen = Vec::new();
    limit
        .gates
        .visit(|key, census| seen.push((key.to_string(), census)));
    let one = Census {
        inside: 1,
        limit: 1,
        waiting: 0,
    };
    assert_eq!(seen, [("acme".to_owned(), one)]);
}

#[test]
fn the_plan_is_the_consumers() {
    let limit = limit("max = 1\nplans = ['free', 'premium']");
    let user = |plan: &str| {
        let mut identity = Identity::new("keys", None, "ann");
        identity.plan = Some(plan.into());
        request().identity(identity)
    };
    assert_eq!(limit.rank(&user("premium").view()), 1);
    assert_eq!(limit.rank(&user("free").view()), 0);
    assert_eq!(limit.rank(&user("gold").view()), 0);
    assert_eq!(limit.rank(&request().view()), 0);
}

#[test]
fn doors_that_nobody_uses_are_given_up() {
    let limit = limit("max = 1\nper = 'header.x-tenant'");
    for tenant in 0..10_000 {
        let request = request().header("x-tenant", tenant.to_string());
        drop(enter(&limit, &request).ok().unwrap());
    }
    assert!(limit.gates.len() <= 1_025);
}

#[test]
fn complains_about_limits_that_cannot_be_meant() {
    for (table, codes) in [
        ("max = 0", &["concurrency.count"][..]),
        ("max = 100001", &["concurrency.count"]),
        ("max = 1\nqueue = 100001", &["concurrency.count"]),
        (
            "max = 1\nqueue-timeout = '61s'",
            &["concurrency.queue-timeout"],
        ),
        ("max = 1\nshed-status = 500", &["concurrency.shed-status"]),
        (
            "max = 100000\nqueue = 100000\nqueue-timeout = '60s'\nshed-status = 503",
            &[],
        ),
    ] {
        assert_eq!(complaints::<Concurrency>(table), codes, "{table}");
    }
}
