//! Templates: `-F`, one line of text for each message (design.md, section 6).
//!
//! A template is read once; what it cannot name is refused then. It appends text and knows nothing of where that goes.

use std::fmt;
use std::time::Duration;

use crate::bcp::Message;
use crate::text::{shown, trim};

/// A message as a template sees it.
#[derive(Clone, Copy, Debug)]
pub struct TemplateContext<'m> {
    /// The message that was parsed from the line.
    pub message: &'m Message,
    /// The line without LF, CR and payload.
    pub line: &'m [u8],
    /// The payload, if it has one.
    pub payload: Option<&'m [u8]>,
    /// Where and when it was met, if it came over a connection.
    pub origin: Option<&'m Origin<'m>>,
}

/// Which end of a connection said something; TCP's ends, whatever part they play in BCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The end that dialled.
    Client,
    /// The end that accepted.
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

/// Where and when a message of a live connection was met (design.md, section 10).
#[derive(Clone, Copy, Debug)]
pub struct Origin<'m> {
    /// When, since the start of 1970.
    pub time: Duration,
    /// The number of the connection, from 1.
    pub connection: u64,
    /// The address of the peer; of a forwarded pair that of the dialler.
    pub peer: &'m str,
    /// Who said it.
    pub from: Side,
}

impl Origin<'_> {
    /// The seconds since the start of 1970, with microseconds.
    pub fn seconds(&self) -> String {
        format!("{}.{:06}", self.time.as_secs(), self.time.subsec_micros())
    }
}

/// A template that was read.
#[derive(Clone, Debug)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Literal(Vec<u8>),
    Command,
    Line,
    Json,
    Param(String),
    Live(Live),
}

/// What only messages of a live connection have.
#[derive(Clone, Copy, Debug)]
enum Live {
    Time,
    Connection,
    Peer,
    From,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// A `{` whose `}` is missing; the text from there on.
    Unclosed(String),
    /// A `}` that closes nothing; the text up to it.
    LoneClose(String),
    /// `{@word}` with a word that has no meaning here.
    UnknownWord(String),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TemplateError::Unclosed(text) => write!(f, "no }} behind {text}; a brace itself is written {{{{"),
            TemplateError::LoneClose(text) => write!(f, "no {{ before {text}; a brace itself is written }}}}"),
            TemplateError::UnknownWord(word) => {
                write!(
                    f,
                    "{{{word}}} is unknown; there are {{@command}}, {{@line}}, {{@json}} and {{NAME}} for a parameter"
                )
            }
        }
    }
}

impl Template {
    /// Reads a template for messages of a live connection, which know `{@time}`, `{@conn}`, `{@peer}` and `{@from}`
    /// too.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_live(text: &str) -> Result<Template, TemplateError> {
        Template::read(text, true)
    }

    /// Reads a template: `{name}` a parameter's text, `{@command}`, `{@line}`, `{@json}`, `{{` and `}}` literal.
    ///
    /// # Errors
    /// Braces that do not pair, or a word behind `@` that has no meaning.
    ///
    /// ```
    /// use backbox::bcp::{Message, ParseOptions};
    /// use backbox::bcp::template::{TemplateContext, Template};
    /// let template = Template::parse("{@command}: {name}").unwrap();
    /// let line = b"trigger?name=multiball";
    /// let mut parts = Message::new();
    /// parts.parse_line(line, &ParseOptions::default()).unwrap();
    /// let mut out = Vec::new();
    /// template.write(&TemplateContext { message: &parts, line, payload: None, origin: None }, &mut out);
    /// assert_eq!(out, b"trigger: multiball");
    /// ```
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        Template::read(text, false)
    }

    fn read(text: &str, live: bool) -> Result<Template, TemplateError> {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            literal.extend_from_slice(before.as_bytes());
            if brace.starts_with("{{") || brace.starts_with("}}") {
                literal.extend(brace.bytes().take(1));
                rest = brace.get(2..).unwrap_or_default();
                continue;
            }
            let Some(inside) = brace.strip_prefix('{') else {
                return Err(TemplateError::LoneClose(shown(rest.get(..=at).unwrap_or_default().as_bytes())));
            };
            let Some((name, behind)) = inside.split_once('}') else {
                return Err(TemplateError::Unclosed(shown(brace.as_bytes())));
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::named(name, live)?);
            rest = behind;
        }
        literal.extend_from_slice(rest.as_bytes());
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Template { pieces })
    }

    /// Whether it shows the JSON form of a message.
    pub fn shows_json(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Json))
    }

    /// Appends the text of a message, without LF.
    pub fn write(&self, subject: &TemplateContext<'_>, out: &mut Vec<u8>) {
        let is_param = |piece: &&Piece| matches!(piece, Piece::Param(_));
        let names = subject.message.lookup(self.pieces.iter().filter(is_param).count());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Command => out.extend_from_slice(subject.message.command().as_bytes()),
                Piece::Line => out.extend_from_slice(subject.line),
                Piece::Json => subject.message.write_json(subject.payload, out),
                Piece::Param(name) => match (names.find(name), subject.payload) {
                    (Some(value), _) => out.extend_from_slice(value.text().as_bytes()),
                    (None, Some(payload)) if name == "bytes" => {
                        out.extend_from_slice(payload.len().to_string().as_bytes());
                    }
                    (None, _) => {}
                },
                Piece::Live(live) => {
                    if let Some(origin) = subject.origin {
                        live.write(origin, out);
                    }
                }
            }
        }
    }
}

