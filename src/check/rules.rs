//! The rules of a check: what is compared of a message, and which messages are compared at all (design.md, section 11).

use std::time::Duration;

use super::compare::{Answer, Said, length, read};
use crate::bcp::Value;
use crate::bcp::pattern::Pattern;
use crate::bcp::{JsonValue, Malformed, Message};
use crate::session::Record;
use crate::text::trim;

/// What is left out of the comparison, and what may come in any order; and the room that messages are read into.
#[derive(Debug, Default)]
pub struct Rules {
    ignored: Vec<Ignored>,
    excluded: Vec<Pattern>,
    any_order: Vec<Pattern>,
    parts: Message,
}

/// A parameter that is not compared.
#[derive(Debug)]
struct Ignored {
    /// Of the messages with this command; of all without one.
    command: Option<String>,
    name: String,
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

    /// A recorded answer; `None` when it is excluded. A pattern of the file is looked at whole: nothing touches it.
    ///
    /// # Errors
    /// A `#~` line that is no pattern.
    pub fn recorded(&mut self, record: &Record, at: Duration) -> Result<Option<Answer>, Malformed> {
        let (line, payload) = (&record.line[..], record.payload.as_deref().unwrap_or_default());
        if record.is_pattern {
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
            let params =
                self.compared(&self.parts).map(|(name, spelled)| (name, JsonValue(spelled).to_value())).collect();
            key.extend_from_slice(self.parts.command_json());
            Value::Object(params).canonical().write_json(&mut key);
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
    pub(super) fn compared<'p>(&self, parts: &'p Message) -> impl Iterator<Item = (String, &'p [u8])> {
        let command = parts.command();
        let of_it = |ignored: &&Ignored| ignored.command.as_ref().is_none_or(|of| *of == command);
        let ignored: Vec<&str> = self.ignored.iter().filter(of_it).map(|ignored| ignored.name.as_str()).collect();
        let params = parts.params().map(|param| (param.name().into_owned(), param.value.0));
        params.filter(move |(name, _)| !ignored.contains(&name.as_str()))
    }
}
