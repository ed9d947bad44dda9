//! What differs between systems: poll, waker, signals, non-blocking connects, linger, backlog, the standard streams.
//!
//! Windows: sockets come from std before any of rustix (which does not start Winsock); a pending connect is
//! `WOULDBLOCK`; WSAPoll takes sockets only and needs at least one (the waker), and older ones hide a failed connect;
//! its timers are coarse. macOS: poll with no events watches nothing, so a hang-up is asked for.

#[cfg(unix)]
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::{fd::AsFd, unix::net::UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};

/// How long before its time a wait becomes a loop: no system wakes a poll to the microsecond.
const SPIN_TIME: Duration = Duration::from_micros(50);

/// How often a pending connect is looked at where poll can hide that it failed.
pub(super) const CONNECT_LOOK_TIME: Duration =
    if cfg!(windows) { Duration::from_millis(50) } else { Duration::from_secs(3600) };

/// How long before its time a wait becomes a series of short sleeps.
const NAP_TIME: Duration = if cfg!(windows) { Duration::from_millis(16) } else { SPIN_TIME };

/// How much a widened pipe holds: as much as Linux lets an ordinary user have.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

#[cfg(unix)]
pub(super) type WakeSocket = UnixStream;
#[cfg(windows)]
pub(super) type WakeSocket = TcpStream;

/// Output that poll can watch, which on Windows is none.
#[cfg(unix)]
pub(super) type Watched = Arc<File>;
#[cfg(windows)]
pub(super) type Watched = Arc<TcpStream>;

/// Interrupts the poll of a loop, from any thread.
#[derive(Clone)]
pub(super) struct Waker {
    /// What the loop polls, and what wakes it.
    pub(super) ends: Arc<(WakeSocket, WakeSocket)>,
    is_set: Arc<AtomicBool>,
    /// The number of the signal that arrived, else 0.
    signal: Arc<AtomicUsize>,
}

impl Waker {
    pub(super) fn new() -> io::Result<Waker> {
        #[cfg(unix)]
        let ends = UnixStream::pair()?;
        #[cfg(windows)]
        let ends = socket_pair()?;
        ends.0.set_nonblocking(true)?;
        ends.1.set_nonblocking(true)?;
        Ok(Waker { ends: Arc::new(ends), is_set: Arc::default(), signal: Arc::default() })
    }

    pub(super) fn wake(&self) {
        if !self.is_set.swap(true, Ordering::SeqCst) {
            // A full socket is a loop that has not read earlier wakes yet.
            let _ = (&self.ends.1).write(b"!");
        }
    }

    /// Forgets all wakes so far: look at their sources after this.
    pub(super) fn clear(&self) {
        let mut bytes = [0; 256];
        while matches!((&self.ends.0).read(&mut bytes), Ok(count) if count > 0) {}
        self.is_set.store(false, Ordering::SeqCst);
    }

    /// The signal that arrived since the last call.
    pub(super) fn take_signal(&self) -> Option<u8> {
        u8::try_from(self.signal.swap(0, Ordering::SeqCst)).ok().filter(|&number| number > 0)
    }

    /// Wakes the loop as a signal does.
    pub(super) fn signal(&self, number: u8) {
        self.signal.store(number.into(), Ordering::SeqCst);
        self.wake();
    }

    /// Catches SIGINT and SIGTERM: the first wakes the loop, the second ends the process with 128 and its number.
    #[cfg(unix)]
    pub(super) fn catch_signals(&self) -> io::Result<()> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::{flag, low_level};

        let arrived = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            // Actions run in the order of their registration: the way out looks before the flag is raised, and the
            // number is there before the loop wakes.
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&arrived))?;
            flag::register(number, Arc::clone(&arrived))?;
            flag::register_usize(number, Arc::clone(&self.signal), usize::try_from(number).unwrap_or_default())?;
            low_level::pipe::register(number, self.ends.1.try_clone()?)?;
        }
        Ok(())
    }

    /// Catches Ctrl-C: the first wakes the loop, the second ends the process with 130.
    #[cfg(windows)]
    pub(super) fn catch_signals(&self) -> io::Result<()> {
        let (waker, arrived) = (self.clone(), AtomicBool::new(false));
        let on_signal = move || match arrived.swap(true, Ordering::SeqCst) {
            true => std::process::exit(130),
            false => waker.signal(2),
        };
        ctrlc::set_handler(on_signal).map_err(io::Error::other)
    }
}

