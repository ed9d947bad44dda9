//! What runs over connections have in common: the loop that they run in, `-W` and `--idle`, and the one mapping from
//! what ended a run to its exit status and message. `send`, `listen -c` and `replay` are the client of one [`Target`].

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crate::bcp::template::Side;
use crate::exit::{Exit, Failure, plain_words};
use crate::framing::FramingError;
use crate::net::{Address, CloseReason, Closed, Handler, Net, NetSettings, Notice, Output};
use crate::output::Console;
use crate::text::shown;

use super::addresses::{PIN_PORT, Target};
use super::recorder::Recorder;

/// A loop whose output is standard output. Open files that can block, such as pipes to record into, before
/// [`drive`]: until then a signal ends the process.
///
/// # Errors
/// Standard output is closed, or the system gives no waker.
pub(crate) fn open_net(settings: NetSettings) -> Result<Net, Failure> {
    let output = Output::stdout().map_err(|error| Failure::output(&error))?;
    Net::new(NetSettings { output: Some(output), ..settings })
        .map_err(|error| Failure::io("cannot wait for input", &error))
}

/// Catches signals and runs the loop to its end. Returns how many bytes of output were not written because nothing
/// reads them.
///
/// # Errors
/// Signals cannot be caught, or the system's poll failed.
pub(crate) fn drive(net: &mut Net, handler: &mut impl Handler) -> Result<u64, Failure> {
    net.catch_signals().map_err(|error| Failure::io("cannot catch signals", &error))?;
    let outcome = net.run(handler).map_err(|error| Failure::io("cannot wait for input", &error))?;
    Ok(outcome.unprinted)
}

/// Reports what [`drive`] returned.
pub(crate) fn report_unprinted(console: &mut Console, bytes: u64) {
    if bytes > 0 {
        let why = format!("{bytes} bytes were not written: nothing reads them");
        console.report(Exit::Success, "standard output", why);
    }
}

/// Tells a person who may not know it that the program waits for them.
pub(crate) fn note_terminal_input(console: &Console) {
    if io::stdin().is_terminal() {
        console.note("reading standard input (Ctrl-D ends it)");
    }
}

/// `-W` and `--idle`: since when they count, and which of them passes first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeLimits {
    /// `-W`; `None` is no limit.
    pub timeout: Option<Duration>,
    /// `--idle`.
    pub idle: Option<Duration>,
    /// The option that set the first limit, for messages.
    option: &'static str,
    began: Option<Instant>,
    active: Option<Instant>,
}

impl TimeLimits {
    /// Neither counts yet.
    pub(crate) fn new(timeout: Option<Duration>, idle: Option<Duration>) -> TimeLimits {
        TimeLimits { timeout, idle, option: "--timeout", began: None, active: None }
    }

    /// The limit of another option, which counts from now.
    pub(crate) fn of(option: &'static str, limit: Duration, now: Instant) -> TimeLimits {
        TimeLimits { timeout: Some(limit), option, began: Some(now), ..TimeLimits::default() }
    }

    /// `-W` counts from here, unless it counts already.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.began.get_or_insert(now);
    }

    /// `--idle` counts from here, unless it counts already.
    pub(crate) fn begin_idle(&mut self, now: Instant) {
        self.active.get_or_insert(now);
    }

    /// Something arrived, or was sent last: `--idle` counts from here.
    pub(crate) fn be_active(&mut self, now: Instant) {
        self.active = Some(now);
    }

    /// Something arrived: `--idle` counts from here, if it counts already.
    pub(crate) fn stay_active(&mut self, now: Instant) {
        self.active = self.active.map(|_| now);
    }

    /// When `-W` passes. A time beyond the clock's end is never.
    pub(crate) fn timeout_at(&self) -> Option<Instant> {
        self.began?.checked_add(self.timeout?)
    }

    fn idle_at(&self) -> Option<Instant> {
        self.active?.checked_add(self.idle?)
    }

    /// When the first of them passes.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timeout_at().into_iter().chain(self.idle_at()).min()
    }

    /// What ends the run if one of them has passed.
    pub(crate) fn passed(&self, now: Instant) -> Option<End> {
        if self.timeout_at().is_some_and(|at| at <= now) {
            return self.timeout.map(|limit| End::TimeUp { limit, option: self.option });
        }
        self.idle.filter(|_| self.idle_at().is_some_and(|at| at <= now)).map(End::Idle)
    }
}

