//! Helpers of the benches of `send` and `replay`: their peer, and a long input.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;

/// The measured program.
pub const BACKBOX: &str = env!("CARGO_BIN_EXE_backbox");

/// A recorded game. Its lines without `#` were sent by MPF.
const SESSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sessions/one-ball-game.bcp");

/// Starts a peer that reads everything and closes, one connection after another; returns its address.
pub fn sink() -> Result<String, String> {
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

/// Writes a file that repeats what MPF sent in a game; returns its path and number of lines.
pub fn game(scratch: &Path, bytes: usize) -> Result<(PathBuf, usize), String> {
    let failed = |error| format!("cannot write the input: {error}");
    let session = fs::read_to_string(SESSION).map_err(|error| format!("cannot read the captured game: {error}"))?;
    let kept = |line: &&str| !line.starts_with('#') && *line != "goodbye";
    let block: String = session.lines().filter(kept).flat_map(|line| [line, "\n"]).collect();
    let copies = bytes.div_ceil(block.len().max(1));
    let path = scratch.join("game");
    let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
    for _ in 0..copies {
        file.write_all(block.as_bytes()).map_err(failed)?;
    }
    file.flush().map_err(failed)?;
    Ok((path, copies.saturating_mul(block.lines().count())))
}
