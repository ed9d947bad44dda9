//! `--reply 'PATTERN => LINE'`: scripted replies. With `--wire obe` they are JSON.
//!
//! A reply is a message whose strings are filled in from the received one and then encoded like any other, so no value
//! can end its line.

use std::fmt::Display;
use std::time::{Duration, Instant};

use crate::bcp::pattern::Pattern;
use crate::bcp::{
    JsonValue, Malformed, Message, ParseOptions, WriteOptions, canonical_json, payload_marker, push_spaced_json,
    push_string, write_line,
};
use crate::commands::shared::patterns;
use crate::exit::Failure;
use crate::framing::{Wire, push_frame};
use crate::text::shown;

/// How often a reply may be sent on one connection in [`FIRINGS_TIME`].
pub(super) const FIRINGS_MAX: u32 = 1000;

const FIRINGS_TIME: Duration = Duration::from_secs(1);

/// A reply, and what it replies to.
pub(crate) struct Reply {
    pattern: Pattern,
    /// As it was typed, for messages.
    pub text: String,
    content: Content,
}

enum Content {
    /// The command is known and gets no reply.
    Nothing,
    Line {
        message: Box<Message>,
        form: WriteOptions,
    },
    /// Canonical JSON.
    Json(Vec<u8>),
}

impl Reply {
    /// Reads `PATTERN => LINE`; no reply becomes a line of more than `line_bytes_max` bytes. With OBE_Socket reads
    /// `PATTERN => JSON`, or one JSON value that is the reply to everything.
    ///
    /// # Errors
    /// [`Failure::Usage`] that shows what to write.
    pub(super) fn parse(text: &str, wire: Wire, line_bytes_max: usize) -> Result<Reply, Failure> {
        let typed = shown(text.as_bytes());
        let wrong = |why: &dyn Display| Failure::Usage(format!("--reply: {typed}: {why}"));
        let sides = text.split_once(" => ").or_else(|| text.strip_suffix(" =>").map(|pattern| (pattern, "")));
        let (pattern, reply) = match (wire, sides) {
            (Wire::Obe, _) if canonical_json(text.as_bytes(), true).is_ok() => ("*", text),
            (_, Some(sides)) => sides,
            (Wire::Bcp, None) => return Err(wrong(&"write 'PATTERN => LINE', with spaces around the arrow")),
            (Wire::Obe, None) => {
                return Err(wrong(&"write one JSON value, or 'PATTERN => JSON' with spaces around the arrow"));
            }
        };
        let pattern = patterns(wire, "--reply", &[pattern.trim().to_owned()], false)?.remove(0);
        let content = match (wire, reply.trim_ascii()) {
            (_, "") => Content::Nothing,
            (Wire::Bcp, line) => Content::parse_line(line, line_bytes_max).map_err(|why| wrong(&why))?,
            (Wire::Obe, json) => Content::Json(canonical_json(json.as_bytes(), true).map_err(|why| wrong(&why))?),
        };
        let reply = Reply { pattern, text: typed.clone(), content };
        // What cannot be encoded is found now, not in the middle of a game.
        reply.write(&Message::new(), None, &mut Vec::new()).map_err(|why| wrong(&why))?;
        Ok(reply)
    }

    /// Whether it replies to this message.
    pub(super) fn matches(&self, message: &Message, payload_bytes: Option<usize>) -> bool {
        self.pattern.matches(message, payload_bytes)
    }