/// What ended a run first.
#[derive(Debug)]
pub(crate) enum End {
    /// Nothing more was to be sent or waited for.
    Done,
    /// This signal came.
    Signal(u8),
    /// Standard output cannot be written, or its reader has gone.
    Output(io::Error),
    /// A limit of this option passed.
    TimeUp { limit: Duration, option: &'static str },
    /// Nothing arrived for so long.
    Idle(Duration),
    /// A reply failed, or the peer refused to go on.
    Failed(Failure),
    /// The connection ended by itself, or was never made.
    Closed(CloseReason),
}

impl End {
    /// What ended a run whose connection was closed for this reason, if nothing did before.
    pub(crate) fn of_connection(before: Option<End>, reason: CloseReason) -> End {
        match (before, reason) {
            (before, CloseReason::ByUs | CloseReason::Reset) => before.unwrap_or(End::Done),
            (None | Some(End::Done | End::Closed(CloseReason::ByPeer)), reason) => End::Closed(reason),
            (Some(end), _) => end,
        }
    }

    /// That a limit passed, and what was still waited for; `None` if the run ended otherwise.
    pub(crate) fn timed_out(&self, missing: &str) -> Option<String> {
        match self {
            End::TimeUp { limit, option } => {
                Some(format!("timed out after {} s waiting for {missing} (see {option})", limit.as_secs_f64()))
            }
            End::Idle(limit) => {
                Some(format!("nothing arrived for {} s, waiting for {missing} (see --idle)", limit.as_secs_f64()))
            }
            _ => None,
        }
    }

    /// The exit status of a run that waits for nothing more; `worst` is the worst that was reported before.
    ///
    /// # Errors
    /// What ended the run, when it is an error.
    pub(crate) fn settle(self, worst: Exit) -> Result<Exit, Failure> {
        match self {
            End::Signal(signal) => Ok(Exit::Signal(signal)),
            End::Failed(failure) => Err(failure),
            End::Output(error) => match Failure::output(&error) {
                // What was wrong before still counts.
                Failure::OutputClosed => Ok(worst),
                failure => Err(failure),
            },
            End::Done | End::TimeUp { .. } | End::Idle(_) | End::Closed(_) => Ok(worst),
        }
    }
}

/// A client's run at its end.
#[derive(Debug)]
pub(crate) struct ClientRun<'a> {
    /// The server.
    pub target: &'a Target,
    /// What ended the run first.
    pub end: End,
    /// How the last connection ended.
    pub closed: Closed,
    /// Whether all that was to be sent was given to the connection.
    pub is_complete: bool,
    /// What is still waited for, after "waiting for": empty if all has arrived, `None` if there is no goal.
    pub missing: Option<String>,
    /// Why it may be missing, as clauses that each begin with `; `.
    pub hint: &'static str,
}

/// What is noted of a peer that neither sent anything nor closed.
const SILENCE: &str = "accepted the connection but sent nothing: a media controller serves one connection at a time";

impl ClientRun<'_> {
    /// The exit status, after the reports that lead to it. A signal decides, else what ended the run, else the worst
    /// thing reported before.
    ///
    /// # Errors
    /// What ended the run, when it is an error.
    pub(crate) fn settle(self, console: &mut Console) -> Result<Exit, Failure> {
        let (closed, address) = (&self.closed, &self.target.address);
        let hint = match &self.target.unreached {
            Some(error) => format!("; cannot connect to {address}: {}", plain_words(error)),
            None => self.hint.to_owned(),
        };
        report_unfinished(console, address, &closed.unfinished);
        let has_all = self.is_complete && self.missing.as_deref() == Some("");
        if has_all || matches!(self.end, End::Signal(_) | End::Output(_) | End::Failed(_)) {
            return self.end.settle(console.worst());
        }
        let all_sent = self.is_complete && closed.unsent == 0;
        let missing = self.missing.filter(|missing| !missing.is_empty());
        if let Some(why) = missing.as_ref().and_then(|missing| self.end.timed_out(missing)) {
            let silence = if closed.is_silent { format!("; {address} {SILENCE}") } else { String::new() };
            return Err(Failure::Timeout(format!("{why}{hint}{silence}")));
        }
        let mut still_waiting = |why: &str, missing: &str| {
            console.report(Exit::Failed, address, format_args!("{why}; still waiting for {missing}{hint}"));
            Ok(Exit::Failed)
        };
        match (&self.end, missing) {
            (End::Closed(CloseReason::Unreached(error)), _) => Err(self.target.failure(error)),
            (End::Closed(CloseReason::Broken(fault)), _) => Err(Failure::Peer(format!("{address}: {fault}"))),
            (End::Closed(CloseReason::Http), _) => {
                Err(Failure::Peer(format!("{address} is an HTTP server; -a ADDRESS names another one")))
            }
            (End::Closed(CloseReason::Lost(error)), Some(missing)) if all_sent => {
                still_waiting(&plain_words(error), &missing)
            }
            (End::Closed(CloseReason::Lost(error)), _) => {
                Err(Failure::io(format_args!("lost the connection to {address}"), error))
            }
            (End::Closed(CloseReason::ByPeer) | End::Done, Some(missing)) if all_sent => {
                still_waiting("the peer closed the connection", &missing)
            }
            (End::Closed(_) | End::Done, _) if !all_sent => {
                Err(Failure::Io(format!("{address} closed the connection before the last message was sent")))
            }
            (End::TimeUp { .. } | End::Idle(_), _) if closed.unsent > 0 => {
                Err(Failure::Io(format!("{address} did not read the last message in time")))
            }
            _ => {
                if closed.is_silent {
                    console.note(format_args!("{address} {SILENCE}"));
                }
                Ok(console.worst())
            }
        }
    }
}

