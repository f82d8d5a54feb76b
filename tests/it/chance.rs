//! What the proofs share: their sizes, their dice, and the table of their figures.

use replyd::clock::Clock;

#[path = "../proofs/figures.rs"]
mod figures;

/// A small generator of numbers: what it gives depends on its seed alone.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What a run's dice begin with: another number each time, or `REPLYD_TEST_SEED`.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("REPLYD_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    seed.unwrap_or_else(|| Clock::system().unix().0.unsigned_abs())
}

/// How much of a proof is run: what the environment says, or what CI can bear.
pub(crate) fn size(variable: &str, in_ci: usize) -> usize {
    std::env::var(variable).map_or(in_ci, |size| size.parse().unwrap())
}

/// Says how far a long proof is.
#[expect(clippy::print_stdout, reason = "it is for whoever waits for it")]
pub(crate) fn say(words: &str) {
    println!("{words}");
}

/// Tells what a proof has shown, and adds it to the table of figures.
#[expect(clippy::print_stdout, reason = "a proof's figures are for whoever runs it")]
pub(crate) fn figure(proof: &str, size: &str, result: &str) {
    println!("{proof}: {size}: {result}");
    figures::tell(proof, size, result).unwrap();
}
