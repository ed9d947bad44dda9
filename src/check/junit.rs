//! The report for CI systems: JUnit's XML, with a suite for each recording and a test case for each recorded reply.
//!
//! It is valid against the schemas of Ant's JUnit task and of Jenkins.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use super::report::{Entry, EntryWriter};
use crate::text::{safe, shown};
use crate::time::timestamp;

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

/// The report on some checks.
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
        let mut text = String::new();
        EntryWriter { file: self.file, is_colored: false }.write(entry, &mut text);
        let (kind, message, text) = (entry.kind_name(), attribute(&entry.headline()), escaped(&text));
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
