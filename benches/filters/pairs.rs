//! Alternating measurements of two things, and their ratio.

/// The measurements of two things, in pairs.
pub struct Pairs {
    a: Vec<f64>,
    b: Vec<f64>,
}

/// Measures A B A B…, so that other load on the machine affects both.
///
/// # Errors
/// The first error of either measurement.
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
    /// The ratios A to B of the pairs, sorted.
    pub fn ratios(&self) -> Vec<f64> {
        sorted(self.a.iter().zip(&self.b).map(|(a, b)| a / b).collect())
    }

    /// The median of A.
    pub fn median_a(&self) -> f64 {
        median(&sorted(self.a.clone()))
    }

    /// The median of B.
    pub fn median_b(&self) -> f64 {
        median(&sorted(self.b.clone()))
    }
}

/// The median of sorted numbers; NaN if there are none.
pub fn median(sorted: &[f64]) -> f64 {
    let upper = sorted.len() / 2;
    let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 { at(upper) } else { (at(upper.wrapping_sub(1)) + at(upper)) / 2.0 }
}

fn sorted(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers
}
