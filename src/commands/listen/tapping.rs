//! `listen --forward`: in between two programs, printing and recording what they say (design.md, section 10).
//!
//! What it does to the two is `net`'s business, and the rule there is that nothing here can harm them.

use std::sync::Arc;

use super::canonical::Canonical;
use super::listener::{exit_of, narrow, side, survive};
use super::parting;
use super::printing::{Printing, Speaker};
use super::serving::{bind, deadline, long_frames_bytes_max, outcome, printing, signal_of, unread, welcome};
use super::{COMMAND, Options};
use crate::bcp::template::Side;
use crate::bcp::{Message, ParseOptions};
use crate::commands::dial::{MEDIA_PORT, Target};
use crate::commands::ending::catch_signals;
use crate::commands::recorder::Recorder;
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure, plain_words};
use crate::framing::{Frame, RawMessage};
use crate::limits::CONNECTIONS_MAX;
use crate::net::SocketAddr;
use crate::net::address::is_of_this_machine;
use crate::net::connection::Left;
use crate::net::forward::{After, Ear, Ears, MakeRewrite, Notice, Settings};
use crate::net::pump::{Heard, What};
use crate::net::wait::Output;
use crate::output::{Console, say};
use crate::text::shown;

/// Forwards until a signal comes, the goals are met, the time is up, or with `--once` the first pair has ended.
///
/// # Errors
/// An address that cannot be bound, is no address, or is our own; a file or a stdout that cannot be written; a goal
/// that was not met.
pub fn run(options: &Options, target: &str) -> Result<Exit, Failure> {
    let console = options.output.console(COMMAND.help.name);
    let output = Arc::new(Output::stdout().map_err(|error| Failure::output(&error))?);
    let printing = printing(options, &output, true)?;
    let target = Target::resolve(Some(target), MEDIA_PORT)?;
    let (server, own) = bind(options)?;
    refuse_own(own, &target)?;
    let recorder = options.record.open(&format!("listening on {own}, forwarding to {}", target.address), own.port())?;
    let stop = catch_signals()?;
    welcome(options, own, &console)?;
    console.note(format_args!("forwarding to {}", target.address));
    let recorder =
        recorder.map(|recorder| RecordingEar { recorder, console: options.output.console(COMMAND.help.name) });
    let printer = PrintingEar { printing, console, traffic: Traffic::new(options.verbose.0), parts: Message::new() };
    let framing = options.input.framing();
    let settings = Settings {
        long_frames_bytes_max: long_frames_bytes_max(&framing),
        framing,
        connections_max: CONNECTIONS_MAX,
        target: target.sockets().to_vec(),
        retry: options.connect.retry,
        once: options.once,
        until: deadline(options),
        rewrite: options.canonical.then(|| rewrites(options.input.line_bytes_max)),
        notice: if options.output.quiet { complain_only } else { notice },
    };
    let records = recorder.is_some();
    let ears = Ears { printer, recorder };
    let done = server.forward(settings, ears, &stop, &output);
    let done = done.map_err(|error| Failure::io(format_args!("cannot forward to {}", target.address), &error))?;
    let recorded = match done.recorder {
        Some(recorder) => recorder.console.worst(),
        None if records => {
            say("--record: what came last is not recorded: the disk is too slow\n");
            Exit::Io
        }
        None => Exit::Done,
    };
    // With --once there was nobody else whom it could have been for; others may dial again.
    let reached = if done.unreached && options.once { Exit::Io } else { Exit::Done };
    let Some(PrintingEar { printing, console, .. }) = done.printer else { return unread(done.ended, options) };
    if let Some(exit) = signal_of(done.ended) {
        return Ok(exit);
    }
    let exit = outcome(done.ended, Some(printing), None, &console, options.goals.time(None))?;
    Ok(exit.worse(recorded).worse(reached))
}

/// What makes a rewriter for each pair.
fn rewrites(line_bytes_max: usize) -> MakeRewrite {
    Box::new(move || Box::new(Canonical::new(line_bytes_max)))
}

/// Refuses to call ourselves: each call would lead to the next.
fn refuse_own(own: SocketAddr, target: &Target) -> Result<(), Failure> {
    let is_own = |there: &SocketAddr| {
        there.port() == own.port()
            && (there.ip() == own.ip()
                || (own.ip().is_unspecified() && is_of_this_machine(there.ip()))
                // ConnectOptions no address in particular reaches this machine.
                || there.ip().is_unspecified())
    };
    match target.sockets().iter().any(is_own) {
        false => Ok(()),
        true => Err(Failure::Usage(format!(
            "--forward {} is where this listens itself, so each call would lead to the next; start the media \
             controller on another port, such as 5052, and write --forward :5052, or listen elsewhere with -a",
            target.address
        ))),
    }
}

/// With `-q` a dialler that has to wait is no news.
fn complain_only(about: Notice<'_>) {
    if !matches!(about, Notice::Waiting(..)) {
        notice(about);
    }
}