/// Reports a notice about the connection to a server, or its recording.
pub(crate) fn report_notice(console: &mut Console, target: &mut Target, recorder: &Recorder, notice: &Notice<'_>) {
    match notice {
        Notice::Retrying(_, error) => target.note_failure(error, console),
        Notice::RecordingFailed(error) => console.report_failure(&recorder.failure(error)),
        _ => {}
    }
}

/// Reports the bytes of a message that the peer did not finish, if there are any.
pub(crate) fn report_unfinished(console: &mut Console, address: &Address, unfinished: &[u8]) {
    if !unfinished.is_empty() {
        let half = shown(unfinished);
        console.report(Exit::Failed, address, format_args!("the connection ended inside a message: {half}"));
    }
}

/// What a failed reply ends a run with, or is reported as.
pub(crate) fn failed_reply(target: &Target, line: &[u8]) -> Failure {
    Failure::Peer(format!("{}: the reply failed: {}", target.address, shown(line)))
}

/// What an unmet goal may need to know about MPF's port: it reports only what was asked for.
pub(crate) fn subscription_hint(target: &Target) -> &'static str {
    match target.address.port == PIN_PORT {
        true => "; MPF reports only what monitor_start or register_trigger asked for on this connection",
        false => "",
    }
}

/// How a connection of which we are this end closed, for the recording of it.
pub(crate) fn closing(end: &End, unsent: usize, us: Side) -> String {
    let (us, them) = (us.name(), us.other().name());
    let by = match end {
        End::Signal(_) => format!("closed by the {us}, which a signal ended"),
        End::TimeUp { .. } | End::Idle(_) => format!("closed by the {us}, whose time was up"),
        End::Output(_) => format!("closed by the {us}, whose output failed"),
        End::Closed(CloseReason::ByPeer) => format!("closed by the {them}"),
        End::Closed(CloseReason::Broken(_) | CloseReason::Http) => {
            format!("closed by the {us}, since the {them} broke the framing")
        }
        End::Done | End::Failed(_) | End::Closed(CloseReason::ByUs | CloseReason::Reset) => {
            format!("closed by the {us}")
        }
        End::Closed(CloseReason::Unreached(_)) => "not connected".to_owned(),
        End::Closed(_) => "lost".to_owned(),
    };
    match unsent {
        0 => by,
        // After a stop these are left out and a goodbye follows.
        unsent => format!("{by}; not sent: {unsent} of the last messages above"),
    }
}

