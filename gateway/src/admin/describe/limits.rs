//! Who has used most of its limits, as data.
//!
//! Keys are shown as they are, or as digests that are salted anew with every start: they tell the busiest apart and do
//! not say who they are. What is counted in a store is not here but for the time that it did not answer. Of `concurrency`
//! it is who is under way now.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use plugins::concurrency::Gates;
use plugins::limit::counts::Counts;
use plugins::limit::key::Key;
use rand::random;
use serde_json::{Map, Value, json};

use crate::config::model::LimitKeys;
use crate::runtime::Snapshot;

/// Keys that are shown of each plan.
const SHOWN: usize = 20;

static SALT: LazyLock<[u8; 16]> = LazyLock::new(random);

/// Every limit with its busiest keys.
pub(in crate::admin) fn limits(snapshot: &Snapshot) -> Value {
    let keys = snapshot.loaded.config.admin.as_ref();
    let keys = keys.map_or(LimitKeys::Plain, |admin| admin.limit_keys);
    let shared = &snapshot.shared;
    let all = |pool: &mut dyn Iterator<Item = (&str, &std::sync::Arc<Counts>)>| {
        let counts = pool.map(|(policy, counts)| (policy.to_owned(), plans(counts, keys)));
        Value::Object(counts.collect::<Map<_, _>>())
    };
    json!({
        "throttle": all(&mut shared.throttle.all()),
        "rate-limit": all(&mut shared.rate_limit.all()),
        "quota": all(&mut shared.quota.all()),
        "concurrency": Value::Object(shared.concurrency.all().map(|(policy, gates)| (policy.to_owned(), doors(gates, keys))).collect()),
    })
}

/// The doors with most requests under way or waiting.
fn doors(gates: &Gates, keys: LimitKeys) -> Value {
    let mut busiest = BinaryHeap::new();
    let mut all = 0_u64;
    gates.visit(|key, census| {
        all += 1;
        let there = census.inside + census.waiting;
        busiest.push((
            Reverse(there),
            census.inside,
            census.limit,
            census.waiting,
            *key,
        ));
        if busiest.len() > SHOWN {
            busiest.pop();
        }
    });
    let busiest = busiest.into_sorted_vec().into_iter();
    let busiest: Vec<Value> = busiest
        .map(|(_, inside, limit, waiting, key)| {
            json!({ "key": shown(&key, keys), "under-way": inside, "limit": limit, "waiting": waiting })
        })
        .collect();
    json!({ "keys": all, "busiest": busiest })
}

/// The busiest keys of each plan, most used first.
fn plans(counts: &Counts, keys: LimitKeys) -> Value {
    let mut plans = Map::new();
    for plan in counts.plans() {
        let mut busiest = BinaryHeap::new();
        let mut all = 0_u64;
        counts.visit(plan, |key, used, left| {
            all += 1;
            busiest.push((Reverse(used), left, *key));
            if busiest.len() > SHOWN {
                busiest.pop();
            }
        });
        let busiest = busiest.into_sorted_vec().into_iter();
        let busiest: Vec<Value> = busiest
            .map(|(Reverse(used), left, key)| json!({ "key": shown(&key, keys), "used": used, "left": left }))
            .collect();
        let name = if plan.name().is_empty() {
            "all"
        } else {
            plan.name()
        };
        plans.insert(name.to_owned(), json!({ "keys": all, "busiest": busiest }));
    }
    json!({ "store": counts.is_in_store(), "plans": plans })
}

fn shown(key: &Key, keys: LimitKeys) -> String {
    match keys {
        LimitKeys::Plain => key.to_string(),
        LimitKeys::Hashed => {
            let digest = digest(&SHA256, &[SALT.as_slice(), key.identity()].concat());
            let start = digest.as_ref().first_chunk::<8>();
            start.map_or_else(String::new, |start| {
                format!("{:016x}", u64::from_be_bytes(*start))
            })
        }
    }
}
