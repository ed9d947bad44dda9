//! `backbox replay`: plays one side of a recorded session to a peer over a real connection.
//!
//! `options` has what was typed, this file begins the run, and `replayer` is the handler that plays on the network
//! loop. `playing` is one file on its way, `source` reads recordings, `clock` says when each message is due, `checking`
//! is about checks.

mod checking;
mod clock;
mod dry_run;
mod options;
mod playing;
mod replayer;
mod source;

use std::path::Path;
use std::time::Instant;

pub(super) use options::COMMAND;

use crate::cli::Given;
use crate::commands::addresses::Place;
use crate::commands::listen::peers::Peers;
use crate::commands::recorder::Traffic;
use crate::commands::result_file::ResultFile;
use crate::commands::run::{TimeLimits, drive, open_net};
use crate::commands::shared::{OutputOptions, wants_table};
use crate::exit::{Exit, Failure};
use crate::framing::{FramingOptions, Wire};
use crate::net::{Net, NetSettings, SocketAddr, Stopper, run_in_background};
use crate::output::show::{Show, Style};
use crate::output::table::{EndNames, Table};
use crate::output::{Console, stdout_is_terminal};
use checking::Checking;
use options::{ReplayOptions, compares};
use playing::Playing;
use replayer::Replayer;
use source::Recording;

/// Runs `backbox replay`.
///
/// # Errors
/// Options that make no sense together, and what ends the run.
fn run(given: &Given) -> Result<Exit, Failure> {
    let (options, output) = (ReplayOptions::read(given)?, OutputOptions::read(given));
    let mut console = output.console(COMMAND.help.name);
    if given.has("dry-run") {
        return dry_run::run(Path::new(&given.words[0]), options.choice, &mut console);
    }
    let mut limits = TimeLimits::new(options.timeout, None);
    limits.begin(Instant::now());
    let opened = given.words.iter().map(|file| open(given, &options, Path::new(file), &mut console));
    let opened: Vec<_> = opened.collect::<Result<_, Failure>>()?;
    let (port, overwrite) = (opened[0].0.port(), options.record.overwrite);
    let junit = options.junit.as_ref().map(|path| ResultFile::new(path, "the report", overwrite)).transpose()?;
    let mut recorder = options.record.open_file()?;
    let mut net = open_net(NetSettings {
        framing: options.choice.framing.clone(),
        recording: recorder.take_file(),
        ..NetSettings::default()
    })?;
    let start = || start_media_controller(options.choice.framing.clone(), &output);
    let media = given.has("loopback").then(start).transpose()?;
    let (address, announce) = (options.address.as_deref(), options.announce.as_deref());
    let place = Place { address, port: Some(port), announce, wire: Wire::Bcp };
    let bound = given.has("serve").then(|| place.listen(&mut net)).transpose()?;
    let own = media.as_ref().map(|(address, _)| *address).or(bound);
    let files = opened.into_iter().map(|opened| Playing::new(&options, opened, own));
    let files: Vec<Playing> = files.collect::<Result<_, Failure>>()?;
    let address = &files[0].target.address;
    let verb = if bound.is_some() { "listening on" } else { "connecting to" };
    recorder.begin(&format!("{verb} {address}"), address.port)?;
    let color = output.color;
    let style = if wants_table(given) {
        let mut table = Table::new(EndNames::of_port(port));
        // What is sent from a recording is dimmed.
        table.dimmed = Some(options.choice.side);
        Style::Table(table)
    } else {
        Style::Raw
    };
    let mut replayer = Replayer {
        files,
        current: 0,
        is_over: false,
        side: options.choice.side,
        compares: compares(given),
        is_colored: color.is_on(stdout_is_terminal()),
        limits,
        traffic: Traffic { is_shown: given.has("verbose") },
        recorder,
        show: Show::new(style, Vec::new(), Vec::new()).for_stdout(color, false),
        progress: console.progress(),
        console: &mut console,
    };
    replayer.begin(&mut net);
    if let Some(bound) = bound {
        place.announce(bound)?;
    }
    drive(&mut net, &mut replayer)?;
    // What the built-in media controller reports counts where it is not compared.
    let peers = media.and_then(|(_, stop)| stop()).filter(|_| !compares(given));
    replayer.finish(junit.as_ref(), peers.map_or(Exit::Success, |peers| peers.observer.console.worst()))
}

/// Opens a file, reports what the guard finds in it, and prepares its check.
///
/// # Errors
/// It cannot be read, played or checked.
fn open(
    given: &Given,
    options: &ReplayOptions,
    path: &Path,
    console: &mut Console,
) -> Result<(Recording, Option<Checking>), Failure> {
    let mut recording = Recording::open(path, options.choice.clone())?;
    // The built-in media controller is no MPF.
    recording.survey(!given.has("loopback"), console)?;
    let checks = compares(given) || given.has("serve");
    let checking = checks.then(|| Checking::prepare(given, options.check.clone(), path, &mut recording)).transpose()?;
    Ok((recording, checking))
}

/// Starts the media controller of `--loopback` in a thread of its own, on a free port.
///
/// # Errors
/// The system gives no socket or thread.
fn start_media_controller(
    framing: FramingOptions,
    output: &OutputOptions,
) -> Result<(SocketAddr, Stopper<Peers>), Failure> {
    let start = |error| Failure::io("cannot start the built-in media controller", &error);
    let mut net = Net::new(NetSettings { framing, ..NetSettings::default() }).map_err(start)?;
    let place = Place { address: None, port: Some(0), announce: None, wire: Wire::Bcp };
    let address = place.listen(&mut net)?;
    let peers = Peers::built_in(output.console(COMMAND.help.name));
    Ok((address, run_in_background(net, peers).map_err(start)?))
}
