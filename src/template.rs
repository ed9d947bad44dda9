//! Templates: `-F`, one line of text for each message (design.md, section 6).
//!
//! A template is read once; what it cannot name is refused then. It appends text and knows nothing of where that goes.

use std::fmt;

use crate::codec::Parts;
use crate::text::{shown, trim};

/// A message as a template sees it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'m> {
    /// Its parts.
    pub parts: &'m Parts,
    /// The line without LF, CR and payload.
    pub line: &'m [u8],
    /// The payload, if it has one.
    pub payload: Option<&'m [u8]>,
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
    /// Reads a template: `{name}` a parameter's text, `{@command}`, `{@line}`, `{@json}`, `{{` and `}}` literal.
    ///
    /// # Errors
    /// Braces that do not pair, or a word behind `@` that has no meaning.
    ///
    /// ```
    /// use backbox::codec::{Parts, Reading};
    /// use backbox::template::{Subject, Template};
    /// let template = Template::parse("{@command}: {name}").unwrap();
    /// let line = b"trigger?name=multiball";
    /// let mut parts = Parts::new();
    /// parts.read_line(line, &Reading::default()).unwrap();
    /// let mut out = Vec::new();
    /// template.write(&Subject { parts: &parts, line, payload: None }, &mut out);
    /// assert_eq!(out, b"trigger: multiball");
    /// ```
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
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
            pieces.push(Piece::named(name)?);
            rest = behind;
        }
        literal.extend_from_slice(rest.as_bytes());
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Template { pieces })
    }

    /// Appends the text of a message, without LF.
    pub fn write(&self, subject: &Subject<'_>, out: &mut Vec<u8>) {
        let is_param = |piece: &&Piece| matches!(piece, Piece::Param(_));
        let names = subject.parts.lookup(self.pieces.iter().filter(is_param).count());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Command => out.extend_from_slice(subject.parts.command().as_bytes()),
                Piece::Line => out.extend_from_slice(subject.line),
                Piece::Json => subject.parts.write_json(subject.payload, out),
                Piece::Param(name) => match (names.find(name), subject.payload) {
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

impl Piece {
    fn named(name: &str) -> Result<Piece, TemplateError> {
        let name = String::from_utf8_lossy(trim(name.as_bytes())).to_ascii_lowercase();
        match name.as_str() {
            "@command" => Ok(Piece::Command),
            "@line" => Ok(Piece::Line),
            "@json" => Ok(Piece::Json),
            word if word.starts_with('@') => Err(TemplateError::UnknownWord(shown(word.as_bytes()))),
            _ => Ok(Piece::Param(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Reading;

    fn fill(template: &str, line: &str, payload: Option<&[u8]>) -> String {
        let mut parts = Parts::new();
        parts.read_line(line.as_bytes(), &Reading::default()).unwrap();
        let mut out = Vec::new();
        let subject = Subject { parts: &parts, line: line.as_bytes(), payload };
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
    fn what_does_not_parse_is_shown() {
        for (template, error) in [
            ("a{name", TemplateError::Unclosed("{name".into())),
            ("{", TemplateError::Unclosed("{".into())),
            ("name}", TemplateError::LoneClose("name}".into())),
            ("{@nope}", TemplateError::UnknownWord("@nope".into())),
        ] {
            assert_eq!(Template::parse(template).map(|_| ()), Err(error), "{template}");
        }
    }
}
