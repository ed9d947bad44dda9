//! `backbox replay`: plays a recorded session to a peer over a real connection (design.md, section 11).

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::dial::{MEDIA_PORT, Target};
use super::ending::{Wanted, verdict};
use super::listener::{Listener, Setup};
use super::media::{CATEGORIES_OF_MEDIA, settings, subscriptions};
use super::player::{Player, Speed};
use super::recording::{Recording, Survey, count};
use super::shared::{Dialling, Manners, Verbose, has};
use super::traffic::Traffic;
use crate::cli::{About, Command, Complete, Example, Flag, Group, Operands, text};
use crate::failure::{Exit, Failure};
use crate::framing::Framing;
use crate::net::address::Address;
use crate::net::dialogue::{self, Reason};
use crate::net::server::{Background, Server};
use crate::net::wait::{Output, Stop, wake_precisely};

/// What `backbox replay` was told.
#[derive(Debug, Default)]
pub struct Options {
    manners: Manners,
    dialling: Dialling,
    verbose: Verbose,
    speed: Speed,
    loopback: bool,
    files: Vec<OsString>,
}

has!(Options { manners: Manners, dialling: Dialling, verbose: Verbose });

/// The table of `backbox replay`.
pub const COMMAND: Command<Options> = Command {
    about: About {
        name: "replay",
        summary: "play a recorded session to a peer",
        synopsis: &["[*FLAG*]... *FILE*"],
        description: &[
            "Dials and plays what the dialler of a recorded session sent, at the recorded pace, and prints what \
                comes back. \
             What it is doing, and at the end what came of it, is said on standard error.",
            "Its lines leave as they were recorded, and nothing else does but a `goodbye` at the end, unless the \
                recording has \
             one. Lines recorded within 2 ms of each other leave together. After the last it stays as long as the \
             recording went on.",
            "A *FILE* without the session's first line is played as plain lines of BCP, all at once.",
        ],
        arguments: &[("*FILE*", "the session")],
        sections: &[],
        exits: &[Exit::Done, Exit::No, Exit::Usage, Exit::Io, Exit::Peer],
        examples: &[
            Example {
                line: "backbox replay --loopback --speed max game.bcp",
                text: "Plays a game to a media controller of its own, as fast as it goes.",
            },
            Example { line: "backbox replay -a localhost:5051 --retry 30s game.bcp", text: "Plays it to MPF." },
        ],
        see_also: &[("backbox", 1), ("backbox-listen", 1), ("backbox-session", 5), ("bcp", 7)],
    },
    groups: &[
        Group {
            title: "Connection",
            flags: &[
                Flag::ADDR.more(
                    "`HOST:PORT`, `HOST`, `:PORT`, `PORT` or `[::1]:PORT`; `localhost` and the port that the \
                        session names, else \
                     5050, unless given.",
                ),
                Flag::RETRY,
                Flag::switch("loopback", "play to a media controller in this process", |o: &mut Options| {
                    o.loopback = true
                })
                .more("The one that `backbox listen` is, over a real connection on a free port."),
            ],
        },
        Group {
            title: "Pace",
            flags: &[Flag::value("speed", "X", "so many times the recorded pace", |o: &mut Options, value| {
                o.speed = Speed::parse(&text(value)?)?;
                Ok(())
            })
            .more("A number above 0, such as `2` or `0.5`, or `max`: as fast as the peer takes it.")],
        },
        Group { title: "Manners", flags: &[Flag::VERBOSE, Flag::QUIET, Flag::COLOR] },
    ],
    operands: Some(Operands {
        complete: Complete::File,
        set: |o, word| {
            o.files.push(word);
            Ok(())
        },
    }),
};

