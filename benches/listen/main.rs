//! `cargo bench --bench listen`: speed and memory of `backbox listen`. Each figure is printed with its floor (the value
//! that it must reach).
//!
//! It measures short lines per second from four peers, printed into a pipe; a thousand peers with a thousand lines
//! each; and the latency that `--forward` adds, from round trips with and without it. A missed floor is printed and
//! does not fail the run, because a busy machine misses some; the exit status is 1 only if a measurement fails.
//!
//! Settings, as environment variables: `BACKBOX_BENCH_LINES`, the number of short lines from four peers (5000000),
//! `BACKBOX_BENCH_ROUNDS`, the rounds of each measurement (5), and `BACKBOX_BENCH_TRIPS`, the number of round trips
//! (1000).

#[path = "../send/frame.rs"]
mod frame;
#[path = "../filters/pairs.rs"]
mod pairs;
#[path = "../filters/table.rs"]
mod table;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use frame::{bench, setting};
use pairs::{interleave, median};
use table::{Floor, Table, rate};

const BACKBOX: &str = env!("CARGO_BIN_EXE_backbox");

/// The floors: lines per second, seconds, MB, and milliseconds.
const SHORT_LINES_FLOOR: Floor = Floor::AtLeast(4e6);
const CROWD_FLOOR: Floor = Floor::AtMost(0.5);
const MEMORY_FLOOR: Floor = Floor::AtMost(30.0);
const FORWARD_FLOOR: Floor = Floor::AtMost(0.05);

/// The number of peers in a crowd, and of the lines that each sends.
const CROWD: usize = 1000;
const CROWD_LINES: usize = 1000;

/// The number of threads that send for all peers.
const SENDERS: usize = 4;

/// The time limit for `listen` to accept.
const TIME_LIMIT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    bench("listen", |scratch| {
        let lines: usize = setting("BACKBOX_BENCH_LINES", 5_000_000)?;
        let rounds = setting("BACKBOX_BENCH_ROUNDS", 5)?;
        let trips = setting("BACKBOX_BENCH_TRIPS", 1000)?;
        let mut table = Table::new();
        let few = measure(scratch, rounds, SENDERS, lines / SENDERS)?;
        let lines_a_second = (lines / SENDERS * SENDERS) as f64 / few.seconds;
        let what = format!("short lines from four peers into a pipe, {}lines/s", rate(lines_a_second));
        table.single(&what, lines_a_second, Some(SHORT_LINES_FLOOR));
        allow_descriptors();
        let crowd = measure(scratch, rounds, CROWD, CROWD_LINES)?;
        table.single("1000 peers x 1000 lines, s", crowd.seconds, Some(CROWD_FLOOR));
        table.single("1000 peers x 1000 lines, peak memory in MB", crowd.megabytes, Some(MEMORY_FLOOR));
        forward(scratch, trips, &mut table)
    })
}

