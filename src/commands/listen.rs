//! `backbox listen`: a media controller for whoever dials, which prints what comes (design.md, section 10).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::dial::MEDIA_PORT;
use super::media::{MediaController, category_words, settings, subscriptions};
use super::shared::{HasManners, HasTraffic, Manners};
use super::traffic::Traffic;
use crate::cli::{About, Command, Complete, Example, Flag, Group, number, text};
use crate::failure::{Exit, Failure, plain_words};
use crate::net::SocketAddr;
use crate::net::address::Address;
use crate::net::server::{Ended, Server};
use crate::net::wait::{Output, Stop};
use crate::text::shown;

/// How many peers are served at once unless told otherwise.
pub const CONNECTIONS_MAX: usize = 64;

/// What `backbox listen` was told.
#[derive(Debug)]
pub struct Options {
    manners: Manners,
    verbose: bool,
    /// Where to bind; port 0 takes a free one.
    address: Option<String>,
    /// The file that gets the address once it accepts.
    announce: Option<PathBuf>,
    /// The categories to subscribe to, or `all`, or `none`; empty is the default list.
    monitor: Vec<String>,
    /// The events to register for.
    register: Vec<String>,
    /// Whether the first connection that closes ends it.
    once: bool,
    connections_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            manners: Manners::default(),
            verbose: false,
            address: None,
            announce: None,
            monitor: Vec::new(),
            register: Vec::new(),
            once: false,
            connections_max: CONNECTIONS_MAX,
        }
    }
}

impl HasManners for Options {
    fn manners(&mut self) -> &mut Manners {
        &mut self.manners
    }
}

impl HasTraffic for Options {
    fn verbose(&mut self) -> &mut bool {
        &mut self.verbose
    }
}

/// The table of `backbox listen`.
pub const COMMAND: Command<Options> = Command {
    about: About {
        name: "listen",
        summary: "be the media controller of whoever dials, and print what comes",
        synopsis: &["[*FLAG*]..."],
        description: &[
            "Binds, serves everyone who dials, many at once, and prints the messages that come as they stand, payloads \
             too. It answers `hello`, and commands that nobody knows with an `error`. To the first `reset` of a \
             connection it \
             subscribes and says `reset_complete`, in one write: without subscriptions a whole game is two lines.",
            "It ends with a signal, when nobody reads its output any more, or with `--once`. Leaving it says \
                `goodbye`, which \
             ends an MPF whose `exit_on_close` is true (its default).",
            "A malformed line is printed all the same, reported on standard error, and answered with an `error`. A \
                peer that \
             does not read is reset; one that speaks HTTP is dropped.",
        ],
        arguments: &[],
        sections: &[],
        exits: &[Exit::Done, Exit::No, Exit::Usage, Exit::Io, Exit::Peer],
        examples: &[
            Example { line: "backbox listen > game.bcp", text: "Captures what MPF says to its media controller." },
            Example {
                line: "backbox listen --monitor switches | backbox decode",
                text: "Watches the switches, as \
                JSON.",
            },
            Example {
                line: "backbox listen -a 127.0.0.1:0 --announce addr --once",
                text: "Takes a free port, writes it to a file, and ends when the first peer closes.",
            },
        ],
        see_also: &[("backbox", 1), ("backbox-send", 1), ("bcp", 7)],
    },
    groups: &[
        Group {
            title: "Connections",
            flags: &[
                Flag::value("addr", "ADDRESS", "where to bind", |o: &mut Options, value| {
                    o.address = Some(text(value)?);
                    Ok(())
                })
                .short('a')
                .more(
                    "`HOST:PORT`, `HOST`, `:PORT`, `PORT` or `[::1]:PORT`; `127.0.0.1:5050`, where MPF dials, \
                        unless given. \
                     Port 0 takes a free one. BCP has no authentication, so binding more than this machine is said.",
                ),
                Flag::value(
                    "announce",
                    "FILE",
                    "write the address to FILE once it accepts",
                    |o: &mut Options, value| {
                        o.announce = Some(value.into());
                        Ok(())
                    },
                )
                .more("An old file is removed at the start, so whoever waits for it may dial when it is there.")
                .complete(Complete::File),
                Flag::value("max-conns", "N", "serve at most N peers at once", |o: &mut Options, value| {
                    o.connections_max = number(&value)?;
                    Ok(())
                })
                .more("64 unless given. One more is told `error?message=too%20many%20connections` and closed."),
                Flag::switch("once", "end when the first connection closes", |o: &mut Options| o.once = true),
            ],
        },
        Group {
            title: "Subscriptions",
            flags: &[
                Flag::value("monitor", "CATEGORY", "subscribe to this category", |o: &mut Options, value| {
                    o.monitor.push(text(value)?);
                    Ok(())
                })
                .more(
                    "Replaces the default list: `core_events`, `service_events`, `modes`, `player_vars`, \
                        `machine_vars`. \
                     `all` and `none` are words too.",
                )
                .repeats()
                .complete(Complete::List(category_words)),
                Flag::value(
                    "register",
                    "EVENT",
                    "ask for a trigger when this event happens",
                    |o: &mut Options, value| {
                        o.register.push(text(value)?);
                        Ok(())
                    },
                )
                .repeats(),
            ],
        },
        Group { title: "Manners", flags: &[Flag::VERBOSE, Flag::QUIET, Flag::COLOR] },
    ],
    operands: None,
};

