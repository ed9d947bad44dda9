//! `backbox listen`: a server of many peers, the client of one, or a program between two others.
//!
//! `options` turns what was typed into a plan; the handler in `peers` then runs on the network loop.

mod canonical;
mod observer;
mod options;
pub(super) mod peers;
mod reply;

pub use options::COMMAND;

use crate::cli::Given;
use crate::commands::addresses::Place;
use crate::commands::run::open_net;
use crate::exit::{Exit, Failure};
use crate::net::NetSettings;
use options::Plan;

/// Runs `backbox listen`.
///
/// # Errors
/// Options that are wrong, and what ends the run.
fn run(given: &Given) -> Result<Exit, Failure> {
    let Plan { mut peers, address, announce, settings } = Plan::read(given)?;
    let recording = peers.observer.recorder.take_file();
    let mut net = open_net(NetSettings { recording, ..settings })?;
    if given.has("connect") {
        peers.connect(&mut net)?;
    } else {
        let (address, announce, wire) = (address.as_deref(), announce.as_deref(), peers.observer.wire);
        peers.listen(&mut net, &Place { address, port: None, announce, wire })?;
    }
    let outcome = net.run(&mut peers).map_err(|error| Failure::io("cannot wait for connections", &error))?;
    peers.settle(outcome)
}
