//! `backbox send`: one message, or a stream of them, to a running game (design.md, section 9).

use std::io;
use std::time::Instant;

use super::arguments::read_message;
use super::dial::{PIN_PORT, Target};
use super::ending::{complain_of_frame, verdict};
use super::shared::{Dialling, HasDialling, HasManners, HasTraffic, Manners};
use super::stream::{Item, Stream, command};
use super::traffic::Traffic;
use crate::catalogue;
use crate::cli::{About, Command, Complete, Example, Flag, Group, Operands, Section, text};
use crate::codec::{Form, Parts, Reading, write_line};
use crate::conversation::{Conversation, Effect, Repertoire, Role};
use crate::failure::{Exit, Failure};
use crate::framing::{Frame, Framing, RawMessage, payload_marker};
use crate::limits::LINE_BYTES_MAX;
use crate::net::address::Address;
use crate::net::dialogue::{self, Script, Step};
use crate::net::queue::Outbox;
use crate::net::wait::{Input, Output, Stop};
use crate::output::{Console, push_for_terminal, stdout_is_terminal};
use crate::text::{is_white, shown};

/// The variable that says where to dial when no `-a` does.
pub const ADDRESS_VARIABLE: &str = "BACKBOX_ADDR";

/// What `backbox send` was told.
#[derive(Debug, Default)]
pub struct Options {
    manners: Manners,
    dialling: Dialling,
    verbose: bool,
    /// The message: a command and its parameters, or one BCP line with a `?`; nothing, or `-`, is stdin.
    words: Vec<String>,
}

impl HasManners for Options {
    fn manners(&mut self) -> &mut Manners {
        &mut self.manners
    }
}

impl HasDialling for Options {
    fn dialling(&mut self) -> &mut Dialling {
        &mut self.dialling
    }
}

impl HasTraffic for Options {
    fn verbose(&mut self) -> &mut bool {
        &mut self.verbose
    }
}

/// The table of `backbox send`.
pub const COMMAND: Command<Options> = Command {
    about: About {
        name: "send",
        summary: "send messages to a running machine",
        synopsis: &[
            "[*FLAG*]... *COMMAND* [*NAME*`=`*TEXT* | *NAME*`:=`*JSON*]...",
            "[*FLAG*]... *LINE*",
            "[*FLAG*]... [`-`]",
        ],
        description: &[
            "Dials, sends, says `goodbye`, and prints what comes back until the other side closes, but for the \
                `hello`, `reset` \
             and `goodbye` that it deals with itself. With arguments it sends one message and leaves standard input \
             alone, so it is safe in a loop that reads lines.",
            "Without arguments, or with `-`, the messages come from standard input, each sent when it arrives: a \
                line that \
             begins with `{` is a message in JSON, any other a line of BCP as it stands. Blank lines and lines that \
             begin with \
             `#` are not sent: to MPF they would be commands.",
            "It leaves as MPF needs it: `goodbye` in one write with the last message, then the end of its side, \
                then at most \
             500 ms for the other side to close.",
        ],
        arguments: &[
            ("*COMMAND*", "the command, such as `trigger`"),
            ("*NAME*`=`*TEXT*", "a parameter that is a text"),
            ("*NAME*`:=`*JSON*", "a parameter that is a number, `true`, `false`, `null`, a list or an object"),
            ("*LINE*", "a whole line of BCP, known by its `?`, sent as it stands"),
        ],
        sections: &[Section {
            title: "Environment",
            paragraphs: &["`BACKBOX_ADDR` is where to dial when no `-a` says so."],
        }],
        exits: &[Exit::Done, Exit::No, Exit::Usage, Exit::Io, Exit::Peer],
        examples: &[
            Example {
                line: "backbox send trigger name=multiball",
                text: "Fires a trigger at the machine on this computer.",
            },
            Example {
                line: "backbox send -a pinball.local switch name=s_start state:=1",
                text: "Closes a switch of a machine elsewhere; its state is a number.",
            },
            Example {
                line: "backbox send --retry 30s < game.bcp",
                text: "Sends what the dialler of a recorded session sent.",
            },
        ],
        see_also: &[("backbox", 1), ("backbox-listen", 1), ("bcp", 7)],
    },
    groups: &[
        Group {
            title: "Connection",
            flags: &[
                Flag::value("addr", "ADDRESS", "where to dial", |o: &mut Options, value| {
                    o.dialling.address = Some(text(value)?);
                    Ok(())
                })
                .short('a')
                .more(
                    "`HOST:PORT`, `HOST`, `:PORT`, `PORT` or `[::1]:PORT`. Otherwise `BACKBOX_ADDR`, and without it \
                     `localhost:5051`, where MPF listens.",
                ),
                Flag::RETRY,
            ],
        },
        Group { title: "Manners", flags: &[Flag::VERBOSE, Flag::QUIET, Flag::COLOR] },
    ],
    operands: Some(Operands {
        complete: Complete::Keyed(catalogue::completions),
        set: |o, word| {
            o.words.push(text(word)?);
            Ok(())
        },
    }),
};

