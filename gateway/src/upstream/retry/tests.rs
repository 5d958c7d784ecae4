use super::*;

fn policy(on: &[RetryOn]) -> Retry {
    Retry::compile(&RetryConfig {
        attempts: 3,
        on: on.to_vec(),
        methods: vec![Method::GET],
        per_try_timeout: None,
        hedge_after: None,
        backoff: Duration::from_millis(100),
        budget: 20,
    })
}

fn failed(cause: Cause) -> Failed<'static> {
    Failed {
        cause,
        method: Some(&Method::GET),
        attempts: 1,
        body_kept: true,
        told_when: false,
        marked: false,
        left: Some(Duration::from_secs(3)),
    }
}

#[test]
fn says_why_not() {
    let retry = policy(&[RetryOn::Reset]);
    let budget = Budget::default();
    let good = || failed(Cause::Reset);
    assert!(retry.again(&good(), &budget).is_ok());
    for (hindrance, failed) in [
        (
            Hindrance::Attempts,
            Failed {
                attempts: 3,
                ..good()
            },
        ),
        (
            Hindrance::Marked,
            Failed {
                marked: true,
                ..good()
            },
        ),
        (
            Hindrance::Method,
            Failed {
                method: Some(&Method::POST),
                ..good()
            },
        ),
        (
            Hindrance::Body,
            Failed {
                body_kept: false,
                ..good()
            },
        ),
        (
            Hindrance::RetryAfter,
            Failed {
                told_when: true,
                ..good()
            },
        ),
        (
            Hindrance::Deadline,
            Failed {
                left: None,
                ..good()
            },
        ),
    ] {
        assert_eq!(retry.again(&failed, &budget), Err(hindrance));
    }
    while retry.again(&good(), &budget).is_ok() {}
    assert_eq!(retry.again(&good(), &budget), Err(Hindrance::Budget));
}

#[test]
fn a_connect_failure_needs_neither_a_safe_method_nor_budget() {
    let retry = policy(&[RetryOn::ConnectFailure]);
    let budget = Budget::default();
    while budget.withdraw() {}
    let post = Failed {
        method: Some(&Method::POST),
        ..failed(Cause::ConnectFailure)
    };
    assert!(retry.again(&post, &budget).is_ok());
}

#[test]
fn a_request_that_is_known_again_may_go_twice_whatever_its_method() {
    let retry = policy(&[RetryOn::Reset]);
    let post = |method| Failed {
        method,
        ..failed(Cause::Reset)
    };
    assert_eq!(
        retry.again(&post(Some(&Method::POST)), &Budget::default()),
        Err(Hindrance::Method)
    );
    assert!(retry.again(&post(None), &Budget::default()).is_ok());
}

#[test]
fn a_pause_grows_and_stays_within_its_limit() {
    let retry = policy(&[RetryOn::Reset]);
    for (attempts, limit) in [(1, 100), (2, 200), (4, 800), (5, 1_000), (60, 1_000)] {
        for _ in 0..200 {
            assert!(retry.pause(attempts) <= Duration::from_millis(limit));
        }
    }
}

#[test]
fn covers_what_it_names() {
    let retry = policy(&[RetryOn::Timeout, RetryOn::Status(StatusCode::BAD_GATEWAY)]);
    assert!(retry.covers(Cause::Timeout) && !retry.covers(Cause::Reset));
    assert!(retry.covers_status(StatusCode::BAD_GATEWAY));
    assert!(!retry.covers_status(StatusCode::SERVICE_UNAVAILABLE));
}
