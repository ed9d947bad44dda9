//! How a connection of a server ended: in the words of a recording, and in those that a person is told.

use std::io;

use crate::bcp::template::Side;
use crate::exit::{Exit, plain_words};
use crate::net::connection::{Connection, Left};
use crate::output::Console;
use crate::text::shown;

/// How it ended, for a recording; `by_them` says whether it was the peer, which is this end, who closed it in order.
pub fn how(left: &Left, by_them: bool, them: Side) -> String {
    let (theirs, ours) = (them.name(), them.other().name());
    match left {
        Left::Closed(_) if by_them => format!("closed by the {theirs}"),
        Left::Closed(_) => format!("closed by the {ours}"),
        Left::Lost(error) => format!("lost: {}", plain_words(error)),
        Left::Broken(_) => format!("closed by the {ours}, since the {theirs} broke the framing"),
        Left::NoRoom(_) => format!("reset by the {ours}, since there was no room for its frame"),
        Left::Http => format!("closed by the {ours}, since the {theirs} speaks HTTP"),
    }
}

/// That nobody can connect for now.
pub fn no_descriptor(error: &io::Error) -> String {
    format!("no descriptor is left for another connection ({}); waiting for one to close\n", plain_words(error))
}

/// That somebody who connected is not served.
pub fn given_up(error: &io::Error) -> String {
    format!("a connection was given up: {}\n", plain_words(error))
}

/// What something costs that a connection says: nothing where we have taken leave of it, which is what cut it short.
pub fn cost(connection: &Connection, exit: Exit) -> Exit {
    if connection.is_open() { exit } else { Exit::Success }
}

/// Tells of an end that was not in order; a message is called a `frame` of that `protocol`.
pub fn tell(console: &mut Console, connection: &Connection, left: &Left, (frame, protocol): (&str, &str)) {
    let peer = connection.peer;
    match left {
        Left::Closed(unfinished) if !unfinished.is_empty() => {
            let why = format!("it left in the middle of a {frame}: {}", shown(unfinished));
            console.report(cost(connection, Exit::Failed), peer, why);
        }
        // What broke it has been told of as a frame.
        Left::Closed(_) | Left::Broken(_) => {}
        Left::Lost(error) => console.note(format_args!("{peer}: {}", plain_words(error))),
        Left::NoRoom(limit) => {
            let why = format!("its frame needs more than is left of {limit} bytes for all peers' long ones: reset");
            console.report(Exit::Failed, peer, why);
        }
        Left::Http => console.report(Exit::Failed, peer, format_args!("it speaks HTTP, not {protocol}: dropped")),
    }
}
