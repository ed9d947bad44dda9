//! One message: its command, its parameters' names and values, as canonical JSON text with an index.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::{JsonError, Malformed, MalformedReason};
use super::json::{Canonicalizer, push_string, push_text};
use super::value::{JsonValue, Param, ValueKind, meaning};
use crate::limits::{NAMES_COMPARED_MAX, READ_BYTES};
use crate::text::trim;

/// How a message is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// Keep the case of commands and names (`--keep-case`). They are trimmed all the same.
    pub keep_case: bool,
    /// Refuse NaN and the infinities (`--no-nan`), which Python's encoder writes as numbers.
    pub no_nan: bool,
}

/// What to do with a parameter that is given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicatePolicy {
    /// Keep the first: in a plain query.
    FirstWins,
    /// Keep the last value, at the place of the first: in `json=`.
    LastWins,
    /// Report it: in JSON Lines and arguments.
    Reject,
}

/// One message.
///
/// It holds the command and the parameters as canonical JSON text, so equal messages are equal to the byte. Create it
/// once and parse each message of a stream into it: that costs no allocations. The payload is not kept here.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The command as the inside of a JSON string.
    pub(super) command: Vec<u8>,
    /// The members (`"name":value`) in the order in which they were read, with other text between them.
    pub(super) text: Vec<u8>,
    /// Where the members are in `text`. Duplicates and sorting change only this.
    pub(super) members: Vec<Member>,
    /// Whether the message is a JSON value other than an object, which is all of `text`.
    pub(super) is_scalar: bool,
}

/// The place of `"name":value` in the text of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// The opening quote of the name.
    pub start: usize,
    /// The closing quote of the name; a colon and the value follow.
    pub name_end: usize,
    /// The end of the value.
    pub end: usize,
}

impl Member {
    pub(super) fn name(self) -> Range<usize> {
        self.start + 1..self.name_end
    }

    pub(super) fn value(self) -> Range<usize> {
        self.name_end + 2..self.end
    }
}

impl Message {
    /// A message without command and parameters.
    pub fn new() -> Message {
        Message::default()
    }

