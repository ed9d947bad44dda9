//! The end of a run: the signals, and from the end of a dialogue to the exit status and what a person is told.

use std::time::Duration;

use crate::bcp::template::Side;
use crate::exit::{Exit, Failure, plain_words};
use crate::framing::FramingError;
use crate::net::address::Address;
use crate::net::dialogue::{Ended, Reason};
use crate::net::wait::Stop;
use crate::output::Console;
use crate::text::shown;

use super::dial::PIN_PORT;

/// What is said of a peer that neither sent anything nor closed.
const SILENCE: &str = "took the connection but said nothing: a media controller serves one connection at a time";

/// Catches the signals from here on; what can block before it, such as opening a pipe to record into, has them end us.
///
/// # Errors
/// The system does not let us.
pub fn catch_signals() -> Result<Stop, Failure> {
    Stop::on_signals().map_err(|error| Failure::io("cannot watch for signals", &error))
}

/// What a run wanted of its dialogue, and what became of that.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Whether all that was to be said has been.
    pub complete: bool,
    /// What it still waits for, if there was something to wait for; empty when all is met.
    pub missing: Option<String>,
    /// What ended the run before the dialogue's end: a failed answer, a refused version.
    pub failure: Option<Failure>,
    /// How long it was to take.
    pub time: Option<Duration>,
    /// What the end of the time kept from being sent, as a sentence.
    pub left_out: Option<String>,
    /// What is said of a peer that neither sent anything nor closed, unless it is BCP's.
    pub silence: Option<&'static str>,
}

/// How the run ends, from how the dialogue did.
///
/// # Errors
/// What ended the run, when that is graver than what was complained about.
pub fn verdict(ended: Ended, wanted: Wanted, peer: &Address, console: &mut Console) -> Result<Exit, Failure> {
    if !ended.unfinished.is_empty() {
        console.report(Exit::Failed, peer, format_args!("left in the middle of a line: {}", shown(&ended.unfinished)));
    }
    match ended.reason {
        Reason::Stopped(signal) => return Ok(signal.map_or(console.worst(), Exit::Signal)),
        Reason::Poll(error) => return Err(Failure::io("cannot wait for input", &error)),
        Reason::Output(error) => {
            return match Failure::output(&error) {
                // Nobody reads any more, but what was wrong before still counts.
                Failure::OutputClosed => Ok(console.worst()),
                failure => Err(failure),
            };
        }
        _ => {}
    }
    if let Some(failure) = wanted.failure {
        return Err(failure);
    }
    // However the connection ended after that: all is said, and what was waited for has come.
    if wanted.complete && wanted.missing.as_deref() == Some("") {
        return Ok(console.worst());
    }
    let silence = wanted.silence.unwrap_or(SILENCE);
    let all_sent = wanted.complete && ended.unsent == 0;
    if let (Reason::TimeUp, Some(left_out)) = (&ended.reason, &wanted.left_out) {
        // To leave then was the wish, but nothing is lost without a word, where notes are not wanted either.
        console.report(Exit::Success, peer, format_args!("the time was up: {left_out}"));
    }
    match wanted.missing.as_deref().filter(|missing| !missing.is_empty()) {
        Some(missing) => unmet(ended, all_sent, (missing, silence), wanted.time, peer, console),
        None => nothing_missing(ended, all_sent, silence, peer, console),
    }
}

/// The end of a run that still waited for something.
fn unmet(
    ended: Ended,
    all_sent: bool,
    (missing, silence): (&str, &str),
    time: Option<Duration>,
    peer: &Address,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let why = match ended.reason {
        Reason::TimeUp => {
            let seconds = time.unwrap_or_default().as_secs_f64();
            let silence = if ended.noticed { String::new() } else { format!("; {peer} {silence}") };
            // Who waits for a mode or a score has often not asked for it.
            let asking = match peer.port == PIN_PORT && missing.contains("message") {
                true => ", and MPF reports only what monitor_start or register_trigger asked for on this connection",
                false => "",
            };
            let text =
                format!("{peer}: timed out after {seconds} s waiting for {missing} (see --timeout){asking}{silence}");
            return Err(Failure::Timeout(text));
        }
        Reason::Lost(error) if all_sent => plain_words(&error),
        Reason::Done | Reason::Closed if all_sent => "it closed the connection".to_owned(),
        _ => return nothing_missing(ended, all_sent, silence, peer, console),
    };
    console.report(Exit::Failed, peer, format_args!("{why}; still waiting for {missing}"));
    Ok(Exit::Failed)
}

/// The end of a run that waited for nothing.
fn nothing_missing(
    ended: Ended,
    all_sent: bool,
    silence: &str,
    peer: &Address,
    console: &Console,
) -> Result<Exit, Failure> {
    match ended.reason {
        Reason::Lost(error) => Err(Failure::io(format_args!("lost the connection to {peer}"), &error)),
        Reason::Broken(fault) => Err(Failure::Peer(format!("{peer}: {fault}"))),
        Reason::TimeUp if ended.unsent > 0 => {
            Err(Failure::Io(format!("{peer} did not read the last message before the time was up")))
        }
        Reason::Done | Reason::Closed if !all_sent => {
            Err(Failure::Io(format!("{peer} closed the connection before the last message was sent")))
        }
        _ => {
            if !ended.noticed {
                console.note(format_args!("{peer} {silence}"));
            }
            Ok(console.worst())
        }
    }
}

/// How a connection of which we are this end ended, for the recording of it.
pub fn closing(ended: &Ended, us: Side) -> String {
    let (us, them) = (us.name(), us.other().name());
    let by = match &ended.reason {
        Reason::Done => format!("closed by the {us}"),
        Reason::Stopped(_) => format!("closed by the {us}, which a signal ended"),
        Reason::TimeUp => format!("closed by the {us}, whose time was up"),
        Reason::Closed => format!("closed by the {them}"),
        Reason::Lost(_) => "lost".to_owned(),
        Reason::Broken(_) => format!("closed by the {us}, since the {them} broke the framing"),
        Reason::Output(_) => format!("closed by the {us}, whose output failed"),
        Reason::Poll(_) => format!("closed by the {us}, which could not wait"),
    };
    match ended.unsent {
        0 => by,
        // A stop leaves these out and still says goodbye behind them.
        unsent => format!("{by}; not sent: {unsent} of the last that stand here"),
    }
}

/// Reports a frame of the peer's that is none. One that ends the dialogue is left to [`verdict`].
pub fn complain_of_frame(console: &mut Console, peer: &Address, number: u64, fault: FramingError) {
    if let FramingError::LineTooLong { .. } = fault {
        console.report(Exit::Failed, format_args!("{peer}: line {number}"), fault);
    }
}
