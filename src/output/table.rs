//! The table view: one row a message, in columns, cut to the width of the terminal.
//!
//! It formats. What is printed, and when, is the caller's business.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::bcp::template::{Origin, Side};
use crate::bcp::{JsonValue, Malformed, Message, ValueKind};
use crate::framing::RawMessage;
use crate::text::safe;

/// The column of commands; the longest of MPF, `player_turn_start`, fits.
const COMMAND_COLUMNS: usize = 17;

/// Lists and objects up to this width are printed whole.
const NESTED_COLUMNS_MAX: usize = 32;

/// The narrowest table: a narrower terminal wraps.
const COLUMNS_MIN: usize = 40;

/// A `conn` column is as wide as `#999`; higher numbers shift their row.
const CONNECTION_COLUMNS: usize = 4;

const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// The names of both ends: `MPF` and `MC` if their roles are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndNames {
    pub client: &'static str,
    pub server: &'static str,
}

impl EndNames {
    /// The pin controller connected to a media controller.
    pub(crate) const MPF_CONNECTED: EndNames = EndNames { client: "MPF", server: "MC" };
    /// A client of the pin controller's own port.
    pub(crate) const MPF_LISTENED: EndNames = EndNames { client: "MC", server: "MPF" };
    /// The roles are unknown.
    pub(crate) const UNKNOWN: EndNames = EndNames { client: "client", server: "server" };

    /// The names of both ends of a connection to this port of a server.
    pub(crate) fn of_port(port: u16) -> EndNames {
        match port {
            5050 => EndNames::MPF_CONNECTED,
            5051 => EndNames::MPF_LISTENED,
            _ => EndNames::UNKNOWN,
        }
    }

    fn arrow(self, from: Side) -> String {
        match from {
            Side::Client => format!("{}→{}", self.client, self.server),
            Side::Server => format!("{}→{}", self.server, self.client),
        }
    }

    fn columns(self) -> usize {
        self.client.width() + self.server.width() + 1
    }
}

/// Formats rows.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub ends: EndNames,
    /// `None`: rows are not cut.
    pub columns: Option<usize>,
    pub is_colored: bool,
    /// Whose messages are dimmed.
    pub dimmed: Option<Side>,
    start: Option<Duration>,
    /// Connection numbers are printed once there is a second one.
    has_connections: bool,
}

impl Table {
    /// A table of any width, without colors.
    pub(crate) fn new(ends: EndNames) -> Table {
        Table { ends, columns: None, is_colored: false, dimmed: None, start: None, has_connections: false }
    }

    /// Starts a new table between ends of these names.
    pub(crate) fn restart(&mut self, ends: EndNames) {
        (self.ends, self.start, self.has_connections) = (ends, None, false);
    }

    /// Appends the row of a message, or of a malformed line; a failed reply is red. The times of origins count from the
    /// first row that has one.
    pub(crate) fn message(
        &mut self,
        raw: &RawMessage<'_>,
        message: Result<&Message, &Malformed>,
        origin: &Origin<'_>,
        out: &mut Vec<u8>,
    ) {
        let mut row = self.open_row(origin);
        let is_failed = message.is_ok_and(Message::is_failure);
        let direction = if origin.from == Side::Client { "\x1b[36m" } else { "\x1b[33m" };
        let arrow = pad(self.ends.arrow(origin.from), self.ends.columns() + 2);
        row.push((arrow, if is_failed || message.is_err() { RED } else { direction }));
        match message {
            Ok(message) => push_message(message, raw.payload, is_failed, &mut row),
            Err(malformed) => {
                row.push((format!("! {}", safe(String::from_utf8_lossy(raw.line).as_bytes())), RED));
                row.push((format!("  {}", safe(malformed.to_string().as_bytes())), ""));
            }
        }
        self.close_row(row, self.dimmed == Some(origin.from), out);
    }

    /// Appends a row about a connection, such as `connected from 127.0.0.1:34928`.
    pub(crate) fn event(&mut self, origin: &Origin<'_>, text: &str, out: &mut Vec<u8>) {
        let mut row = self.open_row(origin);
        row.push((safe(text.as_bytes()), DIM));
        self.close_row(row, false, out);
    }

