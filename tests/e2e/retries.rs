//! Failed attempts: which are repeated, where, how often, and what every backend received meanwhile.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use harness::{Backend, Config, Ending, Gate, Gateway, H2Request, H2c, Response, Script, wait};

use crate::fixture::assert_refused;

/// A gateway whose one upstream has these targets, in turn, and whose one route has this policy.
fn retrying(policy: &str, targets: &[SocketAddr]) -> Gateway {
    retrying_with("", policy, targets)
}

fn retrying_with(listener: &str, policy: &str, targets: &[SocketAddr]) -> Gateway {
    let names: Vec<String> = (0..targets.len())
        .map(|at| format!("\"@upstream.t{at}@\""))
        .collect();
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n{listener}\n\
         [upstream.orders]\ntargets = [{}]\nconnect-timeout = \"1s\"\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n{policy}\n",
        names.join(", ")
    );
    let config = targets
        .iter()
        .enumerate()
        .fold(Config::new(text), |config, (at, target)| {
            config.upstream(&format!("t{at}"), *target)
        });
    Gateway::start(config)
}

fn retries(gateway: &Gateway, result: &str) -> u64 {
    let result = format!("result=\"{result}\"");
    gateway.metric(
        "gateway_upstream_retries_total",
        &["upstream=\"orders\"", &result],
    )
}

/// Two backends that behave alike.
fn pair(script: &Script) -> [Backend; 2] {
    let backends = [Backend::named("one"), Backend::named("two")];
    for backend in &backends {
        backend.always(script.clone());
    }
    backends
}

fn addrs<const N: usize>(backends: &[Backend; N]) -> [SocketAddr; N] {
    std::array::from_fn(|at| backends[at].addr())
}

fn received<const N: usize>(backends: &[Backend; N]) -> [usize; N] {
    std::array::from_fn(|at| backends[at].requests().len())
}

const NOW: &str =
    "retry = { attempts = 2, backoff = \"0ms\", on = [\"connect-failure\", \"reset\", \"503\"] }";

#[test]
fn nothing_is_repeated_without_a_policy() {
    let backends = pair(&Script::status(503));
    let gateway = retrying("", &addrs(&backends));
    assert_eq!(gateway.get("/").status, 503);
    let [one, two] = received(&backends);
    assert_eq!(one + two, 1);
}

#[test]
fn a_target_that_refuses_is_passed_over_whatever_the_method_and_the_body() {
    let good = Backend::start();
    let gateway = retrying(NOW, &[Backend::refusing(), good.addr()]);
    let large = vec![b'x'; 300_000];
    let mut asked = 0;
    for (method, body) in [
        ("GET", &b""[..]),
        ("POST", b"pay 5 EUR"),
        ("PUT", &large),
        ("POST", &large),
    ] {
        for _ in 0..2 {
            let answer = gateway.request(method, "/", &[], body);
            asked += 1;
            assert_eq!(answer.status, 200, "{method}: {}", answer.text());
            assert_eq!(good.last().body.len(), body.len());
        }
        assert_eq!(good.requests().len(), asked, "{method}: each request once");
    }
    let failed = gateway.metric(
        "gateway_upstream_attempts_total",
        &["result=\"connect-failed\""],
    );
    assert!(failed >= 4, "{failed}: at least every second one");
    assert_eq!(retries(&gateway, "made"), failed);
    let lines = gateway.wait_access_log(asked);
    let repeated = lines.iter().find(|line| line["attempts"] == 2).unwrap();
    assert_eq!(repeated["retried"], "connect-failure");
    assert!(repeated.get("not_retried").is_none());
}

