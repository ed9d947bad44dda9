//! Random numbers from a seed that is printed when a test fails.
//!
//! `BACKBOX_TEST_SEED` and `BACKBOX_TEST_COUNT` select other cases, or repeat one.

/// The default of `BACKBOX_TEST_SEED`.
const SEED: u64 = 20_261_121;

/// A pseudo-random number generator (Steele, Lea and Flood's SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Returns true with a probability of 1 in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }
}

/// Runs `check` on `BACKBOX_TEST_COUNT` cases, by default `count`, each with its own seed. Of all
/// failures it reports the one with the shortest text, which is usually the smallest input.
#[track_caller]
pub fn for_each_case(count: u64, check: impl Fn(&mut Random) -> Result<(), String>) {
    let from_environment = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect(name));
    let first: u64 = from_environment("BACKBOX_TEST_SEED").unwrap_or(SEED);
    let count = from_environment("BACKBOX_TEST_COUNT").unwrap_or(count);
    let failures = (first..first.saturating_add(count))
        .filter_map(|seed| check(&mut Random::new(seed)).err().map(|failure| (failure, seed)));
    if let Some((failure, seed)) = failures.min_by_key(|(failure, _)| failure.len()) {
        panic!("{failure}\nrepeat with BACKBOX_TEST_SEED={seed} BACKBOX_TEST_COUNT=1");
    }
}
