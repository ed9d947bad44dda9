//! Addresses: where to connect and where to listen, what to report when that fails, and telling others the address.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::result_file::write_whole;
use crate::exit::{Failure, plain_words};
use crate::framing::Wire;
use crate::net::{Address, ConnId, Net, SocketAddr};
use crate::output::{Console, say};
use crate::text::file_name;

/// The port on which a media controller listens and to which MPF connects.
pub const MEDIA_PORT: u16 = 5050;

/// The port on which MPF listens for all clients but its media controller.
pub const PIN_PORT: u16 = 5051;

/// The default port of OBE_Socket servers.
pub const OBE_PORT: u16 = 61981;

/// Reads and resolves an address; what is left out is that of `default`.
///
/// # Errors
/// [`Failure::Usage`] for an invalid address, [`Failure::Io`] for a name that cannot be resolved.
pub fn resolve(text: Option<&str>, default: Address) -> Result<(Address, Vec<SocketAddr>), Failure> {
    let address = match text {
        Some(text) => Address::parse(text, &default).map_err(Failure::Usage)?,
        None => default,
    };
    let sockets = address.resolve().map_err(|error| Failure::io(format_args!("cannot resolve {address}"), &error))?;
    Ok((address, sockets))
}

/// A server to connect to.
#[derive(Debug)]
pub struct Target {
    /// As typed, for messages.
    pub address: Address,
    /// What it resolves to, in the order in which it is tried.
    pub sockets: Vec<SocketAddr>,
    /// `--retry`: zero is one try.
    pub retry: Duration,
    /// Why it was not reached, while the connection is retried.
    pub unreached: Option<io::Error>,
}

impl Target {
    /// The server at an address; what is left out is `localhost` and `port`. Call it before signals are caught: a
    /// signal does not end a resolver.
    ///
    /// # Errors
    /// As for [`resolve`].
    pub fn resolve(text: Option<&str>, port: u16, retry: Duration) -> Result<Target, Failure> {
        let (address, sockets) = resolve(text, Address::new("localhost", port))?;
        Ok(Target { address, sockets, retry, unreached: None })
    }

    /// One known address, such as that of a server in this process.
    pub fn known(socket: SocketAddr) -> Target {
        let address = Address::new(&socket.ip().to_string(), socket.port());
        Target { address, sockets: vec![socket], retry: Duration::ZERO, unreached: None }
    }

    /// Begins to connect.
    pub(crate) fn connect(&self, net: &mut Net) -> ConnId {
        net.connect(&self.sockets, self.retry)
    }

    /// A try to connect failed, and another follows; the first one is noted.
    pub(crate) fn note_failure(&mut self, error: &io::Error, console: &Console) {
        let why = plain_words(error);
        if self.unreached.is_none() {
            console.note(format_args!("{}: {why}; retrying until it accepts", self.address));
        }
        self.unreached = Some(io::Error::new(error.kind(), why));
    }

    /// What to report when it cannot be reached.
    pub(crate) fn failure(&self, error: &io::Error) -> Failure {
        self.failure_after(error, self.retry)
    }

    /// The same, after so much time; zero is one try.
    pub(crate) fn failure_after(&self, error: &io::Error, tried: Duration) -> Failure {
        let address = &self.address;
        let is_remote = !self.sockets.iter().all(|socket| socket.ip().is_loopback());
        let mut text = match error.kind() {
            io::ErrorKind::ConnectionRefused => format!("connection refused at {address}"),
            io::ErrorKind::TimedOut => format!("timed out connecting to {address}"),
            _ => format!("cannot connect to {address}: {}", plain_words(error)),
        };
        if error.kind() == io::ErrorKind::ConnectionRefused {
            text.push_str(match address.port {
                PIN_PORT if is_remote => {
                    ": MPF opens this port only after its media controller has connected (or with mpf -b), and only on \
                     127.0.0.1 unless its setting bcp: servers: url_style: ip: names another address"
                }
                PIN_PORT => ": MPF opens this port only after its media controller has connected (or with mpf -b)",
                MEDIA_PORT => ": no media controller is listening (backbox listen is one)",
                _ => ": no program is listening on this port",
            });
        }
        match tried.is_zero() {
            true => text.push_str("; --retry 30s waits for it"),
            false => text.push_str(&format!("; tried for {} s", (tried.as_secs_f64() * 1e3).round() / 1e3)),
        }
        Failure::Io(text)
    }
}

/// Where to listen.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// `-a`.
    pub address: Option<&'a str>,
    /// The port when none is given, if it is not the usual one of the wire.
    pub port: Option<u16>,
    /// `--announce`.
    pub announce: Option<&'a Path>,
    /// The protocol of the peers.
    pub wire: Wire,
}

