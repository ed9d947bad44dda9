//! Goals: what a run of `send` or `listen` waits for, for how long, and which replies are failures.
//!
//! In: which of the patterns, the count, the reply and the handshake have arrived, and what is reported if not.
//! Out: clocks and sockets; which messages are printed; what the run does when all goals are met.

use std::time::Duration;

use crate::bcp::pattern::Pattern;
use crate::bcp::{Message, line_command};
use crate::cli::{Flag, Given, duration, number, text};
use crate::commands::shared::patterns;
use crate::exit::Failure;
use crate::framing::Wire;
use crate::text::shown;

/// What a run waits for. All goals must be met; a run without goals waits for nothing.
#[derive(Clone, Debug, Default)]
pub struct Goals {
    expected: Vec<Expected>,
    count: Option<u64>,
    /// How many messages were printed.
    pub printed: u64,
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
    /// Waits for this command (`-w`).
    pub fn expect_reply(&mut self, command: &str) {
        self.reply = Some(command.to_owned());
    }

    /// Waits for the handshake.
    pub fn handshake(&mut self) {
        self.handshake = Some(false);
    }

    /// Treats a message that matches one of these as a failed reply (`--fail-on`); this is no goal.
    pub fn fail_on(&mut self, patterns: Vec<Pattern>) {
        self.failures = patterns;
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
        let failed =
            message.is_failure() || self.failures.iter().any(|failure| failure.matches(message, payload_bytes));
        Verdict { expected, failed: failed && !excused }
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

/// `-e`, `-n`, `-W` and `--idle` as typed.
#[derive(Clone, Debug, Default)]
pub struct GoalOptions {
    /// `-e`.
    pub expected: Vec<String>,
    /// `-n`.
    pub count: Option<u64>,
    /// `-W`; zero is no limit.
    pub timeout: Option<Duration>,
    /// `--idle`.
    pub idle: Option<Duration>,
}

impl GoalOptions {
    /// # Errors
    /// [`Failure::Usage`] for a value that is no text, number or duration.
    pub fn read(given: &Given) -> Result<GoalOptions, Failure> {
        Ok(GoalOptions {
            expected: given.values("expect", text)?,
            count: given.value("count", number)?,
            timeout: given.value("timeout", duration)?,
            idle: given.value("idle", duration)?,
        })
    }

    /// The goals of these options.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an invalid pattern, and for a count of 0.
    pub fn goals(&self, wire: Wire) -> Result<Goals, Failure> {
        if self.count == Some(0) {
            return Err(Failure::Usage("-n 0 waits for nothing: leave it out, or write 1 or more".into()));
        }
        let patterns = patterns(wire, "-e", &self.expected, false)?;
        let expected = self.expected.iter().zip(patterns);
        let expected = expected.map(|(text, pattern)| Expected { text: text.clone(), pattern, met: false }).collect();
        Ok(Goals { expected, count: self.count, ..Goals::default() })
    }

    /// How long the run may take: `otherwise` unless `-W` says so; `None` is no limit.
    pub fn time(&self, otherwise: Option<Duration>) -> Option<Duration> {
        self.timeout.or(otherwise).filter(|time| !time.is_zero())
    }
}

/// `-e` of `send`; `listen` has its own words.
pub const EXPECT: Flag =
    Flag::value("expect", "PATTERN", "Wait for *PATTERN*, and print only matches").short('e').repeats().common();
pub const COUNT: Flag = Flag::value("count", "N", "Exit after printing *N* messages").short('n').common();
pub const TIMEOUT: Flag = Flag::value("timeout", "DURATION", "Exit after *DURATION*").short('W').common();
pub const IDLE: Flag = Flag::value("idle", "DURATION", "Exit when nothing has arrived for *DURATION*");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;

    fn message(line: &str) -> Message {
        let mut message = Message::new();
        message.parse_line(line.as_bytes(), &ParseOptions::default()).unwrap();
        message
    }

    /// Goals of `-e` and `-n`.
    fn goals(expected: &[&str], count: Option<u64>) -> Goals {
        let expected = expected.iter().map(ToString::to_string).collect();
        GoalOptions { expected, count, ..GoalOptions::default() }.goals(Wire::Bcp).unwrap()
    }

    #[test]
    fn all_goals_must_be_met_and_one_message_can_meet_several() {
        let mut goals = Goals::default();
        assert!(!goals.are_set() && !goals.are_met() && goals.missing().is_empty());
        goals = self::goals(&["a", "*?x=1"], Some(2));
        goals.handshake();
        assert_eq!(goals.receive(&message("a?x=1"), None, true), Verdict { expected: true, failed: false });
        goals.printed += 1;
        assert_eq!(goals.missing(), "the handshake and message 2 of 2");
        goals.ready();
        assert!(!goals.are_met() && goals.admit_more());
        goals.printed += 1;
        assert!(goals.are_met() && !goals.admit_more() && goals.missing().is_empty());
    }

    #[test]
    fn missing_goals_read_as_a_list() {
        let mut goals = goals(&["Trigger?name=x", "b"], None);
        assert_eq!((goals.missing().as_str(), goals.lacks_trigger()), ("Trigger?name=x and b", true));
        goals.expect_reply("c");
        assert_eq!(goals.missing(), "the reply c, Trigger?name=x and b");
        goals.receive(&message("trigger?name=x"), None, true);
        assert!(!goals.lacks_trigger());
    }

    #[test]
    fn reply_counts_only_after_its_request_was_sent() {
        let mut goals = Goals::default();
        goals.expect_reply("reset_complete");
        goals.receive(&message("reset_complete"), None, false);
        assert_eq!(goals.missing(), "the reply reset_complete");
        goals.receive(&message("reset_complete"), None, true);
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
            goals.fail_on(vec![Pattern::parse("trigger?name=tilt", false).unwrap()]);
            assert_eq!(goals.receive(&message(line), None, true).failed, failed, "{line}");
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
            let mut goals = goals(&[text], None);
            assert_eq!(goals.receive(&message(line), None, true).failed, failed, "{text} {line}");
        }
    }
}
