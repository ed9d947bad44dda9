//! Connecting: addresses in order, each for 5 s, and again until a retry time has passed. It all happens inside the
//! loop, so that a stop or a deadline of the handler ends it at once.

use std::net::SocketAddr;
use std::time::Duration;

/// How long one address is tried before the next one is.
pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long a failed round rests before it is repeated.
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
