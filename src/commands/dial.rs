//! The server to connect to, and what to report when it cannot be reached: shared by the subcommands that connect.

use std::io;
use std::time::Duration;

use crate::exit::{Failure, plain_words};
use crate::net::{Address, SocketAddr};

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
    sockets: Vec<SocketAddr>,
}

impl Target {
    /// The server at an address; what is left out is `localhost` and `port`. Call it before signals are caught: a
    /// signal does not end a resolver.
    ///
    /// # Errors
    /// As for [`resolve`].
    pub fn resolve(text: Option<&str>, port: u16) -> Result<Target, Failure> {
        let (address, sockets) = resolve(text, Address::new("localhost", port))?;
        Ok(Target { address, sockets })
    }

    /// What it resolves to, in the order in which it is tried.
    pub fn sockets(&self) -> &[SocketAddr] {
        &self.sockets
    }

    /// One known address, such as that of a server in this process.
    pub fn known(socket: SocketAddr) -> Target {
        Target { address: Address::new(&socket.ip().to_string(), socket.port()), sockets: vec![socket] }
    }

    /// What to report when it cannot be reached, after `retry` (zero: one try).
    pub(crate) fn failure(&self, error: &io::Error, retry: Duration) -> Failure {
        Failure::Io(self.complaint(error, retry))
    }

    fn complaint(&self, error: &io::Error, retry: Duration) -> String {
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
        match retry.is_zero() {
            true => text.push_str("; --retry 30s waits for it"),
            false => text.push_str(&format!("; tried for {} s", (retry.as_secs_f64() * 1e3).round() / 1e3)),
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_connection_says_what_to_do() {
        let target = |port| Target { address: Address::new("localhost", port), sockets: Vec::new() };
        let refused = io::ErrorKind::ConnectionRefused.into();
        assert_eq!(
            target(5051).complaint(&refused, Duration::ZERO),
            "connection refused at localhost:5051: MPF opens this port only after its media controller has \
                connected (or with mpf -b); --retry 30s waits for it"
        );
        let tried = target(5050).complaint(&refused, Duration::from_millis(1500));
        assert!(tried.ends_with("(backbox listen is one); tried for 1.5 s"), "{tried}");
        assert!(
            target(7).complaint(&refused, Duration::ZERO).contains(": no program is listening on this port; --retry")
        );
        let late = target(7).complaint(&io::ErrorKind::TimedOut.into(), Duration::ZERO);
        assert_eq!(late, "timed out connecting to localhost:7; --retry 30s waits for it");
        let remote = Target::known("192.0.2.7:5051".parse().unwrap()).complaint(&refused, Duration::ZERO);
        assert!(remote.contains("only on 127.0.0.1 unless its setting bcp: servers: url_style: ip:"), "{remote}");
    }

    #[test]
    fn invalid_address_is_a_usage_error() {
        assert!(matches!(Target::resolve(Some("a b"), 1), Err(Failure::Usage(_))));
        assert_eq!(Target::resolve(Some(":7"), 1).unwrap().address.to_string(), "localhost:7");
        assert_eq!(Target::resolve(None, 5051).unwrap().address.to_string(), "localhost:5051");
    }
}
