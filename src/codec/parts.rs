//! The parts of one message: its command, its parameters' names and its values, as JSON text with an index.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::error::{Malformed, Reason};
use super::spell::{push_meaning, push_text};
use crate::limits::NAMES_COMPARED_MAX;

/// How a message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Command and names keep their case (`--keep-case`); they are trimmed all the same.
    pub keep_case: bool,
    /// NaN and the infinities are numbers, as for the reference encoder; `--no-nan` says otherwise.
    pub nan: bool,
}

impl Default for Reading {
    fn default() -> Reading {
        Reading { keep_case: false, nan: true }
    }
}

/// What becomes of a parameter that is given twice (design.md, sections 1 and 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// In a plain query the first wins.
    FirstWins,
    /// In `json=` the last value stands at the first one's place.
    LastWins,
    /// What people write themselves must not say a thing twice.
    Refused,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A number without `.` and exponent.
    Integer,
    /// A number with one of them, NaN or an infinity.
    Float,
    /// `true` or `false`.
    Bool,
    /// `null`, BCP's `NoneType:`.
    Null,
    /// A list.
    List,
    /// An object.
    Object,
}

/// A value as its JSON text in the one spelling of section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelled<'p>(pub &'p [u8]);

impl<'p> Spelled<'p> {
    /// What the value is.
    pub fn kind(self) -> Kind {
        match self.0 {
            [b'"', ..] => Kind::Text,
            [b't' | b'f', ..] => Kind::Bool,
            [b'n', ..] => Kind::Null,
            [b'[', ..] => Kind::List,
            [b'{', ..] => Kind::Object,
            digits if digits.iter().all(|b| b.is_ascii_digit() || *b == b'-') => Kind::Integer,
            _ => Kind::Float,
        }
    }

    /// The text of the value (section 6): the string itself, else its JSON.
    pub fn text(self) -> Cow<'p, str> {
        match self.0 {
            [b'"', inside @ .., b'"'] => meaning(inside),
            json => String::from_utf8_lossy(json),
        }
    }
}

/// What the inside of a JSON string means; borrowed where nothing is escaped.
fn meaning(spelled: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', spelled).is_none() {
        return String::from_utf8_lossy(spelled);
    }
    let mut out = Vec::with_capacity(spelled.len());
    push_meaning(spelled, &mut out);
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// One parameter of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'p> {
    spelled_name: &'p [u8],
    /// Its value.
    pub value: Spelled<'p>,
}

impl<'p> Param<'p> {
    /// Its name, trimmed and folded as the message was read.
    pub fn name(self) -> Cow<'p, str> {
        meaning(self.spelled_name)
    }

    /// Its name as the inside of a JSON string.
    pub fn spelled_name(self) -> &'p [u8] {
        self.spelled_name
    }
}

/// Where one parameter stands in the text.
#[derive(Clone, Debug)]
struct Place {
    name: Range<usize>,
    value: Range<usize>,
}

/// One message, taken apart. Made once and filled anew for each message, so that a stream costs no allocations.
///
/// It holds the JSON text of section 4: the command as the inside of a string, and the parameters' object; one message
/// is one text, so what is equal is equal to the byte. A payload is not kept here: it stays where framing found it.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The command's spelling, directly followed by the parameters' object.
    text: Vec<u8>,
    command_end: usize,
    places: Vec<Place>,
}

impl Parts {
    /// No message yet: an empty command and no parameters.
    pub fn new() -> Parts {
        Parts::default()
    }