    /// Appends the reply to a message: a line with its LF, a frame of OBE_Socket, or nothing.
    ///
    /// # Errors
    /// The filled line is over the limit; then nothing is appended.
    pub(super) fn write(
        &self,
        received: &Message,
        payload_bytes: Option<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let find = |name: &str| match (received.find(name), payload_bytes) {
            (Some(value), _) => value.json().to_vec(),
            (None, Some(bytes)) if name.eq_ignore_ascii_case("bytes") => bytes.to_string().into_bytes(),
            (None, _) => b"\"\"".to_vec(),
        };
        let fill = |value: JsonValue<'_>| value.with_strings(&|text, out| fill_text(text, &find, out));
        match &self.content {
            Content::Nothing => {}
            Content::Json(json) => {
                let mut body = Vec::new();
                push_spaced_json(&fill(JsonValue(json)), &mut body);
                push_frame(&body, out);
            }
            Content::Line { message: written, form } => {
                let mut message = Message::new();
                message.begin(written.command().as_bytes());
                written.params().for_each(|param| message.push_value(&param.name(), JsonValue(&fill(param.value))));
                write_line(&message, None, form, out)?;
                out.push(b'\n');
            }
        }
        Ok(())
    }
}

impl Content {
    fn parse_line(line: &str, line_bytes_max: usize) -> Result<Content, String> {
        if line.contains('\n') {
            return Err("a reply is one line".to_owned());
        }
        if payload_marker(line.as_bytes()).is_some() {
            return Err("a reply has no payload".to_owned());
        }
        let mut message = Box::new(Message::new());
        message.parse_line(line.as_bytes(), &ParseOptions::default()).map_err(|error| error.to_string())?;
        Ok(Content::Line { message, form: WriteOptions { line_bytes_max, ..WriteOptions::default() } })
    }
}

/// Appends the JSON of a string whose places have the JSON that `find` finds for them. A place alone keeps its type.
fn fill_text(text: &str, find: &dyn Fn(&str) -> Vec<u8>, out: &mut Vec<u8>) {
    if let Some((name, "")) = place(text) {
        return out.extend_from_slice(&find(name));
    }
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, braced)) = rest.find('{').map(|at| rest.split_at(at)) {
        filled.push_str(before);
        rest = match place(braced) {
            Some((name, after)) => {
                filled.push_str(&JsonValue(&find(name)).text());
                after
            }
            None => {
                filled.push('{');
                &braced[1..]
            }
        };
    }
    filled.push_str(rest);
    push_string(filled.as_bytes(), out);
}

/// The name in the `{name}` with which a text begins, and what follows; other braces are literal.
fn place(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-~".contains(&b));
    is_name.then_some((name, after))
}

/// How often a reply was sent on one connection since some moment: two programs that reply to each other would never
/// stop.
#[derive(Clone, Copy)]
pub(super) struct Firings {
    since: Instant,
    count: u32,
}

impl Firings {
    pub(super) fn new(now: Instant) -> Firings {
        Firings { since: now, count: 0 }
    }

