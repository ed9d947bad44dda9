//! `backbox replay`: plays one side of a recorded session to a peer over a real connection.
//!
//! `options` has what was typed, this file makes a plan of it, and `replayer` is the handler that plays on the network
//! loop. `playing` is one file on its
//! way, `source` reads recordings, `clock` says when each message is due, `report` is about checks.

mod clock;
mod dry_run;
mod options;
mod playing;
mod replayer;
mod report;
mod source;
mod stats;
mod update;

use std::fs;
use std::path::Path;
use std::time::Instant;

pub(super) use options::COMMAND;

use crate::commands::binding::Place;
use crate::commands::dial::{MEDIA_PORT, PIN_PORT, Target};
use crate::commands::listen::peers::Peers;
use crate::commands::recorder::Recorder;
use crate::commands::result_file::ResultFile;
use crate::commands::run::{TimeLimits, drive, open_net};
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure};
use crate::framing::Wire;
use crate::net::{Background, Net, NetSettings, SocketAddr};
use crate::output::show::{Show, Style};
use crate::output::table::EndNames;
use crate::output::{Console, stdout_is_terminal};
use crate::text::file_name;
use options::Options;
use playing::Playing;
use replayer::{MessagePrinter, Replayer};
use report::Checking;
use source::{GuardSummary, Recording, Summary};

/// Runs `backbox replay`.
///
/// # Errors
/// Options that make no sense together, and what ends the run.
fn run(options: Options) -> Result<Exit, Failure> {
    options.validate()?;
    let mut console = options.output.console(COMMAND.help.name);
    if options.dry_run {
        return dry_run::run(Path::new(&options.files[0]), options.choice(), &mut console);
    }
    let mut limits = TimeLimits::new(Some(options.timeout).filter(|timeout| !timeout.is_zero()), None);
    limits.begin(Instant::now());
    let first = FilePlan::new(&options, Path::new(&options.files[0]), &mut console)?;
    let mut files = Vec::new();
    for file in &options.files[1..] {
        files.push(FilePlan::new(&options, Path::new(file), &mut console)?);
    }
    let junit = junit_file(&options)?;
    let mut recorder = recorder(&options)?;
    let mut net = open_net(NetSettings {
        framing: options.limits.framing(),
        recording: recorder.take_file(),
        ..NetSettings::default()
    })?;
    let media = if options.loopback { Some(MediaController::start(&options)?) } else { None };
    let place = Place {
        address: options.connect.address.as_deref(),
        port: Some(first.port()),
        announce: options.announce.as_deref(),
        wire: Wire::Bcp,
    };
    let bound = if options.serve { Some(place.listen(&mut net)?) } else { None };
    let printer = printer(&options, &first);
    let own = media.as_ref().map(|media| media.address).or(bound);
    let first = first.play(&options, own)?;
    let waiting = files.into_iter().map(|file| file.play(&options, own)).collect::<Result<_, Failure>>()?;
    let address = &first.target.address;
    let verb = if options.serve { "listening on" } else { "connecting to" };
    recorder.begin(&format!("{verb} {address}"), address.port)?;
    let plan = replayer::ReplayPlan {
        side: options.side(),
        compares: options.compares(),
        retry: options.connect.retry,
        limits,
        traffic: Traffic::new(options.verbose.0),
        recorder,
        printer,
        junit,
        is_colored: options.output.color.is_on(stdout_is_terminal()),
    };
    let mut replayer = Replayer::new(plan, first, waiting, &mut console, &mut net);
    if let Some(bound) = bound {
        place.announce(bound)?;
    }
    drive(&mut net, &mut replayer)?;
    // What the built-in media controller reports counts where it is not compared.
    let reported = media.map_or(Exit::Success, MediaController::stop);
    replayer.finish(if options.compares() { Exit::Success } else { reported })
}

/// One file, opened and checked.
struct FilePlan {
    recording: Recording,
    summary: Summary,
    checking: Option<Checking>,
}

impl FilePlan {
    /// Opens a file and reports what the guard finds in it.
    ///
    /// # Errors
    /// It cannot be read, played or checked.
    fn new(options: &Options, path: &Path, console: &mut Console) -> Result<FilePlan, Failure> {
        // The built-in media controller is no MPF.
        let mut guard = (!options.loopback).then(GuardSummary::default);
        let (mut recording, summary) = Recording::open(path, options.choice(), guard.as_mut(), console)?;
        guard.into_iter().for_each(|guard| guard.report(&recording.name, console));
        let checks = options.compares() || options.serve;
        let checking = checks.then(|| Checking::prepare(options, path, &mut recording, &summary)).transpose()?;
        Ok(FilePlan { recording, summary, checking })
    }

