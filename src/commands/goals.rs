//! Goals: what a run waits for, and which answers are failures (design.md, section 9).
//!
//! In: which of the patterns, the count, the answer and the handshake are met, and what is told when they are not.
//! Out: clocks and sockets; which messages are printed; what the run does when all is met.

use std::fmt::Write;

use crate::bcp::pattern::Pattern;
use crate::bcp::{Message, ValueKind};
use crate::text::shown;

/// What a run waits for. All of it has to be met; nothing at all is no goal.
///
/// ```
/// use backbox::bcp::{Message, ParseOptions};
/// use backbox::commands::goals::{Goals, Verdict};
/// use backbox::bcp::pattern::Pattern;
/// let mut goals = Goals::default();
/// goals.expect("list_coils", Pattern::parse("list_coils", false).unwrap());
/// let mut parts = Message::new();
/// parts.parse_line(b"list_coils?coils=c_knocker", &ParseOptions::default()).unwrap();
/// assert_eq!(goals.hear(&parts, None, true), Verdict { expected: true, failed: false });
/// assert!(goals.are_set() && goals.are_met());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Goals {
    expected: Vec<Expected>,
    count: Option<u64>,
    printed: u64,
    /// The command that is the answer, if one is waited for.
    answer: Option<String>,
    answered: bool,
    /// Whether the handshake is done, if it is a goal.
    handshake: Option<bool>,
    failures: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Expected {
    /// As it was given.
    text: String,
    pattern: Pattern,
    met: bool,
}

/// What a message is to the goals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It is one of those that `-e` asks for.
    pub expected: bool,
    /// It is a failed answer.
    pub failed: bool,
}

impl Goals {
    /// Waits for a message that looks like this (`-e`); `text` is the pattern as it was given.
    pub fn expect(&mut self, text: &str, pattern: Pattern) {
        self.expected.push(Expected { text: text.to_owned(), pattern, met: false });
    }

    /// Waits until so many messages are printed (`-n`).
    pub fn count(&mut self, messages: u64) {
        self.count = Some(messages);
    }

    /// Waits for this command (`-w`).
    pub fn answer(&mut self, command: &str) {
        self.answer = Some(command.to_owned());
    }

    /// Waits for the handshake.
    pub fn handshake(&mut self) {
        self.handshake = Some(false);
    }

    /// Takes a message that looks like this for a failed answer (`--fail-on`); this is no goal.
    pub fn fail_on(&mut self, pattern: Pattern) {
        self.failures.push(pattern);
    }

    /// Whether there is anything to wait for.
    pub fn are_set(&self) -> bool {
        !self.expected.is_empty() || self.count.is_some() || self.answer.is_some() || self.handshake.is_some()
    }

    /// Whether there is a goal and all of them are met.
    pub fn are_met(&self) -> bool {
        self.are_set()
            && self.expected.iter().all(|expected| expected.met)
            && self.count.is_none_or(|count| self.printed >= count)
            && (self.answer.is_none() || self.answered)
            && self.handshake != Some(false)
    }

    /// Whether the patterns say what is printed.
    pub fn select(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Whether one more message may be printed: those behind the last one of `-n` are not, once all goals are met.
    pub fn admit_more(&self) -> bool {
        self.count.is_none() || !self.are_met()
    }

    /// Judges a message; `asked` says whether what is to be answered has been sent.
    pub fn hear(&mut self, message: &Message, payload_bytes: Option<usize>, asked: bool) -> Verdict {
        let (mut expected, mut excused) = (false, false);
        for goal in &mut self.expected {
            if goal.pattern.matches(message, payload_bytes) {
                goal.met = true;
                expected = true;
                excused |= goal.pattern.names("error");
            }
        }
        self.answered |= asked && self.answer.as_deref() == Some(&*message.command());
        let failed = is_error(message) || self.failures.iter().any(|failure| failure.matches(message, payload_bytes));
        Verdict { expected, failed: failed && !excused }
    }

    /// One more message is printed.
    pub fn printed(&mut self) {
        self.printed = self.printed.saturating_add(1);
    }

    /// The handshake is done.
    pub fn ready(&mut self) {
        self.handshake = self.handshake.map(|_| true);
    }

    /// What is still missing, in words that end a sentence; empty when nothing is.
    pub fn missing(&self) -> String {
        let mut missing = Vec::new();
        if self.handshake == Some(false) {
            missing.push("the handshake was done".to_owned());
        }
        if let Some(answer) = self.answer.as_ref().filter(|_| !self.answered) {
            missing.push(format!("the answer came ({answer})"));
        }
        for expected in self.expected.iter().filter(|expected| !expected.met) {
            missing.push(format!("a message matched {}", shown(expected.text.as_bytes())));
        }
        if let Some(count) = self.count.filter(|&count| self.printed < count) {
            missing.push(format!("message {} of {count} was printed", self.printed + 1));
        }
        let mut text = String::new();
        for (index, piece) in missing.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{piece}", if index == 0 { "" } else { ", and before " });
        }
        text
    }
}

