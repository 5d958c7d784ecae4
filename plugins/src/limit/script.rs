//! Counting in a store: one script, one round trip, one step that no other interrupts, by the store's own clock.
//!
//! The scripts compute what [`bucket`](super::bucket), [`sliding`](super::sliding) and [`calendar`](super::calendar)
//! compute, in doubles that hold whole numbers up to 2^53 exactly. Each returns whether the request is admitted, what is
//! left, microseconds until it would be admitted (-1: never) and until all is left again. A clock of the store that
//! jumps back gives nothing twice: a bucket then refills from the new time on, a log stands still for at most a window,
//! a quota goes on in the later window.

use super::Verdict;
use super::bucket::BucketRule;
use super::calendar::{QuotaRule, Window};
use super::config::Rule;
use super::sliding::SlidingRule;
use crate::contract::services::{Script, Store, StoreError};

/// Why a store gave no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoVerdict {
    /// It did not run the script.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What came back is not what the script returns.
    #[error("the store answered with something else")]
    Answer,
    /// A number is too large for the script.
    #[error("a number is too large")]
    Number,
}

/// A burst that refills: burst, price, refill, cost.
pub static BUCKET: Script = Script {
    name: "bucket",
    text: include_str!("bucket.lua"),
};

/// A log: count, window, cost.
pub static SLIDING: Script = Script {
    name: "sliding",
    text: include_str!("sliding.lua"),
};

/// A number for each window: count, start, end, the next one's end, cost.
pub static CALENDAR: Script = Script {
    name: "calendar",
    text: include_str!("calendar.lua"),
};

/// What of a rule makes counts of another rule worthless.
pub(super) fn rule(rule: &Rule) -> String {
    match rule {
        Rule::Bucket(rule) => format!("b{}-{}-{}", rule.burst, rule.price, rule.refill),
        Rule::Sliding(rule) => format!("s{}-{}", rule.count, rule.window),
        // A quota that is raised goes on with what is used.
        Rule::Calendar { length, .. } => format!("c{}", length.seconds()),
    }
}

pub(super) async fn bucket(
    store: &dyn Store,
    key: &[u8],
    rule: &BucketRule,
    cost: u64,
) -> Result<Verdict, NoVerdict> {
    run(
        store,
        &BUCKET,
        key,
        &[rule.burst, rule.price, rule.refill, cost],
    )
    .await
}

pub(super) async fn sliding(
    store: &dyn Store,
    key: &[u8],
    rule: &SlidingRule,
    cost: u64,
) -> Result<Verdict, NoVerdict> {
    run(store, &SLIDING, key, &[rule.count, rule.window, cost]).await
}

pub(super) async fn calendar(
    store: &dyn Store,
    key: &[u8],
    rule: &QuotaRule,
    (window, next): (Window, Window),
    cost: u64,
) -> Result<Verdict, NoVerdict> {
    let arguments = [rule.count, window.start, window.end, next.end, cost];
    run(store, &CALENDAR, key, &arguments).await
}

async fn run<const N: usize>(
    store: &dyn Store,
    script: &'static Script,
    key: &[u8],
    arguments: &[u64; N],
) -> Result<Verdict, NoVerdict> {
    let mut numbers = [0_i64; N];
    for (number, argument) in numbers.iter_mut().zip(arguments) {
        *number = i64::try_from(*argument).map_err(|_| NoVerdict::Number)?;
    }
    let answer = store.script(script, key, &numbers).await?;
    verdict(&answer).ok_or(NoVerdict::Answer)
}

/// What a script's answer says; `None` where no script answers so.
pub fn verdict(answer: &[i64]) -> Option<Verdict> {
    let [admitted, remaining, retry_after, reset] = answer else {
        return None;
    };
    let admitted = match admitted {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some(Verdict {
        admitted,
        remaining: u64::try_from(*remaining).ok()?,
        retry_after: match retry_after {
            -1 if !admitted => None,
            wait => Some(u64::try_from(*wait).ok()?),
        },
        reset: u64::try_from(*reset).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_what_a_script_returns() {
        let full = Verdict {
            admitted: true,
            remaining: 3,
            retry_after: Some(0),
            reset: 5,
        };
        assert_eq!(verdict(&[1, 3, 0, 5]), Some(full));
        assert_eq!(verdict(&[0, 0, -1, 5]).unwrap().retry_after, None);
        for wrong in [
            &[][..],
            &[1],
            &[2, 0, 0, 0],
            &[1, -1, 0, 0],
            &[1, 0, -1, 0],
            &[1, 0, 0, 0, 0],
        ] {
            assert_eq!(verdict(wrong), None, "{wrong:?}");
        }
    }
}
