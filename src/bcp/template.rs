//! Templates: one line of text for each message (`-F`).

use std::time::Duration;

use super::{Message, canonical_name};
use crate::text::{shown, trim};

/// What a template is filled with.
#[derive(Clone, Copy, Debug)]
pub struct TemplateContext<'m> {
    /// The message that was parsed from the line.
    pub message: &'m Message,
    /// The line without LF, CR and payload.
    pub line: &'m [u8],
    /// The payload, if it has one.
    pub payload: Option<&'m [u8]>,
    /// When and on which connection it was received, if that is known.
    pub origin: Option<&'m Origin<'m>>,
}

/// One end of a TCP connection, whatever its role in BCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The program that opened the connection.
    Client,
    /// The program that accepted it.
    Server,
}

impl Side {
    /// `client` or `server`.
    pub fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }

    /// The other end.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// When and on which connection a message was received.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'m> {
    /// The time: since the start of 1970, or of a recording since its first message.
    pub time: Option<Duration>,
    /// The number of the connection, from 1.
    pub connection: Option<u64>,
    /// The address of the peer; of a forwarded pair that of the client. Recorded messages have none.
    pub peer: Option<&'m str>,
    /// Who sent it.
    pub from: Side,
}

impl Origin<'_> {
    /// The origin of a message of which only the sender is known.
    pub const fn of(from: Side) -> Origin<'static> {
        Origin { time: None, connection: None, peer: None, from }
    }

    /// The time in seconds, with microseconds.
    pub fn seconds(&self) -> Option<String> {
        self.time.map(|time| format!("{}.{:06}", time.as_secs(), time.subsec_micros()))
    }
}

/// A template: one line of text for each message.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Vec<TemplatePart>,
}

#[derive(Clone, Debug)]
enum TemplatePart {
    Literal(Vec<u8>),
    /// The name, as typed and canonical.
    Param(String, Vec<u8>),
    /// One of [`WORDS`].
    Word(&'static str),
}

/// What can stand after `@`: the first three are known everywhere, the others where messages have an origin, and the
/// last not for recorded messages.
const WORDS: [&str; 7] = ["@command", "@line", "@json", "@time", "@conn", "@from", "@peer"];

impl Template {
    /// Reads a template: `{name}` is the text of a parameter, `{@command}`, `{@line}` and `{@json}` are those of the
    /// message, and `{{` and `}}` are braces.
    ///
    /// # Errors
    /// Braces that do not pair, or an unknown word after `@`: a text that says so.
    ///
    /// ```
    /// use backbox::bcp::{Message, ParseOptions};
    /// use backbox::bcp::template::{Template, TemplateContext};
    /// let template = Template::parse("{@command}: {name}").unwrap();
    /// let line = b"trigger?name=multiball";
    /// let mut message = Message::new();
    /// message.parse_line(line, &ParseOptions::default()).unwrap();
    /// let mut out = Vec::new();
    /// template.write(&TemplateContext { message: &message, line, payload: None, origin: None }, &mut out);
    /// assert_eq!(out, b"trigger: multiball");
    /// ```
    pub fn parse(text: &str) -> Result<Template, String> {
        Template::parse_with(text, &WORDS[..3])
    }

    /// Reads a template for recorded messages, which also know `{@time}`, `{@conn}` and `{@from}`.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_recorded(text: &str) -> Result<Template, String> {
        Template::parse_with(text, &WORDS[..6])
    }

    /// Reads a template for messages of a live connection, which also know `{@time}`, `{@conn}`, `{@from}` and
    /// `{@peer}`.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_live(text: &str) -> Result<Template, String> {
        Template::parse_with(text, &WORDS)
    }

    fn parse_with(text: &str, words: &[&'static str]) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            literal.extend_from_slice(before.as_bytes());
            if brace.starts_with("{{") || brace.starts_with("}}") {
                literal.push(brace.as_bytes()[0]);
                rest = &brace[2..];
                continue;
            }
            let Some(inside) = brace.strip_prefix('{') else {
                return Err(format!("no {{ before {}; write }}}} for a brace", shown(&rest.as_bytes()[..=at])));
            };
            let Some((name, after)) = inside.split_once('}') else {
                return Err(format!("no }} after {}; write {{{{ for a brace", shown(brace.as_bytes())));
            };
            parts.push(TemplatePart::Literal(std::mem::take(&mut literal)));
            let name = String::from_utf8_lossy(trim(name.as_bytes())).to_ascii_lowercase();
            parts.push(match words.iter().find(|word| **word == name) {
                Some(word) => TemplatePart::Word(word),
                None if name.starts_with('@') => {
                    let known = "{@command}, {@line}, {@json} and {NAME} for a parameter";
                    let name = shown(name.as_bytes());
                    return Err(format!("{{{name}}} is unknown; there are {known}"));
                }
                None => TemplatePart::Param(name.clone(), canonical_name(&name)),
            });
            rest = after;
        }
        literal.extend_from_slice(rest.as_bytes());
        parts.push(TemplatePart::Literal(literal));
        Ok(Template { parts })
    }

    /// The template `{@line}`.
    pub fn line() -> Template {
        Template { parts: vec![TemplatePart::Word("@line")] }
    }

    /// Whether it shows the line and nothing else, so that the parts of a message need not be known.
    pub fn is_line(&self) -> bool {
        matches!(self.parts[..], [TemplatePart::Word("@line")])
    }

    /// Whether it shows the JSON form of a message.
    pub fn shows_json(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, TemplatePart::Word("@json")))
    }

    /// The names of the parameters that it shows.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            TemplatePart::Param(name, _) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Appends the text of a message, without LF. What a message does not have is empty.
    pub fn write(&self, context: &TemplateContext<'_>, out: &mut Vec<u8>) {
        let find = context.message.finder(self.parts.len() / 2);
        for part in &self.parts {
            match part {
                TemplatePart::Literal(text) => out.extend_from_slice(text),
                TemplatePart::Word(word) => context.write(word, out),
                TemplatePart::Param(name, canonical) => match (find(canonical), context.payload) {
                    (Some(value), _) => out.extend_from_slice(value.text().as_bytes()),
                    (None, Some(payload)) if name == "bytes" => {
                        out.extend_from_slice(payload.len().to_string().as_bytes());
                    }
                    (None, _) => {}
                },
            }
        }
    }
}

