//! How a line that came differs from an answer, and how well it could stand in that one's place (design.md, section 11,
//! "Compared whole").

use std::collections::HashMap;
use std::time::Duration;

use super::rules::Rules;
use crate::bcp::Value;
use crate::bcp::pattern::Pattern;
use crate::bcp::payload_marker;
use crate::bcp::{JsonValue, Message, ParseOptions};
use crate::text::trim;

/// A line and what is compared of it.
#[derive(Clone, Debug)]
pub struct Said {
    /// The line as it stands, without LF and CR.
    pub line: Vec<u8>,
    /// Its payload; one of no bytes is none.
    pub payload: Vec<u8>,
    /// Equal for lines that are the same to the check.
    pub(super) key: Vec<u8>,
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
    pub(super) pattern: Option<Pattern>,
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

/// A line taken apart, well-formed or not.
pub(super) struct Apart {
    command: String,
    read: Option<(Message, Meant)>,
    payload: Option<usize>,
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
    fn meant(&self, parts: &Message) -> Meant {
        let params = self
            .compared(parts)
            .map(|(name, spelled)| (name, spelled.to_vec(), JsonValue(spelled).to_value().canonical()));
        let params: Vec<_> = params.collect();
        let places = params.iter().zip(0..).map(|((name, ..), at)| (name.clone(), at)).collect();
        Meant { command: parts.command().into_owned(), params, places }
    }

    /// Takes a line apart, so that it can be held against many answers.
    pub(super) fn apart(&self, said: &Said) -> Apart {
        let read = self.take_apart(&said.line);
        Apart { command: command(&said.line), read, payload: length(&said.payload) }
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

    fn take_apart(&self, line: &[u8]) -> Option<(Message, Meant)> {
        let mut parts = Message::new();
        read(&mut parts, line).then(|| {
            let meant = self.meant(&parts);
            (parts, meant)
        })
    }
}

impl Answer {
    /// How well a line could stand in the place of this answer, itself taken apart as `old`; `None` when it could not.
    pub(super) fn likeness(&self, old: &Apart, new: &Apart) -> Option<Likeness> {
        let same_command = match &self.pattern {
            Some(pattern) => pattern.takes_command(&new.command),
            None => old.command == new.command,
        };
        let (equal, shared, names) = match (&self.pattern, &old.read, &new.read) {
            (Some(pattern), _, Some((parts, line))) => {
                let asked: Vec<String> = pattern.asked().collect();
                let equal = asked.len() - pattern.lacks(parts, new.payload).len();
                let shared = asked.iter().filter(|name| line.has(name).is_some()).count();
                (equal, shared, (asked.len(), line.params.len()))
            }
            (None, Some((_, old)), Some((_, new))) => {
                let both = || old.params.iter().filter_map(|old| Some((old, new.has(&old.0)?)));
                let equal = both().filter(|(old, new)| old.2 == new.2).count();
                (equal, both().count(), (old.params.len(), new.params.len()))
            }
            _ => (0, 0, (0, 0)),
        };
        if same_command {
            Some(Likeness::Command(equal))
        } else if shared > 0 && shared * 2 >= names.0 && shared * 2 >= names.1 {
            Some(Likeness::Names(equal))
        } else {
            (new.command == "error").then_some(Likeness::Error)
        }
    }

    /// Whether a line is this answer.
    pub(super) fn is(&self, came: &Said) -> bool {
        match &self.pattern {
            None => self.said.is(came),
            Some(pattern) => {
                let mut parts = Message::new();
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
pub(super) fn read(parts: &mut Message, line: &[u8]) -> bool {
    parts.parse_line(text(line), &ParseOptions::default()).is_ok()
}

fn text(line: &[u8]) -> &[u8] {
    payload_marker(line).and_then(|marker| line.get(..marker.at)).unwrap_or(line)
}

/// The command of a line, malformed or not: the text before its `?`, trimmed and folded.
pub(super) fn command(line: &[u8]) -> String {
    let command = text(line).split(|&b| b == b'?').next().unwrap_or_default();
    String::from_utf8_lossy(trim(command)).to_ascii_lowercase()
}

pub(super) fn length(payload: &[u8]) -> Option<usize> {
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
