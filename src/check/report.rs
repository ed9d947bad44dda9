//! The differences that a check finds, as data, as text and as JUnit's XML for CI systems.

use std::collections::HashMap;
use std::fmt::Write;
use std::ops::Range;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::compare::{CheckedMessage, Difference, RecordedReply};
use super::engine::Received;
use crate::bcp::Side;
use crate::session::push_message;
use crate::text::{safe, shown};
use crate::time::timestamp;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// One difference between a recording and what was received.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// The reply that it is about; of several the first.
    pub recorded: Option<RecordedReply>,
    /// The message that was received.
    pub received: Option<Received>,
    /// Where in the file the message belongs, if that is not the place of the reply.
    pub place: Option<FilePlace>,
}

/// A place in a session file after a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePlace {
    /// The number of the record's line; 0 is the start of the file.
    pub line: u64,
    /// Where the record ends, in bytes.
    pub offset: u64,
}

/// What a difference is.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryKind {
    /// The reply arrived, but elsewhere in its block.
    OutOfOrder,
    /// Another message arrived in its place.
    Differs(Vec<Difference>),
    /// It did not arrive within this time since the request was sent.
    NoReply(Duration),
    /// The message was not recorded.
    Extra,
    /// The peer was gone, and so many replies could not be compared.
    Gone(CloseKind, u64),
}

/// How a peer went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseKind {
    /// It closed the connection.
    Closed,
    /// The connection was reset.
    Reset,
    /// It sent what cannot be read any further.
    Broken,
}

impl Entry {
    /// What the difference is, in a few words.
    pub fn headline(&self) -> String {
        let line = self.place.map_or(0, |place| place.line);
        let place = if line > 0 { format!("after line {line}") } else { "first".to_owned() };
        match &self.kind {
            EntryKind::Differs(differences) => {
                let received = self.received.as_ref().map(|received| received.content.identity.command.as_str());
                if received == Some("error") && differences.first().is_some_and(|first| first.name == "@command") {
                    return "the peer replied with an error".to_owned();
                }
                let names: Vec<String> = differences.iter().map(|it| safe(it.name.as_bytes())).collect();
                format!("differs in {}", names.join(", "))
            }
            EntryKind::OutOfOrder => format!("out of order: received {place}"),
            EntryKind::NoReply(waited) => format!("no reply within {:.3} s", waited.as_secs_f64()),
            EntryKind::Extra => format!("not recorded: received {place}"),
            EntryKind::Gone(close, count) => {
                let how = match close {
                    CloseKind::Closed => "the peer closed the connection",
                    CloseKind::Reset => "the connection was lost",
                    CloseKind::Broken => "the peer broke the framing",
                };
                let more = if *count > 1 { format!(" and {} more", count - 1) } else { String::new() };
                format!("{how} before this reply{more}")
            }
        }
    }

    /// Whether it is about a pattern, which `--update` never changes.
    pub fn is_pattern(&self) -> bool {
        self.recorded.as_ref().is_some_and(|recorded| recorded.pattern.is_some())
    }

    /// Its kind in one word.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            EntryKind::OutOfOrder => "out-of-order",
            EntryKind::Differs(_) => "differs",
            EntryKind::NoReply(_) => "no-reply",
            EntryKind::Extra => "extra",
            EntryKind::Gone(..) => "gone",
        }
    }

    /// It as text: its place and what it is in one line, then what was expected, what was received, and parameter by
    /// parameter what differs. Nothing is cut, and control characters are escaped.
    pub fn report(&self, file: &str, is_colored: bool) -> String {
        let colored = |color: &str, text: &str| match is_colored {
            true => format!("{color}{text}{PLAIN}"),
            false => text.to_owned(),
        };
        let number = self.recorded.as_ref().map_or(String::new(), |recorded| format!(":{}", recorded.number));
        let mut out = format!("{}: {}\n", colored(BOLD, &format!("{file}{number}")), self.headline());
        let expected = self.recorded.as_ref().map(|recorded| ("- expected", RED, &recorded.content));
        let actual = self.received.as_ref().map(|received| ("+ actual  ", GREEN, &*received.content));
        for (what, color, content) in expected.into_iter().chain(actual) {
            let _ = writeln!(out, "  {}", colored(color, &format!("{what} {}", content.shown())));
        }
        let EntryKind::Differs(differences) = &self.kind else { return out };
        for Difference { name, expected, actual } in differences {
            let value = |text: &Option<String>, what: &str, none: &str| {
                text.as_ref().map_or(none.to_owned(), |text| format!("{what} {}", safe(text.as_bytes())))
            };
            let actual = value(actual, "actual", "not received");
            let parts = match name.as_str() {
                "@line" => "only one of the two lines is well-formed".to_owned(),
                _ if self.is_pattern() => actual,
                _ => format!("{}, {actual}", value(expected, "expected", "not recorded")),
            };
            let _ = writeln!(out, "    {}: {parts}", safe(name.as_bytes()));
        }
        out
    }
}

impl CheckedMessage {
    fn shown(&self) -> String {
        let (line, payload) = (safe(&self.line), &self.identity.payload);
        if payload.is_empty() { line } else { format!("{line} (payload {})", STANDARD.encode(payload)) }
    }
}

