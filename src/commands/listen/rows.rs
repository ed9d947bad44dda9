//! The table view of `listen`: the messages of both directions, and how each connection opened and closed.

use std::collections::HashMap;
use std::time::Duration;

use crate::bcp::template::{Origin, Side};
use crate::bcp::{Malformed, Message};
use crate::framing::RawMessage;
use crate::output::show::Show;
use crate::output::stdout_columns;
use crate::output::table::{EndNames, Table};
use crate::text::count;

/// Formats the rows, and counts the messages for the last row of each connection.
pub(super) struct Rows {
    table: Table,
    ends: EndNames,
    connections: HashMap<u64, Counts>,
}

/// What one connection carried.
#[derive(Default)]
struct Counts {
    opened: Duration,
    from_client: u64,
    from_server: u64,
    malformed: u64,
    said_goodbye: bool,
}

impl Rows {
    pub(super) fn new(table: Table, ends: EndNames) -> Rows {
        Rows { table, ends, connections: HashMap::new() }
    }

    /// A forwarded game is known by its ports.
    pub(super) fn name_ends(&mut self, ports: [u16; 2]) {
        let mut ends = ports.into_iter().map(EndNames::of_port);
        self.ends = ends.find(|&ends| ends != EndNames::UNKNOWN).unwrap_or(EndNames::UNKNOWN);
        self.table.restart(self.ends);
    }

    /// Appends the first row of a connection.
    pub(super) fn opened(&mut self, origin: &Origin<'_>, out: &mut Vec<u8>) {
        let counts = Counts { opened: origin.time.unwrap_or_default(), ..Counts::default() };
        self.connections.insert(origin.connection.unwrap_or(1), counts);
        let how = if origin.from == Side::Client { "from" } else { "to" };
        self.event(origin, &format!("connected {how} {}", origin.peer.unwrap_or_default()), out);
    }

    /// Appends a row about a connection.
    fn event(&mut self, origin: &Origin<'_>, text: &str, out: &mut Vec<u8>) {
        self.table.resize(stdout_columns());
        self.table.event(origin, text, out);
    }

    /// Counts a message, or something malformed.
    pub(super) fn count(&mut self, origin: &Origin<'_>, message: Option<&Message>) {
        let counts = self.connections.entry(origin.connection.unwrap_or(1)).or_default();
        match (message, origin.from) {
            (None, _) => counts.malformed += 1,
            (Some(_), Side::Client) => counts.from_client += 1,
            (Some(_), Side::Server) => counts.from_server += 1,
        }
        counts.said_goodbye |= message.is_some_and(|message| message.command() == "goodbye");
    }

    /// Counts a message, or a malformed line, and appends its row if `show` selects it; whether it does. The `hello` of
    /// a program with a name is followed by a row with that name.
    pub(super) fn message(
        &mut self,
        show: &Show,
        origin: &Origin<'_>,
        raw: &RawMessage<'_>,
        message: Result<&Message, &Malformed>,
        out: &mut Vec<u8>,
    ) -> bool {
        self.count(origin, message.ok());
        let is_selected = show.selects(message.ok(), raw.payload.map(<[u8]>::len));
        if is_selected {
            self.table.resize(stdout_columns());
            self.table.message(origin, raw, message, false, out);
            let text = |name| message.ok().and_then(|message| message.find(name)).map(|value| value.text());
            if let Some(name) =
                text("controller_name").filter(|_| message.is_ok_and(|message| message.command() == "hello"))
            {
                let version = text("controller_version").unwrap_or_default();
                self.event(origin, format!("the {} is {name} {version}", origin.from.name()).trim_end(), out);
            }
        }
        is_selected
    }

    /// Appends the last row of a connection: `how` it closed, how long it lasted, and what it carried.
    pub(super) fn closed(&mut self, origin: &Origin<'_>, how: &str, out: &mut Vec<u8>) {
        let counts = self.connections.remove(&origin.connection.unwrap_or(1)).unwrap_or_default();
        let EndNames { client, server } = self.ends;
        let how = match self.ends {
            EndNames::UNKNOWN => how.to_owned(),
            _ => how.replace("the client", client).replace("the server", server),
        };
        let goodbye = if counts.said_goodbye { " (goodbye)" } else { "" };
        let seconds = origin.time.unwrap_or_default().saturating_sub(counts.opened).as_secs_f64();
        let malformed = if counts.malformed > 0 { format!(", {} malformed", counts.malformed) } else { String::new() };
        let (messages, from_server) = (count(counts.from_client, "message"), counts.from_server);
        let carried = format!("{messages} from {client}, {from_server} from {server}{malformed}");
        self.event(origin, &format!("{how}{goodbye} after {seconds:.1} s: {carried}"), out);
    }
}
