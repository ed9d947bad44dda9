//! Connecting: addresses in order, each for 5 s, and again until a retry time has passed. It all happens inside the
//! loop, so that a stop or a deadline of the handler ends it at once.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::sys;

/// How long one address is tried before the next one is.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long a failed round rests before it is repeated: a game that starts is reached in a blink.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The same for `--reconnect`, also before the first round.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// A connection that is being made.
#[derive(Debug)]
pub(super) struct ConnectAttempt {
    addresses: Vec<SocketAddr>,
    /// Until when failed rounds are repeated; `None` is for ever.
    end: Option<Instant>,
    /// The pause between rounds.
    pause: Duration,
    /// When the next round begins, or this one began.
    round: Instant,
    /// Which address is next.
    next: usize,
    /// What the system connects, until this time: poll has to watch it until it can be written.
    pub(super) pending: Option<(TcpStream, Instant)>,
    /// What the last address failed with.
    error: io::Error,
}

/// What became of an attempt so far.
pub(super) enum AttemptState {
    /// Look again at this time, or when the socket can be written. With an error, a round failed.
    Wait(Instant, Option<io::Error>),
    Connected(TcpStream, SocketAddr),
    Failed(io::Error),
}

impl ConnectAttempt {
    pub(super) fn new(addresses: &[SocketAddr], retry: Duration) -> ConnectAttempt {
        let (round, error) = (Instant::now(), io::ErrorKind::AddrNotAvailable.into());
        let (addresses, end) = (addresses.to_vec(), round.checked_add(retry));
        ConnectAttempt { addresses, end, pause: RETRY_PAUSE, round, next: 0, pending: None, error }
    }

    pub(super) fn again(addresses: &[SocketAddr], retry: Duration) -> ConnectAttempt {
        let attempt = ConnectAttempt::new(addresses, retry.saturating_add(RECONNECT_PAUSE));
        let end = attempt.end.filter(|_| !retry.is_zero());
        ConnectAttempt { end, pause: RECONNECT_PAUSE, round: attempt.round + RECONNECT_PAUSE, ..attempt }
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
            let Some(&address) = self.addresses.get(self.next) else { return self.end_round(now) };
            self.next += 1;
            match sys::connect(address) {
                Ok(socket) => self.pending = Some((socket, now + CONNECT_TIME)),
                Err(error) => self.error = error,
            }
        }
    }

    fn end_round(&mut self, now: Instant) -> AttemptState {
        (self.round, self.next) = (now + self.pause, 0);
        let error = std::mem::replace(&mut self.error, io::ErrorKind::AddrNotAvailable.into());
        match self.end {
            Some(end) if self.round > end => AttemptState::Failed(error),
            _ => AttemptState::Wait(self.round, Some(error)),
        }
    }
}

/// What the system decided about a pending connection, if it has: the peer's address, or why there is none.
fn decided(socket: &TcpStream) -> Option<io::Result<SocketAddr>> {
    if let Some(error) = socket.take_error().unwrap_or_else(Some) {
        return Some(Err(error));
    }
    let peer = socket.peer_addr().ok()?;
    // A free port of the ephemeral range can connect to itself.
    let is_own = socket.local_addr().is_ok_and(|own| own == peer);
    Some(if is_own { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(peer) })
}