/// Runs `backbox replay`.
///
/// # Errors
/// A file that cannot be played, an address that cannot be reached, a connection that is lost before the last line has
/// gone, a stdout that cannot be written.
pub fn run(options: Options) -> Result<Exit, Failure> {
    let file = check(&options)?;
    let mut console = options.manners.console(COMMAND.about.name);
    let (recording, survey) = Recording::open(file, &console)?;
    let peer = Peer::find(&options, &survey)?;
    let stop = Stop::on_signals().map_err(|error| Failure::io("cannot watch for signals", &error))?;
    let output = Output::stdout().map_err(|error| Failure::output(&error))?;
    console.note(format_args!("playing {} ({}) to {}", survey.name, survey.size(), peer.name()));
    let Some(socket) = peer.target.dial(options.dialling.retry, &stop, &console)? else {
        peer.end();
        return Ok(stop.signal().map_or(Exit::Done, Exit::Signal));
    };
    wake_precisely();
    let start = Instant::now();
    let address = peer.target.address.clone();
    let traffic = Traffic::new(options.verbose.0);
    let mut player = Player::new(recording, options.speed, traffic, &address, &mut console);
    let ended = dialogue::converse(socket, Framing::default(), &mut player, &stop, None, &output);
    let summary = summary(&player, &survey, &peer, start.elapsed(), &ended.reason);
    let (complete, failure) = (player.complete, player.failure);
    console.note(summary);
    let heard = peer.end();
    match failure {
        Some(failure) => Err(failure),
        None => verdict(ended, Wanted { complete, ..Wanted::default() }, &address, &mut console)
            .map(|exit| exit.worse(heard)),
    }
}

/// The one file to play.
fn check(options: &Options) -> Result<&Path, Failure> {
    let wrong = |why: &str| Err(Failure::Usage(why.to_owned()));
    let file = match options.files.as_slice() {
        [] => return wrong("a session is missing: write backbox replay FILE"),
        [file] => Path::new(file),
        [_, _, ..] => return wrong("one session is played at a time; write one FILE"),
    };
    if options.loopback && options.dialling.address.is_some() {
        return wrong(
            "--loopback plays to a media controller in this process, so there is nobody to dial: leave out -a",
        );
    }
    if options.loopback && !options.dialling.retry.is_zero() {
        return wrong(
            "--loopback plays to a media controller in this process, which is there at once: leave out --retry",
        );
    }
    Ok(file)
}

/// Who is played to.
struct Peer {
    target: Target,
    built_in: Option<Background<Listener>>,
}

impl Peer {
    /// The address that is dialled, or a media controller of our own.
    fn find(options: &Options, survey: &Survey) -> Result<Peer, Failure> {
        if !options.loopback {
            let port = survey.port.unwrap_or(MEDIA_PORT);
            let target = Target::resolve(options.dialling.address.as_deref(), port)?;
            return Ok(Peer { target, built_in: None });
        }
        let cannot = |error| Failure::io("cannot start the built-in media controller", &error);
        let local = Address::new("127.0.0.1", 0).resolve().map_err(cannot)?;
        let server = Server::bind(&local).map_err(cannot)?;
        let target = Target::known(server.address().map_err(cannot)?);
        let subscriptions = subscriptions(&[], &[], &CATEGORIES_OF_MEDIA)?;
        let host = Listener::new(
            Setup { subscriptions, ..Setup::default() },
            None,
            options.manners.console(COMMAND.about.name),
        );
        let built_in = server.in_background(settings(1), host).map_err(cannot)?;
        Ok(Peer { target, built_in: Some(built_in) })
    }

    fn name(&self) -> String {
        match self.built_in {
            Some(_) => format!("the built-in media controller at {}", self.target.address),
            None => self.target.address.to_string(),
        }
    }

    /// Says farewell; what a media controller of our own complained of counts for the exit status.
    fn end(self) -> Exit {
        self.built_in.and_then(Background::stop).map_or(Exit::Done, |listener| listener.console.worst())
    }
}

/// What came of it, in a sentence.
fn summary(player: &Player<'_>, survey: &Survey, peer: &Peer, took: Duration, reason: &Reason) -> String {
    let who = if peer.built_in.is_some() { "the built-in media controller".to_owned() } else { peer.name() };
    let end = match reason {
        Reason::Done if player.complete => "done",
        Reason::Stopped(_) => "stopped by a signal",
        Reason::Done | Reason::Closed => "it closed before the end",
        Reason::Lost(_) => "the connection was lost",
        Reason::TimeUp => "the time was up",
        Reason::Broken(_) => "it broke the framing",
        Reason::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => "nobody reads the output any more",
        Reason::Output(_) => "the output cannot be written",
        Reason::Poll(_) => "the system's poll failed",
    };
    let (sent, heard) = (count(player.sent, "message"), count(player.heard, "message"));
    let took = match took.as_millis() {
        0 => "less than 1 ms".to_owned(),
        short @ 1..1000 => format!("{short} ms"),
        _ => format!("{:.1} s", took.as_secs_f64()),
    };
    format!("replayed {sent} of {} in {took}; {who} answered with {heard}; {end}", survey.name)
}
