//! What is compared of a message, and how two of them differ (design.md, section 11, "Compared whole").

use std::collections::HashMap;
use std::time::Duration;

use crate::codec::{Malformed, Parts, Reading, to_text, to_value};
use crate::framing::payload_marker;
use crate::message::Value;
use crate::pattern::Pattern;
use crate::session::{Record, Side};
use crate::text::trim;

/// What is left out of the comparison, and what may come in any order; and the room that messages are read into.
#[derive(Debug, Default)]
pub struct Rules {
    ignored: Vec<Ignored>,
    excluded: Vec<Pattern>,
    any_order: Vec<Pattern>,
    parts: Parts,
}

/// A parameter that is not compared.
#[derive(Debug)]
struct Ignored {
    /// Of the messages with this command; of all without one.
    command: Option<String>,
    name: String,
}

/// A line and what is compared of it.
#[derive(Clone, Debug)]
pub struct Said {
    /// The line as it stands, without LF and CR.
    pub line: Vec<u8>,
    /// Its payload; one of no bytes is none.
    pub payload: Vec<u8>,
    /// Equal for lines that are the same to the check.
    key: Vec<u8>,
}

/// A recorded answer.
#[derive(Debug)]
pub struct Answer {
    /// Its place in the file: the number of its line.
    pub number: u64,
    /// When it was recorded, since the recording's first record.
    pub at: Duration,
    /// Whether it may come anywhere in its block.
    pub any_order: bool,
    /// The recorded line, or the pattern's text.
    pub said: Said,
    pattern: Option<Pattern>,
}

/// One thing in which an answer and a line differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The parameter; `@command`, `@payload`, or `@line` where one of the two is no well-formed line.
    pub name: String,
    /// What was recorded, as JSON; `None` when it was not there, or cannot be told of this part alone.
    pub expected: Option<String>,
    /// What came, as JSON; `None` when it did not.
    pub got: Option<String>,
}

/// How well a line could stand in an answer's place; a greater one stands there better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// An `error` that came instead.
    Error,
    /// Another command with much the same parameters, so many of them equal.
    Names(usize),
    /// The same command, with so many parameters equal.
    Command(usize),
}

/// A message taken apart: its command, and its compared parameters in their order, each as it is spelled and as meant.
struct Meant {
    command: String,
    params: Vec<(String, Vec<u8>, Value)>,
    /// Where each name stands: 60,000 of them fit in one line.
    places: HashMap<String, usize>,
}

impl Meant {
    fn has(&self, name: &str) -> Option<&(String, Vec<u8>, Value)> {
        self.places.get(name).and_then(|&at| self.params.get(at))
    }
}

impl Rules {
    /// Leaves a parameter out: `NAME` or `COMMAND.NAME`.
    ///
    /// # Errors
    /// A phrase that shows the form.
    pub fn ignore(&mut self, text: &str) -> Result<(), String> {
        let folded = |part: &str| String::from_utf8_lossy(trim(part.as_bytes())).to_ascii_lowercase();
        let (command, name) = match text.split_once('.') {
            Some((command, name)) => (Some(folded(command)), folded(name)),
            None => (None, folded(text)),
        };
        if name.is_empty() || command.as_deref() == Some("") {
            return Err("a parameter's name is missing; write NAME or COMMAND.NAME".to_owned());
        }
        self.ignored.push(Ignored { command, name });
        Ok(())
    }

    /// Leaves out the messages that match.
    ///
    /// # Errors
    /// No pattern.
    pub fn exclude(&mut self, text: &str) -> Result<(), Malformed> {
        self.excluded.push(Pattern::parse(text, false)?);
        Ok(())
    }

    /// Lets the messages that match come anywhere in their block.
    ///
    /// # Errors
    /// No pattern.
    pub fn any_order(&mut self, text: &str) -> Result<(), Malformed> {
        self.any_order.push(Pattern::parse(text, false)?);
        Ok(())
    }

    /// A line that came; `None` when it is excluded.
    pub(super) fn came(&mut self, line: &[u8], payload: &[u8]) -> Option<Said> {
        let well_formed = read(&mut self.parts, line);
        (!self.is_excluded(well_formed, payload)).then(|| self.said(well_formed, line, payload))
    }

