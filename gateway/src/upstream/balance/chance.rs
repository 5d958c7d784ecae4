//! Random numbers for choosing: quick, and good for nothing else. Nobody gains by guessing them.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<u64> = Cell::new(rand::random());
}

/// The next number of this thread (`SplitMix64`).
pub(super) fn number() -> u64 {
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        super::hash::mix(next)
    })
}

/// One of so many things; `None` when there are none.
pub(super) fn below(count: usize) -> Option<usize> {
    // The upper half of a product spreads a number over a range without a division.
    let wide = u128::from(number()) * u128::try_from(count).ok()?;
    let index = usize::try_from(wide >> 64).ok()?;
    (count > 0).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_chosen_alike() {
        let mut got = [0u32; 7];
        for _ in 0..70_000 {
            got[below(7).unwrap()] += 1;
        }
        assert!(
            got.iter().all(|got| (9_500..10_500).contains(got)),
            "{got:?}"
        );
        assert_eq!(below(0), None);
    }
}
