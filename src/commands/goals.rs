//! Goals: what a run waits for, and which replies are failures.
//!
//! In: which of the patterns, the count, the reply and the handshake have arrived, and what is reported if not.
//! Out: clocks and sockets; which messages are printed; what the run does when all goals are met.

use crate::bcp::pattern::Pattern;
use crate::bcp::{Message, ValueKind};
use crate::text::shown;

use crate::bcp::line_command;

/// What a run waits for. All goals must be met; a run without goals waits for nothing.
#[derive(Clone, Debug, Default)]
pub struct Goals {
    expected: Vec<Expected>,
    count: Option<u64>,
    printed: u64,
    /// The command that is the reply, if one is waited for.
    reply: Option<String>,
    has_reply: bool,
    /// Whether the handshake is complete, if it is a goal.
    handshake: Option<bool>,
    failures: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Expected {
    /// As typed.
    text: String,
    pattern: Pattern,
    met: bool,
}

/// What a message is to the goals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It matches a pattern of `-e`.
    pub expected: bool,
    /// It is a failed reply.
    pub failed: bool,
}

impl Goals {
    /// Waits for a message that matches (`-e`); `text` is the pattern as typed.
    pub fn expect(&mut self, text: &str, pattern: Pattern) {
        self.expected.push(Expected { text: text.to_owned(), pattern, met: false });
    }

    /// Waits until so many messages are printed (`-n`).
    pub fn count(&mut self, messages: u64) {
        self.count = Some(messages);
    }

    /// Waits for this command (`-w`).
    pub fn expect_reply(&mut self, command: &str) {
        self.reply = Some(command.to_owned());
    }

    /// Waits for the handshake.
    pub fn handshake(&mut self) {
        self.handshake = Some(false);
    }

    /// Treats a message that matches as a failed reply (`--fail-on`); this is no goal.
    pub fn fail_on(&mut self, pattern: Pattern) {
        self.failures.push(pattern);
    }

    /// Whether there is anything to wait for.
    pub fn are_set(&self) -> bool {
        !self.expected.is_empty() || self.count.is_some() || self.reply.is_some() || self.handshake.is_some()
    }

    /// Whether there is a goal and all of them are met.
    pub fn are_met(&self) -> bool {
        self.are_set()
            && self.expected.iter().all(|expected| expected.met)
            && self.count.is_none_or(|count| self.printed >= count)
            && (self.reply.is_none() || self.has_reply)
            && self.handshake != Some(false)
    }

    /// Whether only messages that match a pattern of `-e` are printed.
    pub fn select(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Whether one more message may be printed: those after the last one of `-n` are not, once all goals are met.
    pub fn admit_more(&self) -> bool {
        self.count.is_none() || !self.are_met()
    }

    /// Judges a message that was received; `asked` says whether the request of `-w` has been sent.
    pub fn receive(&mut self, message: &Message, payload_bytes: Option<usize>, asked: bool) -> Verdict {
        let (mut expected, mut excused) = (false, false);
        for goal in &mut self.expected {
            if goal.pattern.matches(message, payload_bytes) {
                goal.met = true;
                expected = true;
                excused |= goal.pattern.names("error");
            }
        }
        self.has_reply |= asked && self.reply.as_deref() == Some(&*message.command());
        let failed = is_error(message) || self.failures.iter().any(|failure| failure.matches(message, payload_bytes));
        Verdict { expected, failed: failed && !excused }
    }

    /// Counts a message that was printed.
    pub fn printed(&mut self) {
        self.printed = self.printed.saturating_add(1);
    }

    /// Notes that the handshake is complete.
    pub fn ready(&mut self) {
        self.handshake = self.handshake.map(|_| true);
    }

    /// What has not arrived, after "waiting for": `foo and message 2 of 3`. Empty if all goals are met.
    pub fn missing(&self) -> String {
        let mut missing = Vec::new();
        if self.handshake == Some(false) {
            missing.push("the handshake".to_owned());
        }
        if let Some(reply) = self.reply.as_ref().filter(|_| !self.has_reply) {
            missing.push(format!("the reply {reply}"));
        }
        let unmet = self.expected.iter().filter(|expected| !expected.met);
        missing.extend(unmet.map(|expected| shown(expected.text.as_bytes())));
        if let Some(count) = self.count.filter(|&count| self.printed < count) {
            missing.push(format!("message {} of {count}", self.printed + 1));
        }
        match missing.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            _ => missing.concat(),
        }
    }