    /// A recorded answer; `None` when it is excluded. A pattern of the file is looked at whole: nothing else touches it.
    ///
    /// # Errors
    /// A `#~` line that is no pattern.
    pub fn recorded(&mut self, record: &Record<'_>, at: Duration) -> Result<Option<Answer>, Malformed> {
        let (line, payload) = (record.line, record.payload.unwrap_or_default());
        if record.side == Side::Pattern {
            let pattern = Pattern::parse(&String::from_utf8_lossy(line), false)?;
            let said = Said { line: line.to_vec(), payload: Vec::new(), key: Vec::new() };
            return Ok(Some(Answer { number: record.number, at, any_order: false, said, pattern: Some(pattern) }));
        }
        let well_formed = read(&mut self.parts, line);
        if self.is_excluded(well_formed, payload) {
            return Ok(None);
        }
        let any_order = well_formed && self.matches(&self.any_order, payload);
        let said = self.said(well_formed, line, payload);
        Ok(Some(Answer { number: record.number, at, any_order, said, pattern: None }))
    }

    fn is_excluded(&self, well_formed: bool, payload: &[u8]) -> bool {
        well_formed && self.matches(&self.excluded, payload)
    }

    fn matches(&self, patterns: &[Pattern], payload: &[u8]) -> bool {
        patterns.iter().any(|pattern| pattern.matches(&self.parts, length(payload)))
    }

    /// What was read into the parts last.
    fn said(&self, well_formed: bool, line: &[u8], payload: &[u8]) -> Said {
        let mut key = Vec::with_capacity(line.len() + payload.len());
        if well_formed {
            let params = self.compared(&self.parts).map(|(name, spelled)| (name, to_value(spelled))).collect();
            key.extend_from_slice(self.parts.spelled_command());
            to_text(&Value::Object(params).meaning(), &mut key);
        } else {
            // No message begins with this byte, which is not UTF-8.
            key.push(0xff);
            key.extend_from_slice(line);
            key.push(b'\n');
        }
        key.extend_from_slice(payload);
        Said { line: line.to_vec(), payload: payload.to_vec(), key }
    }

    /// The parameters that are compared, each as it is spelled.
    fn compared<'p>(&self, parts: &'p Parts) -> impl Iterator<Item = (String, &'p [u8])> {
        let command = parts.command();
        let of_it = |ignored: &&Ignored| ignored.command.as_ref().is_none_or(|of| *of == command);
        let ignored: Vec<&str> = self.ignored.iter().filter(of_it).map(|ignored| ignored.name.as_str()).collect();
        let params = parts.params().map(|param| (param.name().into_owned(), param.value.0));
        params.filter(move |(name, _)| !ignored.contains(&name.as_str()))
    }

    fn meant(&self, parts: &Parts) -> Meant {
        let params = self.compared(parts).map(|(name, spelled)| (name, spelled.to_vec(), to_value(spelled).meaning()));
        let params: Vec<_> = params.collect();
        let places = params.iter().zip(0..).map(|((name, ..), at)| (name.clone(), at)).collect();
        Meant { command: parts.command().into_owned(), params, places }
    }

    /// How well a line could stand in an answer's place; `None` when it could not.
    pub(super) fn likeness(&self, answer: &Answer, came: &Said) -> Option<Likeness> {
        let command = command(&came.line);
        let (same_command, equal, shared, names) = match (&answer.pattern, self.take_apart(&came.line)) {
            (Some(pattern), Some((parts, line))) => {
                let asked: Vec<String> = pattern.asked().collect();
                let equal = asked.len() - pattern.lacks(&parts, length(&came.payload)).len();
                let shared = asked.iter().filter(|name| line.has(name).is_some()).count();
                (pattern.takes_command(&command), equal, shared, (asked.len(), line.params.len()))
            }
            (Some(pattern), None) => (pattern.takes_command(&command), 0, 0, (0, 0)),
            (None, came) => match (self.take_apart(&answer.said.line), came) {
                (Some((_, old)), Some((_, new))) => {
                    let both = || old.params.iter().filter_map(|old| Some((old, new.has(&old.0)?)));
                    let equal = both().filter(|(old, new)| old.2 == new.2).count();
                    (old.command == new.command, equal, both().count(), (old.params.len(), new.params.len()))
                }
                _ => (self::command(&answer.said.line) == command, 0, 0, (0, 0)),
            },
        };
        if same_command {
            Some(Likeness::Command(equal))
        } else if shared > 0 && shared * 2 >= names.0 && shared * 2 >= names.1 {
            Some(Likeness::Names(equal))
        } else {
            (command == "error").then_some(Likeness::Error)
        }
    }

    /// In what a line differs that stands in an answer's place: what was recorded in its order, then what is new.
    pub(super) fn differences(&self, answer: &Answer, came: &Said) -> Vec<Difference> {
        let whole_line = || vec![Difference { name: "@line".to_owned(), expected: None, got: None }];
        let Some((parts, new)) = self.take_apart(&came.line) else { return whole_line() };
        if let Some(pattern) = &answer.pattern {
            let command = (!pattern.takes_command(&new.command)).then(|| "@command".to_owned());
            let names = command.into_iter().chain(pattern.lacks(&parts, length(&came.payload)));
            let got = |name: &str| match name {
                "@command" => Some(new.command.clone()),
                _ => new.has(name).map(|(_, spelled, _)| json(spelled)),
            };
            return names.map(|name| Difference { got: got(&name), name, expected: None }).collect();
        }
        let Some((_, old)) = self.take_apart(&answer.said.line) else { return whole_line() };
        let mut found = Vec::new();
        let mut differ = |name: &str, expected, got| found.push(Difference { name: name.to_owned(), expected, got });
        if old.command != new.command {
            differ("@command", Some(old.command.clone()), Some(new.command.clone()));
        }
        for (name, spelled, value) in &old.params {
            match new.has(name) {
                Some((_, _, other)) if value == other => {}
                other => differ(name, Some(json(spelled)), other.map(|(_, spelled, _)| json(spelled))),
            }
        }
        for (name, spelled, _) in new.params.iter().filter(|(name, ..)| old.has(name).is_none()) {
            differ(name, None, Some(json(spelled)));
        }
        let (expected, got) = (&answer.said.payload, &came.payload);
        if expected != got {
            differ("@payload", of_payload(expected, got), of_payload(got, expected));
        }
        found
    }

    fn take_apart(&self, line: &[u8]) -> Option<(Parts, Meant)> {
        let mut parts = Parts::new();
        read(&mut parts, line).then(|| {
            let meant = self.meant(&parts);
            (parts, meant)
        })
    }
}

