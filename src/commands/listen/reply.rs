//! `--reply 'PATTERN => LINE'`: scripted answers (design.md, section 10). With `--wire obe` they are JSON.
//!
//! An answer is a message whose texts are filled in from the one that it answers, and then encoded like any other: no
//! value can end its line. What is sent when, and how often, is the listener's business.

use std::time::{Duration, Instant};

use crate::bcp::Value;
use crate::bcp::pattern::Pattern;
use crate::bcp::payload_marker;
use crate::bcp::{DuplicatePolicy, Malformed, Message, ParseOptions, WriteOptions, push_spaced_json, write_line};
use crate::text::{shown, trim};

/// How often a reply may fire on one connection in [`FIRINGS_TIME`].
const FIRINGS_MAX: u32 = 1000;

const FIRINGS_TIME: Duration = Duration::from_secs(1);

/// One answer, and what it answers.
#[derive(Clone, Debug)]
pub struct Reply {
    pattern: Pattern,
    /// As it was given, for messages.
    pub text: String,
    answer: Answer,
    form: WriteOptions,
}

/// What is answered.
#[derive(Clone, Debug)]
enum Answer {
    /// Nothing: a command that is known and not answered.
    Nothing,
    /// A line of BCP.
    Line(Line),
    /// One JSON value.
    Value(Value),
}

/// A message with places to fill in.
#[derive(Clone, Debug)]
struct Line {
    command: String,
    params: Vec<(String, Value)>,
}

/// A message that is answered.
#[derive(Clone, Copy)]
struct Question<'a> {
    parts: &'a Message,
    payload_bytes: Option<usize>,
}

impl Reply {
    /// Reads `PATTERN => LINE`; an empty LINE answers nothing. No answer is a line of more than `line_bytes_max` bytes.
    ///
    /// # Errors
    /// A sentence that shows what to write.
    pub fn parse(text: &str, line_bytes_max: usize) -> Result<Reply, String> {
        let wrong = |why: &str| format!("{}: {why}", shown(text.as_bytes()));
        let (pattern, line) =
            split(text).ok_or_else(|| wrong("write 'PATTERN => LINE', with blanks around the arrow"))?;
        let pattern = Pattern::parse(pattern.trim(), false)
            .map_err(|error| wrong(&format!("{error}; a pattern is written COMMAND?NAME=TEXT")))?;
        let answer = Line::read(line).map_err(|why| wrong(&why))?.map_or(Answer::Nothing, Answer::Line);
        let form = WriteOptions { line_bytes_max, ..WriteOptions::default() };
        let reply = Reply { pattern, text: text.to_owned(), answer, form };
        // What cannot be encoded is found now, not in the middle of a game.
        reply.answer(&Message::new(), None, &mut Vec::new()).map_err(|why| wrong(&why.to_string()))?;
        Ok(reply)
    }

    /// Reads `PATTERN => JSON`, or one JSON value that answers everything; an empty JSON answers nothing.
    ///
    /// # Errors
    /// A sentence that shows what to write.
    pub fn parse_value(text: &str) -> Result<Reply, String> {
        let wrong = |why: &str| format!("{}: {why}", shown(text.as_bytes()));
        let mut parts = Message::new();
        let (pattern, json) = match parts.parse_value(text.as_bytes(), true) {
            Ok(()) => ("*", text),
            Err(_) => split(text)
                .ok_or_else(|| wrong("write one JSON value, or 'PATTERN => JSON' with blanks around the arrow"))?,
        };
        let pattern = Pattern::parse_value(pattern.trim())
            .map_err(|error| wrong(&format!("{error}; a pattern is written COMMAND?NAME=TEXT, or it is JSON")))?;
        let answer = match json.trim() {
            "" => Answer::Nothing,
            json => {
                parts.parse_value(json.as_bytes(), true).map_err(|why| wrong(&why.to_string()))?;
                Answer::Value(parts.value())
            }
        };
        // JSON has no limit.
        Ok(Reply { pattern, text: text.to_owned(), answer, form: WriteOptions::default() })
    }

    /// Whether it answers this message.
    pub fn matches(&self, message: &Message, payload_bytes: Option<usize>) -> bool {
        self.pattern.matches(message, payload_bytes)
    }

