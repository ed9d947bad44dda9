//! `backbox listen`: a media controller for whoever dials, which prints what comes (design.md, section 10).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::dial::MEDIA_PORT;
use super::media::{MediaController, settings, subscriptions};
use super::traffic::Traffic;
use crate::failure::{Exit, Failure, plain_words};
use crate::net::SocketAddr;
use crate::net::address::Address;
use crate::net::server::{Ended, Server};
use crate::net::wait::{Output, Stop};
use crate::output::{Color, Console};
use crate::text::shown;

/// How many peers are served at once unless told otherwise.
pub const CONNECTIONS_MAX: usize = 64;

/// What `listen` is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to bind (`-a`); else `127.0.0.1:5050`. Port 0 takes a free one.
    pub address: Option<String>,
    /// The file that gets the address once it accepts (`--announce`).
    pub announce: Option<PathBuf>,
    /// The categories to subscribe to (`--monitor`), or `all`, or `none`; empty is the default list.
    pub monitor: Vec<String>,
    /// The events to register for (`--register`).
    pub register: Vec<String>,
    /// Ends when the first connection closes (`--once`).
    pub once: bool,
    /// How many peers are served at once (`--max-conns`).
    pub connections_max: usize,
    /// Shows the traffic on stderr (`-v`).
    pub verbose: bool,
    /// No notes (`-q`).
    pub quiet: bool,
    /// When stderr is coloured.
    pub color: Color,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            address: None,
            announce: None,
            monitor: Vec::new(),
            register: Vec::new(),
            once: false,
            connections_max: CONNECTIONS_MAX,
            verbose: false,
            quiet: false,
            color: Color::default(),
        }
    }
}

/// Serves until a signal comes, stdout's reader has gone, or with `once` the first connection has closed.
///
/// # Errors
/// An address that cannot be bound, a file or a stdout that cannot be written.
pub fn run(options: Options) -> Result<Exit, Failure> {
    let console = Console::new(options.quiet, options.color);
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

/// Writes the address: beside the file and renamed, so that nobody reads half of it; something like `/dev/fd/3` directly.
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
