//! The running of `backbox replay`: who is played to, one pass after the other, and how it ends.
//!
//! Whatever is played, and however it ends, [`Run::end`] says what came of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::checking::Checking;
use super::clock::Clock;
use super::exchange::Exchange;
use super::follower::Follower;
use super::partner::{Met, Partner};
use super::player::Player;
use super::recording::Recording;
use super::warnings::Warnings;
use super::{COMMAND, Options};
use crate::bcp::template::Side;
use crate::commands::ending::{Wanted, catch_signals, verdict};
use crate::commands::recorder::Recorder;
use crate::commands::result_file::ResultFile;
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure};
use crate::net::dialogue::{self, Ended, Reason, Script};
use crate::net::wait::{Output, Stop, wake_precisely};
use crate::session::Record;
use crate::text::file_name;

/// Plays `file` as the options say.
///
/// # Errors
/// A file that cannot be played, an address that cannot be reached, a connection that is lost before the last line has
/// gone, a file or a stdout that cannot be written.
pub fn run(options: &Options, file: &Path) -> Result<Exit, Failure> {
    let began = Instant::now();
    let time = Some(options.timeout).filter(|time| !time.is_zero()).map(|time| (began, time));
    let output = Output::stdout().map_err(|error| Failure::output(&error))?;
    let ours = if options.serve { Side::Server } else { Side::Client };
    let mut console = options.output.console(COMMAND.help.name);
    let mut warnings = Warnings::default();
    let see = |record: &Record| {
        // The media controller in this process is no MPF.
        if !options.loopback {
            warnings.judge(record);
        }
    };
    let choice = options.choice(ours);
    let (mut recording, survey) = Recording::open(file, choice, &mut console, see)?;
    warnings.tell(file, &mut console);
    let junit = result_file(options, &options.check.junit, file, ("--junit", "the report"))?;
    let recorded = (&mut recording, &survey.settings);
    let checking = match options.serve || options.check.is_on() {
        true => Some(Checking::prepare(&options.check, file, recorded, ours, junit)?),
        false => None,
    };
    let peer = Partner::find(options, survey.settings.port)?;
    let recorder = recorder(options, file, (&peer.opening(), peer.address().port))?;
    let stop = catch_signals()?;
    let who = peer.name();
    console.note(format_args!("playing the {} of {} ({}) to {who}", ours.name(), survey.name, survey.size()));
    peer.announce(options)?;
    let passes = options.passes.unwrap_or(1);
    let total = survey.ours.map(|ours| ours.saturating_mul(passes));
    let exchange = Exchange::new(ours, total, Traffic::new(options.verbose.0), recorder, &mut console);
    let clock = Clock::new(options.tempo);
    wake_precisely();
    let mut run = Run { options, peer, stop, output, time };
    let (played, ended) = match checking {
        Some((checking, check)) => {
            let check = (check, options.check.is_on());
            run.follow(Follower::new(exchange, recording, clock, check, time), checking)
        }
        None => run.play(Player::new(exchange, recording, clock, time), passes),
    };
    run.end(played, ended, &survey.name)
}

/// The file of such a flag, if one is asked for.
///
/// # Errors
/// It is the session itself, or cannot be written.
pub fn result_file(
    options: &Options,
    path: &Option<PathBuf>,
    file: &Path,
    (flag, what): (&str, &str),
) -> Result<Option<ResultFile>, Failure> {
    let Some(path) = path else { return Ok(None) };
    spare(path, file, flag)?;
    ResultFile::new(path, what, options.record.overwrite).map(Some)
}

/// What writes the file of `--record`, if one is asked for: an `opening` and the port stand at its start.
///
/// # Errors
/// It is the session itself, or cannot be written.
pub fn recorder(options: &Options, file: &Path, (opening, port): (&str, u16)) -> Result<Option<Recorder>, Failure> {
    let Some(path) = &options.record.file else { return Ok(None) };
    spare(path, file, "--record")?;
    options.record.open(opening, port)
}

/// Refuses to write over the session that is played.
///
/// # Errors
/// [`Failure::Usage`].
fn spare(written: &Path, played: &Path, flag: &str) -> Result<(), Failure> {
    let same = fs::canonicalize(written).ok().zip(fs::canonicalize(played).ok()).is_some_and(|(a, b)| a == b);
    match same {
        true => {
            let name = file_name(written);
            Err(Failure::Usage(format!("{flag} {name} would write over the session that is played")))
        }
        false => Ok(()),
    }
}

/// A run and all that it needs but the script.
struct Run<'a> {
    options: &'a Options,
    peer: Partner,
    stop: Stop,
    output: Output,
    /// Since when, and how long it may take.
    time: Option<(Instant, Duration)>,
}

/// What a script leaves when it has been played.
struct Played<'a> {
    exchange: Exchange<'a>,
    complete: bool,
    failure: Option<Failure>,
    /// What a check came to, and whether to its end, if there was one.
    checked: Option<(Exit, bool)>,
}

