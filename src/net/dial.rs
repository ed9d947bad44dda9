//! Connecting: addresses in order, each for 5 s, and again until a retry time has passed. It all happens inside the
//! loop, so that a stop or a deadline of the handler ends it at once.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::sys;

/// How long one address is tried before the next one is.
pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long a failed round rests before it is repeated: a game that starts is met within a blink.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The pause of `--reconnect`.
pub(crate) const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Where and for how long to connect.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    /// What the name was resolved to, in the order to try. Resolve before signals are caught: it can block.
    pub addresses: Vec<SocketAddr>,
    /// How long failed rounds are repeated: zero is one round, [`Duration::MAX`] is for ever. The first round is
    /// always tried.
    pub retry: Duration,
    /// The pause between rounds.
    pub pause: Duration,
    /// The pause before the first round (of a reconnect).
    pub delay: Duration,
}

impl Dial {
    /// One round, at once.
    pub(crate) fn new(addresses: Vec<SocketAddr>) -> Dial {
        Dial { addresses, retry: Duration::ZERO, pause: RETRY_PAUSE, delay: Duration::ZERO }
    }

    /// Repeats failed rounds every [`RETRY_PAUSE`].
    pub(crate) fn retry(self, retry: Duration) -> Dial {
        Dial { retry, ..self }
    }

    /// Connects again after a loss: once a second, the first time after a second. A `retry` of zero is no limit.
    pub(crate) fn again(self) -> Dial {
        let retry = if self.retry.is_zero() { Duration::MAX } else { self.retry };
        Dial { retry, pause: RECONNECT_PAUSE, delay: RECONNECT_PAUSE, ..self }
    }
}

/// A connection that is being made.
#[derive(Debug)]
pub(super) struct Attempt {
    dial: Dial,
    /// When the first round began, or will.
    start: Instant,
    /// When the next round begins, or this one began.
    round: Instant,
    /// Which address is next.
    next: usize,
    /// What the system connects, until this time.
    pending: Option<(TcpStream, Instant)>,
    /// What the last address failed with.
    error: io::Error,
}

/// What became of an attempt so far.
#[derive(Debug)]
pub(super) enum AttemptState {
    /// Look again at this time, or when the socket can be written. With an error, a round failed.
    Wait(Instant, Option<io::Error>),
    Connected(TcpStream, SocketAddr),
    Failed(io::Error),
}

impl Attempt {
    pub(super) fn new(dial: Dial, now: Instant) -> Attempt {
        let start = now + dial.delay;
        let error = io::ErrorKind::AddrNotAvailable.into();
        Attempt { dial, start, round: start, next: 0, pending: None, error }
    }

    /// The socket that poll has to watch until it can be written.
    pub(super) fn pending(&self) -> Option<&TcpStream> {
        self.pending.as_ref().map(|(socket, _)| socket)
    }

    /// Moves on as far as it goes without waiting.
    pub(super) fn advance(&mut self, now: Instant) -> AttemptState {
        if now < self.round {
            return AttemptState::Wait(self.round, None);
        }
        loop {
            if let Some((socket, until)) = self.pending.take() {
                self.error = match decided(&socket) {
                    Some(Ok(peer)) => return AttemptState::Connected(socket, peer),
                    Some(Err(error)) => error,
                    None if now >= until => io::ErrorKind::TimedOut.into(),
                    None => {
                        self.pending = Some((socket, until));
                        return AttemptState::Wait(until.min(now + sys::CONNECT_LOOK_TIME), None);
                    }
                };
            }
            let Some(&address) = self.dial.addresses.get(self.next) else { return self.end_round(now) };
            self.next += 1;
            match sys::connect(address) {
                Ok(socket) => self.pending = Some((socket, now + CONNECT_TIME)),
                Err(error) => self.error = error,
            }
        }
    }

    fn end_round(&mut self, now: Instant) -> AttemptState {
        (self.round, self.next) = (now + self.dial.pause, 0);
        let error = std::mem::replace(&mut self.error, io::ErrorKind::AddrNotAvailable.into());
        // A time beyond the clock's end is for ever.
        match self.start.checked_add(self.dial.retry) {
            Some(end) if self.round > end => AttemptState::Failed(error),
            _ => AttemptState::Wait(self.round, Some(error)),
        }
    }
}

/// What the system decided about a pending connection, if it has: the peer's address, or why there is none.
fn decided(socket: &TcpStream) -> Option<io::Result<SocketAddr>> {
    match socket.take_error() {
        Ok(None) => {}
        Ok(Some(error)) | Err(error) => return Some(Err(error)),
    }
    let peer = socket.peer_addr().ok()?;
    // A free port of the ephemeral range can connect to itself.
    let is_own = socket.local_addr().is_ok_and(|own| own == peer);
    Some(if is_own { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(peer) })
}
