//! Where a subcommand listens: binding, what to report when that fails, and telling others the address.

use std::fs;
use std::io;
use std::path::Path;

use super::dial::{MEDIA_PORT, OBE_PORT, resolve};
use super::result_file::write_whole;
use crate::exit::{Failure, plain_words};
use crate::framing::Wire;
use crate::net::{Address, Net, SocketAddr};
use crate::text::file_name;

/// Where to listen, as the options say it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// `-a`.
    pub address: Option<&'a str>,
    /// The port when none is given, if it is not the usual one of the wire.
    pub port: Option<u16>,
    /// `--announce`.
    pub announce: Option<&'a Path>,
    /// What is spoken there.
    pub wire: Wire,
}

impl Place<'_> {
    /// Listens in the loop, and returns the real address. An old announcement is removed first.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an invalid address, [`Failure::Io`] for one that is in use and the like.
    pub(crate) fn listen(&self, net: &mut Net) -> Result<SocketAddr, Failure> {
        if let Some(file) = self.announce {
            withdraw(file)?;
        }
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
            crate::output::say(&text);
        }
        match self.announce {
            None => Ok(()),
            Some(file) => write_whole(file, format!("{address}\n").as_bytes())
                .map_err(|error| Failure::io(format_args!("cannot write {}", file_name(file)), &error)),
        }
    }
}

/// Removes an old announcement: a script that waits for the file must not read the address of an earlier run.
fn withdraw(file: &Path) -> Result<(), Failure> {
    let is_file = fs::symlink_metadata(file).is_ok_and(|found| found.is_file() || found.is_symlink());
    match is_file.then(|| fs::remove_file(file)) {
        Some(Err(error)) => Err(Failure::io(format_args!("cannot remove the old {}", file_name(file)), &error)),
        _ => Ok(()),
    }
}
