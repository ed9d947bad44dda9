//! Waiting for whatever comes first: a signal, a socket, stdin, the reader of stdout, a point in time.
//!
//! This is the one file that differs between systems: poll, signals, non-blocking connect and send, the linger option.
//! What it offers names no file descriptor, so that a system whose poll takes only sockets can offer the same.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, sockopt};
use signal_hook::consts::{SIGINT, SIGTERM};

/// How much is written to stdout after poll says that it takes something: a pipe that is ready takes `PIPE_BUF` bytes
/// whole, so a pipe that nobody reads never blocks us.
pub const OUTPUT_BYTES_AT_ONCE: usize = 4096;

/// How many connections the kernel holds for a listener until they are accepted: with std's 128, a thousand peers that
/// dial at once wait for seconds.
pub const BACKLOG_CONNECTIONS: i32 = 1024;

/// How long accepting rests when no descriptor is free, unless one becomes so before: a listener stays readable, so
/// that trying at once would spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// How much a widened pipe holds: as much as Linux lets anybody have.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

/// From how many bytes on a write takes its time.
const LONG_WRITE_BYTES: usize = 16 << 10;

/// Becomes readable when the program is to end, and stays so for everyone who polls it.
#[derive(Debug)]
pub struct Stop {
    pipe: UnixStream,
    signal: Arc<AtomicUsize>,
}

/// The other end of a [`Stop`] that no signal reaches: dropping it stops.
#[derive(Debug)]
pub struct Stopper {
    _pipe: UnixStream,
}

/// A stop for a part of this process, such as a server that is the peer of a replay.
pub fn stop_pair() -> io::Result<(Stop, Stopper)> {
    let (pipe, other) = UnixStream::pair()?;
    Ok((Stop { pipe, signal: Arc::default() }, Stopper { _pipe: other }))
}

impl Stop {
    /// A stop for SIGINT and SIGTERM. The second signal leaves at once, with 130 or 143 (design.md, section 8).
    pub fn on_signals() -> io::Result<Stop> {
        let (pipe, other) = UnixStream::pair()?;
        let signal = Arc::new(AtomicUsize::new(0));
        let came = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            // Actions run in the order of their registration: the way out must look before the flag is raised.
            signal_hook::flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&came))?;
            signal_hook::flag::register(number, Arc::clone(&came))?;
            signal_hook::flag::register_usize(
                number,
                Arc::clone(&signal),
                usize::try_from(number).unwrap_or_default(),
            )?;
            signal_hook::low_level::pipe::register(number, other.try_clone()?)?;
        }
        Ok(Stop { pipe, signal })
    }

    /// The signal that came, if one did.
    pub fn signal(&self) -> Option<u8> {
        match u8::try_from(self.signal.load(Ordering::SeqCst)) {
            Ok(0) | Err(_) => None,
            Ok(number) => Some(number),
        }
    }

    /// Waits until `until` or a stop, whichever comes first; whether the stop came.
    pub fn wait_until(&self, until: Instant) -> io::Result<bool> {
        let mut poll = Poll::default();
        let stop = poll.stop(self);
        poll.wait(Some(until))?;
        Ok(poll.ready(stop).read)
    }
}

/// Wakes a thread that polls the [`Woken`] of the same pair; any thread may.
#[derive(Clone, Debug)]
pub struct Wake {
    pipe: Arc<UnixStream>,
}

/// The end of a [`wake_pair`] that is polled.
#[derive(Debug)]
pub struct Woken {
    pipe: UnixStream,
}

/// A way for threads to interrupt another one's poll.
pub fn wake_pair() -> io::Result<(Wake, Woken)> {
    let (pipe, other) = UnixStream::pair()?;
    pipe.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    Ok((Wake { pipe: Arc::new(other) }, Woken { pipe }))
}

impl Wake {
    /// Wakes the other side. A full pipe is a side that is awake already.
    pub fn wake(&self) {
        let _ = (&*self.pipe).write(b"!");
    }
}

impl Woken {
    /// Forgets all wakes so far.
    pub fn clear(&self) {
        let mut bytes = [0; 256];
        while matches!((&self.pipe).read(&mut bytes), Ok(count) if count > 0) {}
    }
}

/// Standard input, unbuffered.
#[derive(Debug)]
pub struct Input {
    file: File,
}

impl Input {
    /// This process's stdin.
    pub fn stdin() -> io::Result<Input> {
        Ok(Input { file: File::from(io::stdin().as_fd().try_clone_to_owned()?) })
    }

    /// Reads what is there, at most `bytes`; blocks unless poll has said that something is. 0 is the end.
    pub fn read_some(&self, bytes: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(bytes)
    }
}

/// Standard output, unbuffered.
#[derive(Debug)]
pub struct Output {
    file: File,
}

