//! A server's one peer: whoever dials first.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::server::Server;
use super::wait::{self, ACCEPT_PAUSE, Call, Output, Poll, Stop};

/// What came first.
#[derive(Debug)]
pub enum First {
    /// Somebody has dialled. The socket does not block, and has no delay.
    Peer(TcpStream, SocketAddr),
    /// The stop.
    Stopped,
    /// The time was up.
    Time,
    /// Whoever reads our stdout has gone.
    ReaderGone,
}

impl Server {
    /// Waits for the first who dials, `until` a time if there is one; nobody else can dial then.
    ///
    /// # Errors
    /// The system's poll failed.
    pub fn first(self, until: Option<Instant>, stop: &Stop, output: &Output) -> io::Result<First> {
        let Some(listener) = self.listener else { return Err(io::ErrorKind::NotConnected.into()) };
        let mut rest = None;
        loop {
            let mut poll = Poll::default();
            let (stopped, gone) = (poll.stop(stop), poll.output(output, false));
            let dialled = rest.is_none().then(|| poll.listener(&listener));
            poll.wait(until.into_iter().chain(rest).min())?;
            if poll.ready(stopped).read {
                return Ok(First::Stopped);
            }
            if poll.ready(gone).gone {
                return Ok(First::ReaderGone);
            }
            rest = None;
            if dialled.is_some_and(|dialled| poll.ready(dialled).read) {
                match wait::accept(&listener) {
                    Call::Taken(socket, peer) => {
                        socket.set_nonblocking(true)?;
                        socket.set_nodelay(true)?;
                        return Ok(First::Peer(socket, peer));
                    }
                    Call::None => {}
                    Call::Failed(_) => rest = Some(Instant::now() + ACCEPT_PAUSE),
                }
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(First::Time);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::wait::{listen, stop_pair};

    fn server() -> (Server, SocketAddr) {
        let server = Server::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = server.address().unwrap();
        (server, address)
    }

    #[test]
    fn the_first_is_taken_and_the_second_refused() {
        let (stop, _stopper) = stop_pair().unwrap();
        let output = Output::stdout().unwrap();
        let (server, address) = server();
        let dialler = TcpStream::connect(address).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let first = server.first(Some(until), &stop, &output).unwrap();
        assert!(matches!(first, First::Peer(_, peer) if peer == dialler.local_addr().unwrap()), "{first:?}");
        assert!(listen(&[address]).is_ok() || TcpStream::connect(address).is_err());
    }

    #[test]
    fn a_stop_or_the_time_ends_the_waiting() {
        let output = Output::stdout().unwrap();
        let (stop, stopper) = stop_pair().unwrap();
        let soon = Instant::now() + Duration::from_millis(5);
        assert!(matches!(server().0.first(Some(soon), &stop, &output).unwrap(), First::Time));
        drop(stopper);
        assert!(matches!(server().0.first(None, &stop, &output).unwrap(), First::Stopped));
    }
}
