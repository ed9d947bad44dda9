//! Two measurements in turn, and what their ratio comes to.

/// What two things measured, pair by pair.
pub struct Pairs {
    a: Vec<f64>,
    b: Vec<f64>,
}

/// Measures A B A B…, so that whatever else the machine does falls on both.
///
/// # Errors
/// The first error of either; nothing is compared then.
pub fn interleave(
    rounds: usize,
    mut a: impl FnMut() -> Result<f64, String>,
    mut b: impl FnMut() -> Result<f64, String>,
) -> Result<Pairs, String> {
    let mut pairs = Pairs { a: Vec::new(), b: Vec::new() };
    for _ in 0..rounds {
        pairs.a.push(a()?);
        pairs.b.push(b()?);
    }
    Ok(pairs)
}

impl Pairs {
    /// The ratios A to B of the pairs, from the smallest to the largest.
    pub fn ratios(&self) -> Vec<f64> {
        sorted(self.a.iter().zip(&self.b).map(|(a, b)| a / b).collect())
    }

    /// The median of what A measured.
    pub fn median_a(&self) -> f64 {
        median(&sorted(self.a.clone()))
    }

    /// The median of what B measured.
    pub fn median_b(&self) -> f64 {
        median(&sorted(self.b.clone()))
    }
}

/// The middle of numbers in their order; of an even count the mean of the two in the middle, of none NaN.
pub fn median(sorted: &[f64]) -> f64 {
    let upper = sorted.len() / 2;
    let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 { at(upper) } else { (at(upper.wrapping_sub(1)) + at(upper)) / 2.0 }
}

fn sorted(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers
}
