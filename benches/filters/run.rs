//! One run of a filter: its duration or its memory.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use crate::input::Input;

const BACKBOX: &str = env!("CARGO_BIN_EXE_backbox");

/// The work of a filter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// BCP into JSON Lines.
    Decode,
    /// JSON Lines into BCP.
    Encode,
    /// OBE_Socket's frames into JSON Lines.
    DecodeObe,
}

impl Work {
    pub fn name(self) -> &'static str {
        match self {
            Work::Decode | Work::DecodeObe => "decode",
            Work::Encode => "encode",
        }
    }

    /// The filter, reading standard input.
    fn command(self) -> Command {
        let mut command = Command::new(BACKBOX);
        command.arg(self.name());
        if self == Work::DecodeObe {
            command.args(["--wire", "obe"]);
        }
        command
    }

    /// The filter, reading a file.
    pub fn of_file(self, file: &Path) -> Command {
        let mut command = self.command();
        if self == Work::Encode {
            command.arg("-i");
        }
        command.arg(file).stdin(Stdio::null());
        command
    }
}

/// The seconds that a filter takes for a file, from start to exit; `good` tells whether every line is
/// well-formed.
///
/// # Errors
/// The filter cannot be run, or exits with another status than 0, or 1 if the input is not good.
pub fn time_filter(work: Work, file: &Path, good: bool) -> Result<f64, String> {
    let start = Instant::now();
    let mut command = work.of_file(file);
    if !good {
        command.stderr(Stdio::null());
    }
    let status = command.stdout(Stdio::null()).status();
    let status = status.map_err(|error| format!("cannot run backbox: {error}"))?;
    let seconds = start.elapsed().as_secs_f64();
    if status.code() == Some(i32::from(!good)) { Ok(seconds) } else { Err(unexpected(work.name(), status)) }
}

/// Whether `cat` is installed.
pub fn has_cat() -> bool {
    Command::new("cat").stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The seconds that `cat FILE | MIDDLE | cat` takes.
///
/// # Errors
/// One of the three programs cannot be run or fails.
pub fn time_pipe(file: &Path, middle: &[&str]) -> Result<f64, String> {
    let start = Instant::now();
    let mut first = spawn(Command::new("cat").arg(file).stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let (program, arguments) = middle.split_first().ok_or("nothing to run")?;
    let mut second = spawn(Command::new(program).args(arguments).stdin(output_of(&mut first)?).stdout(Stdio::piped()))?;
    let mut third = spawn(Command::new("cat").stdin(output_of(&mut second)?).stdout(Stdio::null()))?;
    for child in [&mut third, &mut second, &mut first] {
        let status = child.wait().map_err(|error| format!("cannot wait for a pipe: {error}"))?;
        if !status.success() {
            return Err(unexpected("a part of the pipe", status));
        }
    }
    Ok(start.elapsed().as_secs_f64())
}

/// The peak resident memory of a filter, in KiB, after it has read the input repeatedly, `bytes` or more.
/// `None` if the system does not report it.
///
/// # Errors
/// The filter cannot be run or fails.
pub fn peak_kib(work: Work, input: &Input, bytes: u64) -> Result<Option<u64>, String> {
    let mut child = spawn(work.command().stdin(Stdio::piped()).stdout(Stdio::null()))?;
    let mut stdin = child.stdin.take().ok_or("the filter has no standard input")?;
    for _ in 0..bytes.div_ceil(input.bytes.max(1)) {
        let copied = File::open(&input.path).and_then(|mut file| io::copy(&mut file, &mut stdin));
        copied.map_err(|error| format!("cannot stream the input through {}: {error}", work.name()))?;
    }
    // The peak can be read while the process runs, which it does while its input is open.
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    drop(stdin);
    let ended = child.wait().map_err(|error| format!("cannot wait for {}: {error}", work.name()))?;
    if !ended.success() {
        return Err(unexpected(work.name(), ended));
    }
    let peak = status.ok().and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    });
    Ok(peak)
}

fn spawn(command: &mut Command) -> Result<Child, String> {
    command.spawn().map_err(|error| format!("cannot run {}: {error}", command.get_program().to_string_lossy()))
}

/// The output of a child, as the input of the next one.
fn output_of(child: &mut Child) -> Result<Stdio, String> {
    child.stdout.take().map(Stdio::from).ok_or_else(|| "a pipe has no output".to_string())
}

fn unexpected(what: &str, status: ExitStatus) -> String {
    format!("{what} ended with {status}, so its time is not used")
}
