//! The parts of one message: its command, its parameters' names and its values, as JSON text with an index.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::error::{Malformed, MalformedReason};
use super::json::{JsonError, Room, Scan, Scanner};
use super::names::Names;
use super::spell::{is_plain_name, push_text};
use super::spelled::{JsonValue, Param, Params, ValueKind};
use crate::bcp::Value;
use crate::limits::NAMES_COMPARED_MAX;
use crate::text::trim;

/// How a message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseOptions {
    /// Command and names keep their case (`--keep-case`); they are trimmed all the same.
    pub keep_case: bool,
    /// NaN and the infinities are numbers, as for the reference encoder; `--no-nan` says otherwise.
    pub allow_nan: bool,
}

impl Default for ParseOptions {
    fn default() -> ParseOptions {
        ParseOptions { keep_case: false, allow_nan: true }
    }
}

/// What becomes of a parameter that is given twice (design.md, sections 1 and 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicatePolicy {
    /// In a plain query the first wins.
    FirstWins,
    /// In `json=` the last value stands at the first one's place.
    LastWins,
    /// What people write themselves must not say a thing twice.
    Refused,
}

/// One message, taken apart. Made once and filled anew for each message, so that a stream costs no allocations.
///
/// It holds the JSON text of section 4: the command as the inside of a string, and the parameters' object; one message
/// is one text, so what is equal is equal to the byte. A payload is not kept here: it stays where framing found it.
#[derive(Clone, Debug, Default)]
pub struct Message {
    command: Vec<u8>,
    object: Vec<u8>,
    /// What was read from JSON stays in the room that it was spelled into: so long is the object there.
    in_room: Option<usize>,
    room: Room,
    pub(super) names: Names,
}

impl Message {
    /// No message yet: an empty command and no parameters.
    pub fn new() -> Message {
        Message::default()
    }

