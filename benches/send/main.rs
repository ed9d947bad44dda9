//! `cargo bench --bench send`: the speed of `backbox send`. Each figure is printed with its floor.
//!
//! It compares one message and goodbye with `nc -N`, and measures a file sent to a peer that only reads, and a line
//! from standard input to the peer. A missed floor does not fail the run, because a busy machine misses some; the exit
//! status is 1 only if a measurement fails.
//!
//! Settings, as environment variables: `BACKBOX_BENCH_MB`, the size of the file (200), and `BACKBOX_BENCH_SENDS`, the
//! number of pairs of one-shot sends, and of paced lines (200).

mod common;
mod frame;
#[path = "../filters/pairs.rs"]
mod pairs;
#[path = "../filters/table.rs"]
mod table;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{BACKBOX, game, sink};
use frame::{bench, setting};
use pairs::{interleave, median};
use table::{Floor, Table, rate};

/// The floors: the ratio to `nc`'s time, lines per second, and milliseconds.
const ONE_SHOT_FLOOR: Floor = Floor::AtMost(1.0);
const STATIC_FLOOR: Floor = Floor::AtMost(0.75);
const OBE_FLOOR: Floor = Floor::AtMost(1.0);
const BULK_FLOOR: Floor = Floor::AtLeast(1.8e6);
const PACED_FLOOR: Floor = Floor::AtMost(0.1);

/// The static build, which is measured if it is there: `cargo build --release --target x86_64-unknown-linux-musl`.
const STATIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/x86_64-unknown-linux-musl/release/backbox");

/// The time between paced lines, long enough for both programs to sleep.
const PACE: Duration = Duration::from_millis(2);

fn main() -> ExitCode {
    bench("send", |scratch| {
        let megabytes = setting("BACKBOX_BENCH_MB", 200)?;
        let sends = setting("BACKBOX_BENCH_SENDS", 200)?;
        let mut table = Table::new();
        one_shot(scratch, sends, &mut table)?;
        one_shot_obe(scratch, sends, &mut table)?;
        bulk(scratch, megabytes, &mut table)?;
        paced(sends, &mut table)
    })
}

fn input(path: &Path) -> Result<Stdio, String> {
    File::open(path).map(Stdio::from).map_err(|error| format!("cannot read the input: {error}"))
}

/// Compares one message and goodbye with `nc -N`.
fn one_shot(scratch: &Path, sends: usize, table: &mut Table) -> Result<(), String> {
    let address = sink()?;
    let words = ["-a", &address, "trigger", "name=x"];
    let input = (scratch, "trigger?name=x\ngoodbye\n");
    against_nc(input, (BACKBOX, &words), sends, ("", ONE_SHOT_FLOOR), table)?;
    match Path::new(STATIC).exists() {
        true => against_nc(input, (STATIC, &words), sends, (" of the static build", STATIC_FLOOR), table),
        false => Ok(()),
    }
}

/// Compares one message and its reply with `--wire obe` with `nc -N`.
fn one_shot_obe(scratch: &Path, sends: usize, table: &mut Table) -> Result<(), String> {
    let address = replier()?;
    let words = ["-a", &address, "--wire", "obe", "done"];
    let input = (scratch, "0000000019{\"command\": \"done\"}");
    against_nc(input, (BACKBOX, &words), sends, (" --wire obe", OBE_FLOOR), table)
}

/// Compares `send` of a program with these words, of which the second is the address, with `nc -N` and the same
/// message.
fn against_nc(
    (scratch, text): (&Path, &str),
    (program, words): (&str, &[&str]),
    sends: usize,
    (name, goal): (&str, Floor),
    table: &mut Table,
) -> Result<(), String> {
    let (host, port) = words.get(1).and_then(|address| address.split_once(':')).unwrap_or_default();
    let message = scratch.join("message");
    fs::write(&message, text).map_err(|error| format!("cannot write the input: {error}"))?;
    if Command::new("nc").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("(no nc on this system: one-shot sends are not compared)");
        return Ok(());
    }
    // Measure a copy, as an installation is: a file written by the linker is in the page cache in small pieces,
    // which makes the start slower by about 3 %.
    let installed = scratch.join("backbox");
    fs::copy(program, &installed).map_err(|error| format!("cannot copy the program: {error}"))?;
    let pairs = interleave(
        sends,
        || seconds(Command::new(&installed).arg("send").args(words).stdin(Stdio::null())),
        || seconds(Command::new("nc").args(["-N", host, port]).stdin(input(&message)?)),
    )?;
    let beside = format!("{:.2} : {:.2} ms", pairs.median_a() * 1e3, pairs.median_b() * 1e3);
    table.ratio(&format!("one-shot send{name}, time relative to nc -N"), &pairs, Some(goal), &beside);
    Ok(())
}

/// A server that replies `"OK"` to the first bytes of each connection and closes, so that `nc` ends too.
fn replier() -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("cannot listen: {error}"))?;
    let address = listener.local_addr().map_err(|error| format!("cannot listen: {error}"))?;
    thread::spawn(move || {
        let mut bytes = [0; 256];
        for mut socket in listener.incoming().flatten() {
            // The measured program reports errors.
            let _ = socket.read(&mut bytes).and_then(|_| socket.write_all(b"0000000004\"OK\""));
        }
    });
    Ok(address.to_string())
}

/// Game lines per second from a file; the guard checks each of them.
fn bulk(scratch: &Path, megabytes: usize, table: &mut Table) -> Result<(), String> {
    let (path, lines) = game(scratch, megabytes.saturating_mul(1_000_000))?;
    let address = sink()?;
    let mut rates = Vec::new();
    for _ in 0..5 {
        let took = seconds(Command::new(BACKBOX).args(["send", "-a", &address]).stdin(input(&path)?))?;
        rates.push(lines as f64 / took);
    }
    rates.sort_by(f64::total_cmp);
    let middle = median(&rates);
    table.single(&format!("send < FILE to a peer that only reads, {}lines/s", rate(middle)), middle, Some(BULK_FLOOR));
    Ok(())
}

/// The time from writing a line to standard input until the peer reads it.
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
    let stdin = child.stdin.take().ok_or("no stdin")?;
    let (mut stdin, mut socket): (_, TcpStream) = (stdin, listener.accept().map_err(failed)?.0);
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
    table.single("paced line from standard input to the peer, ms", median(&times), Some(PACED_FLOOR));
    Ok(())
}

/// Runs a command to its end and returns the seconds. Standard error is inherited: a pipe to
/// read it would be measured too, and so would the library folders that cargo sets.
fn seconds(command: &mut Command) -> Result<f64, String> {
    let began = Instant::now();
    let status = command.stdout(Stdio::null()).env_remove("LD_LIBRARY_PATH").status();
    let took = began.elapsed().as_secs_f64();
    let status = status.map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if status.success() { Ok(took) } else { Err(format!("{command:?} ended with {status}")) }
}
