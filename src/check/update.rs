//! `--update`: a session file made to say what came (design.md, section 11). Only the answers that differ are touched.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::report::{Came, Entry, Kind};
use crate::session::{RecordKind, push_message};

/// What has to be changed in a session file.
#[derive(Debug)]
pub struct Edits {
    side: RecordKind,
    /// What becomes of records, by their places; nothing for one that goes.
    records: HashMap<u64, Option<Vec<u8>>>,
    /// What has to stand behind records, in the order in which it came.
    behind: BTreeMap<u64, BTreeMap<u64, Vec<u8>>>,
    /// How many patterns are not met, which are never touched.
    pub untouched: u64,
}

/// A part of the file, in bytes from its start, and what it becomes.
pub type Splice = (Range<u64>, Vec<u8>);

impl Edits {
    /// The changes that these differences want; `side` is the one that answers.
    pub fn of(entries: &[Entry], side: RecordKind, exact: bool) -> Edits {
        let mut edits = Edits { side, records: HashMap::new(), behind: BTreeMap::new(), untouched: 0 };
        entries.iter().for_each(|entry| edits.add(entry, exact));
        edits
    }

    fn add(&mut self, entry: &Entry, exact: bool) {
        if entry.recorded.as_ref().is_some_and(|recorded| recorded.is_pattern) {
            self.untouched += 1;
            return;
        }
        let number = entry.recorded.as_ref().map(|recorded| recorded.number);
        match (&entry.kind, number, &entry.came, entry.place) {
            (Kind::Differs(_), Some(number), Some(came), None) => {
                let text = self.text(came);
                self.records.insert(number, Some(text));
            }
            (Kind::Differs(_) | Kind::OutOfOrder, Some(number), Some(came), Some(place)) => {
                self.records.insert(number, None);
                self.put(place, came);
            }
            // What comes late has to stand where it came only where nothing may come that is not recorded.
            (Kind::Late(_), Some(number), Some(came), Some(place)) => {
                self.records.insert(number, None);
                if exact {
                    self.put(place, came);
                }
            }
            (Kind::NoAnswer { .. }, Some(number), ..) => {
                self.records.insert(number, None);
            }
            (Kind::Extra, _, Some(came), Some(place)) => self.put(place, came),
            _ => {}
        }
    }

    fn text(&self, came: &Came) -> Vec<u8> {
        let mut text = Vec::new();
        push_message(self.side, &came.said.line, &came.said.payload, &mut text);
        text
    }

    fn put(&mut self, place: u64, came: &Came) {
        let text = self.text(came);
        self.behind.entry(place).or_default().insert(came.number, text);
    }

    /// Whether the file stays as it is.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.behind.is_empty()
    }

    /// Appends what becomes of a record that stands there in the file; it is told of every record in turn.
    pub fn record(&mut self, number: u64, span: Range<u64>, splices: &mut Vec<Splice>) {
        let Range { start, end } = span;
        // What came before everything stands before the first record.
        let first = self.behind.remove(&0);
        splices.extend(first.map(|texts| (start..start, texts.into_values().flatten().collect())));
        if let Some(text) = self.records.remove(&number) {
            splices.push((start..end, text.unwrap_or_default()));
        }
        let behind = self.behind.remove(&number);
        splices.extend(behind.map(|texts| (end..end, texts.into_values().flatten().collect())));
    }
}
