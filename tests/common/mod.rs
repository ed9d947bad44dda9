//! Helpers of the tests that run the program: a temporary folder for each run, and a time limit.
//!
//! `BACKBOX_TEST_RUNNER` is put before the program, so that the same tests run a
//! binary for another machine under its emulator: `BACKBOX_TEST_RUNNER='qemu-aarch64 -L /usr/aarch64-linux-gnu'`.

// Each test file compiles its own copy and uses only a part of it.
#![allow(dead_code)]

pub mod random;
pub mod seed;

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The time limit of one run. It is far more than any run needs, also under an emulator.
pub const RUN_TIME_MAX: Duration = Duration::from_secs(60);

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_backbox");

/// The words of `BACKBOX_TEST_RUNNER`: an emulator with its arguments, or nothing.
pub fn runner() -> Vec<String> {
    let words = std::env::var("BACKBOX_TEST_RUNNER").unwrap_or_default();
    words.split_whitespace().map(str::to_owned).collect()
}

/// A command that runs the program without the environment variables that change its behaviour.
pub fn program() -> Command {
    let words = runner();
    let mut command = match words.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(PROGRAM);
            command
        }
        None => Command::new(PROGRAM),
    };
    command.env_remove("NO_COLOR").env_remove("BACKBOX_ADDR");
    command
}

/// A temporary folder, removed when this is dropped.
pub struct Workdir(PathBuf);

impl Workdir {
    pub fn new() -> Workdir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("backbox-test-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Workdir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in the folder and returns its path.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Workdir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The exit status and the output of a run.
#[derive(Debug)]
pub struct Outcome {
    /// `None` if a signal ended the run.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Outcome {
    /// Standard output as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("standard output is UTF-8")
    }

    /// Asserts the exit status; a failure shows standard error.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Outcome {
        assert_eq!(self.code, Some(code), "stderr: {}", self.stderr);
        self
    }

    /// Asserts that standard output is exactly `text`.
    #[track_caller]
    pub fn prints(&self, text: &str) -> &Outcome {
        assert_eq!(String::from_utf8_lossy(&self.stdout), text, "stderr: {}", self.stderr);
        self
    }

    /// Asserts that standard error contains each of these texts.
    #[track_caller]
    pub fn reports(&self, texts: &[&str]) -> &Outcome {
        for text in texts {
            assert!(self.stderr.contains(text), "stderr lacks {text:?}: {}", self.stderr);
        }
        self
    }

    /// Asserts that standard error is empty.
    #[track_caller]
    pub fn reports_nothing(&self) -> &Outcome {
        assert_eq!(self.stderr, "");
        self
    }
}

/// Runs the program with these arguments and this standard input, in an empty folder.
#[track_caller]
pub fn backbox<W: AsRef<OsStr>>(args: impl IntoIterator<Item = W>, stdin: impl AsRef<[u8]>) -> Outcome {
    backbox_in(&Workdir::new(), args, stdin)
}

/// Runs the program with these arguments and this standard input, in this folder.
#[track_caller]
pub fn backbox_in<W: AsRef<OsStr>>(
    folder: &Workdir,
    args: impl IntoIterator<Item = W>,
    stdin: impl AsRef<[u8]>,
) -> Outcome {
    let mut command = program();
    let args: Vec<OsString> = args.into_iter().map(|word| word.as_ref().to_owned()).collect();
    command.current_dir(folder.path()).args(args);
    run(command, stdin.as_ref())
}

/// Runs a shell script in this folder; `$0` is not the program, but `backbox` is found on the path.
#[track_caller]
pub fn shell_in(folder: &Workdir, script: &str) -> Outcome {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).current_dir(folder.path());
    command.env("PATH", path_with_backbox(folder)).env_remove("NO_COLOR").env_remove("BACKBOX_ADDR");
    run(command, b"")
}

/// A search path that begins with the folder of `backbox`; under an emulator that is a script in this folder.
pub fn path_with_backbox(folder: &Workdir) -> OsString {
    let words = runner();
    let place = if words.is_empty() {
        Path::new(PROGRAM).parent().unwrap().to_path_buf()
    } else {
        let place = folder.path().join(".bin");
        std::fs::create_dir_all(&place).unwrap();
        let script = place.join("backbox");
        std::fs::write(&script, format!("#!/bin/sh\nexec {} '{PROGRAM}' \"$@\"\n", words.join(" "))).unwrap();
        make_executable(&script);
        place
    };
    let old = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(place).chain(std::env::split_paths(&old))).unwrap()
}

