//! Addresses as they are typed, what they resolve to, and connecting.
//!
//! Addresses are tried in order, each for 5 s, and again until a retry time has passed. It all happens inside the loop,
//! so that a stop or a deadline of the handler ends it at once.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use super::sys;
use crate::text::shown;

/// How long one address is tried before the next one is.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long a failed round rests before it is repeated: a game that starts is reached in a blink.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The same for `--reconnect`, also before the first round.
pub(super) const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// A host and a port, as typed or by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or a literal address, an IPv6 one without brackets.
    pub(crate) host: String,
    /// The port; 0 lets the system choose when binding.
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Address {
    /// An address from its parts.
    pub(crate) fn new(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    /// Reads `HOST:PORT`, `HOST`, `:PORT`, `PORT` or `[::1]:PORT`; what is left out comes from `default`.
    ///
    /// # Errors
    /// A sentence that shows the forms.
    pub(crate) fn parse(text: &str, default: &Address) -> Result<Address, String> {
        let is_host =
            |host: &str| !host.contains(|c: char| c.is_whitespace() || c.is_control() || "/?#@[]".contains(c));
        let Some((host, port)) = split(text).filter(|(host, _)| is_host(host)) else {
            let text = if text.is_empty() { "\"\"".to_owned() } else { shown(text.as_bytes()) };
            return Err(format!(
                "invalid address {text}: write HOST:PORT, HOST, :PORT, PORT or [::1]:PORT, with a port up to 65535"
            ));
        };
        let host = if host.is_empty() { &default.host } else { host };
        Ok(Address::new(host, port.unwrap_or(default.port)))
    }

    /// All that the address stands for, in the order to try.
    ///
    /// `localhost` needs no resolver: it is `[::1]`, then `127.0.0.1`. Other names may take as long as the system's
    /// resolver takes, so this is called before signals are caught.
    ///
    /// # Errors
    /// What the resolver returns.
    pub(crate) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if self.host.eq_ignore_ascii_case("localhost") {
            let both: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
            return Ok(both.map(|host| SocketAddr::new(host, self.port)).to_vec());
        }
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }
}

/// Host and port, either of which may be left out; `None` when a bracket is left open or the port is not one.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?.parse().ok()?) };
        return Some((host, port));
    }
    match text.rsplit_once(':') {
        _ if text.parse::<Ipv6Addr>().is_ok() => Some((text, None)),
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(("", Some(text.parse().ok()?))),
        None => Some((text, None)),
    }
}

/// Whether an address is one of this machine's: only those can be bound.
pub(crate) fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

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
    /// The first round begins after `delay`, the others after `pause`, until `retry` has passed.
    pub(super) fn new(addresses: &[SocketAddr], retry: Duration, delay: Duration, pause: Duration) -> ConnectAttempt {
        let (now, error) = (Instant::now(), io::ErrorKind::AddrNotAvailable.into());
        let (addresses, end) = (addresses.to_vec(), now.checked_add(delay.saturating_add(retry)));
        ConnectAttempt { addresses, end, pause, round: now + delay, next: 0, pending: None, error }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let default = Address::new("localhost", 5051);
        let seen = Address::parse(text, &default).map_or_else(|why| why, |address| address.to_string());
        assert!(seen.starts_with(expected), "{text}: {seen}");
    }

    #[test]
    fn every_form_is_read() {
        check("127.0.0.1:5050", "127.0.0.1:5050");
        check("game", "game:5051");
        check("game:0", "game:0");
        check(":5060", "localhost:5060");
        check("5060", "localhost:5060");
        check("[::1]:5050", "[::1]:5050");
        check("[::1]", "[::1]:5051");
        check("::1", "[::1]:5051");
        check("fe80::1", "[fe80::1]:5051");
    }

    #[test]
    fn an_invalid_address_is_reported_with_the_reason_and_the_forms() {
        for text in
            ["", ":", "game:", "game:abc", "game:70000", "70000", "[::1", "[::1]5050", "a b:1", "tcp://game:1", "a:-1"]
        {
            check(text, &format!("invalid address {}: ", if text.is_empty() { "\"\"" } else { text }));
        }
        let why = Address::parse("game:abc", &Address::new("localhost", 1)).unwrap_err();
        assert!(why.contains(": write HOST:PORT, HOST, :PORT, PORT or [::1]:PORT"));
    }

    #[test]
    fn localhost_is_both_families_without_a_resolver() {
        let addresses = Address::new("LocalHost", 7).resolve().unwrap();
        assert_eq!(addresses, ["[::1]:7".parse().unwrap(), "127.0.0.1:7".parse::<SocketAddr>().unwrap()]);
    }

    #[test]
    fn loopback_is_of_this_machine_and_an_address_for_documents_is_not() {
        assert!(is_of_this_machine(Ipv4Addr::new(127, 0, 0, 77).into()));
        // Wine binds any address.
        assert!(cfg!(windows) || !is_of_this_machine(Ipv4Addr::new(203, 0, 113, 7).into()));
    }
}