/// Sends, prints what comes back, and leaves.
///
/// # Errors
/// A message that makes no sense, an address that cannot be reached, a connection that is lost, a stdout that cannot be
/// written.
pub fn run(options: Options) -> Result<Exit, Failure> {
    let mut console = options.manners.console();
    let source = match options.words.as_slice() {
        [] => Source::Stream(Box::default()),
        [dash] if dash == "-" => Source::Stream(Box::default()),
        words => Source::One(Some(message(words, &console)?)),
    };
    let variable = std::env::var(ADDRESS_VARIABLE).ok().filter(|text| !text.is_empty());
    let target = Target::resolve(options.dialling.address.as_deref().or(variable.as_deref()), PIN_PORT)?;
    let stop = Stop::on_signals().map_err(|error| Failure::io("cannot watch for signals", &error))?;
    let output = Output::stdout().map_err(|error| Failure::output(&error))?;
    let input = match &source {
        Source::One(_) => None,
        Source::Stream(_) => Some(Input::stdin().map_err(|error| Failure::io("cannot read <stdin>", &error))?),
    };
    let Some(socket) = target.dial(options.dialling.retry, &stop, &console)? else {
        return Ok(stop.signal().map_or(Exit::Done, Exit::Signal));
    };
    let mut sender = Sender {
        conversation: Conversation::new(Role::Client, Repertoire::default()),
        source,
        complete: false,
        console: &mut console,
        traffic: Traffic::new(options.verbose),
        terminal: stdout_is_terminal(),
        peer: &target.address,
        parts: Parts::new(),
        said: Vec::new(),
    };
    let ended = dialogue::converse(socket, Framing::default(), &mut sender, &stop, input.as_ref(), &output);
    let complete = sender.complete;
    verdict(ended, complete, &target.address, &mut console)
}

/// The one message of the arguments, with its LF.
fn message(words: &[String], console: &Console) -> Result<Vec<u8>, Failure> {
    let mut line = match words {
        [line] if line.contains('?') => checked_line(line)?.as_bytes().to_vec(),
        words => {
            let mut parts = Parts::new();
            for note in read_message(words, &Reading::default(), &mut parts)? {
                console.note(note);
            }
            let mut line = Vec::new();
            write_line(&parts, None, &Form::default(), &mut line).map_err(|why| Failure::Usage(why.to_string()))?;
            line
        }
    };
    line.push(b'\n');
    Ok(line)
}

/// A BCP line that was typed, which goes out as it stands.
fn checked_line(line: &str) -> Result<&str, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("{}: {why}", shown(line.as_bytes())));
    if line.contains(['\n', '\r']) {
        return Err(wrong("a line break ends a message; write several messages to stdin, a line each"));
    }
    if line.bytes().find(|&b| !is_white(b)).is_none_or(|first| first == b'#') {
        return Err(wrong("a comment is not sent: to some peers it is a command; write COMMAND?NAME=VALUE"));
    }
    if line.len() > LINE_BYTES_MAX {
        return Err(wrong("a line is at most 1 MiB long"));
    }
    match payload_marker(line.as_bytes()).map(|marker| marker.length) {
        None | Some(Some(0)) => Ok(line),
        // The peer would take whatever comes next, our goodbye first, for the payload.
        Some(_) => Err(wrong("it announces a payload, which only a stream on stdin can carry")),
    }
}

/// Where the messages come from.
enum Source {
    /// The arguments; `None` once it has gone.
    One(Option<Vec<u8>>),
    /// Standard input, each message sent when it arrives.
    Stream(Box<Stream>),
}