impl Live {
    fn write(self, origin: &Origin<'_>, out: &mut Vec<u8>) {
        match self {
            Live::Time => out.extend_from_slice(origin.seconds().as_bytes()),
            Live::Connection => out.extend_from_slice(origin.connection.to_string().as_bytes()),
            Live::Peer => out.extend_from_slice(origin.peer.as_bytes()),
            Live::From => out.extend_from_slice(origin.from.name().as_bytes()),
        }
    }
}

impl Piece {
    fn named(name: &str, live: bool) -> Result<Piece, TemplateError> {
        let name = String::from_utf8_lossy(trim(name.as_bytes())).to_ascii_lowercase();
        match name.as_str() {
            "@command" => Ok(Piece::Command),
            "@line" => Ok(Piece::Line),
            "@json" => Ok(Piece::Json),
            "@time" if live => Ok(Piece::Live(Live::Time)),
            "@conn" if live => Ok(Piece::Live(Live::Connection)),
            "@peer" if live => Ok(Piece::Live(Live::Peer)),
            "@from" if live => Ok(Piece::Live(Live::From)),
            word if word.starts_with('@') => Err(TemplateError::UnknownWord(shown(word.as_bytes()))),
            _ => Ok(Piece::Param(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;

    fn fill(template: &str, line: &str, payload: Option<&[u8]>) -> String {
        let mut parts = Message::new();
        parts.parse_line(line.as_bytes(), &ParseOptions::default()).unwrap();
        let mut out = Vec::new();
        let subject = TemplateContext { message: &parts, line: line.as_bytes(), payload, origin: None };
        Template::parse(template).unwrap().write(&subject, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_words_and_braces() {
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
    fn a_live_message_has_a_time_a_connection_a_peer_and_an_end() {
        let template = Template::parse_live("{@time} {@conn} {@peer} {@from} {@command}").unwrap();
        let mut parts = Message::new();
        parts.parse_line(b"t", &ParseOptions::default()).unwrap();
        let time = Duration::new(1_700_000_000, 1_234_567);
        let origin = Origin { time, connection: 3, peer: "127.0.0.1:9", from: Side::Server };
        let mut out = Vec::new();
        let subject = TemplateContext { message: &parts, line: b"t", payload: None, origin: Some(&origin) };
        template.write(&subject, &mut out);
        assert_eq!(out, b"1700000000.001234 3 127.0.0.1:9 server t");
        assert!(Template::parse_live("{@nope}").is_err());
    }

    #[test]
    fn what_does_not_parse_is_shown() {
        for (template, error) in [
            ("a{name", TemplateError::Unclosed("{name".into())),
            ("{", TemplateError::Unclosed("{".into())),
            ("name}", TemplateError::LoneClose("name}".into())),
            ("{@nope}", TemplateError::UnknownWord("@nope".into())),
            ("{@time}", TemplateError::UnknownWord("@time".into())),
        ] {
            assert_eq!(Template::parse(template).map(|_| ()), Err(error), "{template}");
        }
    }
}