impl Run<'_> {
    /// Plays each pass over a connection of its own; how the last one ended.
    fn play<'p>(&mut self, mut player: Player<'p>, passes: u64) -> (Played<'p>, Result<Ended, Failure>) {
        let mut pass = 1;
        let ended = loop {
            let ended = self.converse(&mut player, |player| &mut player.exchange);
            let goes_on = player.complete && matches!(&ended, Ok(Ended { reason: Reason::Done, .. }));
            if pass == passes || !goes_on {
                break ended;
            }
            if let Err(failure) = player.again() {
                break Err(failure);
            }
            pass += 1;
        };
        let Player { exchange, complete, failure, .. } = player;
        (Played { exchange, complete, failure, checked: None }, ended)
    }

    /// Plays to a peer that plays the other side, and reports what a check has found.
    fn follow<'p>(&mut self, mut follower: Follower<'p>, checking: Checking) -> (Played<'p>, Result<Ended, Failure>) {
        let ended = self.converse(&mut follower, |follower| &mut follower.exchange);
        if let (Ok(ended), None) = (&ended, &follower.failure) {
            follower.failure = follower.conclude(ended).err();
        }
        let Follower { mut exchange, complete, mut failure, check, mut recording, .. } = follower;
        let reports = self.options.check.is_on() && exchange.tally.passes > 0 && failure.is_none();
        let checked = reports.then(|| {
            exchange.tally.differences = Some(check.entries().len() as u64);
            let is_over = check.is_over();
            let exit = checking.report(check, &mut recording, self.options.output.color, exchange.console());
            exit.map(|exit| (exit, is_over))
        });
        let checked = match checked.transpose() {
            Ok(checked) => checked,
            Err(why) => {
                failure = Some(why);
                None
            }
        };
        (Played { exchange, complete, failure, checked }, ended)
    }

    /// Plays a script to the peer over one connection.
    fn converse<'p, S: Script>(
        &mut self,
        script: &mut S,
        exchange: fn(&mut S) -> &mut Exchange<'p>,
    ) -> Result<Ended, Failure> {
        let retry = self.options.connect.retry;
        let until = self.time.and_then(|(began, time)| began.checked_add(time));
        let met = self.peer.meet(retry, until, &self.stop, &self.output, exchange(script).console())?;
        let (socket, peer) = match met {
            Met::Peer(socket, peer) => (socket, peer),
            Met::Nobody(reason) => {
                return Ok(Ended { reason, unsent: 0, began: None, noticed: true, unfinished: Vec::new() });
            }
        };
        exchange(script).begin(peer);
        let ended = dialogue::converse(socket, self.options.limits.framing(), script, &self.stop, None, &self.output);
        exchange(script).ended(&ended);
        Ok(ended)
    }

    /// Prints the summary, and says how the run ends.
    fn end(self, played: Played<'_>, ended: Result<Ended, Failure>, file: &str) -> Result<Exit, Failure> {
        let Played { mut exchange, complete, failure, checked } = played;
        let how = match &ended {
            Ok(ended) if failure.is_none() => how(&ended.reason, complete),
            _ => "an error ended it",
        };
        let met = exchange.tally.passes > 0;
        if met {
            let tally = &exchange.tally;
            let text = tally.summary(file, &self.peer.short(), how);
            exchange.console().note(text);
        }
        // Whoever was not met has no other address than the one where we looked for him.
        let peer = if met { exchange.peer().clone() } else { self.peer.address() };
        let heard = self.peer.end();
        if let Some(failure) = failure {
            return Err(failure);
        }
        let missing = match checked {
            _ if !complete => Some("the last line to be sent"),
            Some((_, false)) => Some("all answers were compared"),
            _ => None,
        };
        let missing = missing.filter(|_| self.time.is_some()).map(str::to_owned);
        let time = self.time.map(|(_, time)| time);
        let ended = ended?;
        let left = matches!(ended.reason, Reason::Done | Reason::Closed | Reason::Lost(_));
        let wanted = match checked {
            // That the peer has gone is a difference, and told.
            Some((Exit::Failed, _)) if left => {
                Wanted { complete: true, missing: Some(String::new()), time, ..Wanted::default() }
            }
            _ => Wanted { complete, missing, time, ..Wanted::default() },
        };
        let exit = verdict(ended, wanted, &peer, exchange.console())?;
        // What a media controller of our own makes of the lines is compared, where it is.
        Ok(exit.worse(checked.map_or(heard, |(exit, _)| exit)))
    }
}

/// How it ended, in a few words.
fn how(reason: &Reason, complete: bool) -> &'static str {
    match reason {
        Reason::Done | Reason::Closed if complete => "done",
        Reason::Stopped(_) => "stopped by a signal",
        Reason::Done | Reason::Closed => "it closed before the end",
        Reason::Lost(_) => "the connection was lost",
        Reason::TimeUp => "the time was up",
        Reason::Broken(_) => "it broke the framing",
        Reason::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => "nobody reads the output any more",
        Reason::Output(_) => "the output cannot be written",
        Reason::Poll(_) => "the system's poll failed",
    }
}