#[cfg(windows)]
fn socket_pair() -> io::Result<(WakeSocket, WakeSocket)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let theirs = TcpStream::connect(listener.local_addr()?)?;
    theirs.set_nodelay(true)?;
    loop {
        // Another program could have connected first.
        let (ours, peer) = listener.accept()?;
        if peer == theirs.local_addr()? {
            return Ok((ours, theirs));
        }
    }
}

/// Waits until a source is ready or until this time, to within 0.1 ms.
pub(super) fn poll(sources: &mut [PollFd<'_>], until: Option<Instant>) -> io::Result<()> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // A time that no timer can express is for ever.
        let timeout = left.and_then(|left| Timespec::try_from(left.saturating_sub(NAP_TIME)).ok());
        match rustix::event::poll(sources, timeout.as_ref()) {
            Ok(0) => {}
            Ok(_) => return Ok(()),
            // A signal's handler has run: the time left is computed anew.
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let Some(until) = until else { continue };
        let left = until.saturating_duration_since(Instant::now());
        if left > SPIN_TIME {
            if cfg!(windows) {
                std::thread::sleep((left - SPIN_TIME).min(Duration::from_millis(1)));
            }
            continue;
        }
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        return Ok(());
    }
}

/// Makes this thread's timeouts end as near to their time as the system can: by default Linux may add 50 us.
pub(super) fn wake_precisely() {
    // Without it a paced line is later, not wrong.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

/// Begins to connect. The socket does not block and has no delay.
pub(super) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    #[cfg(unix)]
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    let socket = TcpStream::from(socket);
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::WOULDBLOCK | Errno::INTR) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Whether closing this socket, also by the end of the process, is a reset: half a message and then an orderly end
/// would be executed as a message.
pub(super) fn reset_when_closed(socket: &TcpStream, is_reset: bool) {
    // A socket that rejects the option is closed already.
    let _ = sockopt::set_socket_linger(socket, is_reset.then_some(Duration::ZERO));
}

/// Whether a read or write only has to be tried again.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// An error of standard output, with one kind for a reader that has closed.
pub(super) fn output_error(error: io::Error) -> io::Error {
    // ERROR_NO_DATA and ERROR_PIPE_NOT_CONNECTED.
    match error.raw_os_error() {
        Some(232 | 233) if cfg!(windows) => io::ErrorKind::BrokenPipe.into(),
        _ => error,
    }
}

/// Standard output, or another place to write to.
pub(crate) struct Output {
    pub(super) writer: Box<dyn Write + Send>,
    /// What poll watches.
    pub(super) watched: Option<Watched>,
}

impl Output {
    /// Standard output of this process.
    ///
    /// # Errors
    /// It is closed.
    #[cfg(unix)]
    pub(crate) fn stdout() -> io::Result<Output> {
        let file = Arc::new(File::from(io::stdout().as_fd().try_clone_to_owned()?));
        Ok(Output { writer: Box::new(Arc::clone(&file)), watched: Some(file) })
    }

    /// Standard output of this process: a console reads UTF-8 through std only.
    #[cfg(windows)]
    pub(crate) fn stdout() -> io::Result<Output> {
        Ok(Output { writer: Box::new(io::stdout()), watched: None })
    }
}

/// Whether some bytes can be written without blocking.
pub(super) fn has_room(output: &Watched) -> bool {
    let mut source = [PollFd::new(output, PollFlags::OUT)];
    let polled = rustix::event::poll(&mut source, Some(&Timespec::default()));
    polled.is_ok() && source[0].revents().contains(PollFlags::OUT)
}

/// Makes the pipes at standard input and output, if there are any, hold more before a writer or reader has to wait.
///
/// Linux gives a pipe 64 KiB, which is what a filter reads at a time, so that it and its neighbours wake each other at
/// every read: `cat | backbox decode | cat` took 1.8 times as long.
pub(crate) fn widen_pipes() {
    #[cfg(target_os = "linux")]
    for pipe in [io::stdin().as_fd(), io::stdout().as_fd()] {
        // What is no pipe, or may not grow, works as it is.
        let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
    }
}
