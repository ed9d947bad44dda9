//! The report for CI systems: JUnit's XML, with a suite for each recording and a test case for each recorded reply.
//!
//! It is valid against the schemas of Ant's JUnit task and of Jenkins.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use super::report::{Entry, EntryWriter};
use crate::text::{safe, shown};
use crate::time::timestamp;

/// A report on any number of checks.
#[derive(Debug, Default)]
pub struct Junit {
    suites: String,
    count: u64,
}

impl Junit {
    /// Adds the suite of one check, which began at this time since 1970 and took so long.
    pub fn add(&mut self, suite: JunitSuite<'_>, began: Duration, took: Duration) {
        let JunitSuite { writer, cases, tests, failures, .. } = suite;
        let (name, id, when, took) = (attribute(writer.file), self.count, timestamp(began), took.as_secs_f64());
        self.count += 1;
        let _ = write!(
            self.suites,
            "  <testsuite name=\"{name}\" package=\"backbox\" id=\"{id}\" timestamp=\"{when}\" \
             hostname=\"localhost\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{took:.3}\">\n    \
             <properties/>\n{cases}    <system-out/>\n    <system-err/>\n  </testsuite>\n"
        );
    }

    /// The whole report.
    pub fn finish(self) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{}</testsuites>\n", self.suites)
    }
}

/// The suite of one recording. It is told of the compared replies in the order of the file; only the differences have
/// to be kept for it.
#[derive(Debug)]
pub struct JunitSuite<'a> {
    writer: EntryWriter<'a>,
    /// The differences by the numbers of their replies.
    failed: HashMap<u64, &'a Entry>,
    extra: Vec<&'a Entry>,
    /// The line in the file of the last reply that was compared.
    reached: u64,
    cases: String,
    tests: u64,
    failures: u64,
}

impl<'a> JunitSuite<'a> {
    /// The suite of the recording in this file, of whose replies those up to the line `reached` were compared.
    pub fn new(file: &'a str, entries: &'a [Entry], reached: u64) -> JunitSuite<'a> {
        let number = |entry: &'a Entry| Some((entry.recorded.as_ref()?.number, entry));
        JunitSuite {
            writer: EntryWriter { file, is_colored: false },
            failed: entries.iter().filter_map(number).collect(),
            extra: entries.iter().filter(|entry| entry.recorded.is_none()).collect(),
            reached,
            cases: String::new(),
            tests: 0,
            failures: 0,
        }
    }

    /// Adds the case of a recorded reply: passed, failed, or skipped because it was not compared any more.
    pub fn reply(&mut self, number: u64, line: &[u8]) {
        let failure = self.failed.get(&number).copied();
        let is_skipped = failure.is_none() && number > self.reached;
        self.case(&format!("line {number}: {}", shown(line)), failure, is_skipped);
    }

    /// Adds the cases of the messages that were not recorded, which come last.
    pub fn extra(&mut self) {
        for entry in std::mem::take(&mut self.extra) {
            let line = entry.received.as_ref().map_or(String::new(), |received| shown(&received.content.line));
            self.case(&format!("not recorded: {line}"), Some(entry), false);
        }
    }

    fn case(&mut self, name: &str, failure: Option<&Entry>, is_skipped: bool) {
        self.tests += 1;
        let (name, file) = (attribute(name), attribute(self.writer.file));
        let _ = write!(self.cases, "    <testcase classname=\"{file}\" name=\"{name}\" time=\"0\"");
        let Some(entry) = failure else {
            self.cases += if is_skipped { "><skipped/></testcase>\n" } else { "/>\n" };
            return;
        };
        self.failures += 1;
        let mut text = String::new();
        self.writer.write(entry, &mut text);
        let (kind, message, text) = (entry.kind_name(), attribute(&entry.headline()), escaped(&text));
        let failure = format!("      <failure type=\"{kind}\" message=\"{message}\">{text}</failure>\n");
        let _ = write!(self.cases, ">\n{failure}    </testcase>\n");
    }
}

/// Text within an element or an attribute. [`safe`] has escaped the control characters, which XML cannot hold; the two
/// code points that are no characters are escaped here.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' => out.push_str("\\u{fffe}"),
            '\u{ffff}' => out.push_str("\\u{ffff}"),
            c => out.push(c),
        }
    }
    out
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
