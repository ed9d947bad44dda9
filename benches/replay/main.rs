//! `cargo bench --bench replay`: timing, speed and memory of `backbox replay`.
//!
//! 600 messages at about 120 a second are played as recorded and four times as fast, in turn with a bare loop that
//! sleeps as often and as long, so that the load of the machine affects both; the summary reports the lateness. Then:
//! the drift over several passes, and a long game at maximum speed, to a peer that only reads.
//!
//! A missed floor is printed and does not fail the run, because a busy machine misses some; the exit status is 1 only
//! if a measurement fails. Settings, as environment variables: `BACKBOX_BENCH_ROUNDS`, how often each speed is measured
//! (3), and `BACKBOX_BENCH_MB`, the size of the long game (1000).

#[path = "../send/common.rs"]
mod common;
#[path = "../send/frame.rs"]
mod frame;
#[path = "../filters/pairs.rs"]
mod pairs;
#[path = "../filters/table.rs"]
mod table;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{BACKBOX, game, sink};
use frame::{bench, setting};
use pairs::{interleave, median};
use table::{Floor, Table, rate};

/// In milliseconds (a drift of a tenth is none), then messages per second.
const P50_FLOOR: Floor = Floor::AtMost(0.15);
const P90_FLOOR: Floor = Floor::AtMost(0.1);
const DRIFT_FLOOR: Floor = Floor::AtMost(0.1);
const MAX_SPEED_FLOOR: Floor = Floor::AtLeast(1e6);
/// In MB.
const MEMORY_FLOOR: Floor = Floor::AtMost(16.0);

/// The number of paced messages, and the time between them.
const MESSAGES: u32 = 600;
const GAP: Duration = Duration::from_micros(8333);

/// The percentiles that are compared.
const LEVELS: [&str; 4] = ["p50", "p90", "p99", "max"];

fn main() -> ExitCode {
    bench("replay", |scratch| {
        let rounds = setting("BACKBOX_BENCH_ROUNDS", 3)?;
        let megabytes = setting("BACKBOX_BENCH_MB", 1000)?;
        let address = sink()?;
        let session = paced_session(&scratch.join("paced.bcp"), MESSAGES)?;
        let mut table = Table::new();
        for speed in [1, 4] {
            lateness(&address, &session, speed, rounds, &mut table)?;
        }
        let short = paced_session(&scratch.join("short.bcp"), MESSAGES / 10)?;
        drift(&address, &short, &mut table)?;
        highest_speed(scratch, megabytes, &address, &mut table)
    })
}

/// Writes a session with one client message each [`GAP`].
fn paced_session(path: &Path, messages: u32) -> Result<String, String> {
    let mut text = "#backbox-session 1\n".to_owned();
    for number in 0..messages {
        let time = GAP * number;
        let _ = writeln!(text, "#@{}.{:06}\ntrigger?name=t{number}", time.as_secs(), time.subsec_micros());
    }
    fs::write(path, text).map_err(|error| format!("cannot write the session: {error}"))?;
    Ok(path.to_string_lossy().into_owned())
}

/// Replays a session and returns the four percentiles of lateness in its summary, in milliseconds.
fn measured(address: &str, session: &str, flags: &[&str]) -> Result<Vec<f64>, String> {
    let summary = summary(address, session, flags)?;
    let line = summary.lines().find_map(|line| line.strip_prefix("lateness: "));
    let numbers: Vec<f64> = line.unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect();
    if numbers.len() == LEVELS.len() { Ok(numbers) } else { Err(format!("no lateness in: {summary}")) }
}