impl Place<'_> {
    /// Listens in the loop, and returns the real address.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an invalid address, [`Failure::Io`] for one that is in use and the like.
    pub(crate) fn listen(&self, net: &mut Net) -> Result<SocketAddr, Failure> {
        let (address, sockets) = self.resolve()?;
        net.listen(&sockets).map_err(|error| self.failure(&address, &error))
    }

    /// Why it cannot listen, and what else to try.
    fn failure(&self, address: &Address, error: &io::Error) -> Failure {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse if self.wire == Wire::Obe => {
                "; another server uses it; -a 127.0.0.1:0 picks a free port"
            }
            io::ErrorKind::AddrInUse => {
                "; another media controller, or another backbox, uses it; -a 127.0.0.1:0 picks a free port"
            }
            io::ErrorKind::PermissionDenied => "; ports below 1024 are reserved for the system; use a higher one",
            io::ErrorKind::AddrNotAvailable => "; this computer has no such address; -a 127.0.0.1 is its own",
            _ => "",
        };
        Failure::Io(format!("cannot listen on {address}: {}{hint}", plain_words(error)))
    }

    /// As typed, and what it resolves to.
    fn resolve(&self) -> Result<(Address, Vec<SocketAddr>), Failure> {
        let usual = match self.wire {
            Wire::Bcp => MEDIA_PORT,
            Wire::Obe => OBE_PORT,
        };
        let default = Address::new("127.0.0.1", self.port.unwrap_or(usual));
        let (address, mut sockets) = resolve(self.address, default)?;
        // MPF connects to the IPv4 loopback address, whatever localhost means here.
        sockets.sort_by_key(SocketAddr::is_ipv6);
        Ok((address, sockets))
    }

    /// Writes the address to the file of `--announce`, and warns if other computers can connect.
    ///
    /// # Errors
    /// The file of `--announce` cannot be written.
    pub fn announce(&self, address: SocketAddr) -> Result<(), Failure> {
        if !address.ip().is_loopback() {
            // Also with -q: it concerns the owner of the computer.
            let wire = match self.wire {
                Wire::Bcp => "BCP",
                Wire::Obe => "OBE_Socket",
            };
            let text =
                format!("{address} accepts connections from other computers, and {wire} has no authentication\n");
            say(&text);
        }
        match self.announce {
            None => Ok(()),
            Some(file) => write_whole(file, format!("{address}\n").as_bytes())
                .map_err(|error| Failure::io(format_args!("cannot write {}", file_name(file)), &error)),
        }
    }
}

/// Removes an old announcement, before anything else is done: a script that waits for the file must not read the
/// address of an earlier run, also when this one fails.
///
/// # Errors
/// [`Failure::Io`] for a file that cannot be removed.
pub(crate) fn withdraw(file: Option<&Path>) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let is_file = fs::symlink_metadata(file).is_ok_and(|found| found.is_file() || found.is_symlink());
    match is_file.then(|| fs::remove_file(file)) {
        Some(Err(error)) => Err(Failure::io(format_args!("cannot remove the old {}", file_name(file)), &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_connection_says_what_to_do() {
        let complaint = |target: Target, kind: io::ErrorKind, retry| {
            Target { retry, ..target }.failure(&kind.into()).message().unwrap_or_default().to_owned()
        };
        let target = |port| Target::resolve(Some("localhost"), port, Duration::ZERO).unwrap();
        let refused = io::ErrorKind::ConnectionRefused;
        assert_eq!(
            complaint(target(5051), refused, Duration::ZERO),
            "connection refused at localhost:5051: MPF opens this port only after its media controller has connected \
             (or with mpf -b); --retry 30s waits for it"
        );
        let tried = complaint(target(5050), refused, Duration::from_millis(1500));
        assert!(tried.ends_with("(backbox listen is one); tried for 1.5 s"), "{tried}");
        assert!(
            complaint(target(7), refused, Duration::ZERO).contains(": no program is listening on this port; --retry")
        );
        let late = complaint(target(7), io::ErrorKind::TimedOut, Duration::ZERO);
        assert_eq!(late, "timed out connecting to localhost:7; --retry 30s waits for it");
        let remote = complaint(Target::known("192.0.2.7:5051".parse().unwrap()), refused, Duration::ZERO);
        assert!(remote.contains("only on 127.0.0.1 unless its setting bcp: servers: url_style: ip:"), "{remote}");
    }

    #[test]
    fn invalid_address_is_a_usage_error() {
        assert!(matches!(Target::resolve(Some("a b"), 1, Duration::ZERO), Err(Failure::Usage(_))));
        assert_eq!(Target::resolve(Some(":7"), 1, Duration::ZERO).unwrap().address.to_string(), "localhost:7");
        assert_eq!(Target::resolve(None, 5051, Duration::ZERO).unwrap().address.to_string(), "localhost:5051");
    }
}
