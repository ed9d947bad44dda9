//! `listen --wire obe`: a server of OBE_Socket, which prints each message and replies to it (design.md, section 10).
//!
//! A connection carries a message and its reply; its client closes. What is JSON and what is no frame is told below.

use std::sync::Arc;
use std::time::Instant;

use crate::bcp::Message;
use crate::bcp::template::{Side, Template};
use crate::commands::ending::catch_signals;
use crate::commands::listen::media::settings;
use crate::commands::listen::parting;
use crate::commands::listen::printing::{Printing, Speaker};
use crate::commands::listen::reply::Reply;
use crate::commands::listen::serving::{bind, deadline, outcome, printing, signal_of, unread, welcome};
use crate::commands::listen::{COMMAND, Options};
use crate::commands::shared::{OBE_IS_JSON, OBE_IS_NOT_RECORDED, OBE_LIMITS, refuse_with_obe};
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure};
use crate::framing::{Frame, FramingOptions, RawMessage, body, push_frame};
use crate::net::connection::{Connection, Left, QUEUE_BYTES_MAX, Said};
use crate::net::server::{Host, Next};
use crate::net::wait::Output;
use crate::output::Console;

/// The reply to what no `--reply` answers.
const REPLY: &[u8] = b"\"OK\"";

/// Refuses what is BCP's alone.
///
/// # Errors
/// [`Failure::Usage`].
pub fn check(options: &Options) -> Result<(), Failure> {
    let shows_json = options.display.selection.template.as_ref().is_some_and(Template::shows_json);
    let subscribes = !options.monitor.is_empty() || !options.register.is_empty();
    refuse_with_obe(&[
        (options.as_pin, "--as says which part of BCP to play, and OBE_Socket has a server"),
        (options.connects, "-c joins a game, and a client of OBE_Socket is backbox send"),
        (options.forward.is_some() || options.canonical, "--forward and --canonical pass BCP through"),
        (subscribes, "--monitor and --register subscribe, and OBE_Socket has no subscriptions"),
        (options.stdin, "--stdin speaks unasked, and a server of OBE_Socket only replies"),
        (options.silent, "--no-auto leaves BCP's own answers out; '* =>' is a --reply that answers nothing"),
        (options.accepts.is_some(), "--accept-version judges a hello, and OBE_Socket has none"),
        (options.record.file.is_some() || options.record.overwrite, OBE_IS_NOT_RECORDED),
        (options.display.json || options.display.meta, "--json and --meta are forms of BCP's messages"),
        (shows_json, OBE_IS_JSON),
        (options.input.limits_lines(), OBE_LIMITS),
    ])
}

/// Serves until a signal comes, stdout's reader has gone, the goals are met, or with `--once` the first has left.
///
/// # Errors
/// An address that cannot be bound, a file or a stdout that cannot be written, a goal that was not met.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let console = options.output.console(COMMAND.help.name);
    let replies = options.replies()?;
    let output = Arc::new(Output::stdout().map_err(|error| Failure::output(&error))?);
    let printing = printing(options, &output, false)?;
    let (server, own) = bind(options)?;
    let stop = catch_signals()?;
    welcome(options, own, &console)?;
    let mut settings = settings();
    (settings.framing, settings.full, settings.farewell) = (FramingOptions::obe(), b"", b"");
    settings.until = deadline(options);
    let host = Answerer {
        replies,
        once: options.once,
        traffic: Traffic::new(options.verbose.0),
        printing,
        console,
        parts: Message::new(),
    };
    let served = server.run(settings, host, &stop, Some(&output));
    let (ended, host) = served.map_err(|error| Failure::io(format_args!("cannot serve {own}"), &error))?;
    match (signal_of(ended), host) {
        (_, None) => unread(ended, options),
        (Some(exit), _) => Ok(exit),
        (None, Some(host)) => outcome(ended, Some(host.printing), None, &host.console, options.goals.time(None)),
    }
}

/// Prints what comes and replies to it.
struct Answerer {
    replies: Vec<Reply>,
    once: bool,
    traffic: Traffic,
    printing: Printing,
    console: Console,
    parts: Message,
}

impl Answerer {
    fn message(&mut self, connection: &Connection, message: &RawMessage<'_>, seen: Instant) -> Next {
        self.traffic.came(message);
        if let Err(why) = self.parts.parse_value(body(message.raw), true) {
            self.complain(connection, message.number, why);
            connection.finish();
            return Next::GoOn;
        }
        self.parts.take_command();
        let peer = connection.peer.to_string();
        let speaker = Speaker { connection: connection.number, peer: &peer, from: Side::Client };
        let is_met = self.printing.message(message, Some(&self.parts), speaker, seen);
        self.reply(connection);
        if is_met { Next::Stop } else { Next::GoOn }
    }

    fn reply(&mut self, connection: &Connection) {
        let mut text = Vec::new();
        match self.replies.iter().find(|reply| reply.matches(&self.parts, None)) {
            None => text.extend_from_slice(REPLY),
            // JSON has no limit that filling it in could pass.
            Some(reply) => reply.answer(&self.parts, None, &mut text).unwrap_or_default(),
        }
        if text.is_empty() {
            return;
        }
        let mut frame = Vec::new();
        push_frame(&text, &mut frame);
        match connection.say(&frame) {
            Said::Queued => self.traffic.sent(&text, None),
            Said::Overrun => {
                let why = format!("it does not read: reset with {QUEUE_BYTES_MAX} bytes waiting for it");
                self.console.complain(Exit::No, connection.peer, why);
            }
            Said::Ending => {}
        }
    }

    fn complain(&mut self, connection: &Connection, offset: u64, why: impl std::fmt::Display) {
        let exit = parting::cost(connection, Exit::Peer);
        self.console.complain(exit, format_args!("{}: offset {offset}", connection.peer), why);
    }
}

impl Host for Answerer {
    fn joined(&mut self, _connection: &Arc<Connection>) -> Next {
        Next::GoOn
    }

    fn heard(&mut self, connection: &Connection, frame: &Frame<'_>, seen: Instant) -> Next {
        match frame {
            Frame::Message(message) => self.message(connection, message, seen),
            Frame::Ignored { .. } => Next::GoOn,
            Frame::Bad { number, fault } => {
                self.complain(connection, *number, fault);
                Next::GoOn
            }
        }
    }

    fn left(&mut self, connection: &Connection, left: &Left) -> Next {
        parting::tell(&mut self.console, connection, left, ("message", "OBE_Socket's protocol"));
        if self.once { Next::Stop } else { Next::GoOn }
    }

    fn pause(&mut self) -> Next {
        self.printing.flush();
        if self.printing.is_done() { Next::Stop } else { Next::GoOn }
    }
}
