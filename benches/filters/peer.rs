//! The peer: MPF's own codec, in a Python with MPF.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::Work;

/// The duration of one measurement of MPF, in seconds. Its rate does not depend on the size of the input.
const SECONDS: &str = "1";

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// An installed MPF.
pub struct Mpf {
    python: PathBuf,
}

impl Mpf {
    /// The MPF of `$BACKBOX_MPF_PYTHON`, or of the repository's virtual environment.
    pub fn find() -> Option<Mpf> {
        let python = match std::env::var_os("BACKBOX_MPF_PYTHON") {
            Some(python) => PathBuf::from(python),
            None => Path::new(ROOT).join(".venv/bin/python"),
        };
        let codec = "import mpf.core.bcp.bcp_socket_client";
        let quiet = Command::new(&python).args(["-c", codec]).stdin(Stdio::null()).stderr(Stdio::null()).status();
        quiet.is_ok_and(|status| status.success()).then_some(Mpf { python })
    }

    /// The lines per second that MPF reads and writes, without its start and imports.
    ///
    /// # Errors
    /// MPF cannot be run, or cannot read the file.
    pub fn lines_per_second(&self, work: Work, file: &Path) -> Result<f64, String> {
        let script = Path::new(ROOT).join("benches/peers/mpf_filter.py");
        let mut command = Command::new(&self.python);
        command.arg(script).arg(work.name()).arg(file).args(["--seconds", SECONDS]).stdin(Stdio::null());
        measured(&mut command, "MPF's codec")
    }
}

/// The frames per second that Python's json reads and writes, without its start; `None` without
/// Python.
///
/// # Errors
/// Python cannot be run, or cannot read the file.
pub fn python_frames_per_second(file: &Path) -> Result<Option<f64>, String> {
    let version = Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if version.is_err() {
        return Ok(None);
    }
    let mut command = Command::new("python3");
    command.arg(Path::new(ROOT).join("benches/peers/obe_filter.py")).arg(file).args(["--seconds", SECONDS]);
    measured(command.stdin(Stdio::null()), "Python's json").map(Some)
}

/// Reads the rate that a script prints.
fn measured(command: &mut Command, what: &str) -> Result<f64, String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| format!("cannot run {what}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{what} could not read the input: {}", output.status));
    }
    let measured: Option<serde_json::Value> = serde_json::from_slice(&output.stdout).ok();
    let rate = measured.and_then(|measured| measured.get("lines_per_second")?.as_f64());
    rate.ok_or_else(|| format!("the script of {what} printed no lines_per_second"))
}
