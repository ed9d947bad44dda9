//! `--update`: the changes that make a session file agree with what was received. Only replies that differ are touched.

use std::ops::Range;

use super::report::{Entry, EntryKind};
use crate::bcp::Side;
use crate::session::push_message;

/// The changes of the session file for these differences, in its order, as [`crate::session::apply`] takes them; `side`
/// sent the replies. A pattern that failed is never changed.
pub fn edits(entries: &[Entry], side: Side) -> Vec<(Range<u64>, Vec<u8>)> {
    // What is inserted at one place stands there in the order in which it was received.
    let mut edits: Vec<(u64, Range<u64>, Vec<u8>)> = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.is_pattern() && !matches!(entry.kind, EntryKind::Gone { .. })) {
        let mut text = Vec::new();
        if let Some(received) = &entry.received {
            push_message(side, &received.content.line, received.content.payload(), &mut text);
        }
        let number = entry.received.as_ref().map_or(0, |received| received.number);
        let span = entry.recorded.as_ref().map(|recorded| recorded.span.clone());
        match (entry.place, span) {
            (Some(place), span) => {
                edits.extend(span.map(|span| (0, span, Vec::new())));
                edits.push((number, place.offset..place.offset, text));
            }
            (None, span) => edits.extend(span.map(|span| (0, span, text))),
        }
    }
    edits.sort_by_key(|(number, span, _)| (span.start, span.end, *number));
    edits.into_iter().map(|(_, span, text)| (span, text)).collect()
}
