//! What a check reports: its entries as data.

use std::time::Duration;

use super::compare::{Answer, Difference, Said};

/// One difference between a recording and what came.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// The answer that it is about; of several the first.
    pub recorded: Option<Recorded>,
    /// The line that came.
    pub came: Option<Came>,
    /// Behind which record of the file the line that came would have to stand, when that is not where the recorded one
    /// does: its number, 0 for the start of the file.
    pub place: Option<u64>,
    /// What else came in the place of an answer that did not.
    pub meanwhile: Vec<Came>,
}

impl Entry {
    pub(super) fn new(kind: Kind) -> Entry {
        Entry { kind, recorded: None, came: None, place: None, meanwhile: Vec::new() }
    }
}

/// What a difference is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// It came, but elsewhere in its block.
    OutOfOrder,
    /// Something else came in its place.
    Differs(Vec<Difference>),
    /// It did not come.
    NoAnswer {
        /// How long it was waited for, from our line on.
        waited: Duration,
        /// Whether nothing at all came meanwhile.
        silent: bool,
    },
    /// It came so long after it was given up.
    Late(Duration),
    /// A line came that was not recorded.
    Extra,
    /// The peer had gone.
    Gone {
        /// How.
        way: Way,
        /// How many answers could not be compared.
        count: u64,
    },
}

impl Kind {
    /// Its name in one word.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::OutOfOrder => "out-of-order",
            Kind::Differs(_) => "differs",
            Kind::NoAnswer { .. } => "no-answer",
            Kind::Late(_) => "late",
            Kind::Extra => "extra",
            Kind::Gone { .. } => "gone",
        }
    }
}

/// How a peer went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It closed the connection.
    Closed,
    /// The connection was reset.
    Reset,
    /// What it sent cannot be followed any further.
    Broken,
}

/// A recorded answer.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The number of its line in the file.
    pub number: u64,
    /// The line, or the pattern's text.
    pub line: Vec<u8>,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Whether it is a pattern (`#~`).
    pub is_pattern: bool,
}

impl From<&Answer> for Recorded {
    fn from(answer: &Answer) -> Recorded {
        let Said { line, payload, .. } = answer.said.clone();
        Recorded { number: answer.number, line, payload, is_pattern: answer.is_pattern() }
    }
}

/// A line that came.
#[derive(Clone, Debug)]
pub struct Came {
    /// Its number among all lines that came, from 0.
    pub number: u64,
    /// When it came.
    pub at: Duration,
    /// What it said.
    pub said: Said,
    /// Whether it stands in the report already.
    pub(super) told: bool,
}
