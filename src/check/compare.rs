//! What is compared of a message, and how a received one differs from a recorded reply.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::time::Duration;

use crate::bcp::pattern::Pattern;
use crate::bcp::{Malformed, Message, ParseOptions, line_command, payload_marker};
use crate::session::Record;
use crate::text::trim;

/// Which parameters and messages are left out of the comparison, and which replies may arrive in any order.
#[derive(Debug, Default)]
pub struct Rules {
    ignored: Vec<Ignored>,
    excluded: Vec<Pattern>,
    any_order: Vec<Pattern>,
}

/// A parameter that is not compared: of messages with this command, or of all.
#[derive(Debug)]
struct Ignored {
    command: Option<String>,
    name: String,
}

/// A message, parsed once.
#[derive(Clone, Debug)]
pub struct Content {
    /// The line without LF and CR, with its payload marker.
    pub line: Vec<u8>,
    /// `None` if the line is malformed.
    message: Option<Message>,
    pub(super) identity: Identity,
}

/// What is compared of a message. Two messages with equal identities are the same to the check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// Of all that follows: it is compared first, and looked up.
    hash: u64,
    command: String,
    /// The canonical JSON of each parameter.
    params: BTreeMap<String, String>,
    /// The line, if it is malformed: it is compared as bytes.
    malformed: Vec<u8>,
    payload: Vec<u8>,
}

/// A recorded reply, or a pattern (`#~`) in the place of one.
#[derive(Debug)]
pub struct Expected {
    /// The number of its line in the file.
    pub(super) number: u64,
    /// Where it stands in the file, in bytes.
    pub(super) span: Range<u64>,
    /// When it was recorded, since the first record.
    pub(super) at: Duration,
    /// Whether it may arrive anywhere in its block.
    pub(super) any_order: bool,
    /// The recorded message; its line is the text of the pattern, if it is one.
    pub(super) content: Content,
    pattern: Option<Pattern>,
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

/// How well a message could stand for a reply that it does not equal; the greatest is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// An `error` instead of the reply.
    Error,
    /// The same command, with so many equal parameters.
    SameCommand(usize),
}

impl Rules {
    /// Leaves a parameter out: `NAME` or `COMMAND.NAME`.
    ///
    /// # Errors
    /// A sentence that shows the form.
    pub fn ignore(&mut self, text: &str) -> Result<(), String> {
        let folded = |part: &str| String::from_utf8_lossy(trim(part.as_bytes())).to_ascii_lowercase();
        let (command, name) = match text.split_once('.') {
            Some((command, name)) => (Some(folded(command)), folded(name)),
            None => (None, folded(text)),
        };
        if name.is_empty() || command.as_deref() == Some("") {
            return Err("the name of a parameter is missing; write NAME or COMMAND.NAME".to_owned());
        }
        self.ignored.push(Ignored { command, name });
        Ok(())
    }

    /// Leaves out the messages that match.
    ///
    /// # Errors
    /// The text is not a pattern.
    pub fn exclude(&mut self, text: &str) -> Result<(), Malformed> {
        self.excluded.push(Pattern::parse(text, false)?);
        Ok(())
    }

    /// Lets the replies that match arrive anywhere in their block.
    ///
    /// # Errors
    /// The text is not a pattern.
    pub fn any_order(&mut self, text: &str) -> Result<(), Malformed> {
        self.any_order.push(Pattern::parse(text, false)?);
        Ok(())
    }

    /// Reads a recorded reply, which was recorded `at` this time since the first record; `None` if it is excluded. No
    /// rule applies to a pattern (`#~`).
    ///
    /// # Errors
    /// A `#~` line that is not a pattern.
    pub fn expected(&self, record: &Record, at: Duration) -> Result<Option<Expected>, Malformed> {
        let (number, span) = (record.number, record.span.clone());
        if record.is_pattern {
            let pattern = Some(Pattern::parse(&String::from_utf8_lossy(&record.line), false)?);
            let content = Content { line: record.line.clone(), message: None, identity: Identity::default() };
            return Ok(Some(Expected { number, span, at, any_order: false, content, pattern }));
        }
        let payload = record.payload.as_deref().unwrap_or_default();
        let Some(content) = self.content(&record.line, payload) else { return Ok(None) };
        let any_order = content.matches(&self.any_order);
        Ok(Some(Expected { number, span, at, any_order, content, pattern: None }))
    }

    /// Reads a message; `None` if it is excluded.
    pub(super) fn content(&self, line: &[u8], payload: &[u8]) -> Option<Content> {
        let mut message = Message::new();
        let text = payload_marker(line).map_or(line, |marker| &line[..marker.at]);
        let message = message.parse_line(text, &ParseOptions::default()).is_ok().then_some(message);
        let mut identity = Identity {
            command: line_command(line).to_ascii_lowercase(),
            payload: payload.to_vec(),
            ..Identity::default()
        };
        match &message {
            None => identity.malformed = line.to_vec(),
            Some(message) => {
                let params = message.params().map(|param| (param.name().into_owned(), param.value));
                let compared = params.filter(|(name, _)| !self.is_ignored(&identity.command, name));
                let canonical = compared.map(|(name, value)| (name, value.to_value().canonical().to_json()));
                identity.params = canonical.collect();
            }
        }
        identity.set_hash();
        let content = Content { line: line.to_vec(), message, identity };
        (!content.matches(&self.excluded)).then_some(content)
    }