    /// Whether a pattern that asks for a `trigger` has not been matched: MPF reports no trigger that came from BCP.
    pub(crate) fn lacks_trigger(&self) -> bool {
        let mut unmet = self.expected.iter().filter(|expected| !expected.met);
        unmet.any(|expected| line_command(expected.text.as_bytes()).eq_ignore_ascii_case("trigger"))
    }
}

/// Whether a message reports a failure: it is an `error`, or its parameter `error` is set. The strings `[]` and `{}`
/// are set; the list and the object are not.
pub(crate) fn is_error(message: &Message) -> bool {
    if message.command() == "error" {
        return true;
    }
    message.find("error").is_some_and(|error| match error.kind() {
        ValueKind::Null => false,
        ValueKind::Bool => error.text() != "false",
        ValueKind::Text => !error.text().is_empty(),
        _ => !matches!(&*error.text(), "[]" | "{}"),
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
    fn all_goals_must_be_met_and_one_message_can_meet_several() {
        let mut goals = Goals::default();
        assert!(!goals.are_set() && !goals.are_met() && goals.missing().is_empty());
        goals.expect("a", pattern("a"));
        goals.expect("*?x=1", pattern("*?x=1"));
        goals.count(2);
        goals.handshake();
        assert_eq!(goals.receive(&parts("a?x=1"), None, true), Verdict { expected: true, failed: false });
        goals.printed();
        assert_eq!(goals.missing(), "the handshake and message 2 of 2");
        goals.ready();
        assert!(!goals.are_met() && goals.admit_more());
        goals.printed();
        assert!(goals.are_met() && !goals.admit_more() && goals.missing().is_empty());
    }

    #[test]
    fn missing_goals_read_as_a_list() {
        let mut goals = Goals::default();
        goals.expect("Trigger?name=x", pattern("Trigger?name=x"));
        assert_eq!((goals.missing().as_str(), goals.lacks_trigger()), ("Trigger?name=x", true));
        goals.expect("b", pattern("b"));
        goals.expect_reply("c");
        assert_eq!(goals.missing(), "the reply c, Trigger?name=x and b");
        goals.receive(&parts("trigger?name=x"), None, true);
        assert!(!goals.lacks_trigger());
    }

    #[test]
    fn reply_counts_only_after_its_request_was_sent() {
        let mut goals = Goals::default();
        goals.expect_reply("reset_complete");
        goals.receive(&parts("reset_complete"), None, false);
        assert_eq!(goals.missing(), "the reply reset_complete");
        goals.receive(&parts("reset_complete"), None, true);
        assert!(goals.are_met());
    }

    #[test]
    fn replies_with_an_error_that_is_set_are_failures() {
        for (line, failed) in [
            ("error?message=x", true),
            ("coil_pulse?error=no%20such%20coil", true),
            ("coil_pulse?error=bool:True", true),
            ("coil_pulse?error=int:0", true),
            ("coil_pulse?error=bool:False", false),
            ("coil_pulse?error=NoneType:", false),
            ("coil_pulse?error=", false),
            ("coil_pulse?error=[]", true),
            ("coil_pulse?error={}", true),
            ("coil_pulse?json={\"error\": \"[]\"}", true),
            ("coil_pulse?json={\"error\": []}", false),
            ("coil_pulse?json={\"error\": {}}", false),
            ("coil_pulse?json={\"error\": [1]}", true),
            ("coil_pulse?errors=x", false),
            ("trigger?name=tilt", true),
            ("trigger?name=other", false),
        ] {
            let mut goals = Goals::default();
            goals.fail_on(pattern("trigger?name=tilt"));
            assert_eq!(goals.receive(&parts(line), None, true).failed, failed, "{line}");
        }
    }

    #[test]
    fn failure_is_expected_by_a_pattern_that_names_it() {
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
            assert_eq!(goals.receive(&parts(line), None, true).failed, failed, "{text} {line}");
        }
    }
}
