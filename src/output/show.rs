//! One way of printing a message for all subcommands: verbatim, as JSON, as a line of a template, or as a row of a
//! table.
//!
//! Into a pipe a message is written as it arrived. A terminal gets nothing that could move its cursor, payloads as
//! their length, and colors. The caller writes the result.

use std::io::{self, IsTerminal};

use super::table::Table;
use super::{Color, push_for_terminal, stdout_columns};
use crate::bcp::pattern::Pattern;
use crate::bcp::template::{Origin, Side, Template, TemplateContext};
use crate::bcp::{Malformed, Message};
use crate::framing::RawMessage;

/// The form in which messages are printed.
#[derive(Clone, Debug)]
pub enum Style {
    /// Verbatim.
    Raw,
    /// As JSON Lines, with a member `meta` or without.
    Json {
        /// Whether each has the time, the connection and the sender.
        meta: bool,
    },
    /// A line of this form for each.
    Template(Template),
    /// A row for each, also for a malformed line.
    Table(Table),
}

/// What a terminal wants.
#[derive(Clone, Copy, Debug, Default)]
struct Terminal {
    colored: bool,
    /// Whether a mark shows which end sent it.
    marked: bool,
}

/// Prints messages, or does not: `-m` and `-x` decide.
#[derive(Clone, Debug)]
pub struct Show {
    style: Style,
    matching: Vec<Pattern>,
    excluded: Vec<Pattern>,
    terminal: Option<Terminal>,
    line: Vec<u8>,
}

impl Show {
    /// Prints for a pipe: in this style what matches one of the first patterns, if there are any, and none of the
    /// second.
    pub fn new(style: Style, matching: Vec<Pattern>, excluded: Vec<Pattern>) -> Show {
        Show { style, matching, excluded, terminal: None, line: Vec::new() }
    }

    /// Prints for whatever standard output is; with `marked` a mark shows on a terminal which end sent a message.
    #[must_use]
    pub fn for_stdout(mut self, color: Color, marked: bool) -> Show {
        let is_terminal = io::stdout().is_terminal();
        let colored = color.is_on(is_terminal);
        self.terminal = color.is_for_a_person(is_terminal).then_some(Terminal { colored, marked });
        if let Style::Table(table) = &mut self.style {
            table.is_colored = colored;
        }
        self
    }

    /// The table, if there is one, to be cut to the present width of the terminal.
    pub fn table(&mut self) -> Option<&mut Table> {
        let Style::Table(table) = &mut self.style else { return None };
        table.columns = stdout_columns();
        Some(table)
    }

    /// Appends a row about a connection to a table.
    pub fn event(&mut self, origin: &Origin<'_>, text: &str, out: &mut Vec<u8>) {
        if let Some(table) = self.table() {
            table.event(origin, text, out);
        }
    }

    /// Whether it looks at the parts of a message, which otherwise need not be known.
    pub fn looks_inside(&self) -> bool {
        let is_line = matches!(&self.style, Style::Template(template) if template.is_line());
        !self.matching.is_empty() || !self.excluded.is_empty() || !is_line
    }

    /// Whether a message is to be printed; `message` is `None` for a malformed line, which no pattern matches.
    fn selects(&self, message: Option<&Message>, payload_bytes: Option<usize>) -> bool {
        let matches = |pattern: &Pattern| message.is_some_and(|message| pattern.matches(message, payload_bytes));
        (self.matching.is_empty() || self.matching.iter().any(matches)) && !self.excluded.iter().any(matches)
    }

    /// Appends a message if it is selected; whether it was printed. A malformed line is printed verbatim or in a table,
    /// and not at all where it would have to be JSON or fill a template.
    pub fn show(
        &mut self,
        raw: &RawMessage<'_>,
        message: Result<&Message, &Malformed>,
        origin: &Origin<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        if !self.selects(message.ok(), raw.payload.map(<[u8]>::len)) {
            return false;
        }
        if let Some(table) = self.table() {
            table.message(raw, message, origin, out);
            return true;
        }
        match (&self.style, message) {
            (Style::Raw, _) => match self.terminal {
                None => out.extend_from_slice(raw.raw),
                Some(terminal) => terminal.show(raw, message.is_err(), origin, out),
            },
            (Style::Json { meta }, Ok(message)) => {
                message.write_json(raw.payload, out);
                if *meta {
                    push_meta(origin, out);
                }
                out.push(b'\n');
            }
            (Style::Template(template), Ok(message)) => {
                let context = TemplateContext { message, line: raw.line, payload: raw.payload, origin: Some(origin) };
                if self.terminal.is_some() {
                    self.line.clear();
                    template.write(&context, &mut self.line);
                    push_for_terminal(&self.line, out);
                } else {
                    template.write(&context, out);
                }
                out.push(b'\n');
            }
            _ => return false,
        }
        true
    }
}

/// Adds the member `meta` to the object at the end of `out`. Its values need no escapes.
fn push_meta(origin: &Origin<'_>, out: &mut Vec<u8>) {
    out.pop();
    let mut meta = ",\"meta\":{".to_owned();
    if let Some(seconds) = origin.seconds() {
        meta += &format!("\"time\":{seconds},");
    }
    if let Some(number) = origin.connection {
        meta += &format!("\"conn\":{number},");
    }
    if let Some(peer) = origin.peer {
        meta += &format!("\"peer\":\"{peer}\",");
    }
    meta += &format!("\"from\":\"{}\"}}}}", origin.from.name());
    out.extend_from_slice(meta.as_bytes());
}