    fn is_ignored(&self, command: &str, name: &str) -> bool {
        let mut ignored = self.ignored.iter();
        ignored.any(|ignored| ignored.name == name && ignored.command.as_ref().is_none_or(|of| of == command))
    }
}

impl Identity {
    fn set_hash(&mut self) {
        let mut hasher = DefaultHasher::new();
        (&self.command, &self.params, &self.malformed, &self.payload).hash(&mut hasher);
        self.hash = hasher.finish();
    }
}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Content {
    /// The payload; one of no bytes is none.
    pub fn payload(&self) -> &[u8] {
        &self.identity.payload
    }

    pub(super) fn command(&self) -> &str {
        &self.identity.command
    }

    fn payload_bytes(&self) -> Option<usize> {
        (!self.payload().is_empty()).then_some(self.payload().len())
    }

    fn matches(&self, patterns: &[Pattern]) -> bool {
        let Some(message) = &self.message else { return false };
        patterns.iter().any(|pattern| pattern.matches(message, self.payload_bytes()))
    }

    /// The compared parameters in the order of the line, each with its JSON.
    fn params(&self) -> impl Iterator<Item = (String, String)> {
        let params = self.message.iter().flat_map(Message::params);
        let params =
            params.map(|param| (param.name().into_owned(), String::from_utf8_lossy(param.value.0).into_owned()));
        params.filter(|(name, _)| self.identity.params.contains_key(name))
    }
}

impl Expected {
    /// Whether it is a pattern of the file (`#~`).
    pub(super) fn is_pattern(&self) -> bool {
        self.pattern.is_some()
    }

    /// Whether a received message is this reply.
    pub(super) fn equals(&self, received: &Content) -> bool {
        match (&self.pattern, &received.message) {
            (None, _) => self.content.identity == received.identity,
            (Some(pattern), Some(message)) => pattern.matches(message, received.payload_bytes()),
            (Some(_), None) => false,
        }
    }

    fn has_command_of(&self, received: &Content) -> bool {
        match &self.pattern {
            None => self.content.command() == received.command(),
            Some(pattern) => pattern.takes_command(received.command()),
        }
    }

    /// Whether a received message could stand for this reply: it has the same command, or is an `error`.
    pub(super) fn resembles(&self, received: &Content) -> bool {
        received.command() == "error" || self.has_command_of(received)
    }

    /// How well a message that [resembles](Self::resembles) this reply could stand for it.
    pub(super) fn likeness(&self, received: &Content) -> Likeness {
        if !self.has_command_of(received) {
            return Likeness::Error;
        }
        Likeness::SameCommand(match (&self.pattern, &received.message) {
            (None, _) => {
                let (old, new) = (&self.content.identity.params, &received.identity.params);
                old.iter().filter(|(name, value)| new.get(*name) == Some(value)).count()
            }
            (Some(pattern), Some(message)) => {
                pattern.asked().count() - pattern.lacks(message, received.payload_bytes()).len()
            }
            (Some(_), None) => 0,
        })
    }

    /// How a message differs that stands for this reply: what was recorded in its order, then what is new.
    pub(super) fn differences(&self, received: &Content) -> Vec<Difference> {
        let new: HashMap<String, String> = received.params().collect();
        let difference = |name: String, expected| Difference { actual: new.get(&name).cloned(), name, expected };
        let command = |expected| Difference {
            name: "@command".to_owned(),
            expected,
            actual: Some(received.command().to_owned()),
        };
        let message = match (&received.message, &self.pattern, &self.content.message) {
            (Some(message), Some(_), _) | (Some(message), _, Some(_)) => message,
            _ => return vec![Difference { name: "@line".to_owned(), expected: None, actual: None }],
        };
        let mut found = Vec::new();
        if let Some(pattern) = &self.pattern {
            found.extend((!self.has_command_of(received)).then(|| command(None)));
            let lacking = pattern.lacks(message, received.payload_bytes());
            found.extend(lacking.into_iter().map(|name| difference(name, None)));
            return found;
        }
        if !self.has_command_of(received) {
            found.push(command(Some(self.content.command().to_owned())));
        }
        let (old, compared) = (&self.content.identity.params, &received.identity.params);
        let changed = self.content.params().filter(|(name, _)| old.get(name) != compared.get(name));
        found.extend(changed.map(|(name, json)| difference(name, Some(json))));
        let added = received.params().filter(|(name, _)| !old.contains_key(name));
        found.extend(added.map(|(name, _)| difference(name, None)));
        let (expected, actual) = (self.content.payload(), received.payload());
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
