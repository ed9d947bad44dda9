//! The common start and end of the bench programs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

/// Runs the bench of this name; an error ends it with status 1.
pub fn bench(name: &str, run: impl FnOnce(&Path) -> Result<(), String>) -> ExitCode {
    // `cargo bench` passes `--bench`; `cargo test --benches` does not, and only checks that this builds.
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let asked = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if !asked("--bench") || asked("--test") || asked("--list") {
        return ExitCode::SUCCESS;
    }
    let done = scratch(name).and_then(|scratch| {
        let done = run(&scratch);
        let _ = fs::remove_dir_all(&scratch);
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{name}: {message}");
            ExitCode::FAILURE
        }
    }
}

fn scratch(name: &str) -> Result<PathBuf, String> {
    let scratch = env::temp_dir().join(format!("backbox-bench-{name}-{}", std::process::id()));
    fs::create_dir(&scratch).map_err(|error| format!("cannot make a temporary directory: {error}"))?;
    Ok(scratch)
}

/// Reads a setting from the environment.
pub fn setting<T: FromStr>(name: &str, usual: T) -> Result<T, String> {
    match env::var(name) {
        Ok(text) => text.parse().map_err(|_| format!("{name}={text} is no size; write a whole number")),
        Err(_) => Ok(usual),
    }
}
