//! Random numbers from a seed that is printed when something fails.
//!
//! `BACKBOX_TEST_SEED` and `BACKBOX_TEST_COUNT` choose other cases, or one of them again.

/// The seed unless the environment has another.
const SEED: u64 = 20_261_121;

/// Numbers that look random and come again from the same seed (Steele, Lea and Flood's SplitMix64).
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }
}

/// Runs `check` on as many cases as `BACKBOX_TEST_COUNT` says, `count` without it; each has a seed of its own. Of all
/// that fail the one with the shortest text is shown, which saves a search for the smallest input.
#[track_caller]
pub fn for_each_case(count: u64, check: impl Fn(&mut Random) -> Result<(), String>) {
    let from_environment = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect(name));
    let first: u64 = from_environment("BACKBOX_TEST_SEED").unwrap_or(SEED);
    let count = from_environment("BACKBOX_TEST_COUNT").unwrap_or(count);
    let failures = (first..first.saturating_add(count))
        .filter_map(|seed| check(&mut Random::new(seed)).err().map(|failure| (failure, seed)));
    if let Some((failure, seed)) = failures.min_by_key(|(failure, _)| failure.len()) {
        panic!("{failure}\nagain with BACKBOX_TEST_SEED={seed} BACKBOX_TEST_COUNT=1");
    }
}