#[cfg(unix)]
fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(not(unix))]
fn make_executable(_: &Path) {}

/// Runs a command to its end. One thread writes standard input and one reads each output,
/// so that no pipe can block the test. A command that exceeds its time is killed and fails the test.
#[track_caller]
pub fn run(mut command: Command, stdin: &[u8]) -> Outcome {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let shown = format!("{command:?}");
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {shown}: {error}"));
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // A program may exit without reading all of its input.
    let writer = thread::spawn(move || drop(pipe.write_all(&stdin)));
    let stdout = read_all(child.stdout.take().unwrap());
    let stderr = read_all(child.stderr.take().unwrap());
    let deadline = Instant::now() + RUN_TIME_MAX;
    let receive = |output: Receiver<Vec<u8>>| output.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    let (Ok(stdout), Ok(stderr)) = (receive(stdout), receive(stderr)) else {
        let _ = child.kill();
        panic!("{shown} still runs after {RUN_TIME_MAX:?}");
    };
    let status = wait(&mut child, deadline);
    writer.join().unwrap();
    Outcome { code: status.code(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
}

fn read_all(mut output: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).unwrap();
        let _ = send.send(bytes);
    });
    receive
}

/// Waits for a child process; kills it and panics at the deadline.
#[track_caller]
pub fn wait(child: &mut Child, deadline: Instant) -> ExitStatus {
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status,
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
            None => {
                let _ = child.kill();
                panic!("the program exceeded its time");
            }
        }
    }
}

/// The running program: standard input stays open, and its output is read while it runs.
pub struct Coprocess {
    child: Child,
    stdin: Option<ChildStdin>,
    pieces: Receiver<Vec<u8>>,
    pending: Vec<u8>,
}

impl Coprocess {
    /// Starts the program with these arguments. It inherits standard error.
    pub fn start(args: &[&str]) -> Coprocess {
        let mut command = program();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdin, mut stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (send, pieces) = channel();
        thread::spawn(move || {
            let mut piece = vec![0; 1 << 16];
            while let Ok(count @ 1..) = stdout.read(&mut piece) {
                if send.send(piece[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Coprocess { child, stdin, pieces, pending: Vec::new() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes to standard input and flushes it.
    pub fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin.write_all(bytes).and_then(|()| stdin.flush()).unwrap();
    }

    /// Takes standard input, for a thread that writes to it.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("standard input is open")
    }

    /// Reads the output up to and including this byte.
    #[track_caller]
    pub fn read_until(&mut self, end: u8) -> Vec<u8> {
        loop {
            if let Some(at) = self.pending.iter().position(|&byte| byte == end) {
                return self.pending.drain(..=at).collect();
            }
            match self.pieces.recv_timeout(RUN_TIME_MAX) {
                Ok(piece) => self.pending.extend(piece),
                Err(error) => panic!("no output: {error}; so far {:?}", String::from_utf8_lossy(&self.pending)),
            }
        }
    }

    /// Reads this many bytes of output and drops them.
    #[track_caller]
    pub fn skip_bytes(&mut self, count: u64) {
        let mut seen = self.pending.len() as u64;
        while seen < count {
            let piece = self.pieces.recv_timeout(RUN_TIME_MAX).expect("more output");
            seen += piece.len() as u64;
        }
        assert_eq!(seen, count, "more output than expected");
        self.pending.clear();
    }

    /// Closes standard input and waits for the program to exit.
    #[track_caller]
    pub fn close(&mut self) -> ExitStatus {
        self.stdin = None;
        self.wait(Instant::now() + RUN_TIME_MAX)
    }

    /// Waits for the program to exit; standard input stays open.
    #[track_caller]
    pub fn wait(&mut self, deadline: Instant) -> ExitStatus {
        wait(&mut self.child, deadline)
    }
}

impl Drop for Coprocess {
    fn drop(&mut self) {
        // It still runs only if the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads each line of a file in `tests/data` as JSON.
pub fn cases(name: &str) -> Vec<serde_json::Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
    text.lines().map(read).collect()
}