    /// The command, as text.
    pub fn command(&self) -> Cow<'_, str> {
        meaning(&self.command)
    }

    /// The parameters in their order.
    pub fn params(&self) -> impl Iterator<Item = Param<'_>> + Clone {
        self.members
            .iter()
            .map(|member| Param { name_json: &self.text[member.name()], value: JsonValue(&self.text[member.value()]) })
    }

    /// The value of the parameter with this name, in any case.
    pub fn find(&self, name: &str) -> Option<JsonValue<'_>> {
        self.find_canonical(&canonical_name(name))
    }

    /// Whether it reports a failure: it is an `error`, or its parameter `error` is set. The strings `[]` and `{}` are
    /// set; the list and the object are not.
    pub(crate) fn is_failure(&self) -> bool {
        let is_set = |error: JsonValue<'_>| match error.kind() {
            ValueKind::Null => false,
            ValueKind::Bool => error.text() != "false",
            ValueKind::Text => !error.text().is_empty(),
            _ => !matches!(&*error.text(), "[]" | "{}"),
        };
        self.command() == "error" || self.find("error").is_some_and(is_set)
    }

    fn find_canonical(&self, name: &[u8]) -> Option<JsonValue<'_>> {
        self.params().find(|param| param.name_json.eq_ignore_ascii_case(name)).map(|param| param.value)
    }

    /// Finds parameters by [`canonical_name`] when `names` of them are looked up: 60,000 fit in one line.
    pub(crate) fn finder<'m>(&'m self, names: usize) -> impl Fn(&[u8]) -> Option<JsonValue<'m>> {
        let index = (names > NAMES_COMPARED_MAX).then(|| {
            let mut index = HashMap::new();
            for param in self.params() {
                index.entry(param.name_json.to_ascii_lowercase()).or_insert(param.value);
            }
            index
        });
        move |name| match &index {
            Some(index) => index.get(name).copied(),
            None => self.find_canonical(name),
        }
    }

    /// Appends the message as one JSON object, `{"command":…,"params":{…}}`, with the payload in standard base64.
    pub fn write_json(&self, payload: Option<&[u8]>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"command\":\"");
        out.extend_from_slice(&self.command);
        out.extend_from_slice(b"\",\"params\":");
        self.write_params(out);
        if let Some(bytes) = payload {
            out.extend_from_slice(b",\"bytes\":\"");
            push_base64(bytes, out);
            out.push(b'"');
        }
        out.push(b'}');
    }

    /// Appends the parameters as one JSON object, or the value that [`Message::parse_value`] read.
    pub fn write_params(&self, out: &mut Vec<u8>) {
        if self.is_scalar {
            out.extend_from_slice(&self.text);
            return;
        }
        out.push(b'{');
        for (count, member) in self.members.iter().enumerate() {
            if count > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&self.text[member.start..member.end]);
        }
        out.push(b'}');
    }

    /// Starts a new message with this command and without parameters.
    ///
    /// ```
    /// use backbox::bcp::{DuplicatePolicy, Message, ParseOptions};
    /// let mut message = Message::new();
    /// message.begin(b"trigger");
    /// message.push_text(b"Name", b"multiball", false);
    /// message.push_json(b"count", b"[1, 2]", &ParseOptions::default()).unwrap();
    /// message.push_text(b"name", b"again", false);
    /// message.dedup(DuplicatePolicy::FirstWins).unwrap();
    /// let mut json = Vec::new();
    /// message.write_params(&mut json);
    /// assert_eq!(json, br#"{"name":"multiball","count":[1,2]}"#);
    /// ```
    pub fn begin(&mut self, command: &[u8]) {
        self.clear();
        push_text(command, &mut self.command);
    }

    /// Adds a parameter whose value is a string. The name is trimmed, and lower-cased unless `keep_case`.
    pub fn push_text(&mut self, name: &[u8], text: &[u8], keep_case: bool) {
        let member = self.start_member(trim(name), keep_case);
        push_string(text, &mut self.text);
        self.end_member(member);
    }

    /// Adds a parameter whose value is JSON text.
    ///
    /// # Errors
    /// The text is not JSON, or more than one value; then nothing is added.
    pub fn push_json(&mut self, name: &[u8], json: &[u8], options: &ParseOptions) -> Result<(), JsonError> {
        let member = self.start_member(trim(name), options.keep_case);
        let mut json = Canonicalizer::new(json, &mut self.text, !options.no_nan);
        json.depth = 1;
        json.value()?;
        json.end()?;
        self.end_member(member);
        Ok(())
    }

    /// Adds a parameter; its name is kept as it is.
    pub fn push_value(&mut self, name: &str, value: JsonValue<'_>) {
        let member = self.start_member(name.as_bytes(), true);
        self.text.extend_from_slice(value.0);
        self.end_member(member);
    }

    /// Applies the policy for names that are given twice. Call it after the last parameter was added.
    ///
    /// # Errors
    /// A name is given twice and the policy is [`DuplicatePolicy::Reject`].
    pub fn dedup(&mut self, policy: DuplicatePolicy) -> Result<(), Malformed> {
        if !self.has_duplicates() {
            return Ok(());
        }
        let mut places = HashMap::new();
        let mut kept: Vec<Member> = Vec::new();
        for member in self.members.drain(..) {
            let name = &self.text[member.name()];
            let place = *places.entry(name).or_insert(kept.len());
            match policy {
                _ if place == kept.len() => kept.push(member),
                DuplicatePolicy::FirstWins => {}
                DuplicatePolicy::LastWins => kept[place] = member,
                DuplicatePolicy::Reject => {
                    return Err(Malformed::parameter(meaning(name).as_bytes(), b"", MalformedReason::Twice));
                }
            }
        }
        self.members = kept;
        Ok(())
    }

    /// Whether two members have the same name. Many names are looked up by hash.
    fn has_duplicates(&self) -> bool {
        let name = |member: &Member| &self.text[member.name()];
        if self.members.len() > NAMES_COMPARED_MAX {
            return self.members.iter().map(name).collect::<HashSet<_>>().len() < self.members.len();
        }
        let has_earlier = |(count, member)| self.members[..count].iter().any(|earlier| name(earlier) == name(member));
        self.members.iter().enumerate().any(has_earlier)
    }

    /// Sorts the parameters, and the members of all objects in them, by the code points of their names.
    pub fn sort_names(&mut self) {
        for member in &mut self.members {
            if matches!(self.text[member.value().start], b'[' | b'{') {
                let sorted = JsonValue(&self.text[member.value()]).sorted().into_owned();
                let start = self.text.len();
                self.text.extend_from_within(member.start..member.value().start);
                self.text.extend_from_slice(&sorted);
                *member = Member { start, name_end: start + member.name().len() + 1, end: self.text.len() };
            }
        }
        let text = &self.text;
        self.members.sort_by_cached_key(|member| meaning(&text[member.name()]).into_owned());
    }

    /// Frees the memory that an unusually large message took.
    pub fn release_large_buffers(&mut self) {
        const LARGE_BYTES: usize = 8 * READ_BYTES;
        for buffer in [&mut self.text, &mut self.command] {
            if buffer.capacity() > LARGE_BYTES {
                *buffer = Vec::new();
            }
        }
        if self.members.capacity() * size_of::<Member>() > LARGE_BYTES {
            self.members = Vec::new();
        }
    }

    /// Forgets the last message, and the memory of a large one.
    pub(super) fn clear(&mut self) {
        self.command.clear();
        self.text.clear();
        self.members.clear();
        self.is_scalar = false;
        self.release_large_buffers();
    }

    /// Trims the names that were read from JSON, and lower-cases them unless `keep_case`.
    pub(super) fn normalize_names(&mut self, keep_case: bool) {
        for member in &mut self.members {
            let name = &self.text[member.name()];
            let is_plain = |byte: &u8| !byte.is_ascii_uppercase() && *byte != b'\\';
            if name.iter().all(is_plain) && !name.starts_with(b" ") && !name.ends_with(b" ") {
                continue;
            }
            let mut normal = Vec::new();
            push_name(trim(meaning(name).as_bytes()), keep_case, &mut normal);
            // It is never longer than the name was, and ends where that ended.
            let start = member.name_end - normal.len();
            self.text[start..member.name_end].copy_from_slice(&normal);
            member.start = start - 1;
            self.text[member.start] = b'"';
        }
    }

    /// Starts a parameter with this name. Its value is appended to the text before [`Message::end_member`].
    pub(super) fn start_member(&mut self, name: &[u8], keep_case: bool) -> Member {
        let start = self.text.len();
        self.text.push(b'"');
        push_name(name, keep_case, &mut self.text);
        let name_end = self.text.len();
        self.text.extend_from_slice(b"\":");
        Member { start, name_end, end: name_end }
    }

    pub(super) fn end_member(&mut self, member: Member) {
        self.members.push(Member { end: self.text.len(), ..member });
    }
}

/// Appends standard base64, in pieces of whole triples, so that a large payload is not held three times.
pub(crate) fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    for piece in bytes.chunks(3 << 10) {
        out.extend_from_slice(STANDARD.encode(piece).as_bytes());
    }
}

/// Appends a trimmed name as the inside of a JSON string, lower-cased unless `keep_case`.
pub(super) fn push_name(name: &[u8], keep_case: bool, out: &mut Vec<u8>) {
    let start = out.len();
    push_text(name, out);
    if !keep_case {
        // Escapes are in lower case already, so the canonical text can be folded as it is.
        out[start..].make_ascii_lowercase();
    }
}

/// A name as it is in the text of a message, in lower case.
pub(crate) fn canonical_name(name: &str) -> Vec<u8> {
    let mut canonical = Vec::with_capacity(name.len());
    push_name(name.as_bytes(), false, &mut canonical);
    canonical
}