/// Replays a session and returns its standard error.
fn summary(address: &str, session: &str, flags: &[&str]) -> Result<String, String> {
    let output =
        Command::new(BACKBOX).args(["replay", "-a", address, session]).args(flags).stdout(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot run backbox: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stderr).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Compares the lateness at a speed with a loop that only sleeps; each percentile is the median of all rounds.
fn lateness(address: &str, session: &str, speed: u32, rounds: usize, table: &mut Table) -> Result<(), String> {
    let (mut ours, mut bare) = (vec![Vec::new(); LEVELS.len()], vec![Vec::new(); LEVELS.len()]);
    let times = speed.to_string();
    let pairs = interleave(
        rounds,
        || {
            let late = measured(address, session, &["--speed", &times])?;
            late.iter().zip(&mut ours).for_each(|(late, all)| all.push(*late));
            Ok(late[0])
        },
        || {
            let late = bare_loop(GAP / speed);
            late.iter().zip(&mut bare).for_each(|(late, all)| all.push(*late));
            Ok(late[0])
        },
    )?;
    let beside = format!("{:.3} : {:.3} ms", pairs.median_a(), pairs.median_b());
    table.ratio(&format!("lateness p50 at {speed}x, relative to a bare sleep loop"), &pairs, None, &beside);
    for ((level, ours), bare) in LEVELS.iter().zip(&mut ours).zip(&mut bare) {
        let (ours, bare) = (middle(ours), middle(bare));
        let goal = if *level == "p50" { Some(P50_FLOOR) } else { None };
        table.single(&format!("lateness {level} at {speed}x, ms (a bare sleep loop: {bare:.3})"), ours, goal);
        if *level == "p90" {
            table.single("  more than the bare sleep loop, ms", ours - bare, Some(P90_FLOOR));
        }
    }
    Ok(())
}

fn middle(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    median(numbers)
}

/// The lateness of a bare loop of sleeps of `gap`, at each of the [`LEVELS`], in milliseconds.
fn bare_loop(gap: Duration) -> Vec<f64> {
    let mut late: Vec<f64> = (0..MESSAGES)
        .map(|_| {
            let began = Instant::now();
            thread::sleep(gap);
            began.elapsed().saturating_sub(gap).as_secs_f64() * 1e3
        })
        .collect();
    late.sort_by(f64::total_cmp);
    let last = late.len().saturating_sub(1);
    [50, 90, 99, 100].iter().map(|percent| late[(late.len() * percent / 100).min(last)]).collect()
}

/// Compares the lateness of ten passes with one, because a drifting clock is later with each pass.
fn drift(address: &str, session: &str, table: &mut Table) -> Result<(), String> {
    let one = measured(address, session, &[])?[0];
    let ten = measured(address, session, &["--repeat", "10"])?[0];
    table.single("drift, increase of p50 from one pass to ten, ms", ten - one, Some(DRIFT_FLOOR));
    Ok(())
}

/// The seconds of a summary's `in 1.2 s` or `in 345 ms`.
fn duration(summary: &str) -> Option<f64> {
    let (_, rest) = summary.rsplit_once(" in ")?;
    let mut words = rest.split([' ', ';']);
    let number: f64 = words.next()?.parse().ok()?;
    Some(if words.next()? == "ms" { number / 1e3 } else { number })
}

/// Messages a second as fast as the peer reads them, by the program's own summary, since it reads the file once before;
/// and the most memory that it needs.
fn highest_speed(scratch: &Path, megabytes: usize, address: &str, table: &mut Table) -> Result<(), String> {
    let (path, lines) = game(scratch, megabytes.saturating_mul(1_000_000))?;
    let path = path.to_string_lossy().into_owned();
    let (mut played, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let began = Instant::now();
        let summary = summary(address, &path, &["--speed", "max"])?;
        whole.push(lines as f64 / began.elapsed().as_secs_f64());
        played.push(lines as f64 / duration(&summary).ok_or_else(|| format!("no duration in: {summary}"))?);
    }
    let (played, whole) = (middle(&mut played), middle(&mut whole));
    let floor = Some(MAX_SPEED_FLOOR);
    table.single(&format!("--speed max to a peer that only reads, {}messages/s", rate(played)), played, floor);
    table.single(&format!("  including the first reading of the file, {}messages/s", rate(whole)), whole, None);
    let peak = peak(address, &path)?;
    table.single(&format!("peak memory with a file of {megabytes} MB, MB"), peak, Some(MEMORY_FLOOR));
    Ok(())
}

/// The peak resident memory of a replay, in MB; 0 if the system does not report it.
fn peak(address: &str, path: &str) -> Result<f64, String> {
    let mut command = Command::new(BACKBOX);
    command.args(["replay", "-q", "--speed", "max", "-a", address, path]).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("cannot run backbox: {error}"))?;
    let mut peak = 0.0;
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|text| text.trim().strip_suffix(" kB")).and_then(|text| text.parse::<f64>().ok());
        peak = kibibytes.map_or(peak, |kibibytes| kibibytes * 1024.0 / 1e6);
        match child.try_wait().map_err(|error| format!("cannot wait for backbox: {error}"))? {
            None => thread::sleep(Duration::from_millis(10)),
            Some(status) if status.success() => return Ok(peak),
            Some(status) => return Err(format!("backbox ended with {status}")),
        }
    }
}