impl Answer {
    /// Whether a line is this answer.
    pub(super) fn is(&self, came: &Said) -> bool {
        match &self.pattern {
            None => self.said.is(came),
            Some(pattern) => {
                let mut parts = Parts::new();
                read(&mut parts, &came.line) && pattern.matches(&parts, length(&came.payload))
            }
        }
    }

    /// Whether it is a pattern of the file (`#~`).
    pub fn is_pattern(&self) -> bool {
        self.pattern.is_some()
    }

    /// Whether a line could be this answer as well as the other: as good as that they are equal.
    pub(super) fn key(&self) -> Option<&[u8]> {
        (!self.is_pattern()).then_some(&self.said.key)
    }
}

impl Said {
    /// Whether the two are the same to the check.
    pub(super) fn is(&self, other: &Said) -> bool {
        self.key == other.key
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }
}

/// Reads the text of a line, up to its payload's marker; whether it is well-formed.
fn read(parts: &mut Parts, line: &[u8]) -> bool {
    parts.read_line(text(line), &Reading::default()).is_ok()
}

fn text(line: &[u8]) -> &[u8] {
    payload_marker(line).and_then(|marker| line.get(..marker.at)).unwrap_or(line)
}

/// The command of a line, malformed or not: the text before its `?`, trimmed and folded.
pub(super) fn command(line: &[u8]) -> String {
    let command = text(line).split(|&b| b == b'?').next().unwrap_or_default();
    String::from_utf8_lossy(trim(command)).to_ascii_lowercase()
}

fn length(payload: &[u8]) -> Option<usize> {
    (!payload.is_empty()).then_some(payload.len())
}

fn json(spelled: &[u8]) -> String {
    String::from_utf8_lossy(spelled).into_owned()
}

/// A payload as far as it helps a person: its length, and the first byte that is another one.
fn of_payload(one: &[u8], other: &[u8]) -> Option<String> {
    if one.is_empty() {
        return None;
    }
    let at = one.iter().zip(other).position(|(a, b)| a != b).unwrap_or(one.len().min(other.len()));
    let from = one.get(at).map_or(String::new(), |byte| format!(", byte {at} is {byte:#04x}"));
    Some(format!("{} bytes{from}", one.len()))
}
