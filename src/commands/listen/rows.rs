//! The table view of `listen`: the messages of both directions, and how each connection opened and closed.

use std::collections::HashMap;
use std::time::Duration;

use crate::bcp::template::Side;
use crate::bcp::{Malformed, Message, ParseOptions, payload_marker};
use crate::output::show::Show;
use crate::output::stdout_columns;
use crate::output::table::{Emphasis, EndNames, Seen, Table};

/// Formats the rows, and counts what the last row of a connection tells.
pub(super) struct Rows {
    table: Table,
    ends: EndNames,
    /// What was sent last.
    message: Message,
    connections: HashMap<u64, Counts>,
}

/// What one connection carried.
#[derive(Default)]
struct Counts {
    opened: Duration,
    /// From the client, from the server.
    messages: [u64; 2],
    malformed: u64,
    said_goodbye: bool,
}

impl Rows {
    pub(super) fn new(table: Table, ends: EndNames) -> Rows {
        Rows { table, ends, message: Message::new(), connections: HashMap::new() }
    }

    pub(super) fn opened(&mut self, time: Duration, connection: u64, text: &str, out: &mut Vec<u8>) {
        self.connections.insert(connection, Counts { opened: time, ..Counts::default() });
        self.fit(out);
        self.table.event(Some(time), connection, text, out);
    }

    /// Counts a message, or something malformed.
    pub(super) fn count(&mut self, connection: u64, from: Side, message: Option<&Message>) {
        let counts = self.connections.entry(connection).or_default();
        match message {
            None => counts.malformed += 1,
            Some(message) => {
                counts.messages[usize::from(from == Side::Server)] += 1;
                counts.said_goodbye |= message.command() == "goodbye";
            }
        }
    }

    /// Appends the row of a message, or of a line that is none.
    pub(super) fn received(
        &mut self,
        seen: Seen,
        line: &[u8],
        payload: Option<&[u8]>,
        message: Result<&Message, &Malformed>,
        out: &mut Vec<u8>,
    ) {
        let is_error = message.is_ok_and(|message| message.command() == "error");
        let emphasis = if is_error { Emphasis::Failed } else { Emphasis::Normal };
        self.fit(out);
        self.table.message(seen, line, payload, message, emphasis, out);
    }

    /// Counts a message that was sent, and appends its row if `show` selects it.
    pub(super) fn sent(&mut self, seen: Seen, line: &[u8], payload: Option<&[u8]>, show: &Show, out: &mut Vec<u8>) {
        let mut message = std::mem::take(&mut self.message);
        let text = payload_marker(line).map_or(line, |marker| &line[..marker.at]);
        let parsed = message.parse_line(text, &ParseOptions::default());
        let parsed = parsed.as_ref().map(|()| &message);
        self.count(seen.connection, seen.from, parsed.ok());
        if show.selects(parsed.ok(), payload.map(<[u8]>::len)) {
            self.received(seen, line, payload, parsed, out);
        }
        self.message = message;
    }

    /// Appends the last row of a connection: `how` it closed, how long it lasted, and what it carried. `them` is the
    /// peer's side, unless it was forwarded.
    pub(super) fn closed(&mut self, time: Duration, connection: u64, how: &str, them: Option<Side>, out: &mut Vec<u8>) {
        let Some(counts) = self.connections.remove(&connection) else { return };
        let EndNames { client, server } = self.ends;
        let [by_client, by_server] = counts.messages;
        let mut how = how.to_owned();
        if self.ends != EndNames::UNKNOWN {
            how = how.replace("the client", client).replace("the server", server);
        }
        if counts.said_goodbye {
            how.push_str(" (goodbye)");
        }
        let seconds = time.saturating_sub(counts.opened).as_secs_f64();
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let carried = match them {
            Some(Side::Client) => format!("{by_client} message{} in, {by_server} out", plural(by_client)),
            Some(Side::Server) => format!("{by_server} message{} in, {by_client} out", plural(by_server)),
            None => format!("{by_client} message{} from {client}, {by_server} from {server}", plural(by_client)),
        };
        let malformed = if counts.malformed > 0 { format!(", {} malformed", counts.malformed) } else { String::new() };
        self.fit(out);
        self.table.event(Some(time), connection, &format!("{how} after {seconds:.1} s: {carried}{malformed}"), out);
    }

    /// Takes the present width of the terminal, once for all rows that are printed together.
    fn fit(&mut self, out: &[u8]) {
        if out.is_empty() {
            self.table.resize(stdout_columns());
        }
    }
}