/// A frame of the peer is no message: reports a line that is skipped, or ends the run, unless something else did.
pub(crate) fn receive_bad_frame(
    console: &mut Console,
    target: &Target,
    end: &mut Option<End>,
    (number, fault): (u64, FramingError),
) {
    if let FramingError::LineTooLong(_) = fault {
        console.report(Exit::Failed, format_args!("{}: line {number}", target.address), fault);
    } else if matches!(end, None | Some(End::Done)) {
        *end = Some(End::Closed(CloseReason::Broken(fault)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Color;

    fn closed(reason: CloseReason, unsent: usize) -> Closed {
        Closed { reason, unsent, ..Closed::default() }
    }

    /// How a run of this end exits, and the message that it exits with.
    fn settled(end: End, unsent: usize, is_complete: bool, missing: Option<&str>) -> (u8, String) {
        let target = Target::known("127.0.0.1:7".parse().unwrap());
        let run = ClientRun {
            target: &target,
            end,
            closed: closed(CloseReason::ByUs, unsent),
            is_complete,
            missing: missing.map(str::to_owned),
            hint: "",
        };
        match run.settle(&mut Console::new("test", true, Color::Never)) {
            Ok(exit) => (exit.code(), String::new()),
            Err(failure) => (failure.exit().code(), failure.message().unwrap_or_default().to_owned()),
        }
    }

    #[test]
    fn each_end_has_its_exit_status() {
        let by_peer = || End::Closed(CloseReason::ByPeer);
        let lost = || End::Closed(CloseReason::Lost(io::ErrorKind::ConnectionReset.into()));
        let time_up = || End::TimeUp { limit: Duration::from_secs(1), option: "--timeout" };
        let failed = || End::Failed(Failure::Peer("no".into()));
        let refused = || End::Closed(CloseReason::Unreached(io::ErrorKind::ConnectionRefused.into()));
        for (end, unsent, is_complete, missing, code, message) in [
            (End::Done, 0, true, None, 0, ""),
            (End::Done, 0, true, Some(""), 0, ""),
            (End::Signal(2), 1, false, Some("foo"), 130, ""),
            (End::Output(io::ErrorKind::BrokenPipe.into()), 1, false, Some("foo"), 0, ""),
            (End::Output(io::ErrorKind::StorageFull.into()), 0, true, None, 3, "cannot write to standard output: "),
            (failed(), 0, true, Some("foo"), 4, "no"),
            (time_up(), 0, true, Some("foo"), 124, "timed out after 1 s waiting for foo (see --timeout)"),
            (time_up(), 0, true, Some(""), 0, ""),
            (time_up(), 0, true, None, 0, ""),
            (time_up(), 1, true, None, 3, "127.0.0.1:7 did not read the last message"),
            (End::Idle(Duration::from_secs(2)), 0, true, Some("a"), 124, "nothing arrived for 2 s, waiting for a (see"),
            (End::Idle(Duration::from_secs(2)), 0, true, None, 0, ""),
            (by_peer(), 0, true, Some("foo"), 1, ""),
            (by_peer(), 0, true, None, 0, ""),
            (by_peer(), 0, false, Some("foo"), 3, "127.0.0.1:7 closed the connection before the last message was sent"),
            (by_peer(), 1, true, None, 3, "127.0.0.1:7 closed the connection before the last message was sent"),
            (lost(), 0, true, Some("foo"), 1, ""),
            (lost(), 0, true, Some(""), 0, ""),
            (lost(), 0, true, None, 3, "lost the connection to 127.0.0.1:7: "),
            (End::Closed(CloseReason::Http), 0, true, Some("a"), 4, "127.0.0.1:7 is an HTTP server"),
            (refused(), 0, false, Some("a"), 3, "connection refused at 127.0.0.1:7: "),
        ] {
            let context = format!("{end:?}, {unsent} unsent, complete: {is_complete}, missing: {missing:?}");
            let seen = settled(end, unsent, is_complete, missing);
            assert_eq!(seen.0, code, "{context}: {}", seen.1);
            assert!(seen.1.starts_with(message) && seen.1.is_empty() == message.is_empty(), "{context}: {}", seen.1);
        }
    }

    #[test]
    fn the_time_counts_once_begun_and_idleness_again_after_each_message() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut limits = TimeLimits::new(Some(10 * second), Some(2 * second));
        assert_eq!(limits.deadline(), None);
        limits.begin(start);
        limits.begin(start + second);
        assert_eq!(limits.deadline(), Some(start + 10 * second));
        limits.stay_active(start);
        assert_eq!(limits.deadline(), Some(start + 10 * second));
        limits.begin_idle(start + second);
        for at in [1, 3] {
            limits.begin_idle(start + 9 * second);
            limits.stay_active(start + at * second);
            assert_eq!(limits.deadline(), Some(start + (at + 2) * second));
        }
        assert!(limits.passed(start + 4 * second).is_none());
        assert!(matches!(limits.passed(start + 5 * second), Some(End::Idle(_))));
        assert!(matches!(limits.passed(start + 10 * second), Some(End::TimeUp { .. })));
        let mut endless = TimeLimits::new(Some(Duration::MAX), None);
        endless.begin(start);
        assert!(endless.deadline().is_none() && endless.passed(start + second).is_none());
    }
}
