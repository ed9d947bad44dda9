//! From the end of a dialogue to the end of the run: the exit status, and what a person is told.

use crate::failure::{Exit, Failure};
use crate::framing::Fault;
use crate::net::address::Address;
use crate::net::dialogue::{Ended, Reason};
use crate::output::Console;
use crate::text::shown;

/// How the run ends, from how the dialogue did; `complete` says whether all that was to be said has been.
///
/// # Errors
/// What ended the run, when that is graver than what was complained about.
pub fn verdict(ended: Ended, complete: bool, peer: &Address, console: &mut Console) -> Result<Exit, Failure> {
    if !ended.unfinished.is_empty() {
        console.complain(Exit::No, peer, format_args!("left in the middle of a line: {}", shown(&ended.unfinished)));
    }
    match ended.reason {
        Reason::Stopped(signal) => Ok(signal.map_or(console.worst(), Exit::Signal)),
        Reason::Lost(error) => Err(Failure::io(format_args!("lost the connection to {peer}"), &error)),
        Reason::Poll(error) => Err(Failure::io("cannot wait for input", &error)),
        Reason::Broken(fault) => Err(Failure::Peer(format!("{peer}: {fault}"))),
        Reason::Output(error) => match Failure::output(&error) {
            // Nobody reads any more, but what was wrong before still counts.
            Failure::ReaderGone => Ok(console.worst()),
            failure => Err(failure),
        },
        Reason::Done | Reason::Closed if !complete || ended.unsent > 0 => {
            Err(Failure::Io(format!("{peer} closed the connection before the last message was sent")))
        }
        Reason::Done | Reason::Closed => {
            if !ended.noticed {
                console.note(format_args!(
                    "{peer} took the connection but said nothing: a media controller serves one connection at a time"
                ));
            }
            Ok(console.worst())
        }
    }
}

/// How a connection that we dialled ended, for the recording of it.
pub fn closing(ended: &Ended) -> String {
    let by = match &ended.reason {
        Reason::Done => "closed by the dialler",
        Reason::Stopped(_) => "closed by the dialler, which a signal ended",
        Reason::Closed => "closed by the acceptor",
        Reason::Lost(_) => "lost",
        Reason::Broken(_) => "closed by the dialler, since the acceptor broke the framing",
        Reason::Output(_) => "closed by the dialler, whose output failed",
        Reason::Poll(_) => "closed by the dialler, which could not wait",
    };
    match ended.unsent {
        0 => by.to_owned(),
        unsent => format!("{by}; not sent: the last {unsent} of what stands here"),
    }
}

/// Reports a frame of the peer's that is none. One that ends the dialogue is left to [`verdict`].
pub fn complain_of_frame(console: &mut Console, peer: &Address, number: u64, fault: Fault) {
    if let Fault::LineTooLong { .. } = fault {
        console.complain(Exit::No, format_args!("{peer}: line {number}"), fault);
    }
}