#[test]
fn a_safe_request_is_repeated_at_another_target() {
    for script in [
        Script::reset(),
        Script::close(),
        Script::raw("HTTP/1.1 200 OK\r\nx-a: b\r\n"),
        Script::raw("HTTP/1.1 200 OK\r\nx-a: b\r\n").ending(Ending::Reset),
        Script::status(503),
    ] {
        let [bad, good] = [Backend::start(), Backend::start()];
        bad.always(script);
        let gateway = retrying(NOW, &[bad.addr(), good.addr()]);
        let answers =
            ["GET", "HEAD", "OPTIONS"].map(|method| gateway.request(method, "/", &[], b"").status);
        assert_eq!(answers, [200; 3]);
        let answer = H2c::connect(gateway.addr()).get("/");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(good.requests().len(), 4, "one for each request");
        let failed = bad.requests().len() as u64;
        assert!(failed > 0);
        assert_eq!(retries(&gateway, "made"), failed);
        let marks: Vec<_> = good
            .requests()
            .iter()
            .filter_map(|request| request.header("x-gateway-attempt").map(str::to_owned))
            .collect();
        assert_eq!(marks, vec!["2"; marks.len()]);
        assert_eq!(
            marks.len() as u64,
            failed,
            "a repetition says that it is one"
        );
    }
}

#[test]
fn a_post_is_never_sent_twice() {
    let policy = "retry = { attempts = 5, backoff = \"0ms\", per-try-timeout = \"80ms\", \
                  on = [\"connect-failure\", \"reset\", \"timeout\", \"503\"] }";
    for (script, status) in [
        (Script::reset(), 502),
        (Script::close(), 502),
        (Script::raw("HTTP/1.1 200 OK\r\nx-a: b\r\n"), 502),
        (Script::status(503), 503),
        (Script::stall(), 504),
    ] {
        let backends = pair(&script);
        let gateway = retrying(policy, &addrs(&backends));
        assert_eq!(
            gateway.request("POST", "/", &[], b"pay 5 EUR").status,
            status
        );
        let request = H2Request::new("POST", "/").body("pay 5 EUR");
        assert_eq!(H2c::connect(gateway.addr()).request(request).status, status);
        assert_eq!(received(&backends).iter().sum::<usize>(), 2);
        assert_eq!(retries(&gateway, "made"), 0);
        assert_eq!(retries(&gateway, "method"), 2);
        assert_eq!(gateway.wait_access_log(2)[0]["not_retried"], "method");
    }
}

#[test]
fn a_post_that_is_allowed_is_sent_again_whole() {
    let policy = "retry = { backoff = \"0ms\", methods = [\"POST\"], on = [\"503\"] }";
    let [bad, good] = [Backend::start(), Backend::start()];
    bad.always(Script::status(503));
    let gateway = retrying(policy, &[bad.addr(), good.addr()]);
    for _ in 0..2 {
        assert_eq!(gateway.request("POST", "/", &[], b"pay 5 EUR").status, 200);
        assert_eq!(good.last().text(), "pay 5 EUR");
    }
    assert_eq!(good.requests().len(), 2);
    // What the list leaves out is not repeated.
    let statuses = [0, 1].map(|_| gateway.get("/").status);
    assert!(statuses.contains(&503), "{statuses:?}");
}

#[test]
fn an_answer_that_says_when_to_come_back_is_the_answer() {
    let backends = pair(&Script::status(503).header("Retry-After", "7"));
    let gateway = retrying(NOW, &addrs(&backends));
    let answer = gateway.get("/");
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("7"))
    );
    assert_eq!(received(&backends).iter().sum::<usize>(), 1);
    assert_eq!(gateway.wait_access_log(1)[0]["not_retried"], "retry-after");
}

#[test]
fn the_last_answer_reaches_the_client_as_it_is() {
    let backends = pair(&Script::answer(503, "busy").header("X-Reason", "load"));
    let gateway = retrying(NOW, &addrs(&backends));
    let mut client = gateway.client();
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!((answer.status, answer.text().as_str()), (503, "busy"));
        assert_eq!(answer.header("x-reason"), Some("load"));
    }
    assert_eq!(received(&backends), [2, 2]);
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["attempts"], &line["retried"]),
        (&2.into(), &"status".into())
    );
    assert_eq!(line["not_retried"], "attempts");
}

