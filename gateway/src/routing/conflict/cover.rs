//! Whether several conditioned routes together take every request from a later one.
//!
//! Splits what the later route accepts into cases (a value absent, one of the literals named, any
//! other) until one of the earlier routes takes each case. It gives up beyond a budget and then says
//! "reachable": a complaint must be certain.

use std::collections::BTreeSet;

use super::super::pattern::{Condition, ConditionTest};
use super::super::tree::Route;

const STEPS_MAX: usize = 10_000;

/// One case of a value.
#[derive(Clone, Copy)]
enum Case<'a> {
    Absent,
    Literal(&'a str),
    /// Present, and none of the literals that anybody names.
    Other,
}

/// A value and its case.
type Assumption<'a> = (&'a Condition, Case<'a>);

/// The routes that take everything from `route`, if the earlier ones do.
pub(super) fn covering(route: &Route, earlier: &[&Route]) -> Option<BTreeSet<u32>> {
    if earlier.is_empty() {
        return None;
    }
    let mut by = BTreeSet::new();
    // "Any" holds methods that nobody names, which only "any" takes; it then takes the named too.
    let each_method: Vec<_> = route.methods.iter().collect();
    let mut groups: Vec<Vec<&Route>> = each_method
        .iter()
        .map(|method| {
            earlier
                .iter()
                .copied()
                .filter(|one| one.methods.allows(method))
                .collect()
        })
        .collect();
    if route.methods.is_any() {
        groups.push(
            earlier
                .iter()
                .copied()
                .filter(|one| one.methods.is_any())
                .collect(),
        );
    }
    for group in groups {
        let mut split = Split {
            route,
            steps: 0,
            by: &mut by,
        };
        if !split.covers(&mut Vec::new(), &group) {
            return None;
        }
    }
    Some(by)
}

struct Split<'a, 'b> {
    route: &'a Route,
    steps: usize,
    by: &'b mut BTreeSet<u32>,
}

impl<'a> Split<'a, '_> {
    fn covers(&mut self, assumed: &mut Vec<Assumption<'a>>, earlier: &[&'a Route]) -> bool {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return false;
        }
        let possible: Vec<&Route> = earlier
            .iter()
            .copied()
            .filter(|one| self.may_take(one, assumed))
            .collect();
        let open = |one: &&'a Route| {
            one.conditions
                .iter()
                .find(|condition| find(assumed, condition).is_none())
        };
        if let Some(taker) = possible.iter().find(|one| open(one).is_none()) {
            self.by.insert(taker.id);
            return true;
        }
        let Some(key) = possible.iter().find_map(open) else {
            return false;
        };
        let cases = self.cases(key, &possible);
        cases.into_iter().all(|case| {
            assumed.push((key, case));
            let covered = self.covers(assumed, &possible);
            assumed.pop();
            covered
        })
    }

    /// Whether the assumptions make certain every condition that they touch.
    fn may_take(&self, one: &Route, assumed: &[Assumption<'a>]) -> bool {
        one.conditions.iter().all(|condition| {
            find(assumed, condition).is_none_or(|case| self.certain(condition, case))
        })
    }

    fn certain(&self, condition: &Condition, case: Case<'_>) -> bool {
        match (case, condition.test()) {
            (Case::Absent, asked) => asked.accepts(None),
            (Case::Literal(text), asked) => asked.accepts(Some(text.as_bytes())),
            (Case::Other, ConditionTest::Present) => true,
            (Case::Other, ConditionTest::Absent | ConditionTest::Exact(_)) => false,
            // Certain only if the later route asks for the very same.
            (Case::Other, asked @ ConditionTest::Regex { .. }) => {
                self.own(condition) == Some(asked)
            }
        }
    }

    /// What the later route itself asks of the value.
    fn own(&self, key: &Condition) -> Option<&'a ConditionTest> {
        let own = self
            .route
            .conditions
            .iter()
            .find(|condition| condition.same_key(key));
        own.map(Condition::test)
    }

    /// The cases of a value that the later route accepts.
    fn cases(&self, key: &'a Condition, earlier: &[&'a Route]) -> Vec<Case<'a>> {
        let own = self.own(key);
        let mut cases = Vec::new();
        if own.is_none_or(|test| test.accepts(None)) {
            cases.push(Case::Absent);
        }
        if !matches!(own, Some(ConditionTest::Absent | ConditionTest::Exact(_))) {
            cases.push(Case::Other);
        }
        let everyone = earlier.iter().copied().chain([self.route]);
        let conditions = everyone.flat_map(|one| &one.conditions);
        let literals: BTreeSet<&str> = conditions
            .filter(|condition| condition.same_key(key))
            .filter_map(|condition| condition.test().literal())
            .filter(|text| own.is_none_or(|test| test.accepts(Some(text.as_bytes()))))
            .collect();
        cases.extend(literals.into_iter().map(Case::Literal));
        cases
    }
}

fn find<'a>(assumed: &[Assumption<'a>], condition: &Condition) -> Option<Case<'a>> {
    assumed
        .iter()
        .find(|(key, _)| key.same_key(condition))
        .map(|(_, case)| *case)
}
