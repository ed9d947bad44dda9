//! The network: one loop that polls all sockets, and the threads of what else can block.
//!
//! ```text
//! loop       poll [waker, stdout's reader, listeners, sockets]; nothing in it blocks. It runs the [`Handler`].
//! stdin      a thread, once the handler wants input: one block at a time, read when the one before was handled
//! stdout     written by the loop while it is at most 4 KiB and there is room; more starts a thread, for good
//! recording  a thread over a file, handed its bytes before standard output is
//! signals    wake the loop through its waker (Unix: no thread; Windows: the thread of the `ctrlc` crate)
//! ```
//!
//! `send` and `replay` are one connection, `listen` is a listener and n connections, `--forward` is pairs of linked
//! connections, and the built-in media controller of `replay --loopback` is the same loop in a second thread.
//! All that differs between systems is in `sys`.

mod connect;
mod connection;
#[cfg(test)]
mod link_tests;
#[cfg(test)]
mod loop_tests;
#[cfg(test)]
mod output_tests;
mod reactor;
mod sockets;
mod stdio;
mod sys;

use std::io::{self, Write};
pub(crate) use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::framing::{Frame, FramingOptions};

pub(crate) use connect::{Address, is_of_this_machine};
pub(crate) use connection::{CloseReason, Closed, ConnId, OUTBOX_BYTES_MAX};
pub(crate) use reactor::{ShutdownHandle, run_in_background};
pub(crate) use sockets::Net;
pub(crate) use stdio::StdinReader;
pub(crate) use sys::{Output, widen_pipes};

/// How long the peer may take to close after we have half-closed.
pub(crate) const DRAIN_TIME: Duration = Duration::from_millis(500);

/// How long the messages that wait may take to be written when a connection ends because of a stop, a deadline or the
/// peer's own end.
pub(crate) const FLUSH_TIME: Duration = Duration::from_millis(300);

/// After [`Net::hurry`] and the end of all connections, how long to wait for a standard output that nothing reads, or a
/// slow disk.
pub(crate) const OUTPUT_TIME: Duration = Duration::from_millis(500);

/// What a command does on the network. Its methods never block and touch no socket; they act through the [`Net`].
///
/// Order of calls: `on_turn` is first. For each connection: `on_connect`, any number of `on_message`, at most one
/// `on_eof`, exactly one `on_close`, and nothing after it. A `connect` that fails has only its `on_close`. No method is
/// called from inside a method of `Net`: what an action causes is reported later, before the loop sleeps. What was
/// sent, printed and recorded in one call leaves in one write where it fits.
pub(crate) trait Handler {
    /// A connection is open: accepted, or made by [`Net::connect`].
    fn on_connect(&mut self, net: &mut Net, id: ConnId);

