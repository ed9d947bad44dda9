//! `backbox send`: one message, or a stream of them, to a running game (design.md, section 9).

use super::arguments::read_message;
use super::dial::{PIN_PORT, Target};
use super::ending::{closing, verdict};
use super::recorder::{HasRecord, RecordWish};
use super::sender::{Sender, Source, record};
use super::shared::{Dialling, HasDialling, HasManners, HasTraffic, Manners};
use super::traffic::Traffic;
use crate::catalogue;
use crate::cli::{About, Command, Complete, Example, Flag, Group, Operands, Section, text};
use crate::codec::{Form, Parts, Reading, write_line};
use crate::conversation::{Conversation, Repertoire, Role};
use crate::failure::{Exit, Failure};
use crate::framing::{Framing, RawMessage, payload_marker};
use crate::limits::LINE_BYTES_MAX;
use crate::net::dialogue;
use crate::net::wait::{Input, Output, Stop};
use crate::output::{Console, push_for_terminal, stdout_is_terminal};
use crate::session::Side;
use crate::text::{is_white, shown};

/// The variable that says where to dial when no `-a` does.
pub const ADDRESS_VARIABLE: &str = "BACKBOX_ADDR";

/// What `backbox send` was told.
#[derive(Debug, Default)]
pub struct Options {
    manners: Manners,
    dialling: Dialling,
    record: RecordWish,
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

impl HasRecord for Options {
    fn record(&mut self) -> &mut RecordWish {
        &mut self.record
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
        Group { title: "Recording", flags: &[Flag::RECORD, Flag::OVERWRITE] },
        Group { title: "Manners", flags: &[Flag::VERBOSE, Flag::QUIET, Flag::COLOR] },
    ],
    operands: Some(Operands {
        complete: Complete::List(commands),
        set: |o, word| {
            o.words.push(text(word)?);
            Ok(())
        },
    }),
};

fn commands() -> Vec<String> {
    catalogue::COMMANDS.iter().filter(|entry| !entry.historical).map(|entry| entry.name.to_owned()).collect()
}

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
    let recorder = options.record.open(&format!("dialling {}", target.address), target.address.port)?;
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
        recorder,
        terminal: stdout_is_terminal(),
        peer: &target.address,
        parts: Parts::new(),
        said: Vec::new(),
    };
    let ended = dialogue::converse(socket, Framing::default(), &mut sender, &stop, input.as_ref(), &output);
    record(&mut sender.recorder, sender.console, |recorder| {
        recorder.ended(1, &closing(&ended), Side::Acceptor, &ended.unfinished)
    });
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
