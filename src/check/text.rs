//! A difference as a person reads it: the recorded line with its place, what came instead, and parameter by parameter
//! what differs (design.md, section 11).

use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::compare::{Difference, command};
use super::report::{Came, Entry, Kind, Recorded, Way};
use crate::bcp::unescape;
use crate::text::{safe, trim};

/// What was recorded, where that differs from what came.
const RECORDED: &str = "\x1b[31m";
/// What came, where that differs from what was recorded.
const CAME: &str = "\x1b[32m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Shows differences between the recording in a file and what came.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// The file's name.
    pub file: &'a str,
    /// Whether the differing parts are coloured.
    pub colored: bool,
}

impl Text<'_> {
    /// Appends a difference: what it is in a line, and indented below it all that is known. Nothing is cut, and nothing
    /// in it can move a terminal's cursor.
    pub fn write(self, entry: &Entry, out: &mut String) {
        let file = self.file;
        let place = match &entry.recorded {
            Some(recorded) => format!("{file}:{}", recorded.number),
            None => file.to_owned(),
        };
        let _ = writeln!(out, "{}: {}", self.colored(BOLD, &place), headline(entry));
        let differences = match &entry.kind {
            Kind::Differs(differences) => differences.as_slice(),
            _ => &[],
        };
        if let Some(Recorded { line, payload, is_pattern, .. }) = &entry.recorded {
            let what = if *is_pattern { "pattern" } else { "recorded" };
            self.line(what, line, payload, RECORDED, differences, out);
        }
        if let Some(Came { said, .. }) = &entry.came {
            self.line("came", &said.line, &said.payload, CAME, differences, out);
        }
        for Difference { name, expected, got } in differences {
            let part = |color, text: &Option<String>, what: &str, none: &str| match text {
                Some(text) => format!("{what} {}", self.colored(color, &safe(text.as_bytes()))),
                None => none.to_owned(),
            };
            let is_of_pattern = entry.recorded.as_ref().is_some_and(|recorded| recorded.is_pattern);
            let got = part(CAME, got, "came", "did not come");
            let parts = match (name.as_str(), is_of_pattern) {
                ("@line", _) => "one of the two is no well-formed line".to_owned(),
                (_, true) => got,
                _ => format!("{}, {got}", part(RECORDED, expected, "recorded", "not recorded")),
            };
            let _ = writeln!(out, "  {}: {parts}", safe(name.as_bytes()));
        }
        for Came { said, .. } in &entry.meanwhile {
            self.line("meanwhile", &said.line, &said.payload, CAME, &[], out);
        }
    }

    fn line(self, what: &str, line: &[u8], payload: &[u8], color: &str, differing: &[Difference], out: &mut String) {
        let _ = writeln!(out, "  {what:<9} {}", self.marked(line, color, differing));
        if !payload.is_empty() {
            let payload = STANDARD.encode(payload);
            let differs = differing.iter().any(|difference| difference.name == "@payload");
            let payload = if differs { self.colored(color, &payload) } else { payload };
            let _ = writeln!(out, "  {:<9} {payload}", "payload");
        }
    }

    /// A line with its differing parts coloured.
    fn marked(self, line: &[u8], color: &str, differing: &[Difference]) -> String {
        if !self.colored || differing.is_empty() {
            return safe(line);
        }
        let names: HashSet<&str> = differing.iter().map(|difference| difference.name.as_str()).collect();
        let differs = |name: &str| names.contains(name);
        if differs("@line") {
            return self.colored(color, &safe(line));
        }
        let paint = |text: &[u8], is: bool| if is { self.colored(color, &safe(text)) } else { safe(text) };
        let mut parts = line.splitn(2, |&b| b == b'?');
        let mut shown = paint(parts.next().unwrap_or_default(), differs("@command"));
        let Some(query) = parts.next() else { return shown };
        shown.push('?');
        if query.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"json=")) {
            return shown + &paint(query, differing.iter().any(|difference| !difference.name.starts_with('@')));
        }
        for (count, piece) in query.split(|&b| b == b'&').enumerate() {
            let name = unescape(piece.split(|&b| b == b'=').next().unwrap_or_default()).into_owned();
            let name = String::from_utf8_lossy(trim(&name)).to_ascii_lowercase();
            shown.push_str(if count > 0 { "&" } else { "" });
            shown.push_str(&paint(piece, differs(&name)));
        }
        shown
    }

    fn colored(self, color: &str, text: &str) -> String {
        if self.colored { format!("{color}{text}{PLAIN}") } else { text.to_owned() }
    }
}

/// What a difference is, in a few words.
pub fn headline(entry: &Entry) -> String {
    match &entry.kind {
        Kind::Differs(differences) => {
            let names: Vec<String> = differences.iter().map(|difference| safe(difference.name.as_bytes())).collect();
            let is_error = |line: &[u8]| command(line) == "error";
            let came_as_error = entry.came.as_ref().is_some_and(|came| is_error(&came.said.line));
            match came_as_error && !entry.recorded.as_ref().is_some_and(|recorded| is_error(&recorded.line)) {
                true => "the peer answered with an error instead".to_owned(),
                false => format!("differs in {}", names.join(", ")),
            }
        }
        Kind::OutOfOrder => match entry.place {
            Some(number @ 1..) => format!("out of order: it came behind line {number}"),
            _ => "out of order: it came first".to_owned(),
        },
        Kind::NoAnswer { waited, silent: true } => format!("no answer: {} of silence", seconds(*waited)),
        Kind::NoAnswer { waited, .. } => format!("no answer within {}", seconds(*waited)),
        Kind::Late(late) => format!("late: it came {} after it was given up", seconds(*late)),
        Kind::Extra => match entry.place {
            Some(number @ 1..) => format!("not recorded: it came behind line {number}"),
            _ => "not recorded: it came first".to_owned(),
        },
        Kind::Gone { way, count } => {
            let way = match way {
                Way::Closed => "the peer had closed the connection",
                Way::Reset => "the connection was lost",
                Way::Broken => "the peer had broken the framing",
            };
            match count {
                1 => format!("{way} before this answer"),
                count => format!("{way} before this answer and {} more", count - 1),
            }
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}
