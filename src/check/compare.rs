//! What is compared of a message, and how a received one differs from a recorded reply.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

use crate::bcp::pattern::Pattern;
use crate::bcp::{Malformed, Message, ParseOptions, line_command, payload_marker};
use crate::session::Record;
use crate::text::trim;

/// The names of the rules.
pub const RULES: [&str; 3] = ["ignore", "exclude", "any-order"];

/// Which parameters and messages are left out of the comparison, and which replies may arrive in any order.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Parameters, each with the command of its messages, if not of all.
    ignored: Vec<(Option<String>, String)>,
    excluded: Vec<Pattern>,
    any_order: Vec<Pattern>,
}

/// A message, parsed once.
#[derive(Clone, Debug)]
pub struct CheckedMessage {
    /// The line without LF and CR, with its payload marker.
    pub line: Vec<u8>,
    /// `None` if the line is malformed.
    message: Option<Message>,
    pub(super) identity: Identity,
}

/// What is compared of a message. Two messages with equal identities are the same to the check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) command: String,
    /// The canonical JSON of each parameter.
    params: BTreeMap<String, Vec<u8>>,
    /// The line, if it is malformed: it is compared as bytes.
    malformed: Vec<u8>,
    /// One of no bytes is none.
    pub(super) payload: Vec<u8>,
}

/// A recorded reply, or a pattern (`#~`) in the place of one.
#[derive(Clone, Debug)]
pub struct RecordedReply {
    /// The number of its line in the file.
    pub number: u64,
    /// Where it stands in the file, in bytes.
    pub(super) span: Range<u64>,
    /// When it was recorded, since the first record.
    pub(super) at: Duration,
    /// Whether it may arrive anywhere in its block.
    pub(super) any_order: bool,
    /// The recorded message; its line is the text of the pattern, if it is one.
    pub content: CheckedMessage,
    /// If it is a pattern.
    pub(super) pattern: Option<Pattern>,
}

/// One thing in which a reply and a message differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The parameter; or `@command`, `@payload`, or `@line` if one of the two lines is malformed.
    pub name: String,
    /// What was recorded, as JSON; `None` if nothing was, and for a pattern.
    pub expected: Option<String>,
    /// What was received, as JSON; `None` if nothing was.
    pub actual: Option<String>,
}

impl Rules {
    /// Adds one of [`RULES`]: `ignore` leaves out a parameter (`NAME` or `COMMAND.NAME`), `exclude` the messages that
    /// match a pattern, and with `any-order` replies that match may arrive anywhere in their block.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), String> {
        let pattern = || Pattern::parse(text, false).map_err(|why| why.to_string());
        match name {
            "exclude" => self.excluded.push(pattern()?),
            "any-order" => self.any_order.push(pattern()?),
            _ => {
                let folded = |part: &str| String::from_utf8_lossy(trim(part.as_bytes())).to_ascii_lowercase();
                let (command, name) = text.split_once('.').map_or((None, text), |(of, name)| (Some(of), name));
                let (command, name) = (command.map(folded), folded(name));
                if name.is_empty() || command.as_deref() == Some("") {
                    return Err("the name of a parameter is missing; write NAME or COMMAND.NAME".to_owned());
                }
                self.ignored.push((command, name));
            }
        }
        Ok(())
    }

    /// Finds the last reply of a recording if it is a `goodbye`, which is neither waited for nor compared: given the
    /// number so far, the number after this reply. It must be asked about every reply before the check.
    ///
    /// # Errors
    /// A `#~` line that is not a pattern.
    pub fn last_goodbye(&self, so_far: Option<u64>, reply: &Record) -> Result<Option<u64>, Malformed> {
        let is_goodbye = !reply.is_pattern && line_command(&reply.line).eq_ignore_ascii_case("goodbye");
        // Most replies need not be parsed here: only what follows a goodbye may be excluded.
        let must_parse = reply.is_pattern || is_goodbye || so_far.is_some();
        let is_compared = must_parse && self.recorded(reply, Duration::ZERO)?.is_some();
        Ok(if is_compared { is_goodbye.then_some(reply.number) } else { so_far })
    }

    /// Reads a recorded reply, which was recorded `at` this time since the first record; `None` if it is excluded. No
    /// rule applies to a pattern (`#~`).
    ///
    /// # Errors
    /// A `#~` line that is not a pattern.
    pub fn recorded(&self, record: &Record, at: Duration) -> Result<Option<RecordedReply>, Malformed> {
        let (number, span) = (record.number, record.span.clone());
        if record.is_pattern {
            let pattern = Some(Pattern::parse(&String::from_utf8_lossy(&record.line), false)?);
            let content = CheckedMessage { line: record.line.clone(), message: None, identity: Identity::default() };
            return Ok(Some(RecordedReply { number, span, at, any_order: false, content, pattern }));
        }
        let payload = record.payload.as_deref().unwrap_or_default();
        let Some(content) = self.content(&record.line, payload) else { return Ok(None) };
        let any_order = content.matches(&self.any_order);
        Ok(Some(RecordedReply { number, span, at, any_order, content, pattern: None }))
    }

    /// Reads a message; `None` if it is excluded.
    pub(super) fn content(&self, line: &[u8], payload: &[u8]) -> Option<CheckedMessage> {
        let mut message = Message::new();
        let text = payload_marker(line).map_or(line, |marker| &line[..marker.at]);
        let message = message.parse_line(text, &ParseOptions::default()).is_ok().then_some(message);
        let (command, payload) = (line_command(line).to_ascii_lowercase(), payload.to_vec());
        let malformed = if message.is_none() { line.to_vec() } else { Vec::new() };
        let params = message.iter().flat_map(Message::params).map(|param| (param.name().into_owned(), param.value));
        let compared = params.filter(|(name, _)| !self.is_ignored(&command, name));
        let params = compared.map(|(name, value)| (name, value.comparison_key().into_owned())).collect();
        let identity = Identity { command, params, malformed, payload };
        let content = CheckedMessage { line: line.to_vec(), message, identity };
        (!content.matches(&self.excluded)).then_some(content)
    }

    fn is_ignored(&self, command: &str, name: &str) -> bool {
        self.ignored.iter().any(|(of, ignored)| ignored == name && of.as_ref().is_none_or(|of| of == command))
    }
}