/// The script of `send`.
struct Sender<'a> {
    conversation: Conversation,
    source: Source,
    /// Whether everything that was to be said has been.
    complete: bool,
    console: &'a mut Console,
    traffic: Traffic,
    terminal: bool,
    peer: &'a Address,
    parts: Parts,
    said: Vec<u8>,
}

impl Script for Sender<'_> {
    fn next(&mut self, _now: Instant, outbox: &mut Outbox) -> Step {
        if self.complete || self.conversation.peer_has_left() {
            return Step::Done;
        }
        match &mut self.source {
            Source::One(message) => {
                if let Some(message) = message.take() {
                    let line = message.strip_suffix(b"\n").unwrap_or(&message);
                    // The only message may be a goodbye, which is then not said twice.
                    if self.conversation.say(&command(line)).is_ok() {
                        self.traffic.sent(line, None);
                        outbox.push(&message);
                    }
                }
                self.complete = true;
                Step::Done
            }
            Source::Stream(_) => self.send_stream(outbox),
        }
    }

    fn heard(&mut self, frame: &Frame<'_>, outbox: &mut Outbox, printed: &mut Vec<u8>) {
        let message = match frame {
            Frame::Message(message) => message,
            Frame::Ignored { .. } => return,
            Frame::Bad { number, fault } => return complain_of_frame(self.console, self.peer, *number, *fault),
        };
        self.traffic.came(message);
        self.said.clear();
        let effect = match self.parts.read_line(message.text(), &Reading::default()) {
            Ok(()) => self.conversation.hear(&self.parts, &mut self.said),
            Err(why) => {
                self.console.complain(Exit::No, format_args!("{}: line {}", self.peer, message.number), why);
                self.conversation.hear_malformed(message.line, &mut self.said)
            }
        };
        self.traffic.sent_lines(&self.said);
        outbox.push(&self.said);
        match effect {
            Effect::DealtWith | Effect::PeerLeft | Effect::Ready => {}
            Effect::Passed | Effect::Fault(_) => print(message, self.terminal, printed),
        }
    }

    fn farewell(&mut self, outbox: &mut Outbox) {
        self.said.clear();
        self.conversation.leave(&mut self.said);
        self.traffic.sent_lines(&self.said);
        outbox.push(&self.said);
    }

    fn wants_input(&self) -> bool {
        !self.complete && matches!(&self.source, Source::Stream(stream) if !stream.has_ended())
    }

    fn input(&mut self, bytes: io::Result<&[u8]>) {
        let Source::Stream(stream) = &mut self.source else { return };
        match bytes {
            Ok([]) => stream.end(),
            Ok(bytes) => stream.feed(bytes),
            Err(error) => {
                stream.end();
                self.console.survive(&Failure::io("cannot read <stdin>", &error));
            }
        }
    }
}

impl Sender<'_> {
    /// Sends what has arrived, as far as there is room.
    fn send_stream(&mut self, outbox: &mut Outbox) -> Step {
        let Sender { source, conversation, console, traffic, .. } = self;
        let Source::Stream(stream) = source else { return Step::Done };
        while outbox.has_room(1) {
            match stream.next_item() {
                Item::Dry => break,
                Item::Over => {
                    self.complete = true;
                    break;
                }
                Item::Wrong { number, why } => console.complain(Exit::No, format_args!("<stdin>:{number}"), why),
                Item::Message { number, line, whole } => {
                    if let Err(misuse) = conversation.say(&command(line)) {
                        console.complain(
                            Exit::No,
                            format_args!("<stdin>:{number}"),
                            format_args!("not sent: {misuse}"),
                        );
                        self.complete = true;
                        break;
                    }
                    traffic.sent(line, whole.len().checked_sub(line.len() + 1).filter(|&payload| payload > 0));
                    outbox.push(whole);
                }
            }
        }
        match (self.complete, outbox.is_empty()) {
            (true, _) => Step::Done,
            (false, true) => Step::ReadOn,
            (false, false) => Step::Write,
        }
    }
}

/// Appends a message as it stands, or so that it cannot move a terminal's cursor.
pub fn print(message: &RawMessage<'_>, terminal: bool, printed: &mut Vec<u8>) {
    if !terminal {
        return printed.extend_from_slice(message.raw);
    }
    push_for_terminal(message.line, printed);
    if let Some(payload) = message.payload {
        printed.extend_from_slice(format!(" <{} bytes>", payload.len()).as_bytes());
    }
    printed.push(b'\n');
}
