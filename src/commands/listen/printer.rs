//! What `listen` prints: messages, and in a table also how each connection opened and closed.

use std::collections::HashMap;
use std::time::Duration;

use crate::bcp::template::{Origin, Side};
use crate::bcp::{Malformed, Message};
use crate::framing::RawMessage;
use crate::output::show::Show;
use crate::output::table::EndNames;
use crate::text::count;

/// Prints, and counts the messages for the last row of each connection.
pub(super) struct MessagePrinter {
    show: Show,
    connections: HashMap<u64, Counts>,
    /// What is printed once the present read is handled.
    pub printed: Vec<u8>,
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

impl MessagePrinter {
    pub(super) fn new(show: Show) -> MessagePrinter {
        MessagePrinter { show, connections: HashMap::new(), printed: Vec::new() }
    }

    /// Whether it prints a table, of both directions.
    pub(super) fn has_table(&mut self) -> bool {
        self.show.table().is_some()
    }

    /// A forwarded game is known by its ports.
    pub(super) fn name_ends(&mut self, ports: [u16; 2]) {
        let mut ends = ports.into_iter().map(EndNames::of_port);
        if let Some(table) = self.show.table() {
            table.restart(ends.find(|&ends| ends != EndNames::UNKNOWN).unwrap_or(EndNames::UNKNOWN));
        }
    }

    /// Prints the first row of a connection.
    pub(super) fn opened(&mut self, origin: &Origin<'_>) {
        let counts = Counts { opened: origin.time.unwrap_or_default(), ..Counts::default() };
        self.connections.insert(origin.connection.unwrap_or(1), counts);
        let how = if origin.from == Side::Client { "from" } else { "to" };
        let text = format!("connected {how} {}", origin.peer.unwrap_or_default());
        self.show.event(origin, &text, &mut self.printed);
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

    /// Counts a message, or a malformed line, and prints it if it is selected; whether it is. In a table, the `hello`
    /// of a program with a name is followed by a row with that name.
    pub(super) fn message(
        &mut self,
        raw: &RawMessage<'_>,
        message: Result<&Message, &Malformed>,
        origin: &Origin<'_>,
    ) -> bool {
        let is_printed = self.show.show(raw, message, origin, &mut self.printed);
        if !self.has_table() {
            return is_printed;
        }
        self.count(origin, message.ok());
        if let Some(hello) = message.ok().filter(|message| is_printed && message.command() == "hello") {
            let text = |name| hello.find(name).map(|value| value.text());
            if let Some(name) = text("controller_name") {
                let version = text("controller_version").unwrap_or_default();
                let text = format!("the {} is {name} {version}", origin.from.name());
                self.show.event(origin, text.trim_end(), &mut self.printed);
            }
        }
        is_printed
    }

    /// Prints the last row of a connection: `how` it closed, how long it lasted, and what it carried.
    pub(super) fn closed(&mut self, origin: &Origin<'_>, how: &str) {
        let counts = self.connections.remove(&origin.connection.unwrap_or(1)).unwrap_or_default();
        let Some(table) = self.show.table() else { return };
        let EndNames { client, server } = table.ends;
        let how = match table.ends {
            EndNames::UNKNOWN => how.to_owned(),
            _ => how.replace("the client", client).replace("the server", server),
        };
        let goodbye = if counts.said_goodbye { " (goodbye)" } else { "" };
        let seconds = origin.time.unwrap_or_default().saturating_sub(counts.opened).as_secs_f64();
        let malformed = if counts.malformed > 0 { format!(", {} malformed", counts.malformed) } else { String::new() };
        let (messages, from_server) = (count(counts.from_client, "message"), counts.from_server);
        let carried = format!("{messages} from {client}, {from_server} from {server}{malformed}");
        let text = format!("{how}{goodbye} after {seconds:.1} s: {carried}");
        table.event(origin, &text, &mut self.printed);
    }
}
