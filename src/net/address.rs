//! Addresses as they are typed, what they resolve to, and dialling them.
//!
//! Which host and port stand for one left out is the caller's business, and so is what to tell a person whose call was
//! refused.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use super::wait::{self, Stop};
use crate::text::shown;

/// How long one address is dialled before the next one is tried.
pub const DIAL_TIME: Duration = Duration::from_secs(5);

/// How long a refused dial rests before it is repeated: a game that starts is met within a blink.
pub const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// A host and a port, as typed or by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or a literal address, an IPv6 one without brackets.
    pub host: String,
    /// The port; 0 lets the system choose when binding.
    pub port: u16,
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
    pub fn new(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    /// Reads `HOST:PORT`, `HOST`, `:PORT`, `PORT` or `[::1]:PORT`; what is left out comes from `default`.
    ///
    /// # Errors
    /// A sentence that shows the forms.
    ///
    /// ```
    /// use backbox::net::address::Address;
    /// let default = Address::new("localhost", 5051);
    /// assert_eq!(Address::parse(":5060", &default).unwrap().to_string(), "localhost:5060");
    /// assert_eq!(Address::parse("pinball.local", &default).unwrap().to_string(), "pinball.local:5051");
    /// assert_eq!(Address::parse("[::1]:5050", &default).unwrap().host, "::1");
    /// assert!(Address::parse("localhost:port", &default).is_err());
    /// ```
    pub fn parse(text: &str, default: &Address) -> Result<Address, String> {
        let wrong = |why: &str| {
            let text = if text.is_empty() { "\"\"".to_owned() } else { shown(text.as_bytes()) };
            format!("{text} is no address ({why}); write HOST:PORT, HOST, :PORT, PORT or [::1]:PORT")
        };
        let (host, port) = split(text).ok_or_else(|| wrong("a bracket is missing"))?;
        let port = match port {
            None => default.port,
            Some("") => return Err(wrong("nothing stands behind the colon")),
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| wrong("a port is at most 65535"))?
            }
            Some(_) => return Err(wrong("a port is a number")),
        };
        match host {
            "" if text.is_empty() => Err(wrong("it is empty")),
            "" => Ok(Address { host: default.host.clone(), port }),
            host if host.contains(|c: char| c.is_whitespace() || c.is_control() || "/?#@[]".contains(c)) => {
                Err(wrong("a host holds no blank and none of / ? # @ [ ]"))
            }
            host => Ok(Address { host: host.to_owned(), port }),
        }
    }

    /// All that the address stands for, in the order in which it is dialled.
    ///
    /// `localhost` needs no resolver: it is `[::1]`, then `127.0.0.1`. Other names may take as long as the system's
    /// resolver takes, so this is called before signals are caught.
    ///
    /// # Errors
    /// What the resolver says.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if self.host.eq_ignore_ascii_case("localhost") {
            let both: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
            return Ok(both.map(|host| SocketAddr::new(host, self.port)).to_vec());
        }
        let addresses: Vec<SocketAddr> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        match addresses.is_empty() {
            true => Err(io::Error::other("the name has no address")),
            false => Ok(addresses),
        }
    }
}

/// Host and port, either of which may be left out; `None` when a bracket is left open.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text, None));
    }
    match text.rsplit_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => Some(("", Some(text))),
        None => Some((text, None)),
    }
}

/// Why nobody was reached.
#[derive(Debug)]
pub enum Unreached {
    /// The stop came first, or nobody waits for it any more.
    Stopped,
    /// What the last address said.
    Failed(io::Error),
}

/// Dials the addresses in order, each for at most [`DIAL_TIME`], and again every [`RETRY_PAUSE`] until `retry` has
/// passed.
/// When the first round has failed and another one will follow, `waiting` hears why.
///
/// # Errors
/// The stop, or what the last try of the last address met.
pub fn dial(
    addresses: &[SocketAddr],
    retry: Duration,
    stop: &Stop,
    waiting: impl FnOnce(&io::Error),
) -> Result<TcpStream, Unreached> {
    dial_until(addresses, retry, None, stop, waiting)
}

/// As [`dial`], but until a time at the latest, also while a call is neither taken nor refused.
///
/// # Errors
/// As for [`dial`].
pub fn dial_until(
    addresses: &[SocketAddr],
    retry: Duration,
    until: Option<Instant>,
    stop: &Stop,
    waiting: impl FnOnce(&io::Error),
) -> Result<TcpStream, Unreached> {
    let mut waiting = Some(waiting);
    dial_every(RETRY_PAUSE, addresses, retry, until, stop, |error| {
        if let Some(tell) = waiting.take() {
            tell(error);
        }
        true
    })
}