impl CheckedMessage {
    fn payload_bytes(&self) -> Option<usize> {
        Some(self.identity.payload.len()).filter(|bytes| *bytes > 0)
    }

    fn matches(&self, patterns: &[Pattern]) -> bool {
        let Some(message) = &self.message else { return false };
        patterns.iter().any(|pattern| pattern.matches(message, self.payload_bytes()))
    }

    /// The names and texts of all parameters.
    pub(super) fn texts(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let params = self.message.iter().flat_map(Message::params);
        params.map(|param| (param.name().as_bytes().to_vec(), param.value.text().as_bytes().to_vec()))
    }

    /// The compared parameters in the order of the line, each with its JSON.
    fn params(&self) -> impl Iterator<Item = (String, String)> {
        let params = self.message.iter().flat_map(Message::params);
        let params =
            params.map(|param| (param.name().into_owned(), String::from_utf8_lossy(param.value.0).into_owned()));
        params.filter(|(name, _)| self.identity.params.contains_key(name))
    }
}

impl RecordedReply {
    /// Whether a received message is this reply.
    pub(super) fn equals(&self, received: &CheckedMessage) -> bool {
        match (&self.pattern, &received.message) {
            (None, _) => self.content.identity == received.identity,
            (Some(pattern), Some(message)) => pattern.matches(message, received.payload_bytes()),
            (Some(_), None) => false,
        }
    }

    fn has_command_of(&self, received: &CheckedMessage) -> bool {
        match &self.pattern {
            None => self.content.identity.command == received.identity.command,
            Some(pattern) => pattern.takes_command(&received.identity.command),
        }
    }

    /// How well a message could stand for this reply that does not equal it, if it could: an `error`, or better, one
    /// with the same command, and the better the more parameters are equal.
    pub(super) fn likeness(&self, received: &CheckedMessage) -> Option<usize> {
        if !self.has_command_of(received) {
            return (received.identity.command == "error").then_some(0);
        }
        let equal = match (&self.pattern, &received.message) {
            (None, _) => {
                let (old, new) = (&self.content.identity.params, &received.identity.params);
                old.iter().filter(|(name, value)| new.get(*name) == Some(value)).count()
            }
            (Some(pattern), Some(message)) => {
                pattern.param_count() - pattern.lacks(message, received.payload_bytes()).len()
            }
            (Some(_), None) => 0,
        };
        Some(1 + equal)
    }

    /// How a message differs that stands for this reply: what was recorded in its order, then what is new.
    pub(super) fn differences(&self, received: &CheckedMessage) -> Vec<Difference> {
        let new: HashMap<String, String> = received.params().collect();
        let difference = |name: String, expected| Difference { actual: new.get(&name).cloned(), name, expected };
        let message = match (&received.message, &self.pattern, &self.content.message) {
            (Some(message), Some(_), _) | (Some(message), _, Some(_)) => message,
            _ => return vec![Difference { name: "@line".to_owned(), expected: None, actual: None }],
        };
        let mut found = Vec::new();
        if !self.has_command_of(received) {
            let expected = self.pattern.is_none().then(|| self.content.identity.command.clone());
            let actual = Some(received.identity.command.clone());
            found.push(Difference { name: "@command".to_owned(), expected, actual });
        }
        if let Some(pattern) = &self.pattern {
            let lacking = pattern.lacks(message, received.payload_bytes());
            found.extend(lacking.into_iter().map(|name| difference(name, None)));
            return found;
        }
        let (old, compared) = (&self.content.identity.params, &received.identity.params);
        let changed = self.content.params().filter(|(name, _)| old.get(name) != compared.get(name));
        found.extend(changed.map(|(name, json)| difference(name, Some(json))));
        let added = received.params().filter(|(name, _)| !old.contains_key(name));
        found.extend(added.map(|(name, _)| difference(name, None)));
        let (expected, actual) = (&self.content.identity.payload, &received.identity.payload);
        if expected != actual {
            let (expected, actual) = (describe_payload(expected, actual), describe_payload(actual, expected));
            found.push(Difference { name: "@payload".to_owned(), expected, actual });
        }
        found
    }
}

/// A payload in a few words: its length, and the first byte that differs from the other.
fn describe_payload(payload: &[u8], other: &[u8]) -> Option<String> {
    let differing = payload.iter().zip(other).position(|(a, b)| a != b).unwrap_or(payload.len().min(other.len()));
    let byte = payload.get(differing).map_or(String::new(), |byte| format!(", byte {differing} is {byte:#04x}"));
    (!payload.is_empty()).then(|| format!("{} bytes{byte}", payload.len()))
}