#[test]
fn an_answer_that_has_begun_is_never_repeated() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc";
    let backends = pair(&Script::raw(half).ending(Ending::Reset));
    let gateway = retrying(NOW, &addrs(&backends));
    assert!(gateway.client().try_request("GET", "/", &[], b"").is_err());
    let request = H2Request::new("GET", "/");
    assert!(H2c::connect(gateway.addr()).try_request(request).is_err());
    gateway.wait_access_log(2);
    assert_eq!(received(&backends).iter().sum::<usize>(), 2);
}

#[test]
fn a_body_beyond_64_kib_cannot_be_sent_again() {
    let policy = "retry = { backoff = \"0ms\", methods = [\"PUT\"], on = [\"reset\"] }";
    for (size, expected) in [(64 << 10, 200), ((64 << 10) + 1, 502)] {
        let [bad, good] = [Backend::start(), Backend::start()];
        bad.always(Script::reset());
        let gateway = retrying(policy, &[bad.addr(), good.addr()]);
        let body: Vec<u8> = (0..size).map(|at| b"abcdefghijk"[at % 11]).collect();
        let statuses = [0, 1].map(|_| gateway.request("PUT", "/", &[], &body).status);
        assert!(statuses.contains(&expected), "{size}: {statuses:?}");
        assert!(
            good.requests().iter().all(|request| request.body == body),
            "{size}"
        );
        let sent = bad.requests().len() + good.requests().len();
        let made = retries(&gateway, "made");
        assert_eq!(sent as u64, 2 + made, "{size}");
        if expected == 502 {
            assert_eq!(
                (made, retries(&gateway, "body")),
                (0, bad.requests().len() as u64)
            );
            let lines = gateway.wait_access_log(2);
            assert!(
                lines.iter().any(|line| line["not_retried"] == "body"),
                "{lines:?}"
            );
        }
    }
}

#[test]
fn a_target_that_is_silent_is_given_up_after_the_time_of_one_try() {
    let policy = "retry = { attempts = 2, backoff = \"0ms\", per-try-timeout = \"60ms\", on = [\"timeout\"] }";
    let [silent, good] = [Backend::start(), Backend::start()];
    silent.always(Script::stall());
    let gateway = retrying(policy, &[silent.addr(), good.addr()]);
    let mut client = gateway.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").status, 200, "on one connection");
    }
    assert_eq!(H2c::connect(gateway.addr()).get("/").status, 200);
    assert_eq!(H2c::connect(gateway.addr()).get("/").status, 200);
    assert_eq!(good.requests().len(), 4);
    assert_eq!(retries(&gateway, "made"), silent.requests().len() as u64);
    assert_eq!(gateway.wait_access_log(1)[0]["retried"], "timeout");
}

#[test]
fn the_time_of_one_try_ends_with_the_answers_head() {
    let policy = "retry = { attempts = 1, per-try-timeout = \"60ms\", on = [\"timeout\"] }";
    let orders = Backend::start();
    let gate = Gate::new();
    orders
        .on("/slow", Script::trickle(&gate, ["one"]))
        .on("/stall", Script::stall());
    let gateway = retrying(policy, &[orders.addr()]);
    let mut client = gateway.client();
    client
        .send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    assert_eq!(client.receive_head().0, 200);
    // Two tries that run out are a clock of our own.
    for _ in 0..2 {
        assert_refused(&gateway.get("/stall"), 504, "upstream.timeout");
    }
    gate.open();
    assert_eq!(client.read_exactly(8), b"3\r\none\r\n");
}

#[test]
fn all_tries_together_have_the_time_of_the_route() {
    let policy = "timeout = \"200ms\"\nretry = { attempts = 10, backoff = \"0ms\", per-try-timeout = \"60ms\", on = [\"timeout\"] }";
    let backends = pair(&Script::stall());
    let gateway = retrying(policy, &addrs(&backends));
    assert_refused(&gateway.get("/"), 504, "request.timeout");
    let sent: usize = received(&backends).iter().sum();
    assert!((1..=4).contains(&sent), "{sent}");
}