impl Terminal {
    fn show(self, message: &RawMessage<'_>, is_malformed: bool, origin: &Origin<'_>, out: &mut Vec<u8>) {
        if self.marked {
            // The marks are those of -v and of curl: what was sent to the server, what the server sent.
            let (color, mark): (&[u8], &[u8]) = match origin.from {
                Side::Client => (b"\x1b[36m", b"> "),
                Side::Server => (b"\x1b[33m", b"< "),
            };
            self.colored(color, mark, out);
        }
        let line = message.line;
        let end = line.iter().position(|&byte| byte == b'?' || byte == b'&');
        let (command, query) = line.split_at(end.unwrap_or(line.len()));
        let mut safe = Vec::with_capacity(command.len());
        push_for_terminal(command, &mut safe);
        self.colored(if is_malformed { b"\x1b[31m" } else { b"\x1b[1m" }, &safe, out);
        push_for_terminal(query, out);
        if let Some(payload) = message.payload {
            out.extend_from_slice(format!(" <{} bytes>", payload.len()).as_bytes());
        }
        out.push(b'\n');
    }

    fn colored(self, color: &[u8], text: &[u8], out: &mut Vec<u8>) {
        let colored = self.colored && !text.is_empty();
        if colored {
            out.extend_from_slice(color);
        }
        out.extend_from_slice(text);
        if colored {
            out.extend_from_slice(b"\x1b[0m");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;
    use crate::bcp::payload_marker;
    use std::time::Duration;

    fn shown(show: &mut Show, raw: &[u8]) -> String {
        let line = raw.split(|&b| b == b'\n').next().unwrap_or_default();
        let marker = payload_marker(line);
        let payload = marker.and(raw.get(line.len() + 1..));
        let message = RawMessage { number: 1, raw, line, marker, payload };
        let mut parsed = Message::new();
        let read = parsed.parse_line(message.text(), &ParseOptions::default());
        let time = Duration::from_micros(1_500_000);
        let origin = Origin { time: Some(time), connection: Some(2), peer: Some("[::1]:7"), from: Side::Client };
        let mut out = Vec::new();
        show.show(&message, read.as_ref().map(|()| &parsed), &origin, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn pipe(style: Style) -> Show {
        Show::new(style, Vec::new(), Vec::new())
    }

    #[test]
    fn a_pipe_gets_every_byte() {
        let mut show = pipe(Style::Raw);
        for raw in ["Trigger?Name=\u{1b}[2J\r\n", "f&bytes=3\na\nb", "trigger?name=int:x\n"] {
            assert_eq!(shown(&mut show, raw.as_bytes()), raw);
        }
    }

    #[test]
    fn json_has_meta_when_asked_and_no_line_that_is_no_message() {
        let bare = r#"{"command":"f","params":{"a":1},"bytes":"aGk="}"#;
        assert_eq!(shown(&mut pipe(Style::Json { meta: false }), b"F?a=int:1&bytes=2\nhi"), format!("{bare}\n"));
        let meta = r#","meta":{"time":1.500000,"conn":2,"peer":"[::1]:7","from":"client"}}"#;
        let with_meta = format!("{}{meta}\n", bare.strip_suffix('}').unwrap());
        assert_eq!(shown(&mut pipe(Style::Json { meta: true }), b"F?a=int:1&bytes=2\nhi"), with_meta);
        assert_eq!(shown(&mut pipe(Style::Json { meta: true }), b"f?a=int:x\n"), "");
    }

    #[test]
    fn patterns_choose() {
        let pattern = |text: &str| vec![Pattern::parse(text, false).unwrap()];
        let mut show = Show::new(Style::Raw, pattern("switch?state=1"), pattern("switch?name=s_b"));
        assert_eq!(shown(&mut show, b"switch?state=int:1&name=s_a\n"), "switch?state=int:1&name=s_a\n");
        assert_eq!(shown(&mut show, b"switch?state=int:1&name=s_b\n"), "");
        assert_eq!(shown(&mut show, b"switch?state=int:x\n"), "");
    }

    #[test]
    fn a_terminal_is_never_at_risk() {
        let mut show = pipe(Style::Raw);
        show.terminal = Some(Terminal { colored: false, marked: true });
        assert_eq!(shown(&mut show, "t?a=\u{1b}[2J\u{9b}x\n".as_bytes()), "> t?a=\\x1b[2J\\x9bx\n");
        assert_eq!(shown(&mut show, b"f&bytes=3\n\x1b\n\n"), "> f&bytes=3 <3 bytes>\n");
        show.terminal = Some(Terminal { colored: true, marked: true });
        assert_eq!(shown(&mut show, b"t?a=b\n"), "\u{1b}[36m> \u{1b}[0m\u{1b}[1mt\u{1b}[0m?a=b\n");
        show.style = Style::Template(Template::parse("{a}").unwrap());
        assert_eq!(shown(&mut show, "t?a=%1B%C2%9B\n".as_bytes()), "\\x1b\\x9b\n");
    }
}