/// A crowd needs a descriptor for each peer, in this process and in `listen`.
fn allow_descriptors() {
    // Windows has no such limit.
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // If this fails, connecting reports the error.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

fn failed(error: impl std::fmt::Display) -> String {
    format!("cannot measure: {error}")
}

/// A running `listen`.
struct Listening {
    child: Child,
    address: SocketAddr,
}

impl Listening {
    fn start(scratch: &Path, arguments: &[&str]) -> Result<Listening, String> {
        let file = scratch.join("address");
        let mut command = Command::new(BACKBOX);
        command.args(["listen", "-q", "-a", "127.0.0.1:0", "--announce"]).arg(&file).args(arguments);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let end = Instant::now() + TIME_LIMIT;
        let address = loop {
            match fs::read_to_string(&file) {
                Ok(text) => break text.trim_end().parse().map_err(failed)?,
                Err(error) if Instant::now() > end => return Err(failed(error)),
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        };
        fs::remove_file(&file).map_err(failed)?;
        Ok(Listening { child, address })
    }

    /// The peak resident memory so far, in MB; 0 if the system does not report it.
    fn megabytes(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|text| text.trim().strip_suffix(" kB")).and_then(|text| text.parse::<f64>().ok());
        kibibytes.unwrap_or_default() * 1024.0 / 1e6
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The time and memory of `listen` in a row.
struct Usage {
    seconds: f64,
    megabytes: f64,
}

/// The medians of several rounds, each with a fresh `listen`.
fn measure(scratch: &Path, rounds: usize, peers: usize, lines: usize) -> Result<Usage, String> {
    let (mut seconds, mut megabytes) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let took = round(scratch, peers, lines)?;
        seconds.push(took.seconds);
        megabytes.push(took.megabytes);
    }
    seconds.sort_by(f64::total_cmp);
    megabytes.sort_by(f64::total_cmp);
    Ok(Usage { seconds: median(&seconds), megabytes: median(&megabytes) })
}

/// The time from the first connection to the last printed line.
fn round(scratch: &Path, peers: usize, lines: usize) -> Result<Usage, String> {
    let mut listening = Listening::start(scratch, &[])?;
    let stdout = listening.child.stdout.take().ok_or("no stdout")?;
    let address = listening.address;
    // Made before the clock starts, so that only the listener is measured.
    let texts: Vec<Vec<u8>> = (0..SENDERS).map(|sender| text_of(sender, lines)).collect();
    let wanted = texts.iter().map(Vec::len).sum::<usize>() * (peers / SENDERS);
    let began = Instant::now();
    thread::scope(|scope| {
        let senders: Vec<_> = texts.iter().map(|text| scope.spawn(|| send(address, peers / SENDERS, text))).collect();
        drain(stdout, wanted)?;
        let seconds = began.elapsed().as_secs_f64();
        let megabytes = listening.megabytes();
        for sender in senders {
            sender.join().map_err(|_| "a sender panicked")?.map_err(failed)?;
        }
        Ok(Usage { seconds, megabytes })
    })
}

/// Lines of 27 bytes.
fn text_of(sender: usize, lines: usize) -> Vec<u8> {
    (0..lines).flat_map(|line| format!("trigger?c={sender:04}&n={:09}\n", line % 1_000_000_000).into_bytes()).collect()
}

/// Opens connections and sends a text over each in pieces; they stay open until everything is sent.
fn send(address: SocketAddr, peers: usize, text: &[u8]) -> io::Result<()> {
    let mut sockets = (0..peers).map(|_| TcpStream::connect(address)).collect::<io::Result<Vec<_>>>()?;
    for piece in text.chunks(64 << 10) {
        for socket in &mut sockets {
            socket.write_all(piece)?;
        }
    }
    Ok(())
}

/// Reads a number of bytes.
fn drain(mut stdout: ChildStdout, mut wanted: usize) -> Result<(), String> {
    let mut bytes = vec![0; 64 << 10];
    while wanted > 0 {
        match stdout.read(&mut bytes).map_err(failed)? {
            0 => return Err(format!("listen exited before the last {wanted} bytes")),
            count => wanted = wanted.saturating_sub(count),
        }
    }
    Ok(())
}

/// The latency that forwarding adds to a message: half of what it adds to a round trip.
fn forward(scratch: &Path, trips: usize, table: &mut Table) -> Result<(), String> {
    let target = echo().map_err(failed)?;
    let mut listening = Listening::start(scratch, &["--forward", &target.to_string()])?;
    let stdout = listening.child.stdout.take().ok_or("no stdout")?;
    thread::spawn(move || drain(stdout, usize::MAX));
    let mut forwarded = Requester::connect(listening.address).map_err(failed)?;
    let mut direct = Requester::connect(target).map_err(failed)?;
    let pairs = interleave(trips, || forwarded.trip().map_err(failed), || direct.trip().map_err(failed))?;
    let added = (pairs.median_a() - pairs.median_b()) / 2.0 * 1e3;
    let beside = format!("{:.0} : {:.0} us", pairs.median_a() * 1e6, pairs.median_b() * 1e6);
    table.single("latency that --forward adds to a message, ms", added, Some(FORWARD_FLOOR));
    table.ratio("round trip through --forward, relative to one without it", &pairs, None, &beside);
    Ok(())
}

/// Starts a server that sends back what it receives; returns its address.
fn echo() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = socket.set_nodelay(true);
                let mut bytes = [0; 256];
                while let Ok(count) = socket.read(&mut bytes) {
                    if count == 0 || bytes.get(..count).is_none_or(|received| socket.write_all(received).is_err()) {
                        return;
                    }
                }
            });
        }
    });
    Ok(address)
}

/// A client that sends a line and waits for its reply.
struct Requester {
    socket: BufReader<TcpStream>,
    line: String,
}

impl Requester {
    fn connect(address: SocketAddr) -> io::Result<Requester> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIME_LIMIT))?;
        Ok(Requester { socket: BufReader::new(socket), line: String::new() })
    }

    /// The seconds of one round trip.
    fn trip(&mut self) -> io::Result<f64> {
        let began = Instant::now();
        self.socket.get_mut().write_all(b"trigger?name=x\n")?;
        self.line.clear();
        match self.socket.read_line(&mut self.line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(began.elapsed().as_secs_f64()),
        }
    }
}
