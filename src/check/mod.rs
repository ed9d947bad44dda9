//! `replay --check`: a recording compared with what a peer replies now.
//!
//! Pure: no I/O and no clock. [`Check`] is told what was recorded, what is received and when; it says when each request
//! is due and when it is over. The recorded replies between two requests are a *block*; a block that does not arrive as
//! recorded is aligned with what did arrive, and each reply that is left over is an [`Entry`] of the report.

mod align;
#[cfg(test)]
mod check_tests;
mod compare;
mod engine;
mod report;

pub use compare::{RULES, Rules};
pub use engine::{Check, CheckConfig, NextStep};
pub use report::{CloseKind, EntryKind, JunitSuite, edits, junit, summary};