impl TemplateContext<'_> {
    fn write(&self, word: &str, out: &mut Vec<u8>) {
        let text = match (word, self.origin) {
            ("@json", _) => return self.message.write_json(self.payload, out),
            ("@line", _) => return out.extend_from_slice(self.line),
            ("@command", _) => self.message.command(),
            ("@time", Some(origin)) => origin.seconds().unwrap_or_default().into(),
            ("@conn", Some(origin)) => origin.connection.map_or_else(String::new, |number| number.to_string()).into(),
            ("@peer", Some(origin)) => origin.peer.unwrap_or_default().into(),
            ("@from", Some(origin)) => origin.from.name().into(),
            _ => return,
        };
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;

    fn fill(template: &str, line: &str, payload: Option<&[u8]>) -> String {
        let mut message = Message::new();
        message.parse_line(line.as_bytes(), &ParseOptions::default()).unwrap();
        let mut out = Vec::new();
        let context = TemplateContext { message: &message, line: line.as_bytes(), payload, origin: None };
        Template::parse(template).unwrap().write(&context, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_words_and_braces_are_filled_in() {
        for (template, expected) in [
            ("{a} {b}", "x é 5"),
            ("{{{a}}}", "{x é}"),
            ("{ A }", "x é"),
            ("[{none}]", "[]"),
            ("a\\tb", "a\\tb"),
            ("", ""),
            (
                "{@command}|{@line}|{@json}",
                "t|t?a=x%20%C3%A9&b=int:5|{\"command\":\"t\",\"params\":{\"a\":\"x é\",\"b\":5}}",
            ),
        ] {
            assert_eq!(fill(template, "t?a=x%20%C3%A9&b=int:5", None), expected, "{template}");
        }
        assert_eq!(fill("{bytes}", "f", Some(b"four")), "4");
        assert_eq!(fill("{bytes}", "f?bytes=3&x", Some(b"four")), "3");
        assert_eq!(fill("{bytes}", "f", None), "");
    }

    #[test]
    fn a_live_message_has_a_time_a_connection_a_peer_and_a_side() {
        let template = Template::parse_live("{@time} {@conn} {@peer} {@from} {@command}").unwrap();
        let mut message = Message::new();
        message.parse_line(b"t", &ParseOptions::default()).unwrap();
        let time = Duration::new(1_700_000_000, 1_234_567);
        let origin = Origin { time: Some(time), connection: Some(3), peer: Some("127.0.0.1:9"), from: Side::Server };
        let mut out = Vec::new();
        let context = TemplateContext { message: &message, line: b"t", payload: None, origin: Some(&origin) };
        template.write(&context, &mut out);
        assert_eq!(out, b"1700000000.001234 3 127.0.0.1:9 server t");
        assert!(Template::parse_live("{@nope}").is_err());
    }

    #[test]
    fn a_template_that_does_not_parse_is_an_error_with_its_text() {
        for (template, error) in [
            ("a{name", "no } after {name; write {{ for a brace"),
            ("{", "no } after {; write {{ for a brace"),
            ("name}", "no { before name}; write }} for a brace"),
            ("{@nope}", "{@nope} is unknown; there are {@command}, {@line}, {@json} and {NAME} for a parameter"),
            ("{@time}", "{@time} is unknown; there are {@command}, {@line}, {@json} and {NAME} for a parameter"),
        ] {
            assert_eq!(Template::parse(template).map(|_| ()), Err(error.to_owned()), "{template}");
        }
    }
}
