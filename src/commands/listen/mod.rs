//! `backbox listen`: a server of many peers, the client of one, or a program between two others.
//!
//! `options` turns what was typed into a plan; the handler in `peers` then runs on the network loop.

mod canonical;
mod observer;
mod options;
pub(super) mod peers;
mod reply;
mod rows;

pub use options::COMMAND;

use crate::cli::Given;
use crate::commands::run::open_net;
use crate::exit::{Exit, Failure};
use crate::net::NetSettings;
use options::{Options, Plan};

/// Runs `backbox listen`.
///
/// # Errors
/// Options that are wrong, and what ends the run.
fn run(given: &Given) -> Result<Exit, Failure> {
    let options = Options::read(given)?;
    let Plan { mut peers, place, settings } = options.plan()?;
    let recording = peers.observer.recorder.take_file();
    let mut net = open_net(NetSettings { recording, ..settings })?;
    match place {
        Some(place) => peers.listen(&mut net, &place)?,
        None => peers.connect(&mut net)?,
    }
    let outcome = net.run(&mut peers).map_err(|error| Failure::io("cannot wait for connections", &error))?;
    peers.settle(outcome)
}
