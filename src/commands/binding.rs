//! Where a subcommand waits to be dialled: binding, what to say when that fails, and telling others the address
//! (design.md, sections 8 and 10).

use std::fs;
use std::io;
use std::path::Path;

use super::dial::{MEDIA_PORT, OBE_PORT};
use super::result_file::write_whole;
use crate::exit::{Failure, plain_words};
use crate::framing::Wire;
use crate::net::SocketAddr;
use crate::net::address::Address;
use crate::net::server::Server;
use crate::output::Console;
use crate::text::shown;

/// Where to be dialled, as the options say it.
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
    /// Binds, and says what else to try when that fails.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what is no address, [`Failure::Io`] for one that is taken and the like.
    pub fn bind(&self) -> Result<(Server, SocketAddr), Failure> {
        if let Some(file) = self.announce {
            withdraw(file)?;
        }
        let (address, sockets) = self.resolve()?;
        let complaint = |error: &io::Error| {
            let hint = match error.kind() {
                io::ErrorKind::AddrInUse if self.wire == Wire::Obe => {
                    "; another server has it; -a 127.0.0.1:0 takes a free port"
                }
                io::ErrorKind::AddrInUse => {
                    "; another media controller, or another backbox, has it; -a 127.0.0.1:0 takes a free port"
                }
                io::ErrorKind::PermissionDenied => "; ports below 1024 are the system's; take a higher one",
                io::ErrorKind::AddrNotAvailable => "; this machine has no such address; -a 127.0.0.1 is its own",
                _ => "",
            };
            Failure::Io(format!("cannot listen on {address}: {}{hint}", plain_words(error)))
        };
        let server = Server::bind(&sockets).map_err(|error| complaint(&error))?;
        let bound = server.address().map_err(|error| complaint(&error))?;
        Ok((server, bound))
    }

    /// As typed, and what it resolves to.
    fn resolve(&self) -> Result<(Address, Vec<SocketAddr>), Failure> {
        let usual = match self.wire {
            Wire::Bcp => MEDIA_PORT,
            Wire::Obe => OBE_PORT,
        };
        let default = Address::new("127.0.0.1", self.port.unwrap_or(usual));
        let address = match self.address {
            Some(text) => Address::parse(text, &default).map_err(Failure::Usage)?,
            None => default,
        };
        let mut sockets =
            address.resolve().map_err(|error| Failure::io(format_args!("cannot resolve {address}"), &error))?;
        // MPF dials the IPv4 loopback address, whatever localhost means here.
        sockets.sort_by_key(SocketAddr::is_ipv6);
        Ok((address, sockets))
    }

    /// Tells where we can be dialled, to whoever waits for that.
    ///
    /// # Errors
    /// The file of `--announce` cannot be written.
    pub fn announce(&self, address: SocketAddr) -> Result<(), Failure> {
        if !address.ip().is_loopback() {
            // Quiet or not, this is for whoever owns the machine.
            let what = match self.wire {
                Wire::Bcp => "BCP has no authentication: anyone there can play",
                Wire::Obe => "OBE_Socket has no authentication: anyone there can send commands",
            };
            crate::output::say(&format!("{address} can be reached from other machines, and {what}\n"));
        }
        match self.announce {
            None => Ok(()),
            Some(file) => write_whole(file, format!("{address}\n").as_bytes())
                .map_err(|error| Failure::io(format_args!("cannot write {}", name(file)), &error)),
        }
    }

    /// The same, and says so to a person.
    ///
    /// # Errors
    /// As for [`Place::announce`].
    pub fn welcome(&self, address: SocketAddr, console: &Console) -> Result<(), Failure> {
        self.announce(address)?;
        console.note(format_args!("listening on {address}"));
        Ok(())
    }
}

/// Removes an old announcement: whoever waits for the file must not read the address of an earlier run.
fn withdraw(file: &Path) -> Result<(), Failure> {
    let is_file = fs::symlink_metadata(file).is_ok_and(|found| found.is_file() || found.is_symlink());
    match is_file.then(|| fs::remove_file(file)) {
        Some(Err(error)) => Err(Failure::io(format_args!("cannot remove the old {}", name(file)), &error)),
        _ => Ok(()),
    }
}

fn name(file: &Path) -> String {
    shown(file.as_os_str().as_encoded_bytes())
}
