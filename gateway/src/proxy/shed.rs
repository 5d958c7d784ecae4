//! Turning requests away while the gateway itself has too much to do.

use plugins::contract::facts::Facts;
use plugins::contract::flow::{Flow, Reply};

use crate::overload::{Level, Rules, Step};
use crate::runtime::Snapshot;

/// What is asked of a request once its plan is known.
pub(super) struct Behind<'a> {
    rules: &'a Rules,
    level: Level,
}

/// Before anything is known of a request but its connection. Whether the connection should end with the answer. Asked
/// only where a worker is not calm.
pub(super) fn early(
    snapshot: &Snapshot,
    level: Level,
    open_before: usize,
    shadowed: &mut Vec<&'static str>,
) -> Option<(Box<Reply>, bool)> {
    let rules = snapshot.overload.as_deref()?;
    let step = rules.early(level, open_before)?;
    turn_away(rules, step, shadowed).map(|reply| (reply, step.ends_connection()))
}

/// Behind authentication; `None` where nobody is turned away.
pub(super) fn behind(snapshot: &Snapshot, level: Level) -> Option<Behind<'_>> {
    if level.late == 0 {
        return None;
    }
    let rules = snapshot.overload.as_deref()?;
    Some(Behind { rules, level })
}

impl Behind<'_> {
    pub(super) fn judge(&self, facts: &Facts, shadowed: &mut Vec<&'static str>) -> Flow {
        let identity = facts.identity().map(AsRef::as_ref);
        let step = self.rules.late(self.level, identity);
        match step.and_then(|step| turn_away(self.rules, step, shadowed)) {
            Some(reply) => Flow::Reply(reply),
            None => Flow::Continue,
        }
    }
}

fn turn_away(rules: &Rules, step: Step, shadowed: &mut Vec<&'static str>) -> Option<Box<Reply>> {
    match rules.turn_away(step) {
        Ok(reply) => Some(reply),
        Err(refusal) => {
            shadowed.push(refusal.code);
            None
        }
    }
}
