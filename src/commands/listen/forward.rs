//! `listen --forward`: between two programs, printing and recording what both send. The loop passes the bytes on;
//! nothing that happens to the output here slows or ends them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::canonical::Canonical;
use super::observer::{Observer, finish};
use crate::bcp::template::{Origin, Side};
use crate::commands::dial::Target;
use crate::commands::run::End;
use crate::exit::{Exit, Failure, plain_words};
use crate::framing::{Frame, RawMessage};
use crate::limits::READ_BYTES;
use crate::net::{
    CloseReason, Closed, ConnId, Dial, Handler, Net, Notice, Outcome, Rewrite, SocketAddr, Stop, is_of_this_machine,
};
use crate::output::say;
use crate::text::shown;

/// Where clients are forwarded to, and how.
pub(crate) struct Route {
    pub target: Target,
    pub dial: Dial,
    /// The longest line that `--canonical` rewrites, in bytes.
    pub canonical: Option<usize>,
    /// Whether the first pair that ends is the last.
    pub once: bool,
}

impl Route {
    /// Refuses to connect to ourselves: each connection would lead to the next.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the correct command.
    pub(crate) fn refuse_own(&self, own: SocketAddr) -> Result<(), Failure> {
        let is_own = |there: &SocketAddr| {
            let is_here = there.ip() == own.ip() || (own.ip().is_unspecified() && is_of_this_machine(there.ip()));
            // Connecting to no address in particular reaches this computer.
            there.port() == own.port() && (is_here || there.ip().is_unspecified())
        };
        match self.target.sockets().iter().any(is_own) {
            false => Ok(()),
            true => Err(Failure::Usage(format!(
                "--forward {} is the address on which this command listens; start the media controller on another \
                 port, such as 5052, and write --forward :5052, or listen elsewhere with -a",
                self.target.address
            ))),
        }
    }
}

/// One side of a forwarded pair.
#[derive(Clone)]
struct PairSide {
    /// The number of the pair, from 1.
    pair: u64,
    /// The address of the client.
    client: Arc<str>,
    side: Side,
    other: ConnId,
}

/// Connects each client with the target, and has the observer print what both send.
pub(crate) struct Forwarder {
    route: Route,
    pub observer: Observer,
    sides: HashMap<ConnId, PairSide>,
    pairs: u64,
    /// The last connection to the target that was reported as retrying.
    reported: Option<ConnId>,
    /// Whether a client was reset because the target was not reached.
    was_unreached: bool,
}

impl Forwarder {
    pub(crate) fn new(route: Route, observer: Observer) -> Forwarder {
        Forwarder { route, observer, sides: HashMap::new(), pairs: 0, reported: None, was_unreached: false }
    }

    fn receive(&mut self, now: Instant, of: &PairSide, message: &RawMessage<'_>) {
        let PairSide { pair, client, side, .. } = of;
        match side {
            Side::Client => self.observer.traffic.sent(message.line, message.payload.map(<[u8]>::len)),
            Side::Server => self.observer.traffic.came(message),
        }
        let origin = Origin { time: None, connection: Some(*pair), peer: Some(client), from: *side };
        if let Err(why) = self.observer.receive(now, message, origin) {
            let place = format!("{client} {}: line {}", side.name(), message.number);
            self.observer.console.report(Exit::Failed, place, why);
        }
    }

    /// Reports how one side of a pair closed.
    fn report_close(&mut self, of: &PairSide, closed: &Closed) {
        let (client, side) = (&of.client, of.side.name());
        if !closed.unfinished.is_empty() && !self.observer.has_ended() {
            let half = shown(&closed.unfinished);
            let why = format!("the {side} closed the connection inside a message: {half}");
            self.observer.console.report(Exit::Failed, client, why);
        }
        match &closed.reason {
            CloseReason::Unreached(error) => {
                self.was_unreached = true;
                let (target, why) = (&self.route.target.address, plain_words(error));
                let advice = if self.route.dial.retry.is_zero() { "; --retry 30s waits for it" } else { "" };
                say(&format!("{client}: reset because {target} was not reached: {why}{advice}\n"));
            }
            CloseReason::Lost(error) => {
                self.observer.console.note(format_args!("{client}: the {side} was lost: {}", plain_words(error)));
            }
            _ => {}
        }
    }

    fn leave(&mut self, net: &mut Net, in_hurry: bool) {
        for (&id, of) in &self.sides {
            // What a client sent to a target that was not reached is lost, so it must not see an orderly end.
            if net.peer(id).is_none() {
                net.reset(id);
                net.reset(of.other);
            }
        }
        if in_hurry {
            return net.hurry();
        }
        self.sides.keys().for_each(|&id| finish(net, id));
        net.leave();
    }

