//! The scripts in a real Redis against the counts in memory: the same verdicts at the same times.
//!
//! The store's clock is replaced by arguments, and keys do not expire; all else is the scripts' text.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use plugins::limit::Verdict;
use plugins::limit::bucket::{Bucket, BucketRule};
use plugins::limit::calendar::{Moment, Quota, QuotaRule, Window};
use plugins::limit::rate::Rate;
use plugins::limit::script;
use plugins::limit::sliding::{Sliding, SlidingRule};
use plugins::limit::table::Count;
use proptest::prelude::*;
use redis::{Client, Connection};

/// A server that ends with the test.
struct Server {
    process: Child,
    directory: std::path::PathBuf,
}

impl Server {
    fn start(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("gateway-redis-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let mut process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .args(["--unixsocket", "redis.sock"])
            .current_dir(&directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is missing: deploy/install-build-tools.sh brings it");
        let said = BufReader::new(process.stdout.take().unwrap());
        let ready = said.lines().map_while(Result::ok);
        let ready = ready
            .into_iter()
            .any(|line| line.contains("eady to accept"));
        assert!(ready, "the server did not start");
        Self { process, directory }
    }

    fn connect(&self) -> Connection {
        let socket = self.directory.join("redis.sock");
        let url = format!("redis+unix://{}", socket.display());
        Client::open(url).unwrap().get_connection().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// A script whose clock is its last argument, in a server of its own.
struct Judge {
    script: redis::Script,
    connection: Connection,
    asked: u64,
    _server: Server,
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in the script");
    text.replace(from, to)
}

impl Judge {
    fn new(name: &str, text: &str, expiry: &str) -> Self {
        let clock = "{ math.floor(ARGV[#ARGV] / 1000000), math.fmod(ARGV[#ARGV], 1000000) }";
        let text = replaced(text, "redis.call('TIME')", clock);
        let text = replaced(&text, expiry, "");
        let server = Server::start(name);
        Self {
            script: redis::Script::new(&text),
            connection: server.connect(),
            asked: 0,
            _server: server,
        }
    }

    /// Forgets everybody.
    fn next(&mut self) {
        self.asked += 1;
    }

    fn take(&mut self, arguments: &[u64], now: u64) -> Verdict {
        let mut call = self.script.prepare_invoke();
        call.key(self.asked);
        for argument in arguments.iter().chain([&now]) {
            call.arg(*argument);
        }
        let answer: Vec<i64> = call.invoke(&mut self.connection).unwrap();
        script::verdict(&answer).unwrap()
    }
}

/// Pauses and costs of requests in the order of their arrival.
fn arrivals() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let pause = prop_oneof![
        4 => 0_u64..3,
        4 => 0_u64..2_000_000,
        1 => 0_u64..200_000_000,
    ];
    prop::collection::vec((pause, prop_oneof![8 => Just(1_u64), 2 => 1_u64..9]), 1..60)
}

/// The moments at which requests arrive, near the present.
fn moments(arrivals: &[(u64, u64)]) -> impl Iterator<Item = (u64, u64)> {
    let mut now = 1_795_329_000_000_000;
    arrivals.iter().map(move |(pause, cost)| {
        now += pause;
        (now, *cost)
    })
}

fn rates() -> impl Strategy<Value = Rate> {
    let period = prop_oneof![Just("s"), Just("min"), Just("h"), Just("day")];
    let count = prop_oneof![1_u64..20, 1_u64..2_000, Just(86_400_u64)];
    (count, period).prop_map(|(count, period)| format!("{count}/{period}").parse().unwrap())
}

fn run<S: Strategy>(strategy: S, test: impl Fn(S::Value)) {
    let mut runner = proptest::test_runner::TestRunner::default();
    let tested = runner.run(&strategy, |value| {
        test(value);
        Ok(())
    });
    tested.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_bucket_in_the_store_is_a_bucket_in_memory() {
    let expiry = ", 'PX', math.ceil(reset / 1000) + 1";
    let judge = Judge::new("bucket", script::BUCKET.text, expiry);
    let judge = std::cell::RefCell::new(judge);
    run(
        (rates(), 1_u64..40, arrivals()),
        |(rate, burst, arrivals)| {
            let rule = BucketRule::new(rate, burst).unwrap();
            let (mut here, mut there) = (Bucket::default(), judge.borrow_mut());
            there.next();
            for (now, cost) in moments(&arrivals) {
                let numbers = [rule.burst, rule.price, rule.refill, cost];
                let verdict = there.take(&numbers, now);
                assert_eq!(verdict, here.take(&rule, now, cost), "{rule:?} at {now}");
            }
        },
    );
}

#[test]
fn a_log_in_the_store_is_a_log_in_memory() {
    let expiry = "redis.call('PEXPIRE', key, math.ceil(window / 1000) + 1)";
    let judge = Judge::new("sliding", script::SLIDING.text, expiry);
    let judge = std::cell::RefCell::new(judge);
    run((rates(), arrivals()), |(rate, arrivals)| {
        let Some(rule) = SlidingRule::new(rate) else {
            return;
        };
        let (mut here, mut there) = (Sliding::default(), judge.borrow_mut());
        there.next();
        for (now, cost) in moments(&arrivals) {
            let verdict = there.take(&[rule.count, rule.window, cost], now);
            assert_eq!(verdict, here.take(&rule, now, cost), "{rule:?} at {now}");
        }
    });
}

#[test]
fn a_quota_in_the_store_is_a_quota_in_memory() {
    const HOUR: u64 = 3_600_000_000;
    let expiry = ", 'PX', math.ceil(left / 1000) + 60000";
    let judge = Judge::new("calendar", script::CALENDAR.text, expiry);
    let judge = std::cell::RefCell::new(judge);
    let steps = prop::collection::vec((0_u64..HOUR / 5, 1_u64..4, 0_u64..HOUR / 2), 1..60);
    run((1_u64..20, steps), |(count, steps)| {
        let rule = QuotaRule { count };
        let (mut here, mut there) = (Quota::default(), judge.borrow_mut());
        there.next();
        let mut now = 1_795_329_000_000_000;
        for (pause, cost, behind) in steps {
            now += pause;
            let window = |now: u64| Window {
                start: now - now % HOUR,
                end: now - now % HOUR + HOUR,
            };
            // The gateway that asks may be behind the store's clock.
            let asked = window(now - behind);
            let numbers = [count, asked.start, asked.end, asked.end + HOUR, cost];
            let moment = Moment {
                now,
                window: window(now),
            };
            let verdict = there.take(&numbers, now);
            assert_eq!(verdict, here.take(&rule, moment, cost), "{count} at {now}");
        }
    });
}

#[test]
fn a_clock_of_the_store_that_jumps_back_gives_nothing_twice() {
    const HOUR: u64 = 3_600_000_000;
    let now = 1_795_329_000_000_000;
    let expiry = ", 'PX', math.ceil(reset / 1000) + 1";
    let mut bucket = Judge::new("bucket-back", script::BUCKET.text, expiry);
    let numbers = [2, 1_000_000, 1, 1];
    assert!(bucket.take(&numbers, now).admitted);
    assert!(bucket.take(&numbers, now).admitted);
    assert!(!bucket.take(&numbers, now - HOUR).admitted);
    assert!(
        bucket.take(&numbers, now - HOUR + 1_000_000).admitted,
        "refills from there"
    );
    let expiry = "redis.call('PEXPIRE', key, math.ceil(window / 1000) + 1)";
    let mut log = Judge::new("sliding-back", script::SLIDING.text, expiry);
    let numbers = [2, HOUR, 1];
    assert!(log.take(&numbers, now).admitted);
    assert!(log.take(&numbers, now - HOUR / 2).admitted);
    assert!(!log.take(&numbers, now - HOUR / 2).admitted);
    assert!(
        log.take(&numbers, now - 2 * HOUR).admitted,
        "by more than a window: starts again"
    );
}

#[test]
fn what_is_not_ours_is_an_error_and_stays() {
    let expiry = ", 'PX', math.ceil(reset / 1000) + 1";
    let mut judge = Judge::new("foreign", script::BUCKET.text, expiry);
    let mut set = redis::cmd("SET");
    let set = set.arg(judge.asked).arg("not a bucket");
    set.exec(&mut judge.connection).unwrap();
    let answer = judge
        .script
        .key(judge.asked)
        .arg(1)
        .arg(1)
        .arg(1)
        .arg(1)
        .arg(5)
        .invoke::<Vec<i64>>(&mut judge.connection);
    assert!(answer.is_err());
}
