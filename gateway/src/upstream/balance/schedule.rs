//! Weighted turns, spread as evenly as the weights allow.

/// Indices of the weights, each as often as its weight (divided by the common divisor), interleaved so that nobody
/// gets a burst: the k-th turn of a weight `w` stands at `(k + ½) / w` of the round.
pub(in crate::upstream) fn smooth(weights: &[u32]) -> Box<[u32]> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let mut turns: Vec<(f64, u32)> = Vec::new();
    for (index, weight) in (0u32..).zip(weights) {
        let weight = weight / divisor;
        turns.extend((0..weight).map(|turn| ((f64::from(turn) + 0.5) / f64::from(weight), index)));
    }
    turns.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    turns.into_iter().map(|(_, index)| index).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spreads_turns() {
        assert_eq!(*smooth(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(*smooth(&[3, 1]), [0, 0, 1, 0]);
        assert_eq!(*smooth(&[500, 500]), [0, 1]);
        assert!(smooth(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn everyone_gets_its_weight_and_no_bursts(weights in prop::collection::vec(1u32..50, 1..8)) {
            let schedule = smooth(&weights);
            let divisor = weights.iter().copied().fold(0, gcd);
            let total: u32 = weights.iter().map(|weight| weight / divisor).sum();
            prop_assert_eq!(schedule.len(), total as usize);
            for (index, weight) in (0u32..).zip(&weights) {
                let share = f64::from(weight / divisor) / f64::from(total);
                let (mut got, mut due) = (0.0, 0.0);
                for picked in &schedule {
                    got += f64::from(u8::from(*picked == index));
                    due += share;
                    prop_assert!(f64::abs(got - due) <= 8.0, "{schedule:?}");
                }
            }
        }
    }
}
