//! The table, printed row by row while the rows are measured.

use crate::pairs::{Pairs, median};

/// The value that a row must reach.
#[derive(Clone, Copy)]
pub enum Floor {
    AtLeast(f64),
    AtMost(f64),
}

impl Floor {
    fn text(self) -> String {
        match self {
            Floor::AtLeast(bound) => format!(">= {bound}"),
            Floor::AtMost(bound) => format!("<= {bound}"),
        }
    }

    fn verdict(self, reached: f64) -> &'static str {
        let met = match self {
            Floor::AtLeast(bound) => reached >= bound,
            Floor::AtMost(bound) => reached <= bound,
        };
        if met { "ok" } else { "below" }
    }
}

/// A table whose header is printed.
pub struct Table(());

impl Table {
    pub fn new() -> Table {
        print_row("measurement", "median", "min - max", "floor", "", "absolute (A : B)");
        Table(())
    }

    /// Prints a row of ratios; `beside` contains the absolute values.
    pub fn ratio(&mut self, what: &str, pairs: &Pairs, floor: Option<Floor>, beside: &str) {
        let ratios = pairs.ratios();
        let middle = median(&ratios);
        let (least, most) = (ratios.first().copied(), ratios.last().copied());
        let spread = format!("{} - {}", short(least.unwrap_or(f64::NAN)), short(most.unwrap_or(f64::NAN)));
        let (bound, verdict) = floor.map_or((String::new(), ""), |floor| (floor.text(), floor.verdict(middle)));
        print_row(what, &short(middle), &spread, &bound, verdict, beside);
    }

    /// Prints a row with one number.
    pub fn single(&mut self, what: &str, reached: f64, floor: Option<Floor>) {
        let (bound, verdict) = floor.map_or((String::new(), ""), |floor| (floor.text(), floor.verdict(reached)));
        print_row(what, &short(reached), "", &bound, verdict, "");
    }
}

fn print_row(what: &str, middle: &str, spread: &str, bound: &str, verdict: &str, beside: &str) {
    let row = format!("{what:<66} {middle:>7} {spread:>15}  {bound:<8} {verdict:<6} {beside}");
    println!("{}", row.trim_end());
}

/// A number with three significant digits.
fn short(number: f64) -> String {
    match number.abs() {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// A rate with a unit prefix: `4.93 M`.
pub fn rate(number: f64) -> String {
    match number {
        1e9.. => format!("{} G", short(number / 1e9)),
        1e6.. => format!("{} M", short(number / 1e6)),
        1e3.. => format!("{} k", short(number / 1e3)),
        _ => format!("{} ", short(number)),
    }
}
