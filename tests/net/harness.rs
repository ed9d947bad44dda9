//! Runs the program and acts as its peer. Every operation panics if it exceeds [`TIME_LIMIT`].

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, kill_process};

/// The time limit of one operation, enough for a slow and busy machine.
pub const TIME_LIMIT: Duration = Duration::from_secs(20);

/// A recorded session of a real game.
pub const GAME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sessions/one-ball-game.bcp");

/// A running backbox. It is killed when this is dropped.
pub struct Running {
    child: Child,
    pub stdin: Option<ChildStdin>,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Receiver<Vec<u8>>,
    stderr_so_far: Arc<Mutex<Vec<u8>>>,
}

/// The exit status and the output of a run.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backbox"));
    command.args(arguments).env_remove("BACKBOX_ADDR").env_remove("NO_COLOR");
    command
}

/// Starts the program with an empty standard input.
pub fn start(arguments: &[&str]) -> Running {
    Running::spawn(command(arguments).stdin(Stdio::null()))
}

/// Starts the program with a standard input that stays open.
pub fn start_with_input(arguments: &[&str]) -> Running {
    Running::spawn(command(arguments).stdin(Stdio::piped()))
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Finished {
    start(arguments).finish()
}

impl Running {
    pub fn spawn(command: &mut Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Some(collect(child.stdout.take().unwrap()));
        let stderr_so_far = Arc::default();
        let stderr = watch(child.stderr.take().unwrap(), Arc::clone(&stderr_so_far));
        Running { stdin: child.stdin.take(), stdout, stderr, stderr_so_far, child }
    }

    /// Starts the program and returns its standard output, which is not read.
    pub fn spawn_unread(command: &mut Command) -> (Running, std::process::ChildStdout) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let stderr_so_far = Arc::default();
        let stderr = watch(child.stderr.take().unwrap(), Arc::clone(&stderr_so_far));
        (Running { stdin: child.stdin.take(), stdout: None, stderr, stderr_so_far, child }, stdout)
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Whether standard error contains this text so far.
    pub fn has_reported(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.stderr_so_far.lock().unwrap()).contains(text)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The peak resident memory so far, in bytes.
    pub fn peak_memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }

    /// Waits until the signal handlers are installed; an earlier signal would end the process by default.
    #[track_caller]
    pub fn await_handlers(&self) {
        // SIGTERM is 15, and its handler is installed after the one of SIGINT.
        self.await_status("SigCgt:", |mask| u64::from_str_radix(mask, 16).is_ok_and(|mask| mask & (1 << 14) != 0));
    }

    /// Waits until the process sleeps.
    #[track_caller]
    pub fn await_sleep(&self) {
        self.await_status("State:", |state| state.starts_with('S'));
    }

    /// Delivers two signals at once, so that the second arrives before the first is handled.
    #[track_caller]
    pub fn signal_twice(&self, first: Signal, second: Signal) {
        self.signal(Signal::STOP);
        self.await_status("State:", |state| state.starts_with('T'));
        [first, second, Signal::CONT].into_iter().for_each(|signal| self.signal(signal));
    }

    /// Waits until a field of `/proc/PID/status` has a certain value.
    #[track_caller]
    fn await_status(&self, key: &str, matches: impl Fn(&str) -> bool) {
        let file = format!("/proc/{}/status", self.child.id());
        let holds =
            |text: String| text.lines().filter_map(|line| line.strip_prefix(key)).any(|value| matches(value.trim()));
        let end = Instant::now() + TIME_LIMIT;
        while !fs::read_to_string(&file).is_ok_and(holds) {
            assert!(Instant::now() < end, "{key} does not reach the expected value");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Fills standard input, as [`flood`] does.
    pub fn flood(&mut self, bytes: &[u8]) {
        flood(self.stdin.as_ref().unwrap(), bytes);
    }

    /// Waits for the program to exit.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        let code = exit_code(&mut self.child);
        let text = |bytes: Receiver<Vec<u8>>| {
            String::from_utf8_lossy(&bytes.recv_timeout(TIME_LIMIT).expect("an output does not end")).into_owned()
        };
        let stdout = self.stdout.take().map(text).unwrap_or_default();
        let stderr = text(std::mem::replace(&mut self.stderr, channel().1));
        Finished { code, stdout, stderr }
    }
}

/// Writes the bytes repeatedly until the receiver has accepted nothing for 300 ms.
pub fn flood<W: AsFd>(file: &W, bytes: &[u8])
where
    for<'a> &'a W: Write,
{
    rustix::io::ioctl_fionbio(file, true).unwrap();
    let (mut writer, mut rest) = (file, bytes);
    loop {
        match writer.write(rest) {
            Ok(count) if count < rest.len() => rest = &rest[count..],
            Ok(_) => rest = bytes,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let mut writable = [PollFd::new(file, PollFlags::OUT)];
                let timeout = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };
                if rustix::event::poll(&mut writable, Some(&timeout)).unwrap() == 0 {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// Waits for a program to exit; `None` if a signal ended it.
#[track_caller]
pub fn exit_code(child: &mut Child) -> Option<i32> {
    let end = Instant::now() + TIME_LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > end {
            let _ = child.kill();
            panic!("the program does not exit");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a pipe to its end in a thread.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    receive
}

/// Reads a pipe to its end in a thread, and shares what was read so far.
fn watch(mut pipe: impl Read + Send + 'static, so_far: Arc<Mutex<Vec<u8>>>) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count) = pipe.read(&mut bytes) {
            if count == 0 {
                break;
            }
            so_far.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
        let _ = send.send(so_far.lock().unwrap().clone());
    });
    receive
}

/// A new directory for one test.
pub fn directory() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("net-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Waits for the address in the file of `--announce`.
#[track_caller]
pub fn announced(file: &Path) -> SocketAddr {
    let end = Instant::now() + TIME_LIMIT;
    loop {
        if let Ok(text) = fs::read_to_string(file) {
            return text.trim_end().parse().unwrap();
        }
        assert!(Instant::now() < end, "no address is announced");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A `backbox listen` on a free port.
pub struct Listening {
    pub running: Running,
    pub address: SocketAddr,
}

pub fn listen(arguments: &[&str]) -> Listening {
    let file = directory().join("address");
    let mut command = listen_command(arguments, &file);
    let running = Running::spawn(command.stdin(Stdio::null()));
    Listening { running, address: announced(&file) }
}

pub fn listen_command(arguments: &[&str], file: &Path) -> Command {
    let mut command = command(&["listen", "-a", "127.0.0.1:0", "--announce"]);
    command.arg(file).args(arguments);
    command
}

/// A command that runs backbox in a shell with a resource limit, such as `ulimit -n 20`.
pub fn limited(limit: &str, arguments: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{limit}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_backbox")]).args(arguments);
    shell.env_remove("BACKBOX_ADDR").env_remove("NO_COLOR").stdin(Stdio::null());
    shell
}

/// A listening socket to which `send` and `replay` connect.
pub struct Server {
    listener: TcpListener,
    pub address: String,
}

pub fn server() -> Server {
    Server::at("127.0.0.1:0")
}

impl Server {
    pub fn at(address: &str) -> Server {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Server { listener, address }
    }

    #[track_caller]
    pub fn accept(&self) -> Peer {
        self.listener.set_nonblocking(true).unwrap();
        let end = Instant::now() + TIME_LIMIT;
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => return Peer::new(socket),
                Err(_) => assert!(Instant::now() < end, "no connection arrives"),
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// A server that neither accepts nor refuses connections while the returned values exist.
    pub fn unresponsive() -> (Server, Vec<TcpStream>) {
        Server::fill(Server::at("127.0.0.1:0"))
    }

    /// Fills the backlog of a server, so that it neither accepts nor refuses connections.
    pub fn fill(server: Server) -> (Server, Vec<TcpStream>) {
        rustix::net::listen(&server.listener, 0).unwrap();
        let address = server.address.parse().unwrap();
        let mut connections = Vec::new();
        while let Ok(connection) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            connections.push(connection);
        }
        (server, connections)
    }

    /// Stops listening and returns the address, which then refuses connections.
    pub fn close(self) -> String {
        self.address
    }
}

/// The test's side of a connection.
pub struct Peer {
    pub socket: TcpStream,
    reader: BufReader<TcpStream>,
}

pub fn connect(address: SocketAddr) -> Peer {
    Peer::new(TcpStream::connect_timeout(&address, TIME_LIMIT).unwrap())
}

impl Peer {
    fn new(socket: TcpStream) -> Peer {
        socket.set_nonblocking(false).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        socket.set_write_timeout(Some(TIME_LIMIT)).unwrap();
        let reader = BufReader::new(socket.try_clone().unwrap());
        Peer { socket, reader }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// Reads the next line, including its LF.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line
    }

    /// Reads up to the end of the connection; an error if it was reset.
    pub fn rest(&mut self) -> std::io::Result<String> {
        let mut text = String::new();
        self.reader.read_to_string(&mut text).map(|_| text)
    }

    /// The unread bytes, some of which may be buffered.
    pub fn buffered(&mut self) -> &mut impl Read {
        &mut self.reader
    }

    pub fn half_close(&self) {
        self.socket.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Closes the connection with a reset.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO)).unwrap();
    }
}
