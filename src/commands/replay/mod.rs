//! `backbox replay`: plays one side of a recorded session to a peer over a real connection.
//!
//! `options` has what was typed, this file makes a plan of it, and `replayer` is the handler that plays on the network
//! loop. `source` reads recordings, `clock` says when each message is due, `report` is about checks.

mod clock;
mod dry_run;
mod options;
mod replayer;
mod report;
mod source;
mod stats;
mod update;

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::time::Instant;

pub(super) use options::COMMAND;

use crate::commands::binding::Place;
use crate::commands::dial::{MEDIA_PORT, PIN_PORT, Target};
use crate::commands::listen::roles::Peers;
use crate::commands::recorder::Recorder;
use crate::commands::result_file::ResultFile;
use crate::commands::run::{TimeLimits, drive, open_net};
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure};
use crate::framing::Wire;
use crate::net::{Background, Net, Settings, run_in_background};
use crate::output::Console;
use crate::output::show::{Show, Style};
use crate::output::table::EndNames;
use crate::text::file_name;
use options::Options;
use replayer::{Gate, PeerKind, Playing, Printer, Replayer};
use report::Checking;
use source::{GuardSummary, Recording, Summary};
use stats::Stats;

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
    let mut net = open_net(Settings {
        framing: options.limits.framing(),
        recording: recorder.take_file(),
        precise: !options.tempo.is_max(),
        ..Settings::default()
    })?;
    let media = if options.loopback { Some(MediaController::start(&options)?) } else { None };
    let place = Place {
        address: options.connect.address.as_deref(),
        port: Some(first.port()),
        announce: options.announce.as_deref(),
        wire: Wire::Bcp,
    };
    let kind = match (options.serve, &media) {
        (true, _) => PeerKind::Client(place.listen(&mut net)?),
        (false, Some(media)) => PeerKind::BuiltIn(media.address),
        (false, None) => PeerKind::Server,
    };
    let printer = printer(&options, &first)?;
    let mut waiting = VecDeque::new();
    for file in files {
        waiting.push_back(file.play(&options, kind)?);
    }
    let first = first.play(&options, kind)?;
    let address = &first.target.address;
    let opening = match kind {
        PeerKind::Client(bound) => format!("listening on {bound}"),
        PeerKind::Server | PeerKind::BuiltIn(_) => format!("connecting to {address}"),
    };
    recorder.begin(&opening, address.port)?;
    let plan = replayer::Plan {
        kind,
        side: options.side(),
        compares: options.compares(),
        retry: options.connect.retry,
        passes: options.repeat.unwrap_or(1),
        limits,
        traffic: Traffic::new(options.verbose.0),
        recorder,
        printer,
        junit,
        is_colored: options.output.color.is_on(crate::output::stdout_is_terminal()),
    };
    let mut replayer = Replayer::new(plan, first, waiting, &mut console);
    replayer.begin(&mut net);
    if let PeerKind::Client(bound) = kind {
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

    /// What the replayer needs to play it.
    ///
    /// # Errors
    /// The address of the server cannot be resolved.
    fn play(self, options: &Options, kind: PeerKind) -> Result<Playing, Failure> {
        let target = match kind {
            PeerKind::Server => Target::resolve(options.connect.address.as_deref(), self.port())?,
            PeerKind::BuiltIn(address) | PeerKind::Client(address) => Target::known(address),
        };
        let tempo = options.tempo;
        let passes = options.repeat.unwrap_or(1);
        let requests = self.summary.requests.saturating_mul(passes);
        let duration = self.summary.duration().and_then(|duration| tempo.duration(duration, requests, passes));
        let stats = Stats::new(requests, duration, tempo.shown());
        let FilePlan { recording, summary, checking } = self;
        let gate = checking.map_or_else(Gate::clock, |checking| Gate::Check(Box::new(checking)));
        Ok(Playing::new(recording, summary, gate, tempo, target, stats))
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

/// What prints the messages.
///
/// # Errors
/// None that can happen: there are no patterns.
fn printer(options: &Options, file: &FilePlan) -> Result<Printer, Failure> {
    if options.compares() {
        return Ok(Printer::Silent);
    }
    let ends = if file.port() == PIN_PORT { EndNames::MPF_LISTENED } else { EndNames::MPF_CONNECTED };
    let color = options.output.color;
    Ok(match options.view.table(ends, color) {
        Some(table) => Printer::Table(Box::new(table)),
        None => Printer::Raw(Box::new(Show::new(Style::Raw, Vec::new(), Vec::new()).for_stdout(color, false))),
    })
}

/// The media controller of `--loopback`, which runs in a thread of its own.
struct MediaController {
    address: crate::net::SocketAddr,
    background: Background<Peers>,
}

impl MediaController {
    /// Listens on a free port.
    ///
    /// # Errors
    /// The system gives no socket or thread.
    fn start(options: &Options) -> Result<MediaController, Failure> {
        let framing = options.limits.framing();
        let start = |error| Failure::io("cannot start the built-in media controller", &error);
        let mut net = Net::new(Settings { framing: framing.clone(), ..Settings::default() }).map_err(start)?;
        let place = Place { address: None, port: Some(0), announce: None, wire: Wire::Bcp };
        let address = place.listen(&mut net)?;
        let peers = Peers::built_in(framing, options.output.console(COMMAND.help.name))?;
        let background = run_in_background(net, peers).map_err(start)?;
        Ok(MediaController { address, background })
    }

    /// Ends it; the worst that it reported.
    fn stop(self) -> Exit {
        self.background.stop().map_or(Exit::Success, |peers| peers.observer.console.worst())
    }
}
