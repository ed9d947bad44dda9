//! `cargo bench --bench send`: how fast `backbox send` is (design.md, section 14).
//!
//! One message and goodbye against `nc -N` with the same, in turn; a file into a peer that only reads; a line from
//! standard input to the peer. A goal that was missed is printed and fails nothing, since a busy machine misses some;
//! the exit status is 1 only when something did not run.
//!
//! Settings, as environment variables: `BACKBOX_BENCH_MB`, the size of the file (200), and `BACKBOX_BENCH_SENDS`, how
//! many pairs of one-shot sends, and how many lines one by one (200).

mod frame;
#[path = "../filters/pairs.rs"]
mod pairs;
#[path = "../filters/table.rs"]
mod table;

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use frame::{bench, setting};
use pairs::{interleave, median};
use table::{Goal, Table, rate};

const BACKBOX: &str = env!("CARGO_BIN_EXE_backbox");

/// A captured game: what stands in it without `#` is what MPF sent.
const SESSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sessions/one-ball-game.bcp");

/// What section 14 asks for: a share of `nc`'s time, lines a second, and milliseconds.
const ONE_SHOT_GOAL: Goal = Goal::AtMost(0.9);
const BULK_GOAL: Goal = Goal::AtLeast(2e6);
const PACED_GOAL: Goal = Goal::AtMost(0.1);

/// How far apart the paced lines are: far enough for everyone to have fallen asleep.
const PACE: Duration = Duration::from_millis(2);

fn main() -> ExitCode {
    bench("send", |scratch| {
        let megabytes = setting("BACKBOX_BENCH_MB", 200)?;
        let sends = setting("BACKBOX_BENCH_SENDS", 200)?;
        let mut table = Table::new();
        one_shot(scratch, sends, &mut table)?;
        bulk(scratch, megabytes, &mut table)?;
        paced(sends, &mut table)
    })
}

/// A peer that reads everything and closes, one connection after the other; gives its address.
fn sink() -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("cannot listen: {error}"))?;
    let address = listener.local_addr().map_err(|error| format!("cannot listen: {error}"))?;
    thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        for mut socket in listener.incoming().flatten() {
            while matches!(socket.read(&mut bytes), Ok(count) if count > 0) {}
        }
    });
    Ok(address.to_string())
}

/// Runs a command to its end and says how many seconds it took.
fn seconds(command: &mut Command) -> Result<f64, String> {
    let began = Instant::now();
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let took = began.elapsed().as_secs_f64();
    let output = output.map_err(|error| format!("cannot run {command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(took),
        false => Err(format!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr))),
    }
}

fn input(path: &Path) -> Result<Stdio, String> {
    File::open(path).map(Stdio::from).map_err(|error| format!("cannot read the input: {error}"))
}

/// One message and goodbye, against `nc -N` with the same literal address.
fn one_shot(scratch: &Path, sends: usize, table: &mut Table) -> Result<(), String> {
    let address = sink()?;
    let (host, port) = address.split_once(':').unwrap_or((&address, ""));
    let message = scratch.join("message");
    fs::write(&message, "trigger?name=x\ngoodbye\n").map_err(|error| format!("cannot write the input: {error}"))?;
    if Command::new("nc").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("(no nc on this system: one-shot sends are not compared)");
        return Ok(());
    }
    let pairs = interleave(
        sends,
        || seconds(Command::new(BACKBOX).args(["send", "-a", &address, "trigger", "name=x"]).stdin(Stdio::null())),
        || seconds(Command::new("nc").args(["-N", host, port]).stdin(input(&message)?)),
    )?;
    let beside = format!("{:.2} : {:.2} ms", pairs.median_a() * 1e3, pairs.median_b() * 1e3);
    table.ratio("one-shot send, x the time of nc -N", &pairs, Some(ONE_SHOT_GOAL), &beside);
    Ok(())
}

/// Game lines a second from a file, each of them judged by the guard.
fn bulk(scratch: &Path, megabytes: u64, table: &mut Table) -> Result<(), String> {
    let (path, lines) = game(scratch, megabytes.saturating_mul(1_000_000))?;
    let address = sink()?;
    let mut rates = Vec::new();
    for _ in 0..5 {
        let took = seconds(Command::new(BACKBOX).args(["send", "-a", &address]).stdin(input(&path)?))?;
        rates.push(lines as f64 / took);
    }
    rates.sort_by(f64::total_cmp);
    let middle = median(&rates);
    table.single(&format!("send < FILE into a draining peer, {}lines/s", rate(middle)), middle, BULK_GOAL);
    Ok(())
}

/// A file with what MPF sent in a game, again and again, and how many lines it holds.
fn game(scratch: &Path, bytes: u64) -> Result<(PathBuf, u64), String> {
    let failed = |error| format!("cannot write the input: {error}");
    let session = fs::read_to_string(SESSION).map_err(|error| format!("cannot read the captured game: {error}"))?;
    let kept = |line: &&str| !line.starts_with('#') && *line != "goodbye";
    let block: String = session.lines().filter(kept).flat_map(|line| [line, "\n"]).collect();
    let copies = bytes.div_ceil((block.len() as u64).max(1));
    let path = scratch.join("game");
    let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
    for _ in 0..copies {
        file.write_all(block.as_bytes()).map_err(failed)?;
    }
    file.flush().map_err(failed)?;
    Ok((path, copies.saturating_mul(block.lines().count() as u64)))
}

/// From a line's writing into stdin to its coming to the peer.
fn paced(lines: usize, table: &mut Table) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot pace: {error}");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?.to_string();
    let mut child = Command::new(BACKBOX)
        .args(["send", "-a", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let taken = child.stdin.take().ok_or("no stdin")?;
    let (mut stdin, mut socket): (_, TcpStream) = (taken, listener.accept().map_err(failed)?.0);
    let mut times = Vec::new();
    let mut bytes = [0; 256];
    for _ in 0..lines {
        thread::sleep(PACE);
        let began = Instant::now();
        stdin.write_all(b"trigger?name=x\n").map_err(failed)?;
        socket.read(&mut bytes).map_err(failed)?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    drop(stdin);
    while socket.read(&mut bytes).map_err(failed)? > 0 {}
    drop(socket);
    child.wait().map_err(failed)?;
    times.sort_by(f64::total_cmp);
    table.single("a paced line from stdin to the peer, ms", median(&times), PACED_GOAL);
    Ok(())
}
