//! `backbox listen`: a server of many peers, the client of one, or a program between two others.
//!
//! `options` turns what was typed into a plan; one of three handlers then runs on the network loop.

mod canonical;
mod forward;
pub(super) mod observer;
pub(super) mod options;
pub(super) mod reply;
pub(super) mod roles;
mod rows;

pub use options::{COMMAND, Options};

use crate::commands::binding::Place;
use crate::commands::obe::server::ObeServer;
use crate::commands::run::open_net;
use crate::exit::{Exit, Failure};
use crate::net::{Net, NetSettings, StdinReader};
use forward::Forwarder;
use observer::Observer;
use options::{Form, Plan};
use roles::Peers;

/// Runs `backbox listen`.
///
/// # Errors
/// Options that are wrong, and what ends the run.
fn run(options: Options) -> Result<Exit, Failure> {
    let Plan { form, place, settings, mut observer } = options.plan()?;
    let input = match &form {
        Form::Roles(behavior) if behavior.reads_input => {
            let input = StdinReader::stdin(options::INPUT_BYTES);
            Some(input.map_err(|error| Failure::io("cannot read <stdin>", &error))?)
        }
        _ => None,
    };
    let recording = observer.recorder.take_file();
    let mut net = open_net(NetSettings { input, recording, ..settings })?;
    match place {
        Some(place) => listen(&place, &form, &mut net, &mut observer)?,
        None => catch_signals(&mut net)?,
    }
    let cannot = |error| Failure::io("cannot wait for connections", &error);
    observer.begin();
    match form {
        Form::Roles(behavior) => {
            let mut peers = Peers::new(*behavior, observer);
            peers.begin(&mut net)?;
            let outcome = net.run(&mut peers).map_err(cannot)?;
            peers.settle(outcome)
        }
        Form::Forward(route) => {
            let mut forwarder = Forwarder::new(*route, observer);
            let outcome = net.run(&mut forwarder).map_err(cannot)?;
            forwarder.settle(outcome)
        }
        Form::Obe { replies, once } => {
            let mut server = ObeServer::new(replies, once, observer);
            let outcome = net.run(&mut server).map_err(cannot)?;
            server.observer.settle(outcome)
        }
    }
}

/// Listens, and reports the address.
fn listen(place: &Place<'_>, form: &Form, net: &mut Net, observer: &mut Observer) -> Result<(), Failure> {
    let own = place.listen(net)?;
    let forwarding = match form {
        Form::Forward(route) => {
            route.refuse_own(own)?;
            Some(format!("forwarding to {}", route.target.address))
        }
        _ => None,
    };
    let opening = [Some(format!("listening on {own}")), forwarding.clone()].into_iter().flatten();
    observer.recorder.begin(&opening.collect::<Vec<_>>().join(", "), own.port())?;
    catch_signals(net)?;
    place.announce(own)?;
    observer.console.note(format_args!("listening on {own} (Ctrl-C stops)"));
    forwarding.iter().for_each(|forwarding| observer.console.note(forwarding));
    Ok(())
}

/// What can block before this, such as opening a pipe to record into, has signals end the process.
fn catch_signals(net: &mut Net) -> Result<(), Failure> {
    net.catch_signals().map_err(|error| Failure::io("cannot catch signals", &error))
}