    /// The port of the server in the recording.
    fn port(&self) -> u16 {
        self.summary.settings.port.unwrap_or(MEDIA_PORT)
    }

    /// What the replayer needs to play it. `own` is the address of our own server, if there is one.
    ///
    /// # Errors
    /// The address of the server cannot be resolved.
    fn play(self, options: &Options, own: Option<SocketAddr>) -> Result<Playing, Failure> {
        let target = match own {
            Some(own) => Target::known(own),
            None => Target::resolve(options.connect.address.as_deref(), self.port())?,
        };
        let address = &target.address;
        let (peer, to) = match (options.serve, options.loopback) {
            (true, _) => ("the client", format!("the first client of {address}")),
            (_, true) => ("the built-in media controller", format!("the built-in media controller at {address}")),
            _ => ("", address.to_string()),
        };
        let FilePlan { recording, summary, checking } = self;
        let (side, name, size) = (options.side().name(), &summary.name, summary.size());
        let title = format!("playing the {side} of {name} ({size}) to {to}");
        let passes = options.repeat.unwrap_or(1);
        Ok(Playing::new((recording, summary, checking), options.tempo, passes, (target, peer, title)))
    }
}

/// The file of `--junit`.
///
/// # Errors
/// It is one of the sessions, or cannot be written.
fn junit_file(options: &Options) -> Result<Option<ResultFile>, Failure> {
    let Some(path) = &options.junit else { return Ok(None) };
    refuse_session(options, path, "--junit")?;
    ResultFile::new(path, "the report", options.record.overwrite).map(Some)
}

/// What writes the file of `--record`.
///
/// # Errors
/// As for [`junit_file`].
fn recorder(options: &Options) -> Result<Recorder, Failure> {
    let Some(path) = &options.record.file else { return Ok(Recorder::default()) };
    refuse_session(options, path, "--record")?;
    options.record.open_file()
}

/// Refuses to write over a session that is played.
///
/// # Errors
/// [`Failure::Usage`].
fn refuse_session(options: &Options, written: &Path, option: &str) -> Result<(), Failure> {
    let Ok(place) = fs::canonicalize(written) else { return Ok(()) };
    match options.files.iter().any(|file| fs::canonicalize(file).is_ok_and(|played| played == place)) {
        true => {
            let name = file_name(written);
            Err(Failure::Usage(format!("{option} {name} would write over the session that is played")))
        }
        false => Ok(()),
    }
}

fn printer(options: &Options, file: &FilePlan) -> MessagePrinter {
    let ends = if file.port() == PIN_PORT { EndNames::MPF_LISTENED } else { EndNames::MPF_CONNECTED };
    let color = options.output.color;
    match options.view.table(ends, color) {
        _ if options.compares() => MessagePrinter::Silent,
        Some(table) => MessagePrinter::Table(Box::new(table)),
        None => MessagePrinter::Raw(Box::new(Show::new(Style::Raw, Vec::new(), Vec::new()).for_stdout(color, false))),
    }
}

/// The media controller of `--loopback`, which runs in a thread of its own.
struct MediaController {
    address: SocketAddr,
    background: Background<Peers>,
}

impl MediaController {
    /// Listens on a free port.
    ///
    /// # Errors
    /// The system gives no socket or thread.
    fn start(options: &Options) -> Result<MediaController, Failure> {
        let start = |error| Failure::io("cannot start the built-in media controller", &error);
        let settings = NetSettings { framing: options.limits.framing(), ..NetSettings::default() };
        let mut net = Net::new(settings).map_err(start)?;
        let place = Place { address: None, port: Some(0), announce: None, wire: Wire::Bcp };
        let address = place.listen(&mut net)?;
        let peers = Peers::built_in(options.output.console(COMMAND.help.name));
        let background = Background::start(net, peers).map_err(start)?;
        Ok(MediaController { address, background })
    }

    /// Ends it; the worst that it reported.
    fn stop(self) -> Exit {
        self.background.stop().map_or(Exit::Success, |peers| peers.observer.console.worst())
    }
}
