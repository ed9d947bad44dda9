//! `cargo bench --bench filters`: how fast `decode` and `encode` are, and how much memory they use.
//!
//! Times differ from machine to machine and from minute to minute, so each row is a ratio: two programs that do the
//! same work on the same input are measured in turn, A B A B, and compared pair by pair. The input is a recorded game.
//! A program that is not installed is named, and its rows are left out. Each row prints its floor, the least ratio (or
//! the most memory) that a release must keep. A row below its floor does not fail the run, because a busy machine
//! misses some; the exit status is 1 only when something did not run.
//!
//! Settings, as environment variables:
//!
//! - `BACKBOX_BENCH_MB`: the size of each input (200),
//! - `BACKBOX_BENCH_STREAM_MB`: the size of the stream for the memory rows (1000),
//! - `BACKBOX_BENCH_ROUNDS`: the number of pairs in a row (7),
//! - `BACKBOX_MPF_PYTHON`: a Python with MPF; the default is the one of `.venv`, which `tests/peers/venv.sh` makes.

mod input;
mod pairs;
mod peer;
mod run;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use input::{Input, Kind, Scratch};
use pairs::interleave;
use peer::{Mpf, python_frames_per_second};
use run::{Work, peak_kib, time_filter, time_pipe};
use table::{Floor, Table, rate};

/// The floors, as ratios and in MiB. Speed has a floor only for game lines; the device lines, long JSON, are for
/// comparison.
const DECODE_FLOOR: Floor = Floor::AtLeast(22.0);
const ENCODE_FLOOR: Floor = Floor::AtLeast(18.0);
const FRAMES_FLOOR: Floor = Floor::AtLeast(12.0);
const PIPE_FLOOR: Floor = Floor::AtLeast(0.42);
const MEMORY_FLOOR: Floor = Floor::AtMost(4.0);

/// The number of names in the longest lines.
const NAMES: usize = 60_000;

/// The settings of a run, from the environment.
struct Settings {
    input_bytes: u64,
    stream_bytes: u64,
    rounds: usize,
}

fn main() -> ExitCode {
    // `cargo bench` passes `--bench`; `cargo test --benches` does not, and only checks that this builds.
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let asked = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if !asked("--bench") || asked("--test") || asked("--list") {
        return ExitCode::SUCCESS;
    }
    match settings().and_then(|settings| run(&settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("filters: {message}");
            ExitCode::FAILURE
        }
    }
}

fn settings() -> Result<Settings, String> {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) => match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("invalid {name}={text}: write a whole number from 1, as in {name}={default}")),
        },
        Err(_) => Ok(default),
    };
    Ok(Settings {
        input_bytes: number("BACKBOX_BENCH_MB", 200)?.saturating_mul(1_000_000),
        stream_bytes: number("BACKBOX_BENCH_STREAM_MB", 1000)?.saturating_mul(1_000_000),
        rounds: usize::try_from(number("BACKBOX_BENCH_ROUNDS", 7)?).unwrap_or(usize::MAX),
    })
}

fn run(settings: &Settings) -> Result<(), String> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    println!(
        "backbox {}, {} {}, {cores} cores; inputs of {} MB, {} pairs per row\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        settings.input_bytes / 1_000_000,
        settings.rounds,
    );
    let scratch = Scratch::new()?;
    let mpf = Mpf::find();
    let mut table = Table::new();
    for kind in [Kind::Game, Kind::Devices] {
        let messages = Input::messages(kind, settings.input_bytes, &scratch)?;
        let json = messages.decoded(&scratch)?;
        against_mpf(Work::Decode, &messages, mpf.as_ref(), settings, &mut table)?;
        against_mpf(Work::Encode, &json, mpf.as_ref(), settings, &mut table)?;
        against_cat(&messages, settings, &mut table)?;
        memory(Work::Decode, &messages, settings, &mut table)?;
        memory(Work::Encode, &json, settings, &mut table)?;
    }
    let frames = Input::frames(settings.input_bytes, &scratch)?;
    against_python(&frames, settings, &mut table)?;
    memory(Work::DecodeObe, &frames, settings, &mut table)?;
    many_names(&scratch, settings, &mut table)?;
    if mpf.is_none() {
        println!(
            "\nMPF is not installed, so nothing was compared with it. tests/peers/venv.sh installs it into .venv;"
        );
        println!("BACKBOX_MPF_PYTHON names another Python that has it.");
    }
    Ok(())
}

