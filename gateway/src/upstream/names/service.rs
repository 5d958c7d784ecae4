//! The hosts of a service (RFC 2782): which there are is what its SRV records say, where they are is looked up for each.
//!
//! Records come from outside. Those whose host is no name as hosts have it are left out, and only so many are regarded.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{AFTER_FAILURE, Found, Host, LOOKUP_TIMEOUT, LookupError, addresses, in_time, left};

/// Records beyond this are left out, the least important ones first.
const RECORDS_MAX: usize = 256;
/// Hosts that are looked up at the same time.
const ASKED_MAX: usize = 16;

/// One usable record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    priority: u16,
    /// As DNS is asked for it, with the dot at its end.
    host: String,
    port: u16,
    weight: u16,
}

type Known = BTreeMap<String, (Vec<IpAddr>, Duration)>;

/// Every host that the records name; those that cannot be looked up are without address.
pub(super) async fn hosts(resolver: &Arc<TokioResolver>, name: &str) -> Result<Found, LookupError> {
    let asked = async { Ok(resolver.lookup(name, RecordType::SRV).await?) };
    let answer = in_time(asked).await?;
    let answers = answer.answers().iter();
    let records = records(answers.filter_map(|record| {
        let RData::SRV(service) = &record.data else {
            return None;
        };
        Some(service)
    }));
    let known = look_up_all(resolver, &records).await;
    if known.is_empty() {
        return Err(LookupError::Empty);
    }
    let all_known = records
        .iter()
        .all(|record| known.contains_key(&record.host));
    let holds = known.values().map(|(_, holds)| *holds);
    let holds = holds.fold(left(answer.valid_until()), Duration::min);
    Ok(Found {
        hosts: records.iter().map(|record| host(record, &known)).collect(),
        holds: if all_known {
            holds
        } else {
            holds.min(AFTER_FAILURE)
        },
    })
}

/// In order, and each host and port once, by its best record.
fn records<'a>(said: impl Iterator<Item = &'a SRV>) -> Vec<Record> {
    let mut best: BTreeMap<(String, u16), Record> = BTreeMap::new();
    for service in said {
        let host = service.target.to_string().to_ascii_lowercase();
        if !is_host(&host) {
            continue;
        }
        let record = Record {
            priority: service.priority,
            host: host.clone(),
            port: service.port,
            weight: service.weight,
        };
        let known = best.entry((host, service.port)).or_insert(record.clone());
        if record.priority < known.priority {
            *known = record;
        }
    }
    let mut records: Vec<Record> = best.into_values().collect();
    records.sort_unstable();
    records.truncate(RECORDS_MAX);
    records
}

/// A name can hold any byte, and this one gets into logs, metrics and heads. The root alone says that there is no service.
fn is_host(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name != "." && !name.is_empty() && name.bytes().all(fits)
}

async fn look_up_all(resolver: &Arc<TokioResolver>, records: &[Record]) -> Known {
    let mut known = Known::new();
    let mut waiting: Vec<&String> = records.iter().map(|record| &record.host).collect();
    waiting.sort_unstable();
    waiting.dedup();
    let mut asked = JoinSet::new();
    let all = async {
        loop {
            while asked.len() < ASKED_MAX
                && let Some(host) = waiting.pop()
            {
                let (resolver, host) = (resolver.clone(), host.clone());
                asked.spawn(async move { (addresses(&resolver, &host).await, host) });
            }
            match asked.join_next().await {
                Some(Ok((Ok(found), host))) => drop(known.insert(host, found)),
                // It is without address until the next look-up.
                Some(Ok((Err(_), _)) | Err(_)) => {}
                None => return,
            }
        }
    };
    // Who has not answered by then is without address likewise.
    drop(timeout(LOOKUP_TIMEOUT, all).await);
    known
}

fn host(record: &Record, known: &Known) -> Host {
    let name = record.host.trim_end_matches('.');
    let found = known.get(&record.host).map(|(found, _)| found.as_slice());
    let found = found.unwrap_or_default().iter();
    Host {
        named: Some(format!("{name}:{}", record.port).into()),
        addresses: found.map(|ip| (*ip, record.port).into()).collect(),
        priority: record.priority,
        weight: record.weight,
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;

    use super::*;

    fn said(records: &[(u16, u16, u16, &str)]) -> Vec<Record> {
        let srv = |(priority, weight, port, host): &(u16, u16, u16, &str)| {
            SRV::new(*priority, *weight, *port, Name::from_ascii(host).unwrap())
        };
        let records: Vec<SRV> = records.iter().map(srv).collect();
        self::records(records.iter())
    }

    #[test]
    fn records_are_in_order_and_each_host_is_there_once() {
        let records = said(&[
            (20, 1, 80, "spare.test."),
            (10, 5, 80, "B.test."),
            (20, 9, 80, "b.test."),
            (10, 1, 81, "b.test."),
            (10, 1, 80, "a.test."),
        ]);
        let seen: Vec<_> = records
            .iter()
            .map(|record| (record.priority, &*record.host, record.port, record.weight))
            .collect();
        assert_eq!(
            seen,
            [
                (10, "a.test.", 80, 1),
                (10, "b.test.", 80, 5),
                (10, "b.test.", 81, 1),
                (20, "spare.test.", 80, 1),
            ]
        );
    }

    #[test]
    fn what_names_no_host_is_left_out() {
        assert!(said(&[(0, 0, 0, ".")]).is_empty());
        for odd in ["a b.test", "a\nb.test", "a\"b.test", "\u{e9}.test", ""] {
            assert!(!is_host(odd), "{odd:?}");
        }
        assert!(is_host("a-1.b_c.test."));
    }

    #[test]
    fn no_more_records_than_may_be() {
        let hosts: Vec<String> = (0..300).map(|n| format!("h{n:03}.test.")).collect();
        let all: Vec<_> = hosts.iter().map(|host| (0, 0, 80, host.as_str())).collect();
        assert_eq!(said(&all).len(), RECORDS_MAX);
    }
}