    /// The exit status of the run.
    ///
    /// # Errors
    /// What ended it, when that is an error.
    pub(crate) fn settle(self, outcome: Outcome) -> Result<Exit, Failure> {
        // With --once there was no other client; without, others may connect again.
        let reached = if self.was_unreached && self.route.once { Exit::Io } else { Exit::Success };
        self.observer.settle(outcome).map(|exit| exit.worse(reached))
    }
}

impl Handler for Forwarder {
    fn on_connect(&mut self, net: &mut Net, id: ConnId) {
        if self.sides.contains_key(&id) {
            return;
        }
        self.pairs += 1;
        let client: Arc<str> = net.peer(id).map(|peer| peer.to_string()).unwrap_or_default().into();
        self.observer.connected(net.now(), self.pairs, &format!("connected from {client}"));
        let target = net.connect(self.route.dial.clone());
        let rewrite = self.route.canonical.map(|limit| Box::new(Canonical::new(limit)) as Box<dyn Rewrite>);
        net.link(id, target, rewrite);
        net.link(target, id, None);
        let side = PairSide { pair: self.pairs, client, side: Side::Client, other: target };
        self.sides.insert(target, PairSide { side: Side::Server, other: id, ..side.clone() });
        self.sides.insert(id, side);
    }

    fn on_message(&mut self, net: &mut Net, id: ConnId, frame: &Frame<'_>) {
        let Some(of) = self.sides.get(&id).cloned() else { return };
        self.observer.recorder.frame(net, of.pair, of.side, frame);
        match frame {
            Frame::Message(message) => self.receive(net.now(), &of, message),
            Frame::Ignored { .. } => {}
            Frame::Bad { number, fault } => {
                let place = format!("{} {}: line {number}", of.client, of.side.name());
                self.observer.receive_bad(of.pair, of.side, place, *fault, true);
            }
        }
        self.observer.flush(net, READ_BYTES);
    }

    fn on_eof(&mut self, _net: &mut Net, _id: ConnId) {
        // Passed on by the loop.
    }

    fn on_close(&mut self, net: &mut Net, id: ConnId, closed: Closed) {
        let Some(of) = self.sides.remove(&id) else { return };
        self.report_close(&of, &closed);
        let side = of.side.name();
        let how = match &closed.reason {
            CloseReason::ByPeer => format!("closed by the {side}"),
            CloseReason::Lost(error) => format!("the {side} was lost: {}", plain_words(error)),
            CloseReason::Unreached(error) => format!("the {side} was not reached: {}", plain_words(error)),
            CloseReason::LinkLost => format!("reset to the {side}, because the other side was lost"),
            _ => format!("closed by backbox towards the {side}"),
        };
        self.observer.recorder.closed(net, of.pair, &how, of.side, &closed.unfinished);
        let is_last = !self.sides.contains_key(&of.other);
        if is_last {
            self.observer.closed(net, of.pair, &how, None);
        }
        if self.route.once && is_last {
            self.observer.end(End::Closed(CloseReason::ByPeer));
        }
    }

    fn on_turn(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        let (next, leaves) = self.observer.turn(net, now);
        if let Some(in_hurry) = leaves {
            self.leave(net, in_hurry);
        }
        next
    }

    fn on_stop(&mut self, _net: &mut Net, stop: Stop) {
        match stop {
            Stop::OutputGone(error) => self.observer.stop_printing(&error),
            stop => self.observer.stop(stop),
        }
    }

    fn on_notice(&mut self, net: &mut Net, notice: Notice<'_>) {
        match notice {
            Notice::Retrying(id, error) => self.retry(net, id, error),
            Notice::Unobserved(id, limit) => {
                let Some(of) = self.sides.get(&id) else { return };
                let why = format!(
                    "a message of the {} needs more than is left of {limit} bytes for all long ones: \
                     what it sends is forwarded but no longer printed or recorded",
                    of.side.name()
                );
                self.observer.console.report(Exit::Failed, &of.client, &why);
                self.observer.recorder.comment(net, &format!("connection {}: {why}", of.pair));
            }
            notice => self.observer.notice(net, notice),
        }
    }
}

impl Forwarder {
    /// The target was not reached, and is tried again: while the client waits.
    fn retry(&mut self, net: &mut Net, id: ConnId, error: &io::Error) {
        let Some(of) = self.sides.get(&id) else { return };
        if net.has_left(of.other) {
            net.reset(id);
        } else if self.reported.replace(id) != Some(id) {
            let (client, target, why) = (&of.client, &self.route.target.address, plain_words(error));
            self.observer.console.note(format_args!("{client}: waits for {target}: {why}; retrying until it accepts"));
        }
    }
}
