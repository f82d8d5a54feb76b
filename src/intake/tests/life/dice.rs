//! Chance that can be thrown again: everything that a life has of chance comes from its seed.

use crate::gateway::simulator::chance::SplitMix64;

pub(super) struct Dice(SplitMix64);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        // Neighbouring seeds are to begin far from each other.
        let first = SplitMix64::new(seed).next();
        Self(SplitMix64::new(first ^ seed.rotate_left(32)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.next()
    }

    /// A number from 0 up to but not including `bound`; 0 where that is nothing.
    pub(super) fn below(&mut self, bound: i64) -> i64 {
        let drawn = self.next() % u64::try_from(bound.max(1)).unwrap();
        i64::try_from(drawn).unwrap()
    }

    /// A number between both, both included.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below(most - least + 1)
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(i64::try_from(length).unwrap())).unwrap()
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    /// True so many times of a thousand.
    pub(super) fn chance(&mut self, of_thousand: i64) -> bool {
        self.below(1_000) < of_thousand
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.index(last + 1));
        }
    }
}