    fn open_row(&mut self, origin: &Origin<'_>) -> Row {
        let connection = origin.connection.unwrap_or(1);
        self.start = self.start.or(origin.time);
        self.has_connections |= connection > 1;
        let elapsed = origin.time.zip(self.start).map(|(time, start)| time.saturating_sub(start).as_secs_f64());
        let text = elapsed.map_or(String::new(), |seconds| format!("{seconds:.3}"));
        let mut row = vec![(format!("{text:>8}  "), DIM)];
        if self.has_connections {
            row.push((pad(format!("#{connection}"), CONNECTION_COLUMNS) + "  ", DIM));
        }
        row
    }

    fn close_row(&self, row: Row, is_dimmed: bool, out: &mut Vec<u8>) {
        let row = if is_dimmed { vec![(row.into_iter().map(|(text, _)| text).collect(), DIM)] } else { row };
        for (text, color) in cut(row, self.columns.map_or(usize::MAX, |columns| columns.max(COLUMNS_MIN))) {
            if !self.is_colored || color.is_empty() {
                out.extend_from_slice(text.as_bytes());
            } else {
                out.extend_from_slice(format!("{color}{text}{RESET}").as_bytes());
            }
        }
        out.push(b'\n');
    }
}

/// The pieces of one row, each with its color. All text is safe for a terminal.
type Row = Vec<(String, &'static str)>;

/// The pieces cut to so many columns: what exceeds them is replaced by `…`.
fn cut(row: Row, columns: usize) -> Row {
    if row.iter().map(|(text, _)| text.width()).sum::<usize>() <= columns {
        return row;
    }
    let (mut cut, mut room) = (Row::new(), columns - 1);
    for (text, color) in row {
        let fits = text.chars().map_while(|c| {
            room = room.checked_sub(c.width().unwrap_or(0))?;
            Some(c)
        });
        let mut kept: String = fits.collect();
        if kept.len() < text.len() {
            kept.push('…');
            cut.push((kept, color));
            break;
        }
        cut.push((kept, color));
    }
    cut
}

/// Appends command and values: the value of `name` first and without its label.
fn push_message(message: &Message, payload: Option<&[u8]>, is_failed: bool, row: &mut Row) {
    let command = safe(message.command().as_bytes());
    let color = if is_failed { RED } else { family_color(&command) };
    let mut params: Vec<(String, JsonValue<'_>)> =
        message.params().map(|param| (param.name().into_owned(), param.value)).collect();
    let name = params.iter().position(|(name, _)| name == "name").map(|at| params.remove(at));
    let has_values = name.is_some() || !params.is_empty() || payload.is_some();
    row.push((if has_values { pad(command, COMMAND_COLUMNS) } else { command }, color));
    if let Some((_, value)) = name {
        row.push((format!("  {}", value_text(value)), "\x1b[1m"));
    }
    for (name, value) in params {
        row.push((format!("  {}", safe(name.as_bytes())), DIM));
        row.push((format!(" {}", value_text(value)), ""));
    }
    if let Some(payload) = payload {
        row.push((format!("  <{} bytes>", payload.len()), DIM));
    }
}

/// The color of a command's family.
fn family_color(command: &str) -> &'static str {
    match command {
        "error" => RED,
        "switch" => "\x1b[36m",
        "device" | "driver_event" => "\x1b[32m",
        "machine_variable" | "settings" | "set_machine_var" => "\x1b[34m",
        _ if command.starts_with("mode_") => "\x1b[35m",
        _ if command.starts_with("player_") || command.starts_with("ball_") => "\x1b[33m",
        _ => "",
    }
}

/// A value without its type; long lists and objects as `{…} +2.9 kB`.
fn value_text(value: JsonValue<'_>) -> String {
    let text = safe(value.text().as_bytes());
    let brackets = match value.kind() {
        ValueKind::List => "[…]",
        ValueKind::Object => "{…}",
        _ if text.is_empty() => return "\"\"".to_owned(),
        _ => return text,
    };
    if text.width() <= NESTED_COLUMNS_MAX { text } else { format!("{brackets} +{}", size(text.len())) }
}

/// A number of bytes as `812 B` or `2.9 kB`.
fn size(bytes: usize) -> String {
    match bytes {
        0..=999 => format!("{bytes} B"),
        1_000..=999_999 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// Text filled with spaces to a width.
fn pad(text: String, columns: usize) -> String {
    let missing = columns.saturating_sub(text.width());
    text + &" ".repeat(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;

    fn origin(seconds: f64, connection: u64, from: Side) -> Origin<'static> {
        Origin { time: Some(Duration::from_secs_f64(seconds)), connection: Some(connection), peer: None, from }
    }

    fn rows(columns: Option<usize>, is_colored: bool, lines: &[(f64, Side, &str)]) -> String {
        let mut table = Table { columns, is_colored, ..Table::new(EndNames::MPF_CONNECTED) };
        let mut out = Vec::new();
        for (time, from, line) in lines {
            let raw =
                RawMessage { number: 1, raw: line.as_bytes(), line: line.as_bytes(), marker: None, payload: None };
            let mut message = Message::new();
            let parsed = message.parse_line(line.as_bytes(), &ParseOptions::default());
            let parsed = parsed.as_ref().map(|()| &message);
            table.message(&raw, parsed, &origin(*time, 1, *from), &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_is_one_row_with_its_name_first() {
        let text = rows(
            None,
            false,
            &[
                (10.0, Side::Client, "hello?version=1.1"),
                (17.213, Side::Client, "player_variable?value=int:5100&name=score&change=int:5000"),
                (17.29, Side::Server, "trigger?name=jackpot&count=int:5&empty="),
                (18.0, Side::Client, "reset"),
            ],
        );
        let expected = "   0.000  MPF→MC  hello              version 1.1\n   \
             7.213  MPF→MC  player_variable    score  value 5100  change 5000\n   \
             7.290  MC→MPF  trigger            jackpot  count 5  empty \"\"\n   \
             8.000  MPF→MC  reset\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_row_is_cut_to_the_width_in_columns() {
        for columns in 40..90 {
            for value in ["x".repeat(100), "球".repeat(100), "é\u{301}".repeat(100)] {
                let line = format!("trigger?name={value}");
                let text = rows(Some(columns), false, &[(0.0, Side::Client, line.as_str())]);
                let row = text.trim_end_matches('\n');
                assert!(row.ends_with('…'), "{row}");
                assert!(row.width() == columns || row.width() + 1 == columns, "{columns}: {} {row}", row.width());
            }
        }
        let exact = rows(Some(40), false, &[(0.0, Side::Client, "trigger?name=abc")]);
        assert_eq!((exact.trim_end().width(), exact.contains('…')), (40, false), "{exact}");
        let longer = rows(Some(40), false, &[(0.0, Side::Client, "trigger?name=abcd")]);
        assert_eq!(longer.trim_end().width(), 40, "{longer}");
        assert!(longer.trim_end().ends_with("ab…"), "{longer}");
    }

    #[test]
    fn long_nested_values_are_cut_to_their_size() {
        let list = format!("[{}]", ["1"; 1500].join(","));
        let line = format!("device?json={{\"name\":\"bd\",\"modes\":[[\"attract\",10]],\"state\":{{\"a\":{list}}}}}");
        let text = rows(None, false, &[(0.0, Side::Client, line.as_str())]);
        assert!(text.ends_with("device             bd  modes [[\"attract\",10]]  state {…} +3.0 kB\n"), "{text}");
    }

    #[test]
    fn a_malformed_line_is_marked_and_nothing_moves_the_cursor() {
        let text =
            rows(None, true, &[(0.0, Side::Client, "trigger?name=a%1B%5B2J"), (1.0, Side::Client, "a?n=int:many")]);
        assert!(text.contains("a\\x1b[2J"), "{text:?}");
        assert!(text.contains("\x1b[31m! a?n=int:many\x1b[0m"), "{text:?}");
        let plain = rows(None, false, &[(1.0, Side::Client, "a?n=int:many")]);
        assert!(plain.contains("! a?n=int:many  ") && !plain.contains('\x1b'), "{plain:?}");
    }

    #[test]
    fn failed_reply_is_red() {
        for (line, is_red) in [("coil_pulse?error=x", true), ("coil_pulse?error=bool:false", false), ("error", true)] {
            let text = rows(None, true, &[(0.0, Side::Server, line)]);
            assert_eq!(text.contains("\x1b[31mMC→MPF"), is_red, "{text:?}");
        }
    }

    #[test]
    fn connections_are_numbered_once_there_are_two() {
        let mut table = Table::new(EndNames::UNKNOWN);
        let mut out = Vec::new();
        table.event(&origin(0.0, 1, Side::Client), "connected from 127.0.0.1:1", &mut out);
        table.event(&origin(1.5, 2, Side::Client), "connected from 127.0.0.1:2", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "   0.000  connected from 127.0.0.1:1\n   1.500  #2    connected from 127.0.0.1:2\n");
    }
}