    /// Appends the answer: a line with its LF, or JSON; nothing when there is none.
    ///
    /// # Errors
    /// The filled line is over the limit; then nothing is appended.
    pub fn answer(&self, message: &Message, payload_bytes: Option<usize>, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let question = Question { parts: message, payload_bytes };
        let line = match &self.answer {
            Answer::Nothing => return Ok(()),
            Answer::Line(line) => line,
            Answer::Value(value) => {
                push_spaced_json(fill(value, question).to_json().as_bytes(), out);
                return Ok(());
            }
        };
        let mut parts = Message::new();
        parts.begin(line.command.as_bytes());
        for (name, value) in &line.params {
            parts.push_value(name, &fill(value, question));
        }
        parts.dedup(DuplicatePolicy::FirstWins)?;
        write_line(&parts, None, &self.form, out)?;
        out.push(b'\n');
        Ok(())
    }

    /// As it was typed, for messages.
    pub(crate) fn shown(&self) -> String {
        shown(self.text.as_bytes())
    }

    /// The command of the line that it answers with.
    pub fn command(&self) -> Option<&str> {
        match &self.answer {
            Answer::Line(line) => Some(&line.command),
            Answer::Nothing | Answer::Value(_) => None,
        }
    }
}

/// How often each reply has fired on one connection. Two programs that reply to each other could go on for ever.
#[derive(Debug)]
pub(crate) struct Firings(Vec<Firing>);

#[derive(Clone, Copy, Debug)]
enum Firing {
    /// So often since this time.
    Counted(Instant, u32),
    Stopped,
}

impl Firings {
    /// None of so many replies has fired.
    pub(crate) fn new(replies: usize, now: Instant) -> Firings {
        Firings(vec![Firing::Counted(now, 0); replies])
    }

    /// Counts one more.
    ///
    /// # Errors
    /// It must not fire any more: the first time with the reason.
    pub(crate) fn fire(&mut self, reply: usize, now: Instant) -> Result<(), Option<String>> {
        let Firing::Counted(since, count) = self.0[reply] else { return Err(None) };
        self.0[reply] = match count {
            _ if now.saturating_duration_since(since) >= FIRINGS_TIME => Firing::Counted(now, 1),
            FIRINGS_MAX => Firing::Stopped,
            _ => Firing::Counted(since, count + 1),
        };
        match self.0[reply] {
            Firing::Counted(..) => Ok(()),
            Firing::Stopped => Err(Some(format!(
                "stopped because it fired {FIRINGS_MAX} times in a second: two programs reply to each other"
            ))),
        }
    }
}

/// The two sides of the arrow.
fn split(text: &str) -> Option<(&str, &str)> {
    text.split_once(" => ").or_else(|| text.strip_suffix(" =>").map(|pattern| (pattern, "")))
}

impl Line {
    fn read(text: &str) -> Result<Option<Line>, String> {
        let text = trim(text.as_bytes());
        if text.is_empty() {
            return Ok(None);
        }
        if text.contains(&b'\n') {
            return Err("an answer is one line".to_owned());
        }
        if payload_marker(text).is_some() {
            return Err("an answer has no payload".to_owned());
        }
        let mut parts = Message::new();
        parts.parse_line(text, &ParseOptions::default()).map_err(|error| error.to_string())?;
        let params = parts.params().map(|param| (param.name().into_owned(), param.value.to_value())).collect();
        Ok(Some(Line { command: parts.command().into_owned(), params }))
    }
}

/// A value with what the question says in its places.
fn fill(value: &Value, question: Question<'_>) -> Value {
    match value {
        Value::Text(text) => fill_text(text, question),
        Value::List(items) => Value::List(items.iter().map(|item| fill(item, question)).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), fill(value, question))).collect())
        }
        other => other.clone(),
    }
}