    /// The command, trimmed and folded as it was read.
    pub fn command(&self) -> Cow<'_, str> {
        JsonValue::inside(&self.command)
    }

    /// The command as the inside of a JSON string.
    pub fn command_json(&self) -> &[u8] {
        &self.command
    }

    /// The parameters in their order.
    pub fn params(&self) -> Params<'_> {
        Params::of(self.object())
    }

    /// The value of a parameter, whatever the case of its name.
    pub fn find(&self, name: &str) -> Option<JsonValue<'_>> {
        let mut wanted = Vec::with_capacity(name.len());
        push_text(name.as_bytes(), &mut wanted);
        self.params().find(|p| p.name_json().eq_ignore_ascii_case(&wanted)).map(|p| p.value)
    }

    /// The parameters as one JSON object.
    pub(super) fn object(&self) -> &[u8] {
        match self.in_room {
            Some(length) => self.room.written(length),
            None => &self.object,
        }
    }

    /// Appends the JSON form of section 4, without LF; a payload becomes standard base64.
    pub fn write_json(&self, payload: Option<&[u8]>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"command\":\"");
        out.extend_from_slice(&self.command);
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
        self.set_command(command, true);
        self.open_object();
    }

    /// Begins a message without command and parameters.
    pub(super) fn begin_empty(&mut self) {
        self.begin(b"");
        self.object.push(b'}');
    }

    /// Says what the command is, folded unless `keep_case`.
    pub(super) fn set_command(&mut self, command: &[u8], keep_case: bool) {
        self.command.clear();
        push_name(command, keep_case, &mut self.command);
    }

    /// Begins the parameters.
    pub(super) fn open_object(&mut self) {
        self.names = Names::default();
        self.in_room = None;
        self.object.clear();
        self.object.push(b'{');
    }

    /// Begins a parameter: its name, trimmed, and folded unless `keep_case`.
    pub(super) fn push_name(&mut self, name: &[u8], keep_case: bool) {
        self.push_name_as_given(trim(name), keep_case);
    }

    /// Begins a parameter with all the white space of its name.
    pub(super) fn push_name_as_given(&mut self, name: &[u8], keep_case: bool) {
        self.push_comma();
        self.object.push(b'"');
        let start = self.object.len();
        push_name(name, keep_case, &mut self.object);
        self.names.add(self.object.get(start..).unwrap_or_default());
        self.object.extend_from_slice(b"\":");
    }

    /// Begins a parameter whose name is printable ASCII without quotes and backslashes, unless trimming or folding
    /// changes it; whether it has begun.
    pub(super) fn push_usual_name(&mut self, name: &[u8], keep_case: bool) -> bool {
        let taken = self.names.add_usual(name, keep_case);
        if taken {
            self.push_comma();
            self.object.push(b'"');
            self.object.extend_from_slice(name);
            self.object.extend_from_slice(b"\":");
        }
        taken
    }

    fn push_comma(&mut self) {
        if self.object.last() != Some(&b'{') {
            self.object.push(b',');
        }
    }

    /// Lends the room to a scanner.
    pub(super) fn scanner<'t>(&mut self, text: &'t [u8], nan: bool) -> Scanner<'t> {
        Scanner::new(text, nan, std::mem::take(&mut self.room).shrunk())
    }

    /// Takes the room back, and with it the object that was written there last, if there is one of this length.
    pub(super) fn take_back(&mut self, scanner: Scanner<'_>) {
        self.room = scanner.into_room();
    }

    /// Forgets a message that took much memory, and gives that back: nothing but whether it is one was asked.
    pub fn release_large_buffers(&mut self) {
        self.room = std::mem::take(&mut self.room).shrunk();
    }

    /// Takes the value that the scanner wrote last for the whole message, which has no command then.
    pub(super) fn keep_value(&mut self, scanner: Scanner<'_>, length: usize) {
        self.command.clear();
        self.in_room = Some(length);
        self.take_back(scanner);
    }

    /// Reads the parameters from the object at the scanner, where they stay until [`Message::keep_object`] or until the
    /// room is taken back; [`Message::settle_repeats`] has to follow then.
    pub(super) fn scan_object(&mut self, scanner: &mut Scanner<'_>, usual: bool, keep_case: bool) -> Scan<()> {
        let names = &mut self.names;
        *names = Names::default();
        self.in_room = if usual { scanner.usual_object(names, keep_case) } else { None };
        if self.in_room.is_some() {
            return Ok(());
        }
        let object = scanner.draw(|pen| {
            *names = Names::default();
            if !pen.open_object()? {
                return Ok(());
            }
            loop {
                let start = pen.written;
                let plain = pen.name(!keep_case)?;
                let quoted = pen.room.get(start..pen.written - 1).unwrap_or_default();
                if !plain || matches!(quoted, [_, b' ', ..] | [.., b' ', _]) {
                    pen.give(|pen| pen.normalize_name(start, keep_case))?;
                }
                names.add(pen.room.get(start + 1..pen.written - 2).unwrap_or_default());
                pen.value(1)?;
                if !pen.next(b'}')? {
                    return Ok(());
                }
            }
        })?;
        self.in_room = Some(object.len());
        Ok(())
    }

    /// Copies the object out of the scanner's room, which is about to be written over.
    pub(super) fn keep_object(&mut self, scanner: &Scanner<'_>) {
        if let Some(length) = self.in_room.take() {
            self.object.clear();
            self.object.extend_from_slice(scanner.written(length));
        }
    }

    /// Writes the value of the parameter that was begun last.
    pub(super) fn write_last_value<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        write(&mut self.object)
    }

    /// Adds a parameter whose value is JSON text.
    ///
    /// # Errors
    /// The text is not JSON, or more than one value.
    pub fn push_json(&mut self, name: &[u8], json: &[u8], reading: &ParseOptions) -> Result<(), JsonError> {
        self.push_name(name, reading.keep_case);
        let mut scanner = self.scanner(json, reading.allow_nan);
        // The parameters' object is the first level (section 1), so this value stands in one already.
        let value = scanner.value(1)?;
        self.object.extend_from_slice(value);
        scanner.end()?;
        self.take_back(scanner);
        Ok(())
    }

    /// Adds a parameter whose value is a string.
    pub fn push_text(&mut self, name: &[u8], text: &[u8], keep_case: bool) {
        self.push_name(name, keep_case);
        self.push_string(text);
    }

    /// Writes the value of the parameter that was begun last: a string.
    pub(super) fn push_string(&mut self, text: &[u8]) {
        let Ok(()) = self.write_last_value::<std::convert::Infallible>(|out| {
            out.push(b'"');
            push_text(text, out);
            out.push(b'"');
            Ok(())
        });
    }

    /// Adds a parameter; its name is kept as it is.
    pub fn push_value(&mut self, name: &str, value: &Value) {
        self.push_name_as_given(name.as_bytes(), true);
        value.write_json(&mut self.object);
    }

    /// The parameters as an object, or the value that [`Message::parse_value`] read.
    pub fn value(&self) -> Value {
        JsonValue(self.object()).to_value()
    }

    /// Appends the parameters as one JSON object, or the value that [`Message::parse_value`] read.
    pub fn write_params(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.object());
    }

    /// Ends the message after the last parameter, and applies the policy for names given twice.
    ///
    /// # Errors
    /// A name given twice, where that is [`DuplicatePolicy::Refused`].
    pub fn dedup(&mut self, repeats: DuplicatePolicy) -> Result<(), Malformed> {
        self.object.push(b'}');
        self.settle_repeats(repeats)
    }

    /// Settles names that were given twice.
    pub(super) fn settle_repeats(&mut self, repeats: DuplicatePolicy) -> Result<(), Malformed> {
        if !self.names.may_repeat() {
            return Ok(());
        }
        let Some(repeated) = self.first_repeated() else { return Ok(()) };
        if repeats == DuplicatePolicy::Refused {
            return Err(Malformed::parameter(repeated.name().as_bytes(), b"", MalformedReason::Twice));
        }
        self.settle(repeats == DuplicatePolicy::LastWins);
        Ok(())
    }

    /// Adds a parameter behind a finished message, unless there is one of that name (section 1, `--no-payload`).
    pub fn push_text_if_absent(&mut self, name: &str, text: &[u8]) {
        if self.find(name).is_none() {
            if self.in_room.is_some() {
                self.object = self.object().to_vec();
                self.in_room = None;
            }
            self.object.pop();
            self.push_text(name.as_bytes(), text, true);
            self.object.push(b'}');
        }
    }

    /// The first name that stands there a second time. Few names are compared pairwise, many are looked up by hash:
    /// 60,000 names fit in one line, and comparing them all takes seconds (section 14).
    fn first_repeated(&self) -> Option<Param<'_>> {
        if self.params().nth(NAMES_COMPARED_MAX).is_none() {
            let stands_before = |count: usize, param: &Param<'_>| {
                self.params().take(count).any(|earlier| earlier.name_json() == param.name_json())
            };
            return self.params().enumerate().find(|(count, param)| stands_before(*count, param)).map(|(_, p)| p);
        }
        let mut seen = std::collections::HashSet::new();
        self.params().find(|param| !seen.insert(param.name_json()))
    }

    /// Writes the object anew with each name once.
    fn settle(&mut self, last_wins: bool) {
        let old = self.object().to_vec();
        self.set_params(&each_once(&old, last_wins));
    }

    /// Makes the member `command` of an object the command, if it is a string and not empty; of members of one name the
    /// last counts. The other members are the parameters. Another value has no command and no parameters.
    pub fn take_command(&mut self) {
        if !self.object().starts_with(b"{") {
            return;
        }
        let old = self.object().to_vec();
        let mut members = each_once(&old, true);
        let is_command = |member: &Param<'_>| {
            member.name_json() == b"command" && member.value.kind() == ValueKind::Text && member.value.0 != b"\"\""
        };
        if let Some(at) = members.iter().position(is_command) {
            self.set_command(members.remove(at).value.text().as_bytes(), true);
        }
        self.set_params(&members);
    }

    fn set_params(&mut self, params: &[Param<'_>]) {
        self.write_object(params.iter().map(|param| (param.name_json(), param.value.0)));
    }

    /// Writes the object from names and values in their spelling, each name once.
    fn write_object<'a>(&mut self, members: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        self.open_object();
        for (name_json, value) in members {
            self.push_comma();
            self.object.push(b'"');
            self.object.extend_from_slice(name_json);
            self.object.extend_from_slice(b"\":");
            self.object.extend_from_slice(value);
        }
        self.object.push(b'}');
    }

    /// Sorts the parameters, and what is nested in them, by the code points of their names (`--sort-keys`).
    pub fn sort_names(&mut self) {
        let mut order: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = self
            .params()
            .map(|p| {
                let mut value = p.value.to_value();
                value.sort_names();
                let mut text = Vec::new();
                value.write_json(&mut text);
                (p.name().into_owned().into_bytes(), p.name_json().to_vec(), text)
            })
            .collect();
        order.sort_by(|a, b| a.0.cmp(&b.0));
        self.write_object(order.iter().map(|(_, name, value)| (name.as_slice(), value.as_slice())));
    }
}

/// The members of an object, each name once: with its first value, or with its last at the first one's place.
fn each_once(object: &[u8], last_wins: bool) -> Vec<Param<'_>> {
    let mut kept: Vec<Param<'_>> = Vec::new();
    let mut seen: HashMap<&[u8], usize> = HashMap::new();
    for param in Params::of(object) {
        match seen.entry(param.name_json()) {
            Entry::Vacant(free) => {
                free.insert(kept.len());
                kept.push(param);
            }
            Entry::Occupied(first) if last_wins => {
                if let Some(kept) = kept.get_mut(*first.get()) {
                    kept.value = param.value;
                }
            }
            Entry::Occupied(_) => {}
        }
    }
    kept
}

/// Appends a trimmed name as the inside of a JSON string, folded unless `keep_case`.
pub(super) fn push_name(trimmed: &[u8], keep_case: bool, out: &mut Vec<u8>) {
    if is_plain_name(trimmed) {
        out.extend_from_slice(trimmed);
        return;
    }
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
