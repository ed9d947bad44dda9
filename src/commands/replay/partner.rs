//! Who is played to: somebody who is dialled, somebody who dials, or a media controller in this process (design.md,
//! section 11).

use std::time::{Duration, Instant};

use super::{COMMAND, Options};
use crate::commands::binding::Place;
use crate::commands::dial::{MEDIA_PORT, Target};
use crate::commands::listen::listener::{Listener, Setup};
use crate::commands::listen::media::{CATEGORIES_OF_MEDIA, settings, subscriptions};
use crate::exit::{Exit, Failure};
use crate::framing::Wire;
use crate::net::accept::First;
use crate::net::address::{Address, RETRY_PAUSE};
use crate::net::dialogue::Reason;
use crate::net::server::{Background, Server};
use crate::net::wait::{Output, Stop};
use crate::net::{SocketAddr, TcpStream};
use crate::output::Console;

/// Somebody to play to.
pub enum Partner {
    /// Whoever is at an address that is dialled.
    Dialled(Target),
    /// The built-in media controller.
    BuiltIn(Target, Background<Listener>),
    /// The first who dials; no server once somebody has.
    Client(Option<Server>, SocketAddr),
}

/// Whether somebody is there.
pub enum Met {
    /// A connection with this peer.
    Peer(TcpStream, Address),
    /// Something else came first.
    Nobody(Reason),
}

impl Partner {
    /// Binds, starts or resolves whatever the options ask for; `port` is the one that the session names.
    ///
    /// # Errors
    /// An address that is none, or that cannot be bound.
    pub fn find(options: &Options, port: Option<u16>) -> Result<Partner, Failure> {
        let port = port.unwrap_or(MEDIA_PORT);
        let address = options.connect.address.as_deref();
        if options.serve {
            let (server, bound) = place(options, Some(port)).bind()?;
            return Ok(Partner::Client(Some(server), bound));
        }
        if !options.loopback {
            return Ok(Partner::Dialled(Target::resolve(address, port)?));
        }
        let cannot = |error| Failure::io("cannot start the built-in media controller", &error);
        let local = Address::new("127.0.0.1", 0).resolve().map_err(cannot)?;
        let server = Server::bind(&local).map_err(cannot)?;
        let target = Target::known(server.address().map_err(cannot)?);
        let subscriptions = subscriptions(&[], &[], &CATEGORIES_OF_MEDIA)?;
        let setup = Setup { subscriptions, ..Setup::default() };
        let host = Listener::new(setup, None, options.output.console(COMMAND.help.name));
        // The connection of the pass before may still be closing.
        Ok(Partner::BuiltIn(target, server.in_background(settings(), host).map_err(cannot)?))
    }

    /// A connection, however long it takes to be there, `until` a time if there is one.
    ///
    /// # Errors
    /// An address that cannot be reached.
    pub fn meet(
        &mut self,
        retry: Duration,
        until: Option<Instant>,
        stop: &Stop,
        output: &Output,
        console: &Console,
    ) -> Result<Met, Failure> {
        let target = match self {
            Partner::Dialled(target) | Partner::BuiltIn(target, _) => target,
            Partner::Client(server, bound) => {
                let cannot = |error| Failure::io(format_args!("cannot wait on {bound}"), &error);
                let Some(server) = server.take() else { return Ok(Met::Nobody(Reason::Closed)) };
                return Ok(match server.first(until, stop, output).map_err(cannot)? {
                    First::Peer(socket, peer) => Met::Peer(socket, address(peer)),
                    First::Stopped => Met::Nobody(Reason::Stopped(stop.signal())),
                    First::Time => Met::Nobody(Reason::TimeUp),
                    First::ReaderGone => Met::Nobody(Reason::Output(std::io::ErrorKind::BrokenPipe.into())),
                });
            }
        };
        match target.dial_until(retry, until, stop, console) {
            Ok(Some(socket)) => Ok(Met::Peer(socket, target.address.clone())),
            Ok(None) => Ok(Met::Nobody(Reason::Stopped(stop.signal()))),
            Err(_) if until.is_some_and(|until| is_up(until, retry)) => Ok(Met::Nobody(Reason::TimeUp)),
            Err(failure) => Err(failure),
        }
    }

    /// Tells whoever waits to dial that somebody is there.
    ///
    /// # Errors
    /// The file of `--announce` cannot be written.
    pub fn announce(&self, options: &Options) -> Result<(), Failure> {
        match self {
            Partner::Client(_, bound) => place(options, None).announce(*bound),
            Partner::Dialled(_) | Partner::BuiltIn(..) => Ok(()),
        }
    }

    /// Where the connection is to be.
    pub fn address(&self) -> Address {
        match self {
            Partner::Dialled(target) | Partner::BuiltIn(target, _) => target.address.clone(),
            Partner::Client(_, bound) => address(*bound),
        }
    }

    /// Who listens or dials, for a recording.
    pub fn opening(&self) -> String {
        match self {
            Partner::Client(_, bound) => format!("listening on {bound}"),
            Partner::Dialled(target) | Partner::BuiltIn(target, _) => format!("dialling {}", target.address),
        }
    }

    /// Who it is and where.
    pub fn name(&self) -> String {
        match self {
            Partner::Dialled(_) => self.short(),
            Partner::BuiltIn(target, _) => format!("{} at {}", self.short(), target.address),
            Partner::Client(_, bound) => format!("the first who dials {bound}"),
        }
    }

    /// Who it is.
    pub fn short(&self) -> String {
        match self {
            Partner::Dialled(target) => target.address.to_string(),
            Partner::BuiltIn(..) => "the built-in media controller".to_owned(),
            Partner::Client(..) => "the dialler".to_owned(),
        }
    }

    /// Says farewell; what a media controller of our own complained of counts for the exit status.
    pub fn end(self) -> Exit {
        match self {
            Partner::BuiltIn(_, server) => server.stop().map_or(Exit::Success, |listener| listener.console.worst()),
            Partner::Dialled(_) | Partner::Client(..) => Exit::Success,
        }
    }
}

/// Whether dialling has ended because of this time: it has come, or it would have before the next try.
fn is_up(until: Instant, retry: Duration) -> bool {
    let next = if retry.is_zero() { Duration::ZERO } else { RETRY_PAUSE };
    until <= Instant::now() + next
}

/// Where `--serve` is to be dialled.
fn place(options: &Options, port: Option<u16>) -> Place<'_> {
    let address = options.connect.address.as_deref();
    Place { address, port, announce: options.announce.as_deref(), wire: Wire::Bcp }
}

fn address(socket: SocketAddr) -> Address {
    Address::new(&socket.ip().to_string(), socket.port())
}