/// Compares a filter with MPF's own codec, in lines per second.
fn against_mpf(
    work: Work,
    input: &Input,
    mpf: Option<&Mpf>,
    settings: &Settings,
    table: &mut Table,
) -> Result<(), String> {
    let Some(mpf) = mpf else { return Ok(()) };
    let lines = input.lines as f64;
    let pairs = interleave(
        settings.rounds,
        || Ok(lines / time_filter(work, &input.path, true)?),
        || mpf.lines_per_second(work, &input.path),
    )?;
    let floor = if work == Work::Decode { DECODE_FLOOR } else { ENCODE_FLOOR };
    let floor = input.is_game().then_some(floor);
    let beside = format!("{} : {} lines/s", rate(pairs.median_a()), rate(pairs.median_b()));
    table.ratio(&format!("{} {}, relative to MPF's codec", work.name(), input.name), &pairs, floor, &beside);
    Ok(())
}

/// Compares `decode --wire obe` with Python's json, in frames per second.
fn against_python(input: &Input, settings: &Settings, table: &mut Table) -> Result<(), String> {
    if python_frames_per_second(&input.path)?.is_none() {
        println!("(no python3 on this system: OBE_Socket's frames are not compared)");
        return Ok(());
    }
    let pairs = interleave(
        settings.rounds,
        || Ok(input.lines as f64 / time_filter(Work::DecodeObe, &input.path, true)?),
        || python_frames_per_second(&input.path)?.ok_or_else(|| "python3 is no longer found".to_owned()),
    )?;
    let beside = format!("{} : {} frames/s", rate(pairs.median_a()), rate(pairs.median_b()));
    table.ratio(&format!("decode {}, relative to Python's json", input.name), &pairs, Some(FRAMES_FLOOR), &beside);
    Ok(())
}

/// Compares `cat f | backbox decode | cat` with `cat f | cat | cat`, in bytes per second.
fn against_cat(input: &Input, settings: &Settings, table: &mut Table) -> Result<(), String> {
    let bytes = input.bytes as f64;
    if !run::has_cat() {
        println!("(no cat on this system: pipes are not compared)");
        return Ok(());
    }
    let pairs = interleave(
        settings.rounds.saturating_mul(2),
        || Ok(bytes / time_pipe(&input.path, &[env!("CARGO_BIN_EXE_backbox"), "decode"])?),
        || Ok(bytes / time_pipe(&input.path, &["cat"])?),
    )?;
    let beside = format!("{} : {} B/s", rate(pairs.median_a()), rate(pairs.median_b()));
    table.ratio(
        &format!("cat | decode | cat, {}, relative to cat | cat | cat", input.name),
        &pairs,
        Some(PIPE_FLOOR),
        &beside,
    );
    Ok(())
}

/// The peak memory of a filter while it reads a long stream.
fn memory(work: Work, input: &Input, settings: &Settings, table: &mut Table) -> Result<(), String> {
    let what = format!("{} {}, {} MB: peak MiB", work.name(), input.name, settings.stream_bytes / 1_000_000);
    match peak_kib(work, input, settings.stream_bytes)? {
        Some(kib) => table.single(&what, kib as f64 / 1024.0, Some(MEMORY_FLOOR)),
        None => println!("(no /proc on this system: memory is not measured)"),
    }
    Ok(())
}

/// Compares lines with many names, for which pairwise comparison would take seconds, with one long value of that size.
fn many_names(scratch: &Scratch, settings: &Settings, table: &mut Table) -> Result<(), String> {
    // Enough copies to make the start of the process negligible.
    const COPIES: usize = 20;
    let json = |names: String| format!("{{\"command\":\"t\",\"params\":{{{names}}}}}");
    let rows = [
        ("decode 60,000 names in a line", Work::Decode, true, format!("t?{}", join("&", |n| format!("n{n}=x")))),
        ("decode one name 60,000 times", Work::Decode, true, format!("t?{}", join("&", |n| format!("n=x{n}")))),
        ("encode 60,000 names in a line", Work::Encode, true, json(join(",", |n| format!("\"n{n}\":\"x\"")))),
        ("refuse to encode one name 60,000 times", Work::Encode, false, json(join(",", |n| format!("\"n\":\"x{n}\"")))),
    ];
    for (what, work, good, line) in rows {
        let value = "x".repeat(line.len());
        let plain = if work == Work::Decode { format!("t?v={value}") } else { json(format!("\"v\":\"{value}\"")) };
        let [many, plain]: [Result<PathBuf, String>; 2] =
            [("many", line), ("plain", plain)].map(|(name, line)| scratch.lines(name, &line, COPIES));
        let (many, plain) = (many?, plain?);
        let milliseconds = |seconds: f64| 1000.0 * seconds / COPIES as f64;
        let pairs = interleave(
            settings.rounds,
            || time_filter(work, &many, good).map(milliseconds),
            || time_filter(work, &plain, true).map(milliseconds),
        )?;
        let beside = format!("{:.2} : {:.2} ms a line", pairs.median_a(), pairs.median_b());
        table.ratio(&format!("{what}, time relative to one value"), &pairs, None, &beside);
    }
    Ok(())
}

fn join(separator: &str, piece: impl Fn(usize) -> String) -> String {
    (0..NAMES).map(piece).collect::<Vec<_>>().join(separator)
}