impl Output {
    /// This process's stdout.
    pub fn stdout() -> io::Result<Output> {
        Ok(Output { file: File::from(io::stdout().as_fd().try_clone_to_owned()?) })
    }

    /// Writes at most [`OUTPUT_BYTES_AT_ONCE`] bytes and says how many; does not block when poll has said it is ready.
    pub fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.file).write(bytes.get(..OUTPUT_BYTES_AT_ONCE).unwrap_or(bytes))
    }

    /// Writes all of it; blocks as long as nobody reads.
    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match (&self.file).write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever started us may have made it non-blocking, and shares that with us.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut poll = Poll::default();
                    poll.output(self, true);
                    poll.wait(None)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What a source is watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Something to read, or its end.
    pub read: bool,
    /// Room to write.
    pub write: bool,
}

/// What poll saw of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// A read will not block: bytes, the end, or an error.
    pub read: bool,
    /// A write will not block: room, or an error.
    pub write: bool,
    /// The other side has gone.
    pub gone: bool,
}

/// Where in a [`Poll`] a source stands.
#[derive(Clone, Copy, Debug)]
pub struct Place(usize);

/// The sources of one wait; made anew for each.
#[derive(Debug, Default)]
pub struct Poll<'a> {
    sources: Vec<PollFd<'a>>,
}

impl<'a> Poll<'a> {
    /// Watches a connection.
    pub fn socket(&mut self, socket: &'a TcpStream, want: Want) -> Place {
        self.add(socket.as_fd(), want)
    }

    /// Watches for connections to accept.
    pub fn listener(&mut self, listener: &'a TcpListener) -> Place {
        self.add(listener.as_fd(), Want { read: true, write: false })
    }

    /// Watches for the stop, which reads as `read`.
    pub fn stop(&mut self, stop: &'a Stop) -> Place {
        self.add(stop.pipe.as_fd(), Want { read: true, write: false })
    }

    /// Watches for a wake, which reads as `read`.
    pub fn woken(&mut self, woken: &'a Woken) -> Place {
        self.add(woken.pipe.as_fd(), Want { read: true, write: false })
    }

    /// Watches stdin for something to read.
    pub fn input(&mut self, input: &'a Input) -> Place {
        self.add(input.file.as_fd(), Want { read: true, write: false })
    }

    /// Watches stdout for its reader's leaving, and for room too when something is to be written.
    pub fn output(&mut self, output: &'a Output, write: bool) -> Place {
        self.add(output.file.as_fd(), Want { read: false, write })
    }

    fn add(&mut self, source: BorrowedFd<'a>, want: Want) -> Place {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, want.read);
        flags.set(PollFlags::OUT, want.write);
        self.sources.push(PollFd::from_borrowed_fd(source, flags));
        Place(self.sources.len() - 1)
    }

    /// Waits until a source is ready or `until` has come; without `until`, for as long as it takes.
    pub fn wait(&mut self, until: Option<Instant>) -> io::Result<()> {
        loop {
            let timeout = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
            match rustix::event::poll(&mut self.sources, timeout.as_ref()) {
                Ok(_) => return Ok(()),
                // A signal's handler has run; the stop it wrote to is among the sources.
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What the last wait saw of the source at `place`.
    pub fn ready(&self, place: Place) -> Ready {
        let Some(source) = self.sources.get(place.0) else { return Ready::default() };
        let flags = source.revents();
        // Some systems cannot poll /dev/null and say so: reading or writing it is how to find out.
        let unclear = flags.intersects(PollFlags::NVAL);
        let gone = flags.intersects(PollFlags::ERR | PollFlags::HUP);
        Ready {
            read: unclear || gone || flags.intersects(PollFlags::IN),
            write: unclear || gone || flags.intersects(PollFlags::OUT),
            gone,
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() }
}

/// Connects to one address until `until`; a stop ends the attempt with [`io::ErrorKind::Interrupted`].
/// The socket comes back non-blocking and without delay: write-write-read would cost 40 ms.
pub fn connect(address: SocketAddr, until: Instant, stop: &Stop) -> io::Result<TcpStream> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    let socket = TcpStream::from(socket);
    socket.set_nonblocking(true)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS | Errno::INTR) => {
            let mut poll = Poll::default();
            let stopped = poll.stop(stop);
            let connected = poll.socket(&socket, Want { read: false, write: true });
            poll.wait(Some(until))?;
            if poll.ready(stopped).read {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if !poll.ready(connected).write {
                return Err(io::ErrorKind::TimedOut.into());
            }
            sockopt::socket_error(&socket)??;
        }
        Err(error) => return Err(error.into()),
    }
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Binds a listener to the first address that allows it, with room for [`BACKLOG_CONNECTIONS`]; accepting never blocks.
pub fn listen(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addresses)?;
    rustix::net::listen(&listener, BACKLOG_CONNECTIONS)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Sends what the socket takes without waiting, whether or not the socket blocks its reader.
pub fn send_now(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, SendFlags::DONTWAIT)?)
}

/// Whether the peer has left and nothing that it said is to be read; does not wait.
pub fn has_left(socket: &TcpStream) -> bool {
    match rustix::net::recv(socket, &mut [0; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, count)) => count == 0,
        Err(Errno::AGAIN | Errno::INTR) => false,
        Err(_) => true,
    }
}

