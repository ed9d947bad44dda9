//! The report as CI systems read it: JUnit's XML, one test case for each recorded answer (design.md, section 11).
//!
//! What stands here is what both the schema of Ant's JUnit task and that of Jenkins take: one `testsuite` as the root,
//! with the attributes and empty elements that the former wants.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use super::report::Entry;
use super::text::{Text, headline};
use crate::text::{safe, shown};
use crate::time::timestamp;

/// A report under way: the cases in the order of the recording.
#[derive(Debug)]
pub struct Junit<'a> {
    file: &'a str,
    cases: String,
    tests: u64,
    failures: u64,
}

/// What a case came to.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// The answer came as recorded.
    Passed,
    /// It did not.
    Failed(&'a Entry),
    /// It was not compared any more.
    Skipped,
}

/// The differences of a check, by the answers that they are about.
pub struct Failed<'a>(HashMap<u64, &'a Entry>);

impl<'a> Failed<'a> {
    /// Those of these that are about an answer of the recording.
    pub fn of(entries: &'a [Entry]) -> Failed<'a> {
        let place = |entry: &Entry| entry.recorded.as_ref().map(|recorded| recorded.number);
        Failed(entries.iter().filter_map(|entry| Some((place(entry)?, entry))).collect())
    }

    /// What the answer at a place in the file came to, by whether the check has reached it.
    pub fn verdict(&self, number: u64, is_reached: bool) -> Verdict<'a> {
        match self.0.get(&number) {
            Some(entry) => Verdict::Failed(entry),
            None if is_reached => Verdict::Passed,
            None => Verdict::Skipped,
        }
    }
}

/// What stands around the cases.
#[derive(Clone, Debug)]
pub struct Suite {
    /// When the check began, since 1970.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
}

impl<'a> Junit<'a> {
    /// A report without cases on the recording in this file.
    pub fn new(file: &'a str) -> Junit<'a> {
        Junit { file, cases: String::new(), tests: 0, failures: 0 }
    }

    /// Adds the case of the recorded answer at a place in the file; of an extra line `number` is `None`.
    pub fn case(&mut self, number: Option<u64>, line: &[u8], verdict: Verdict<'_>) {
        self.tests += 1;
        let place = number.map_or("not recorded".to_owned(), |number| format!("line {number}"));
        let (name, file) = (attribute(&format!("{place}: {}", shown(line))), attribute(self.file));
        let _ = write!(self.cases, "  <testcase classname=\"{file}\" name=\"{name}\" time=\"0\"");
        match verdict {
            Verdict::Passed => self.cases.push_str("/>\n"),
            Verdict::Skipped => self.cases.push_str("><skipped/></testcase>\n"),
            Verdict::Failed(entry) => {
                self.failures += 1;
                let mut text = String::new();
                Text { file: self.file, colored: false }.write(entry, &mut text);
                let (kind, message) = (entry.kind.name(), attribute(&headline(entry)));
                let text = escaped(&text);
                let _ = write!(
                    self.cases,
                    ">\n    <failure type=\"{kind}\" message=\"{message}\">{text}</failure>\n  </testcase>\n"
                );
            }
        }
    }

    /// The whole file.
    pub fn finish(self, suite: &Suite) -> String {
        let Junit { file, cases, tests, failures } = self;
        let (file, when) = (attribute(file), timestamp(suite.began));
        let took = suite.took.as_secs_f64();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuite name=\"{file}\" timestamp=\"{when}\" hostname=\"localhost\" tests=\"{tests}\" \
             failures=\"{failures}\" errors=\"0\" time=\"{took:.3}\">\n  \
             <properties/>\n{cases}  <system-out/>\n  <system-err/>\n</testsuite>\n"
        )
    }
}

/// Text within an element or an attribute. What XML cannot hold is not in it any more: control characters come escaped
/// from [`safe`], and the two code points that are no characters are shown as what they are.
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
    fn nothing_that_a_peer_says_ends_an_element() {
        assert_eq!(attribute("]]>\"<&\x1b\u{9b}\u{ffff}\n"), "]]&gt;&quot;&lt;&amp;\\x1b\\x9b\\u{ffff}\\n");
    }
}