    /// The command, trimmed and folded as it was read.
    pub fn command(&self) -> Cow<'_, str> {
        meaning(self.spelled_command())
    }

    /// The command as the inside of a JSON string.
    pub fn spelled_command(&self) -> &[u8] {
        self.slice(&(0..self.command_end))
    }

    /// The parameters in their order.
    pub fn params(&self) -> impl ExactSizeIterator<Item = Param<'_>> {
        self.places
            .iter()
            .map(|place| Param { spelled_name: self.slice(&place.name), value: Spelled(self.slice(&place.value)) })
    }

    /// The value of a parameter, whatever the case of its name.
    pub fn find(&self, name: &str) -> Option<Spelled<'_>> {
        let mut wanted = Vec::with_capacity(name.len());
        push_text(name.as_bytes(), &mut wanted);
        self.params().find(|p| p.spelled_name.eq_ignore_ascii_case(&wanted)).map(|p| p.value)
    }

    /// The parameters as one JSON object.
    pub fn object(&self) -> &[u8] {
        self.text.get(self.command_end..).unwrap_or_default()
    }

    /// Appends the JSON form of section 4, without LF; a payload becomes standard base64.
    pub fn write_json(&self, payload: Option<&[u8]>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"command\":\"");
        out.extend_from_slice(self.spelled_command());
        out.extend_from_slice(b"\",\"params\":");
        out.extend_from_slice(self.object());
        if let Some(bytes) = payload {
            out.extend_from_slice(b",\"bytes\":\"");
            push_base64(bytes, out);
            out.push(b'"');
        }
        out.push(b'}');
    }

    /// Begins a message with this command, as it is meant.
    pub fn begin(&mut self, command: &[u8]) {
        self.text.clear();
        self.places.clear();
        push_text(command, &mut self.text);
        self.command_end = self.text.len();
        self.text.push(b'{');
    }

    /// Puts the command, trimmed and folded unless `keep_case`, in front of parameters that came before it.
    pub(super) fn set_command(&mut self, command: &[u8], keep_case: bool) {
        let mut spelled = Vec::with_capacity(command.len());
        push_name(command, keep_case, &mut spelled);
        let moved = spelled.len();
        self.text.splice(..self.command_end, spelled);
        for place in &mut self.places {
            place.name = place.name.start - self.command_end + moved..place.name.end - self.command_end + moved;
            place.value = place.value.start - self.command_end + moved..place.value.end - self.command_end + moved;
        }
        self.command_end = moved;
    }

    /// Begins a parameter: its name, trimmed, and folded unless `keep_case`.
    pub fn push_name(&mut self, name: &[u8], keep_case: bool) {
        let start = self.open_name();
        push_name(crate::text::trim(name), keep_case, &mut self.text);
        self.close_name(start);
    }

    /// Begins a parameter whose name is written by the callee as the inside of a JSON string.
    pub(super) fn push_spelled_name<E>(
        &mut self,
        keep_case: bool,
        spell: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.open_name();
        spell(&mut self.text)?;
        self.normalize_name(start, keep_case);
        self.close_name(start);
        Ok(())
    }

    fn open_name(&mut self) -> usize {
        if !self.places.is_empty() {
            self.text.push(b',');
        }
        self.text.push(b'"');
        self.text.len()
    }

    fn close_name(&mut self, start: usize) {
        let end = self.text.len();
        self.text.extend_from_slice(b"\":");
        self.places.push(Place { name: start..end, value: end + 2..end + 2 });
    }

    /// Trims and folds the name that stands in its spelling at the end of the text.
    fn normalize_name(&mut self, start: usize, keep_case: bool) {
        let spelled = self.text.get(start..).unwrap_or_default();
        let in_form = match spelled {
            [] => true,
            [b' ', ..] | [.., b' '] => false,
            _ => !spelled.iter().any(|&b| b == b'\\' || (!keep_case && b.is_ascii_uppercase())),
        };
        if !in_form {
            let meant = meaning(spelled).into_owned();
            self.text.truncate(start);
            push_name(crate::text::trim(meant.as_bytes()), keep_case, &mut self.text);
        }
    }

    /// Writes the value of the parameter that was begun last.
    pub fn push_value<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        write(&mut self.text)?;
        if let Some(place) = self.places.last_mut() {
            place.value.end = self.text.len();
        }
        Ok(())
    }

    /// Writes the value of the parameter that was begun last from JSON text.
    ///
    /// # Errors
    /// The text is no JSON, or more than the one value.
    pub fn push_json(&mut self, json: &[u8], reading: &Reading) -> Result<(), super::json::JsonError> {
        self.push_value(|out| {
            let mut scanner = super::json::Scanner::new(json, reading.nan);
            // The parameters' object is the first level (section 1), so this value stands in one already.
            scanner.value(1, out).and_then(|()| scanner.end()).map_err(|fault| scanner.error(fault))
        })
    }

    /// Adds a parameter whose value is a string.
    pub fn push_text(&mut self, name: &[u8], text: &[u8], keep_case: bool) {
        self.push_name(name, keep_case);
        let Ok(()) = self.push_value::<std::convert::Infallible>(|out| {
            out.push(b'"');
            push_text(text, out);
            out.push(b'"');
            Ok(())
        });
    }

    /// Ends the message: closes the object and settles names that were given twice.
    pub fn finish(&mut self, repeats: Repeats) -> Result<(), Malformed> {
        self.text.push(b'}');
        let Some(repeated) = self.first_repeated() else { return Ok(()) };
        if repeats == Repeats::Refused {
            let name = meaning(self.slice(&repeated)).into_owned();
            return Err(Malformed::parameter(name.as_bytes(), b"", Reason::Twice));
        }
        self.settle(repeats == Repeats::LastWins);
        Ok(())
    }

    /// Adds a parameter behind a finished message, unless there is one of that name (section 1, `--no-payload`).
    pub fn add_text(&mut self, name: &str, text: &[u8]) {
        if self.find(name).is_none() {
            self.text.pop();
            self.push_text(name.as_bytes(), text, true);
            self.text.push(b'}');
        }
    }

    /// The first name that stands there a second time. Few names are compared pairwise, many are looked up by hash:
    /// 60,000 names fit in one line, and comparing them all takes seconds (section 14).
    fn first_repeated(&self) -> Option<Range<usize>> {
        if self.places.len() <= NAMES_COMPARED_MAX {
            let repeated = self.places.iter().enumerate().find(|(count, place)| {
                let name = self.slice(&place.name);
                self.places.iter().take(*count).any(|earlier| self.slice(&earlier.name) == name)
            });
            return repeated.map(|(_, place)| place.name.clone());
        }
        let mut seen = std::collections::HashSet::with_capacity(self.places.len());
        self.places.iter().find(|place| !seen.insert(self.slice(&place.name))).map(|place| place.name.clone())
    }

    /// Writes the message anew with each name once.
    fn settle(&mut self, last_wins: bool) {
        let mut settled = Parts::new();
        settled.text.extend_from_slice(self.spelled_command());
        settled.command_end = self.command_end;
        settled.text.push(b'{');
        let mut kept: Vec<Place> = Vec::with_capacity(self.places.len());
        let mut seen: HashMap<&[u8], usize> = HashMap::with_capacity(self.places.len());
        for place in &self.places {
            match seen.entry(self.slice(&place.name)) {
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(kept.len());
                    kept.push(place.clone());
                }
                std::collections::hash_map::Entry::Occupied(first) if last_wins => {
                    if let Some(kept) = kept.get_mut(*first.get()) {
                        kept.value = place.value.clone();
                    }
                }
                std::collections::hash_map::Entry::Occupied(_) => {}
            }
        }
        for place in &kept {
            settled.push_place(self.slice(&place.name), self.slice(&place.value));
        }
        settled.text.push(b'}');
        *self = settled;
    }

    /// Adds a parameter in its spelling.
    fn push_place(&mut self, spelled_name: &[u8], value: &[u8]) {
        let start = self.open_name();
        self.text.extend_from_slice(spelled_name);
        self.close_name(start);
        let Ok(()) = self.push_value::<std::convert::Infallible>(|out| {
            out.extend_from_slice(value);
            Ok(())
        });
    }

    /// Sorts the parameters, and what is nested in them, by the code points of their names (`--sort-keys`).
    pub fn sort_names(&mut self) {
        let mut order: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = self
            .params()
            .map(|p| {
                let mut value = super::tree::to_value(p.value.0);
                value.sort_names();
                let mut text = Vec::new();
                super::tree::to_text(&value, &mut text);
                (p.name().into_owned().into_bytes(), p.spelled_name.to_vec(), text)
            })
            .collect();
        order.sort_by(|a, b| a.0.cmp(&b.0));
        self.text.truncate(self.command_end + 1);
        self.places.clear();
        for (_, spelled_name, value) in &order {
            self.push_place(spelled_name, value);
        }
        self.text.push(b'}');
    }

    fn slice(&self, place: &Range<usize>) -> &[u8] {
        self.text.get(place.clone()).unwrap_or_default()
    }
}

/// Appends a trimmed name as the inside of a JSON string, folded unless `keep_case`.
fn push_name(trimmed: &[u8], keep_case: bool, out: &mut Vec<u8>) {
    let start = out.len();
    push_text(trimmed, out);
    if !keep_case {
        // Escapes are lower case already, so the spelling can be folded as it stands.
        if let Some(name) = out.get_mut(start..) {
            name.make_ascii_lowercase();
        }
    }
}

/// Appends standard base64 with padding.
fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    use base64::Engine as _;
    let start = out.len();
    let length = base64::encoded_len(bytes.len(), true).unwrap_or_default();
    out.resize(start + length, 0);
    if let Some(room) = out.get_mut(start..) {
        // The room is exactly as large as the text, so this cannot fail.
        let written = base64::engine::general_purpose::STANDARD.encode_slice(bytes, room).unwrap_or_default();
        out.truncate(start + written);
    }
}