/// Makes closing this socket a reset: half a message and then an orderly end would be executed as a message.
pub fn reset_when_closed(socket: &TcpStream) {
    // A socket that does not take the option is gone already.
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

/// Whether even the end of this process would be a reset of a connection. A second signal ends it without a chance to
/// do anything, and half a message would be taken for a whole one.
#[derive(Debug, Default)]
pub struct Armed(bool);

impl Armed {
    /// Has it be so while half a message is out.
    pub fn set(&mut self, socket: &TcpStream, inside_message: bool) {
        if self.0 != inside_message {
            let _ = sockopt::set_socket_linger(socket, inside_message.then_some(Duration::ZERO));
            self.0 = inside_message;
        }
    }

    /// Has it be so before a write that takes its time, in which a signal can come: the write may stop in a message.
    pub fn before_write(&mut self, socket: &TcpStream, bytes: &[u8]) {
        if bytes.len() > LONG_WRITE_BYTES {
            self.set(socket, true);
        }
    }

    /// Has it be so for good.
    pub fn reset(&mut self, socket: &TcpStream) {
        reset_when_closed(socket);
        self.0 = false;
    }
}

/// What came of accepting.
#[derive(Debug)]
pub enum Call {
    /// Somebody has dialled.
    Taken(TcpStream, SocketAddr),
    /// Nobody is waiting.
    None,
    /// There is no room for whoever waits: rest for [`ACCEPT_PAUSE`].
    Failed(io::Error),
}

/// Takes the next call of a listener that does not block; whoever has hung up again did not call.
pub fn accept(listener: &TcpListener) -> Call {
    loop {
        match listener.accept() {
            Ok((socket, peer)) => return Call::Taken(socket, peer),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Call::None,
                io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                _ => return Call::Failed(error),
            },
        }
    }
}

/// Whether a read or write only has to be tried again.
pub fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Whether accepting failed for want of descriptors or memory, which passes.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    let wanting = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|number| wanting.iter().any(|errno| errno.raw_os_error() == number))
}

/// Has this thread's timeouts end as near to their time as the system can: by default Linux may add 50 µs.
pub fn wake_precisely() {
    #[cfg(target_os = "linux")]
    {
        // Without it the replay is later, not wrong.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}

/// Has the pipes at stdin and stdout, where there are any, hold more before a writer or reader has to wait.
///
/// Linux gives a pipe 64 KiB, which is what a filter reads at a time, so that it and its neighbours wake each other at
/// every read: `cat | backbox decode | cat` took 1.8 times as long.
pub fn widen_pipes() {
    #[cfg(target_os = "linux")]
    for pipe in [io::stdin().as_fd(), io::stdout().as_fd()] {
        // What is no pipe, or may not grow, works as it is.
        let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn a_stop_stays_readable_and_a_deadline_ends_a_wait() {
        let (stop, stopper) = stop_pair().unwrap();
        assert!(!stop.wait_until(Instant::now() + Duration::from_millis(5)).unwrap());
        drop(stopper);
        assert!(stop.wait_until(soon()).unwrap());
        assert!(stop.wait_until(soon()).unwrap());
        assert_eq!(stop.signal(), None);
    }

    #[test]
    fn a_wake_is_seen_until_it_is_cleared() {
        let (wake, woken) = wake_pair().unwrap();
        let ready = |until| {
            let mut poll = Poll::default();
            let place = poll.woken(&woken);
            poll.wait(Some(until)).unwrap();
            poll.ready(place).read
        };
        assert!(!ready(Instant::now()));
        for _ in 0..100_000 {
            // More wakes than the pipe holds: none may block.
            wake.wake();
        }
        assert!(ready(soon()));
        woken.clear();
        assert!(!ready(Instant::now()));
    }

    #[test]
    fn connecting_is_refused_at_once_and_stopped_at_once() {
        let listener = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopper) = stop_pair().unwrap();
        let socket = connect(address, soon(), &stop).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), address);
        drop(listener);
        let refused = connect(address, soon(), &stop).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        drop(stopper);
        assert!(stop.wait_until(soon()).unwrap());
    }

    #[test]
    fn want_of_descriptors_is_told_from_other_errors() {
        assert!(is_out_of_descriptors(&Errno::MFILE.into()));
        assert!(!is_out_of_descriptors(&Errno::CONNABORTED.into()));
    }
}