fn notice(notice: Notice<'_>) {
    say(&match notice {
        Notice::TurnedAway(peer) => format!("{peer}: reset: too many connections\n"),
        Notice::Unreached(peer, error) => {
            let why = plain_words(error);
            format!("{peer}: reset, since the target was not reached: {why}; --retry 30s waits for it\n")
        }
        Notice::Waiting(peer, error) => {
            format!("{peer}: waits for the target: {}; dialling again until it answers\n", plain_words(error))
        }
        Notice::OutOfDescriptors(error) => parting::no_descriptor(error),
        Notice::GivenUp(error) => parting::given_up(error),
    });
}

fn end_of(heard: &Heard) -> Side {
    if heard.by_dialler { Side::Client } else { Side::Server }
}

/// Prints what both sides say.
struct PrintingEar {
    printing: Printing,
    console: Console,
    traffic: Traffic,
    parts: Message,
}

impl PrintingEar {
    fn after(&mut self) -> After {
        // Said now, since the game may go on for hours.
        if let Some(failure @ Failure::Io(_)) = &self.printing.failure {
            self.console.survive(failure);
            self.printing.failure = Some(Failure::ReaderGone);
        }
        match (&self.printing.failure, self.printing.is_done()) {
            (Some(_), _) => After::Deaf,
            (None, true) => After::End,
            (None, false) => After::GoOn,
        }
    }

    fn message(&mut self, heard: &Heard, message: &RawMessage<'_>, seen: std::time::Instant) {
        let from = end_of(heard);
        match from {
            Side::Client => self.traffic.sent(message.line, message.payload.map(<[u8]>::len)),
            Side::Server => self.traffic.came(message),
        }
        let read = self.parts.parse_line(message.text(), &ParseOptions::default());
        if let Err(why) = &read {
            let place = format!("{} {}: line {}", heard.peer, from.name(), message.number);
            self.console.complain(Exit::No, place, why);
        }
        let speaker = Speaker { connection: heard.number, peer: &heard.peer, from };
        self.printing.message(message, read.is_ok().then_some(&self.parts), speaker, seen);
    }
}

impl Ear for PrintingEar {
    fn heard(&mut self, heard: &Heard) -> After {
        match &heard.what {
            What::Frames(chunk) => chunk.each(|frame| match frame {
                Frame::Message(message) => self.message(heard, message, chunk.seen),
                Frame::Ignored { .. } => {}
                Frame::Bad { number, fault } => {
                    let place = format!("{} {}: line {number}", heard.peer, end_of(heard).name());
                    self.console.complain(exit_of(*fault), place, fault);
                }
            }),
            What::NoRoom(limit) => {
                let who = end_of(heard).name();
                self.console.complain(Exit::No, &heard.peer, format_args!("the {who}'s {}", no_room(*limit)));
            }
            What::Left(Some(Left::Closed(unfinished))) if !unfinished.is_empty() => {
                let why = format!("the {} left in the middle of a line: {}", end_of(heard).name(), shown(unfinished));
                self.console.complain(Exit::No, &heard.peer, why);
            }
            What::Left(Some(Left::Lost(error))) => {
                let who = end_of(heard).name();
                self.console.note(format_args!("{}: the {who} was lost: {}", heard.peer, plain_words(error)));
            }
            What::Left(_) => {}
        }
        self.after()
    }

    fn missed(&mut self, bytes: u64) {
        let why = format!("{bytes} bytes were passed on and not printed: it is not read fast enough");
        self.console.complain(Exit::No, "<stdout>", why);
    }

    fn pause(&mut self) -> After {
        self.printing.flush();
        self.after()
    }
}

/// What becomes of a side whose frame cannot be gathered.
fn no_room(limit: usize) -> String {
    let why = format!("frame needs more than is left of {limit} bytes for all long ones");
    format!("{why}: what it says is passed on and not heard any more")
}

/// Records what both sides say.
struct RecordingEar {
    recorder: Recorder,
    console: Console,
}

impl Ear for RecordingEar {
    fn heard(&mut self, heard: &Heard) -> After {
        let (number, from) = (narrow(heard.number), end_of(heard));
        let RecordingEar { recorder, console } = self;
        match &heard.what {
            What::Frames(chunk) => {
                chunk.each(|frame| survive(console, recorder.frame(chunk.seen, number, side(from), frame)));
            }
            What::NoRoom(limit) => {
                let why = format!("connection {number}, {}: {}", from.name(), no_room(*limit));
                survive(console, recorder.comment(&why));
            }
            What::Left(left) => {
                let (how, unfinished) = match left {
                    Some(Left::Closed(unfinished)) => (format!("closed by the {}", from.name()), unfinished.as_slice()),
                    Some(Left::Lost(error)) => {
                        (format!("lost by the {}: {}", from.name(), plain_words(error)), &[][..])
                    }
                    _ => (format!("closed by the tap, {}", from.name()), &[][..]),
                };
                survive(console, recorder.ended(number, &how, side(from), unfinished));
            }
        }
        After::GoOn
    }

    fn missed(&mut self, bytes: u64) {
        let why = format!("{bytes} bytes were passed on and not recorded: the disk is too slow");
        self.console.complain(Exit::No, "--record", why);
        survive(&mut self.console, self.recorder.comment(&format!("{bytes} bytes are missing above")));
    }

    fn pause(&mut self) -> After {
        After::GoOn
    }
}
