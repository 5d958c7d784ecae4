//! What a running gateway says of itself: metrics, configuration hash, access log.

use std::fs;

use serde_json::Value;

use super::Gateway;
use crate::wait::{self, DEADLINE};

/// Reloads counted so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloads {
    /// Those that swapped the configuration.
    pub ok: u64,
    /// All others.
    pub failed: u64,
}

impl Reloads {
    /// All of them.
    pub fn total(self) -> u64 {
        self.ok + self.failed
    }
}

impl Gateway {
    /// `gateway_config_reloads_total`, by result.
    pub fn reloads(&self) -> Reloads {
        let metrics = self.metrics();
        let name = "gateway_config_reloads_total";
        let ok = sum(&metrics, name, &[r#"result="ok""#]);
        Reloads {
            ok,
            failed: sum(&metrics, name, &[]) - ok,
        }
    }

    /// The text of `/metrics`.
    pub fn metrics(&self) -> String {
        self.admin_get("/metrics").text()
    }

    /// The sum of all series of `name` that hold every one of `labels` (`route="orders"`).
    pub fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        sum(&self.metrics(), name, labels)
    }

    /// The hash of the running configuration, from `/config`.
    pub fn config_hash(&self) -> String {
        let config = self.admin_get("/config").json();
        config["hash"]
            .as_str()
            .expect("/config has a hash")
            .to_owned()
    }

    /// The access log so far, a value a line. A line that is not JSON fails the test.
    pub fn access_log(&self) -> Vec<Value> {
        let path = self
            .parsed
            .get("access-log")
            .and_then(|table| table.get("path"));
        let text = match path.and_then(toml::Value::as_str) {
            Some("stdout") | None => self.process.stdout(),
            Some(path) => fs::read_to_string(self.place.dir().join(path)).unwrap_or_default(),
        };
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
        };
        complete.lines().map(parse).collect()
    }

    /// Waits until the access log has at least `count` lines, and returns them.
    pub fn wait_access_log(&self, count: usize) -> Vec<Value> {
        wait::until_some(DEADLINE, &format!("{count} lines of access log"), || {
            Some(self.access_log()).filter(|lines| lines.len() >= count)
        })
    }
}

fn sum(metrics: &str, name: &str, labels: &[&str]) -> u64 {
    let value = |line: &str| -> Option<f64> {
        let series = line
            .strip_prefix(name)
            .filter(|rest| rest.starts_with(['{', ' ']))?;
        let fits = labels.iter().all(|label| series.contains(label));
        if fits {
            series.rsplit(' ').next()?.parse().ok()
        } else {
            None
        }
    };
    let total: f64 = metrics.lines().filter_map(value).sum();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counters of a test"
    )]
    let total = total as u64;
    total
}