/// Whether a message says that something went wrong: it is an `error`, or carries one.
fn is_error(message: &Message) -> bool {
    if message.command() == "error" {
        return true;
    }
    message.find("error").is_some_and(|error| match error.kind() {
        ValueKind::Null => false,
        ValueKind::Bool => error.text() != "false",
        _ => !matches!(&*error.text(), "" | "[]" | "{}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;

    fn parts(line: &str) -> Message {
        let mut parts = Message::new();
        parts.parse_line(line.as_bytes(), &ParseOptions::default()).unwrap();
        parts
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text, false).unwrap()
    }

    #[test]
    fn all_goals_have_to_be_met_and_one_message_may_meet_several() {
        let mut goals = Goals::default();
        assert!(!goals.are_set() && !goals.are_met() && goals.missing().is_empty());
        goals.expect("a", pattern("a"));
        goals.expect("*?x=1", pattern("*?x=1"));
        goals.count(2);
        goals.handshake();
        assert_eq!(goals.hear(&parts("a?x=1"), None, true), Verdict { expected: true, failed: false });
        goals.printed();
        assert_eq!(goals.missing(), "the handshake was done, and before message 2 of 2 was printed");
        goals.ready();
        assert!(!goals.are_met() && goals.admit_more());
        goals.printed();
        assert!(goals.are_met() && !goals.admit_more() && goals.missing().is_empty());
    }

    #[test]
    fn an_answer_counts_only_once_the_question_has_gone() {
        let mut goals = Goals::default();
        goals.answer("reset_complete");
        goals.hear(&parts("reset_complete"), None, false);
        assert_eq!(goals.missing(), "the answer came (reset_complete)");
        goals.hear(&parts("reset_complete"), None, true);
        assert!(goals.are_met());
    }

    #[test]
    fn which_answers_are_failures() {
        for (line, failed) in [
            ("error?message=x", true),
            ("coil_pulse?error=no%20such%20coil", true),
            ("coil_pulse?error=bool:True", true),
            ("coil_pulse?error=int:0", true),
            ("coil_pulse?error=bool:False", false),
            ("coil_pulse?error=NoneType:", false),
            ("coil_pulse?error=", false),
            ("coil_pulse?json={\"error\": []}", false),
            ("coil_pulse?json={\"error\": {}}", false),
            ("coil_pulse?json={\"error\": [1]}", true),
            ("coil_pulse?errors=x", false),
            ("trigger?name=tilt", true),
            ("trigger?name=other", false),
        ] {
            let mut goals = Goals::default();
            goals.fail_on(pattern("trigger?name=tilt"));
            assert_eq!(goals.hear(&parts(line), None, true).failed, failed, "{line}");
        }
    }

    #[test]
    fn a_failure_is_expected_by_a_pattern_that_names_it() {
        for (text, line, failed) in [
            ("error", "error?message=x", false),
            ("coil_pulse?error=*", "coil_pulse?error=x", false),
            ("coil_pulse?ERROR", "coil_pulse?error=x", false),
            ("*", "error?message=x", true),
            ("coil_pulse", "coil_pulse?error=x", true),
            ("error", "coil_pulse?error=x", true),
        ] {
            let mut goals = Goals::default();
            goals.expect(text, pattern(text));
            assert_eq!(goals.hear(&parts(line), None, true).failed, failed, "{text} {line}");
        }
    }
}