    /// Counts one more; returns how many there were in the present second. Above [`FIRINGS_MAX`] it counts on, and the
    /// reply must not be sent any more.
    pub(super) fn count(&mut self, now: Instant) -> u32 {
        if self.count <= FIRINGS_MAX && now.saturating_duration_since(self.since) >= FIRINGS_TIME {
            *self = Firings::new(now);
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LINE_BYTES_MAX;

    fn replied(reply: &str, line: &str) -> String {
        let reply = Reply::parse(reply, Wire::Bcp, LINE_BYTES_MAX).unwrap();
        let mut message = Message::new();
        message.parse_line(line.as_bytes(), &ParseOptions::default()).unwrap();
        let mut out = Vec::new();
        reply.write(&message, Some(7), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn placeholder_alone_keeps_the_type_and_inside_text_is_text() {
        for (line, expected) in [
            ("a?x={n}", "a?x=int:5\n"),
            ("a?x=[{n}]", "a?x=%5B5%5D\n"),
            ("a?x={N}&y={none}z{}", "a?x=int:5&y=z%7B%7D\n"),
            ("a?x={b}", "a?x=bool:True\n"),
            ("a?x={{n}}", "a?x=%7B5%7D\n"),
            ("a?x={bytes}", "a?x=int:7\n"),
            ("a?json={\"l\": [\"{n}\", \"{s}\"]}", "a?json={\"l\": [5, \"t\\u003du\\nv\"]}\n"),
            ("", ""),
        ] {
            let received = "q?n=int:5&b=bool:true&s=t%3Du%0Av";
            assert_eq!(replied(&format!("q => {line}"), received), expected, "{line}");
        }
    }

    #[test]
    fn filled_reply_has_the_limit_of_any_line() {
        let mut message = Message::new();
        message.parse_line(b"q?n=12345", &ParseOptions::default()).unwrap();
        for (limit, fits) in [(9, true), (8, false)] {
            let (reply, mut out) = (Reply::parse("q => a?x={n}", Wire::Bcp, limit).unwrap(), Vec::new());
            assert_eq!(reply.write(&message, None, &mut out).is_ok(), fits);
            assert_eq!(out, if fits { &b"a?x=12345\n"[..] } else { b"" });
        }
    }

    #[test]
    fn no_value_ends_the_line_and_each_arrives_intact() {
        let received = "q?s=a%0Agoodbye%0A%22%7Bn%7D%5C&n=int:1";
        let sent = replied("q => trigger?name={s}&text=x{s}y", received);
        assert_eq!((sent.matches('\n').count(), sent.ends_with('\n')), (1, true));
        let mut message = Message::new();
        message.parse_line(sent.trim_end().as_bytes(), &ParseOptions::default()).unwrap();
        assert_eq!(message.find("name").unwrap().text(), "a\ngoodbye\n\"{n}\\");
        assert_eq!(message.find("text").unwrap().text(), "xa\ngoodbye\n\"{n}\\y");
    }

    #[test]
    fn json_reply_is_for_everything_or_a_pattern_and_is_filled_too() {
        let answer = |reply: &str, received: &str| {
            let reply = Reply::parse(reply, Wire::Obe, LINE_BYTES_MAX).unwrap();
            let (mut message, mut out) = (Message::new(), Vec::new());
            message.parse_value(received.as_bytes(), true).unwrap();
            message.take_command();
            reply.write(&message, None, &mut out).unwrap();
            let sent = String::from_utf8(out.iter().skip(10).copied().collect()).unwrap();
            reply.matches(&message, None).then_some(sent)
        };
        let goodset = r#"{"command": "goodset", "pickiness": 4}"#;
        for (reply, received, expected) in [
            (r#""a => b""#, "5", Some(r#""a => b""#)),
            (r#"goodset => {"n":"{pickiness}","t":"{pickiness}é"}"#, goodset, Some(r#"{"n": 4, "t": "4\u00e9"}"#)),
            ("goodset => 1", r#"{"command": "Goodset"}"#, None),
            ("goodset =>", goodset, Some("")),
            (r#"{"pickiness": 4.0, "command": "goodset"} => [1,2]"#, goodset, Some("[1, 2]")),
            ("*?pickiness=int:* => null", goodset, Some("null")),
            ("* => null", "[]", Some("null")),
        ] {
            assert_eq!(answer(reply, received).as_deref(), expected, "{reply}");
        }
        for (reply, why) in
            [("a", "write one JSON value"), ("a => b", "not JSON"), ("a?x=int:y => 1", "invalid integer")]
        {
            let error = Reply::parse(reply, Wire::Obe, LINE_BYTES_MAX).map(|_| ()).unwrap_err();
            assert!(error.message().is_some_and(|text| text.contains(why)), "{reply}: {error:?}");
        }
    }

    #[test]
    fn invalid_reply_says_what_to_write() {
        for (text, why) in [
            ("a", "write 'PATTERN => LINE'"),
            ("a=>b", "write 'PATTERN => LINE'"),
            (" => b", "a pattern is written"),
            ("a=b => c", "no ? after the command"),
            ("a => b?x=int:y", "invalid integer"),
            ("a => b&bytes=3", "no payload"),
            ("a => b c?x", "b c"),
            ("a => ?x", "a => ?x"),
        ] {
            let error = Reply::parse(text, Wire::Bcp, LINE_BYTES_MAX).map(|_| ()).unwrap_err();
            assert!(error.message().is_some_and(|text| text.contains(why)), "{text}: {error:?}");
        }
    }
}
