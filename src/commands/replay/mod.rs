//! `backbox replay`: plays one side of a recorded session to a peer over a real connection.
//!
//! `options` has what was typed, this file makes a plan of it, and `replayer` is the handler that plays on the network
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
use crate::commands::recorder::{Recorder, Traffic};
use crate::commands::result_file::ResultFile;
use crate::commands::run::{TimeLimits, drive, open_net};
use crate::exit::{Exit, Failure};
use crate::framing::Wire;
use crate::net::{Net, NetSettings, SocketAddr, Stopper, run_in_background};
use crate::output::show::{Show, Style};
use crate::output::table::{EndNames, Table};
use crate::output::{Console, stdout_is_terminal};
use checking::Checking;
use options::Options;
use playing::Playing;
use replayer::Replayer;
use source::Recording;

/// Runs `backbox replay`.
///
/// # Errors
/// Options that make no sense together, and what ends the run.
fn run(given: &Given) -> Result<Exit, Failure> {
    let options = Options::read(given)?;
    options.validate()?;
    let mut console = options.output.console(COMMAND.help.name);
    if options.dry_run {
        return dry_run::run(Path::new(&options.files[0]), options.choice(), &mut console);
    }
    let mut limits = TimeLimits::new(Some(options.timeout).filter(|timeout| !timeout.is_zero()), None);
    limits.begin(Instant::now());
    let mut opened = Vec::new();
    for file in &options.files {
        opened.push(open(&options, Path::new(file), &mut console)?);
    }
    let port = opened[0].0.port();
    let overwrite = options.record.overwrite;
    let junit = options.junit.as_ref().map(|path| ResultFile::new(path, "the report", overwrite)).transpose()?;
    let has_record = options.record.file.is_some();
    let mut recorder = if has_record { options.record.open_file()? } else { Recorder::default() };
    let mut net = open_net(NetSettings {
        framing: options.limits.framing(),
        recording: recorder.take_file(),
        ..NetSettings::default()
    })?;
    let media = options.loopback.then(|| start_media_controller(&options)).transpose()?;
    let announce = options.announce.as_deref();
    let place = Place { address: options.connect.address.as_deref(), port: Some(port), announce, wire: Wire::Bcp };
    let bound = options.serve.then(|| place.listen(&mut net)).transpose()?;
    let own = media.as_ref().map(|(address, _)| *address).or(bound);
    let files = opened.into_iter().map(|opened| Playing::new(&options, opened, own));
    let files: Vec<Playing> = files.collect::<Result<_, Failure>>()?;
    let address = &files[0].target.address;
    let verb = if options.serve { "listening on" } else { "connecting to" };
    recorder.begin(&format!("{verb} {address}"), address.port)?;
    let color = options.output.color;
    let style = if options.wants_table {
        let mut table = Table::new(EndNames::of_port(port));
        // What is sent from a recording is dimmed.
        table.dimmed = Some(options.side());
        Style::Table(table)
    } else {
        Style::Raw
    };
    let mut replayer = Replayer {
        files,
        current: 0,
        is_over: false,
        side: options.side(),
        compares: options.compares(),
        is_colored: color.is_on(stdout_is_terminal()),
        retry: options.connect.retry,
        limits,
        traffic: Traffic { is_shown: options.verbose },
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
    let peers = media.and_then(|(_, stop)| stop()).filter(|_| !options.compares());
    replayer.finish(junit.as_ref(), peers.map_or(Exit::Success, |peers| peers.observer.console.worst()))
}

/// Opens a file, reports what the guard finds in it, and prepares its check.
///
/// # Errors
/// It cannot be read, played or checked.
fn open(options: &Options, path: &Path, console: &mut Console) -> Result<(Recording, Option<Checking>), Failure> {
    let mut recording = Recording::open(path, options.choice())?;
    // The built-in media controller is no MPF.
    recording.survey(!options.loopback, console)?;
    let checks = options.compares() || options.serve;
    let checking = checks.then(|| Checking::prepare(options, path, &mut recording)).transpose()?;
    Ok((recording, checking))
}

/// Starts the media controller of `--loopback` in a thread of its own, on a free port.
///
/// # Errors
/// The system gives no socket or thread.
fn start_media_controller(options: &Options) -> Result<(SocketAddr, Stopper<Peers>), Failure> {
    let start = |error| Failure::io("cannot start the built-in media controller", &error);
    let settings = NetSettings { framing: options.limits.framing(), ..NetSettings::default() };
    let mut net = Net::new(settings).map_err(start)?;
    let place = Place { address: None, port: Some(0), announce: None, wire: Wire::Bcp };
    let address = place.listen(&mut net)?;
    let peers = Peers::built_in(options.output.console(COMMAND.help.name));
    Ok((address, run_in_background(net, peers).map_err(start)?))
}