/// The result of a check in one line: `PASS: 14 replies as recorded` or `FAIL: 3 of 14 replies differ`.
pub fn summary(entries: &[Entry], compared: u64) -> String {
    let (mut differing, mut extra) = (0, 0);
    for entry in entries {
        match entry.kind {
            EntryKind::Extra => extra += 1,
            EntryKind::Gone(_, count) => differing += count,
            _ => differing += 1,
        }
    }
    match (differing, extra, compared) {
        (0, 0, 0) => "FAIL: no replies to compare".to_owned(),
        (0, 0, 1) => "PASS: 1 reply as recorded".to_owned(),
        (0, 0, _) => format!("PASS: {compared} replies as recorded"),
        (_, 0, _) => format!("FAIL: {differing} of {compared} replies differ"),
        _ => format!("FAIL: {differing} of {compared} replies differ, and {extra} not recorded"),
    }
}

/// The changes that make the session file agree with what was received (`--update`), in the order of the file, as
/// [`crate::session::apply`] takes them; `side` sent the replies. A pattern that failed is never changed.
pub fn edits(entries: &[Entry], side: Side) -> Vec<(Range<u64>, Vec<u8>)> {
    let mut edits: Vec<(Range<u64>, u64, Vec<u8>)> = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.is_pattern() && !matches!(entry.kind, EntryKind::Gone(..))) {
        let (mut text, mut number) = (Vec::new(), 0);
        if let Some(received) = &entry.received {
            push_message(side, &received.content.line, &received.content.identity.payload, &mut text);
            number = received.number;
        }
        let span = entry.recorded.as_ref().map(|recorded| recorded.span.clone());
        if let Some(FilePlace { offset, .. }) = entry.place {
            edits.push((offset..offset, number, std::mem::take(&mut text)));
        }
        edits.extend(span.map(|span| (span, 0, text)));
    }
    // What is inserted at one place stands there in the order in which it was received.
    edits.sort_by_key(|(span, number, _)| (span.start, span.end, *number));
    edits.into_iter().map(|(span, _, text)| (span, text)).collect()
}

/// The check of one recording.
#[derive(Debug)]
pub struct JunitSuite<'a> {
    /// The name of the recording.
    pub file: &'a str,
    /// When the check began, since 1970.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// The replies that are compared: the number of each line in the file, and the line as far as it is shown.
    pub replies: Vec<(u64, String)>,
    /// The differences.
    pub entries: &'a [Entry],
    /// The line in the file of the last reply that was compared: those after it are skipped.
    pub reached: u64,
}

/// The report on some checks: a suite for each recording and a test case for each recorded reply. It is valid against
/// the schemas of Ant's JUnit task and of Jenkins.
pub fn junit(suites: &[JunitSuite<'_>]) -> String {
    let suites: String = suites.iter().enumerate().map(|(id, suite)| suite.xml(id)).collect();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{suites}</testsuites>\n")
}

impl JunitSuite<'_> {
    fn xml(&self, id: usize) -> String {
        let number = |entry: &Entry| entry.recorded.as_ref().map(|recorded| recorded.number);
        let failed: HashMap<u64, &Entry> = self.entries.iter().filter_map(|it| Some((number(it)?, it))).collect();
        let mut cases = String::new();
        for (number, line) in &self.replies {
            let (name, is_skipped) = (format!("line {number}: {line}"), *number > self.reached);
            self.case(&name, failed.get(number).copied(), is_skipped, &mut cases);
        }
        let extra = self.entries.iter().filter(|entry| entry.recorded.is_none());
        for entry in extra.clone() {
            let line = entry.received.as_ref().map_or(String::new(), |received| shown(&received.content.line));
            self.case(&format!("not recorded: {line}"), Some(entry), false, &mut cases);
        }
        let (name, when, took) = (attribute(self.file), timestamp(self.began), self.took.as_secs_f64());
        let (tests, failures) = (self.replies.len() + extra.count(), self.entries.len());
        format!(
            "  <testsuite name=\"{name}\" package=\"backbox\" id=\"{id}\" timestamp=\"{when}\" \
             hostname=\"localhost\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{took:.3}\">\n    \
             <properties/>\n{cases}    <system-out/>\n    <system-err/>\n  </testsuite>\n"
        )
    }

    fn case(&self, name: &str, failure: Option<&Entry>, is_skipped: bool, out: &mut String) {
        let (name, file) = (attribute(name), attribute(self.file));
        let _ = write!(out, "    <testcase classname=\"{file}\" name=\"{name}\" time=\"0\"");
        let Some(entry) = failure else {
            return out.push_str(if is_skipped { "><skipped/></testcase>\n" } else { "/>\n" });
        };
        let (kind, message) = (entry.kind_name(), attribute(&entry.headline()));
        let text = escaped(&entry.report(self.file, false));
        let failure = format!("      <failure type=\"{kind}\" message=\"{message}\">{text}</failure>\n");
        let _ = write!(out, ">\n{failure}    </testcase>\n");
    }
}

/// Text within an element or an attribute. [`safe`] has escaped the control characters, which XML cannot hold; the two
/// code points that are no characters are escaped here.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    text.replace('\u{fffe}', "\\u{fffe}").replace('\u{ffff}', "\\u{ffff}")
}

fn attribute(text: &str) -> String {
    escaped(&safe(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_peer_cannot_end_an_element() {
        assert_eq!(attribute("]]>\"<&\x1b\u{9b}\u{ffff}\n"), "]]&gt;&quot;&lt;&amp;\\x1b\\x9b\\u{ffff}\\n");
    }
}
