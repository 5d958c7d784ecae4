//! Thresholds: how many checks in a row it takes to believe them.

/// What the checks of one address said.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Checks in a row that contradict `bad`.
    contrary: u32,
    /// Whether one ever passed.
    passed: bool,
    /// What is believed.
    bad: bool,
}

impl Tally {
    /// Counts a check; `true` if it changes what is believed.
    pub(super) fn count(&mut self, passed: bool, healthy_after: u32, unhealthy_after: u32) -> bool {
        let known = self.passed;
        self.passed |= passed;
        if passed != self.bad {
            self.contrary = 0;
            return false;
        }
        self.contrary += 1;
        let enough = match (passed, known) {
            (true, _) => healthy_after,
            (false, true) => unhealthy_after,
            // Nobody has seen it well yet.
            (false, false) => 1,
        };
        if self.contrary < enough {
            return false;
        }
        self.contrary = 0;
        self.bad = !passed;
        true
    }

    /// Whether the address fails its checks.
    pub(super) fn is_bad(&self) -> bool {
        self.bad
    }

    /// Whether the last checks contradict what is believed.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.contrary > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn believed(checks: &str) -> String {
        let mut tally = Tally::default();
        let after = |check| {
            tally.count(check == '+', 2, 3);
            if tally.is_bad() { 'b' } else { 'g' }
        };
        checks.chars().map(after).collect()
    }

    #[test]
    fn believes_what_it_hears_often_enough() {
        assert_eq!(believed("+--+---++"), "ggggggbbg");
        assert_eq!(believed("+---+-++"), "gggbbbbg");
    }

    #[test]
    fn the_first_failure_of_a_stranger_is_enough() {
        assert_eq!(believed("-++---"), "bbgggb");
        assert_eq!(believed("-+-++"), "bbbbg");
    }

    proptest! {
        #[test]
        fn agrees_with_a_look_at_the_whole_history(checks in prop::collection::vec(any::<bool>(), 1..60)) {
            let mut tally = Tally::default();
            let (mut bad, mut since) = (false, 0);
            for end in 1..=checks.len() {
                tally.count(checks[end - 1], 2, 3);
                let seen = checks[..end].contains(&true);
                let need = if bad { 2 } else if seen { 3 } else { 1 };
                let recent = &checks[since..end];
                let run = recent.iter().rev().take_while(|passed| **passed == bad).count();
                if run >= need {
                    (bad, since) = (!bad, end);
                }
                prop_assert_eq!(tally.is_bad(), bad);
            }
        }
    }
}