/// As [`dial_until`], but again every `pause`, and only while `goes_on`, which hears why each round failed, says so.
///
/// # Errors
/// As for [`dial`].
pub fn dial_every(
    pause: Duration,
    addresses: &[SocketAddr],
    retry: Duration,
    until: Option<Instant>,
    stop: &Stop,
    mut goes_on: impl FnMut(&io::Error) -> bool,
) -> Result<TcpStream, Unreached> {
    let start = Instant::now();
    // A time beyond the clock's end is for ever.
    let give_up = start.checked_add(retry).into_iter().chain(until).min();
    loop {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for &address in addresses {
            let patience = Instant::now() + DIAL_TIME;
            match wait::connect(address, until.map_or(patience, |until| until.min(patience)), stop) {
                Ok(socket) => return Ok(socket),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(Unreached::Stopped),
                Err(error) => last = error,
            }
        }
        let next = Instant::now() + pause;
        if give_up.is_some_and(|end| next > end) {
            // Who would have gone on dialling has the whole time that was given.
            let rest = until.filter(|_| give_up == until);
            return match rest.map_or(Ok(false), |until| stop.wait_until(until)) {
                Ok(true) => Err(Unreached::Stopped),
                Ok(false) => Err(Unreached::Failed(last)),
                Err(error) => Err(Unreached::Failed(error)),
            };
        }
        if !goes_on(&last) || stop.wait_until(next).map_err(Unreached::Failed)? {
            return Err(Unreached::Stopped);
        }
    }
}

/// Whether an address is one of this machine's: only those can be bound.
pub fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::wait::{listen, stop_pair};

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
    fn what_is_no_address_says_why_and_shows_the_forms() {
        for text in
            ["", ":", "game:", "game:abc", "game:70000", "70000", "[::1", "[::1]5050", "a b:1", "tcp://game:1", "a:-1"]
        {
            check(text, &format!("{} is no address (", if text.is_empty() { "\"\"" } else { text }));
        }
        let why = Address::parse("game:abc", &Address::new("localhost", 1)).unwrap_err();
        assert!(why.ends_with("write HOST:PORT, HOST, :PORT, PORT or [::1]:PORT"));
    }

    #[test]
    fn localhost_is_both_families_without_a_resolver() {
        let addresses = Address::new("LocalHost", 7).resolve().unwrap();
        assert_eq!(addresses, ["[::1]:7".parse().unwrap(), "127.0.0.1:7".parse::<SocketAddr>().unwrap()]);
    }

    #[test]
    fn loopback_is_of_this_machine_and_an_address_for_documents_is_not() {
        assert!(is_of_this_machine(Ipv4Addr::new(127, 0, 0, 77).into()));
        assert!(!is_of_this_machine(Ipv4Addr::new(203, 0, 113, 7).into()));
    }

    #[test]
    fn the_second_address_is_tried_when_the_first_refuses() {
        let listener = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let good = listener.local_addr().unwrap();
        let closed = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap().local_addr().unwrap();
        let (stop, _stopper) = stop_pair().unwrap();
        let socket = dial(&[closed, good], Duration::ZERO, &stop, |_| ()).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), good);
    }

    #[test]
    fn a_retry_meets_whoever_comes_later_and_a_stop_ends_it() {
        let address = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap().local_addr().unwrap();
        let (stop, stopper) = stop_pair().unwrap();
        let refused = dial(&[address], Duration::ZERO, &stop, |_| ()).unwrap_err();
        assert!(matches!(refused, Unreached::Failed(error) if error.kind() == io::ErrorKind::ConnectionRefused));
        std::thread::scope(|scope| {
            let dialled = scope.spawn(|| dial(&[address], Duration::from_secs(20), &stop, |_| ()).map(|_| ()));
            let _listener = listen(&[address]).unwrap();
            assert!(dialled.join().unwrap().is_ok());
        });
        std::thread::scope(|scope| {
            let dialled = scope.spawn(|| dial(&[address], Duration::MAX, &stop, |_| drop(stopper)).map(|_| ()));
            assert!(matches!(dialled.join().unwrap(), Err(Unreached::Stopped)));
        });
    }
}