#[test]
fn repetitions_end_with_the_budget() {
    let policy = "retry = { backoff = \"0ms\", on = [\"503\"], budget = \"10%\" }";
    let backends = pair(&Script::status(503));
    let gateway = retrying(policy, &addrs(&backends));
    let mut client = gateway.client();
    for _ in 0..100 {
        assert_eq!(client.get("/").status, 503);
    }
    // Twenty to begin with, and a tenth of a hundred requests.
    assert_eq!(received(&backends).iter().sum::<usize>(), 130);
    assert_eq!(
        (retries(&gateway, "made"), retries(&gateway, "budget")),
        (30, 70)
    );
    let lines = gateway.wait_access_log(100);
    assert!(lines.iter().any(|line| line["not_retried"] == "budget"));
}

#[test]
fn what_a_trusted_proxy_repeats_is_not_repeated_here() {
    let sent = |listener: &str, name: &str| {
        let backends = pair(&Script::status(503));
        let gateway = retrying_with(listener, NOW, &addrs(&backends));
        assert_eq!(gateway.request("GET", "/", &[(name, "2")], b"").status, 503);
        let all: Vec<_> = backends.iter().flat_map(Backend::requests).collect();
        let marks = all
            .iter()
            .filter_map(|request| request.header(name).map(str::to_owned));
        (all.len(), marks.collect::<Vec<_>>())
    };
    let trusting = "trusted-proxies = [\"127.0.0.0/8\"]";
    for name in ["x-gateway-attempt", "x-envoy-attempt-count"] {
        assert_eq!(sent(trusting, name), (1, vec!["2".to_owned()]), "{name}");
        // From anybody else it means nothing and goes no further.
        let own = if name == "x-gateway-attempt" {
            vec!["2".to_owned()]
        } else {
            vec![]
        };
        assert_eq!(sent("", name), (2, own), "{name}");
    }
}

#[test]
fn with_one_of_three_targets_killed_no_safe_request_fails() {
    let mut backends = [Backend::start(), Backend::start(), Backend::start()];
    let policy = "retry = { attempts = 3, on = [\"connect-failure\", \"reset\"] }";
    let gateway = retrying(policy, &addrs(&backends));
    let (done, killed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = |worker: usize| {
        let mut client = gateway.client();
        let mut after = 0;
        for number in 0.. {
            let id = format!("{worker}-{number}");
            let status = client.get("/").status;
            assert_eq!(status, 200, "{id}");
            let post = gateway.request("POST", "/", &[("x-id", &id)], b"x").status;
            assert!([200, 502].contains(&post), "{post}");
            done.fetch_add(1, Ordering::SeqCst);
            after += usize::from(killed.load(Ordering::SeqCst));
            if after > 20 {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        wait::until(wait::DEADLINE, "requests under way", || {
            done.load(Ordering::SeqCst) > 20
        });
        backends[0].stop();
        killed.store(true, Ordering::SeqCst);
        for worker in workers {
            worker.join().unwrap();
        }
    });
    let mut ids: Vec<String> = Vec::new();
    for backend in &backends {
        ids.extend(
            backend
                .requests()
                .iter()
                .filter_map(|request| request.header("x-id").map(str::to_owned)),
        );
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "no POST was sent twice");
}

#[test]
fn with_all_targets_killed_every_request_is_answered_until_one_is_back() {
    let mut backends = [Backend::start(), Backend::start(), Backend::start()];
    let policy = "retry = { attempts = 3, on = [\"connect-failure\"] }";
    let gateway = retrying(policy, &addrs(&backends));
    assert_eq!(gateway.get("/").status, 200);
    for backend in &mut backends {
        backend.stop();
    }
    for method in ["GET", "POST"] {
        let answer: Response = gateway.request(method, "/", &[], b"");
        assert_refused(&answer, 502, "upstream.unreachable");
    }
    let line = &gateway.wait_access_log(3)[2];
    assert_eq!(
        (&line["attempts"], &line["not_retried"]),
        (&3.into(), &"attempts".into())
    );
    let _back = Backend::at(backends[1].addr());
    assert_eq!(gateway.get("/").status, 200, "the third try at the latest");
}