fn fill_text(text: &str, question: Question<'_>) -> Value {
    if let Some(name) = place(text).filter(|name| name.len() + 2 == text.len()) {
        return question.value(name);
    }
    let (mut filled, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('{') {
        let (before, braced) = rest.split_at(at);
        filled.push_str(before);
        let length = match place(braced) {
            Some(name) => {
                filled.push_str(&question.text(name));
                name.len() + 2
            }
            None => {
                filled.push('{');
                1
            }
        };
        rest = braced.get(length..).unwrap_or_default();
    }
    filled.push_str(rest);
    Value::Text(filled)
}

/// The name in the `{name}` that a text begins with; other braces stand for themselves.
fn place(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-~".contains(&b));
    is_name.then_some(name)
}

impl Question<'_> {
    fn value(self, name: &str) -> Value {
        match (self.parts.find(name), self.payload_bytes) {
            (Some(value), _) => value.to_value(),
            (None, Some(bytes)) if name.eq_ignore_ascii_case("bytes") => Value::Number(bytes.to_string()),
            (None, _) => Value::Text(String::new()),
        }
    }

    fn text(self, name: &str) -> String {
        match self.value(name) {
            Value::Text(text) => text,
            other => other.to_json(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LINE_BYTES_MAX;

    fn answer(reply: &str, line: &str) -> String {
        let reply = Reply::parse(reply, LINE_BYTES_MAX).unwrap();
        let mut parts = Message::new();
        parts.parse_line(line.as_bytes(), &ParseOptions::default()).unwrap();
        let mut out = Vec::new();
        reply.answer(&parts, Some(7), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_place_alone_keeps_the_type_and_inside_text_it_is_text() {
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
            let question = "q?n=int:5&b=bool:true&s=t%3Du%0Av";
            assert_eq!(answer(&format!("q => {line}"), question), expected, "{line}");
        }
    }

    #[test]
    fn an_answer_that_is_filled_in_has_the_limit_of_any_line() {
        let mut parts = Message::new();
        parts.parse_line(b"q?n=12345", &ParseOptions::default()).unwrap();
        for (limit, fits) in [(9, true), (8, false)] {
            let (reply, mut out) = (Reply::parse("q => a?x={n}", limit).unwrap(), Vec::new());
            assert_eq!(reply.answer(&parts, None, &mut out).is_ok(), fits);
            assert_eq!(out, if fits { &b"a?x=12345\n"[..] } else { b"" });
        }
    }

    #[test]
    fn no_value_ends_the_line_and_each_arrives_intact() {
        let question = "q?s=a%0Agoodbye%0A%22%7Bn%7D%5C&n=int:1";
        let said = answer("q => trigger?name={s}&text=x{s}y", question);
        assert_eq!((said.matches('\n').count(), said.ends_with('\n')), (1, true));
        let mut parts = Message::new();
        parts.parse_line(said.trim_end().as_bytes(), &ParseOptions::default()).unwrap();
        assert_eq!(parts.find("name").unwrap().text(), "a\ngoodbye\n\"{n}\\");
        assert_eq!(parts.find("text").unwrap().text(), "xa\ngoodbye\n\"{n}\\y");
    }

    #[test]
    fn a_value_is_answered_by_value_or_pattern_and_filled_in_too() {
        let answer = |reply: &str, question: &str| {
            let reply = Reply::parse_value(reply).unwrap();
            let (mut parts, mut out) = (Message::new(), Vec::new());
            parts.parse_value(question.as_bytes(), true).unwrap();
            parts.take_command();
            reply.answer(&parts, None, &mut out).unwrap();
            reply.matches(&parts, None).then(|| String::from_utf8(out).unwrap())
        };
        let goodset = r#"{"command": "goodset", "pickiness": 4}"#;
        for (reply, question, expected) in [
            (r#""a => b""#, "5", Some(r#""a => b""#)),
            (r#"goodset => {"n":"{pickiness}","t":"{pickiness}é"}"#, goodset, Some(r#"{"n": 4, "t": "4\u00e9"}"#)),
            ("goodset => 1", r#"{"command": "Goodset"}"#, None),
            ("goodset =>", goodset, Some("")),
            (r#"{"pickiness": 4.0, "command": "goodset"} => [1,2]"#, goodset, Some("[1, 2]")),
            ("*?pickiness=int:* => null", goodset, Some("null")),
            ("* => null", "[]", Some("null")),
        ] {
            assert_eq!(answer(reply, question).as_deref(), expected, "{reply}");
        }
        for (reply, why) in
            [("a", "write one JSON value"), ("a => b", "not JSON"), ("a?x=int:y => 1", "invalid integer")]
        {
            assert!(Reply::parse_value(reply).map(|_| ()).unwrap_err().contains(why), "{reply}");
        }
    }

    #[test]
    fn what_is_no_reply_says_what_to_write() {
        for (text, why) in [
            ("a", "write 'PATTERN => LINE'"),
            ("a=>b", "write 'PATTERN => LINE'"),
            (" => b", "a pattern is written"),
            ("a => b?x=int:y", "invalid integer"),
            ("a => b&bytes=3", "no payload"),
            ("a => b c?x", "b c"),
            ("a => ?x", "a => ?x"),
        ] {
            let seen = Reply::parse(text, LINE_BYTES_MAX).map(|_| ()).unwrap_err();
            assert!(seen.contains(why), "{text}: {seen}");
        }
    }
}