    /// A frame was read, at [`Net::now`]. It is called after `finish` too, until the connection is closed. On a linked
    /// connection it is called before the frame's last bytes are forwarded.
    fn on_message(&mut self, net: &mut Net, id: ConnId, frame: &Frame<'_>);

    /// Nothing more will be read: the peer has closed its side, or broken the framing (which `on_message` has seen as
    /// [`Frame::Bad`]). Messages can still be sent; without [`Net::finish`] the connection stays half-open. So most
    /// handlers send their last words and call `net.finish(id, FLUSH_TIME, DRAIN_TIME)`. For a linked connection do
    /// nothing: its half-close is passed on. Not called once the connection finishes.
    fn on_eof(&mut self, net: &mut Net, id: ConnId);

    /// The connection is over; its number is of no more use. A handler that reconnects calls [`Net::connect`] here.
    fn on_close(&mut self, net: &mut Net, id: ConnId, closed: Closed);

    /// All messages sent so far on this connection were written to the socket, at [`Net::now`]. Called after each
    /// write that empties a queue that was not empty; then `on_turn` is called again before the loop sleeps.
    fn on_sent(&mut self, _net: &mut Net, _id: ConnId) {}

    /// Whether [`NetSettings::input`] is to be read now. Asked in every turn; input is read ahead by one block at most.
    /// Refuse while what was read before has not been sent: that is how a slow peer slows standard input.
    fn wants_input(&mut self, _net: &Net) -> bool {
        false
    }

    /// A block of input. The last call has an empty block or an error.
    fn on_input(&mut self, _net: &mut Net, _bytes: io::Result<Vec<u8>>) {}

    /// Called in every turn of the loop, after everything that has happened was reported and before it sleeps: the
    /// place for pace, deadlines and streams. Returns when it is to be called again at the latest; the loop wakes at
    /// that time to within 0.1 ms. With a time in the past it only looks at its sockets and calls again.
    fn on_turn(&mut self, net: &mut Net, now: Instant) -> Option<Instant>;

    /// The run is asked to end, or output is no longer possible. After a signal, [`cut`](Net::cut) what waits on each
    /// open connection, send the last words, then call [`Net::hurry`]. A second signal ends the process without another
    /// call. After [`Stop::OutputGone`], `print` does nothing; the run goes on unless the handler ends it.
    fn on_stop(&mut self, net: &mut Net, stop: Stop);

    /// Something to report.
    fn on_notice(&mut self, _net: &mut Net, _notice: Notice<'_>) {}
}

/// Why [`Handler::on_stop`] is called.
#[derive(Debug)]
pub(crate) enum Stop {
    /// This signal arrived (2 or 15; Ctrl-C on Windows is 2; a [`ShutdownHandle`] is 15). Called once.
    Signal(u8),
    /// Standard output cannot be written: [`io::ErrorKind::BrokenPipe`] when its reader has closed it, which is noticed
    /// at once on Unix, even if nothing is printed, and on Windows at the next write. Called once.
    OutputGone(io::Error),
}

/// What [`Handler::on_notice`] reports.
#[derive(Debug)]
pub(crate) enum Notice<'a> {
    /// A round of connecting failed, and another one follows. Called for each round: report the first.
    Retrying(ConnId, &'a io::Error),
    /// One peer more than [`CONNECTIONS_MAX`](crate::limits::CONNECTIONS_MAX) got [`NetSettings::full`] and was closed.
    TurnedAway(SocketAddr),
    /// Accepting failed, mostly because no descriptor is left for another connection: the listener rests until one
    /// closes. Called once.
    AcceptFailed(&'a io::Error),
    /// A linked connection's frame needed more than is left of so many bytes for all long frames. From here on its
    /// bytes are forwarded and not observed: no more `on_message`.
    Unobserved(ConnId, usize),
    /// So many bytes of output were dropped ([`NetSettings::drops_output`]): called when there is room again.
    OutputDropped(u64),
    /// So many bytes of the recording were dropped, as above.
    RecordingDropped(u64),
    /// The recording cannot be written; nothing more is. Called once.
    RecordingFailed(&'a io::Error),
}

/// How a [`Net`] behaves.
#[derive(Default)]
pub(crate) struct NetSettings {
    /// How all peers' bytes are framed; its `read_bytes` does not count.
    pub framing: FramingOptions,
    /// What one peer too many is sent before it is closed.
    pub full: &'static [u8],
    /// What [`Handler::on_input`] gets.
    pub input: Option<StdinReader>,
    /// Where [`Net::print`] writes; watched for its reader's end even when nothing is printed.
    pub output: Option<Output>,
    /// Where [`Net::record`] writes. A writer gets whole blocks, each what was recorded in one or more calls; after its
    /// first error it is not called again.
    pub recording: Option<Box<dyn Write + Send>>,
    /// Whether what exceeds 64 MiB of output or recording is dropped and counted. Otherwise peers are not read while
    /// more than 64 KiB wait.
    pub drops_output: bool,
}

/// Changes the bytes that pass over a link, given in any pieces: appends what is to be forwarded of these and, at the
/// peer's end (`true`), what was kept back. Returns whether what was forwarded ends inside a message. What it has
/// changed is written later than what `on_message` saw.
pub(crate) type Rewrite = Box<dyn FnMut(&[u8], bool, &mut Vec<u8>) -> bool + Send>;

/// What became of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// How many bytes of output were not written because nothing read them after [`Net::hurry`].
    pub unprinted: u64,
    /// How many bytes of the recording were not written in time.
    pub unrecorded: u64,
}