/// Serves until a signal comes, stdout's reader has gone, or with `once` the first connection has closed.
///
/// # Errors
/// An address that cannot be bound, a file or a stdout that cannot be written.
pub fn run(options: Options) -> Result<Exit, Failure> {
    let console = options.manners.console();
    let subscriptions = subscriptions(&options.monitor, &options.register)?;
    if let Some(file) = &options.announce {
        withdraw(file)?;
    }
    let stop = Stop::on_signals().map_err(|error| Failure::io("cannot watch for signals", &error))?;
    let output = Arc::new(Output::stdout().map_err(|error| Failure::output(&error))?);
    let (server, address) = bind(options.address.as_deref())?;
    if !address.ip().is_loopback() {
        console.note(format_args!(
            "{address} can be reached from other machines, and BCP has no authentication: anyone there can play"
        ));
    }
    if let Some(file) = &options.announce {
        announce(file, address)?;
    }
    console.note(format_args!("listening on {address}"));
    let host = MediaController::new(subscriptions, Some(Arc::clone(&output)), console)
        .once(options.once)
        .traffic(Traffic::new(options.verbose));
    let served = server.run(settings(options.connections_max), host, &stop, Some(&output));
    let (ended, host) = served.map_err(|error| Failure::io(format_args!("cannot serve {address}"), &error))?;
    if let Ended::Stopped(Some(signal)) = ended {
        return Ok(Exit::Signal(signal));
    }
    let Some(host) = host else { return Ok(Exit::Done) };
    match host.failure {
        None | Some(Failure::ReaderGone) => Ok(host.console.worst()),
        Some(failure) => Err(failure),
    }
}

/// Binds, and says what else to try when that fails.
fn bind(text: Option<&str>) -> Result<(Server, SocketAddr), Failure> {
    let default = Address::new("127.0.0.1", MEDIA_PORT);
    let address = text.map_or(Ok(default.clone()), |text| Address::parse(text, &default)).map_err(Failure::Usage)?;
    let mut sockets =
        address.resolve().map_err(|error| Failure::io(format_args!("cannot resolve {address}"), &error))?;
    // MPF dials the IPv4 loopback address, whatever localhost means here.
    sockets.sort_by_key(SocketAddr::is_ipv6);
    let complaint = |error: &io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "; another media controller, or another backbox, has it; -a 127.0.0.1:0 takes a free port"
            }
            io::ErrorKind::PermissionDenied => "; ports below 1024 are the system's; take a higher one",
            io::ErrorKind::AddrNotAvailable => "; this machine has no such address; -a 127.0.0.1 is its own",
            _ => "",
        };
        Failure::Io(format!("cannot listen on {address}: {}{hint}", plain_words(error)))
    };
    let server = Server::bind(&sockets).map_err(|error| complaint(&error))?;
    let bound = server.address().map_err(|error| complaint(&error))?;
    Ok((server, bound))
}

/// Removes an old announcement: whoever waits for the file must not read the address of an earlier run.
fn withdraw(file: &Path) -> Result<(), Failure> {
    let is_file = fs::symlink_metadata(file).is_ok_and(|found| found.is_file() || found.is_symlink());
    match is_file.then(|| fs::remove_file(file)) {
        Some(Err(error)) => Err(Failure::io(format_args!("cannot remove the old {}", name(file)), &error)),
        _ => Ok(()),
    }
}

/// Writes the address: beside the file and renamed, so that nobody reads half of it; something like `/dev/fd/3`
/// directly.
fn announce(file: &Path, address: SocketAddr) -> Result<(), Failure> {
    let text = format!("{address}\n");
    let written = match fs::metadata(file) {
        Ok(found) if !found.is_file() => fs::write(file, text),
        _ => {
            let mut beside = file.as_os_str().to_owned();
            beside.push(format!(".{}", std::process::id()));
            let beside = PathBuf::from(beside);
            let renamed = fs::write(&beside, text).and_then(|()| fs::rename(&beside, file));
            if renamed.is_err() {
                let _ = fs::remove_file(&beside);
            }
            renamed
        }
    };
    written.map_err(|error| Failure::io(format_args!("cannot write {}", name(file)), &error))
}

fn name(file: &Path) -> String {
    shown(file.as_os_str().as_encoded_bytes())
}
