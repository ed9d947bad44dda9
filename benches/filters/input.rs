//! The inputs: lines of a recorded game, repeated up to a size, in a directory that is removed at the end.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::run::Work;

/// A recorded game. Its lines without `#` were sent by MPF.
const SESSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sessions/one-ball-game.bcp");

/// The content of an input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Every line that MPF sent in the game.
    Game,
    /// The largest of these lines, tables of settings, frames for a display, and text outside ASCII.
    Devices,
}

/// A file that a filter reads.
pub struct Input {
    pub path: PathBuf,
    /// Its name in the table.
    pub name: &'static str,
    /// The number of messages.
    pub lines: u64,
    /// The size in bytes.
    pub bytes: u64,
}

impl Input {
    /// Whether these are the lines of a whole game.
    pub fn is_game(&self) -> bool {
        self.name == "game lines"
    }

    /// Writes BCP of one kind, at least `bytes` long and up to the end of a message.
    ///
    /// # Errors
    /// The recorded game cannot be read, or the file cannot be written.
    pub fn messages(kind: Kind, bytes: u64, scratch: &Scratch) -> Result<Input, String> {
        let session = fs::read(SESSION).map_err(|error| format!("cannot read the captured game: {error}"))?;
        let sent: Vec<&[u8]> =
            session.split(|&b| b == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")).collect();
        let (name, block, lines) = match kind {
            Kind::Game => ("game lines", joined(&sent), sent.len()),
            Kind::Devices => {
                let (block, lines) = devices(&sent);
                ("devices", block, lines)
            }
        };
        let copies = bytes.div_ceil((block.len() as u64).max(1));
        let path = scratch.repeated("messages", &block, copies)?;
        Ok(Input { path, name, lines: copies * lines as u64, bytes: copies * block.len() as u64 })
    }

    /// Frames of OBE_Socket, as a measurement server and its client exchange them.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn frames(bytes: u64, scratch: &Scratch) -> Result<Input, String> {
        let curve: Vec<String> = (1..200).map(|x| format!("{}", f64::from(x).sqrt())).collect();
        let texts = [
            "{\"command\": \"goodset\", \"pickiness\": 4}".to_owned(),
            "[2.8284271247461903]".to_owned(),
            "{\"command\": \"newdat\", \"x\": 2.8284271247461903, \"y\": 1523.25, \"s\": 39.0}".to_owned(),
            "\"OK\"".to_owned(),
            "{\"command\": \"getpdf\"}".to_owned(),
            format!("[{}]", curve.join(", ")),
        ];
        let block: String = texts.iter().map(|text| format!("{:010}{text}", text.len())).collect();
        let copies = bytes.div_ceil(block.len() as u64);
        let path = scratch.repeated("frames", block.as_bytes(), copies)?;
        let (lines, bytes) = (copies * texts.len() as u64, copies * block.len() as u64);
        Ok(Input { path, name: "frames of OBE_Socket", lines, bytes })
    }

    /// The same messages as JSON Lines.
    ///
    /// # Errors
    /// `backbox decode` fails, or the file cannot be written.
    pub fn decoded(&self, scratch: &Scratch) -> Result<Input, String> {
        let path = scratch.path("json");
        let failed = |error: io::Error| format!("cannot write the input as JSON Lines: {error}");
        let file = File::create(&path).map_err(failed)?;
        let status = Work::Decode.of_file(&self.path).stdout(file).status().map_err(failed)?;
        if !status.success() {
            return Err(format!("decode ended with {status} on the input"));
        }
        let bytes = fs::metadata(&path).map_err(failed)?.len();
        Ok(Input { path, name: self.name, lines: self.lines, bytes })
    }
}

fn joined(lines: &[&[u8]]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
}

/// One block of the second input, and its number of messages.
fn devices(sent: &[&[u8]]) -> (Vec<u8>, usize) {
    const LARGE: [&[u8]; 3] = [b"device?", b"settings?", b"monitored_event?"];
    const TEXTS: [&str; 3] = [
        "player_variable?name=initials&value=J%C3%96RG%20%F0%9F%98%80&player_num=int:1\n",
        "machine_variable?json={\"name\": \"motd\", \"value\": \"L\\u00f6we: \\\"Extra\\tball\\\" & 100 %\\n\"}\n",
        "machine_variable?json={\"name\": \"motd\", \"value\": \"Löwe, 獅子, 🦁: \\\\o/ = #1?\"}\n",
    ];
    let table = settings_table(sent);
    let mut block = Vec::new();
    let mut lines = 0;
    for (count, line) in sent.iter().filter(|line| LARGE.iter().any(|begin| line.starts_with(begin))).enumerate() {
        block.extend_from_slice(line);
        block.push(b'\n');
        lines += 1;
        let extra: &[u8] = match count % 32 {
            7 | 23 => &table,
            15 => &display_frame(),
            31 => TEXTS.get(count / 32 % TEXTS.len()).map_or(b"", |text| text.as_bytes()),
            _ => continue,
        };
        block.extend_from_slice(extra);
        lines += 1;
    }
    (block, lines)
}

/// A line with the settings of a large machine: those of the game, sixteen times.
fn settings_table(sent: &[&[u8]]) -> Vec<u8> {
    const BEGIN: &[u8] = b"settings?json={\"settings\": [[";
    let entries = sent.iter().find_map(|line| line.strip_prefix(BEGIN)?.strip_suffix(b"]]}")).unwrap_or_default();
    [BEGIN, &[entries; 16].join(&b"], ["[..]), b"]]}\n"].concat()
}

/// A frame for a display of 128 by 32 dots in sixteen shades; some of its bytes are line feeds.
fn display_frame() -> Vec<u8> {
    let mut frame = b"dmd_frame?name=default&bytes=4096\n".to_vec();
    frame.extend((0..4096u32).map(|dot| (dot % 128 / 8 + dot / 128) as u8 & 15));
    frame
}

/// A directory for the inputs, removed when this is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Creates a temporary directory.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn new() -> Result<Scratch, String> {
        let path = std::env::temp_dir().join(format!("backbox-bench-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("cannot make a temporary directory: {error}"))?;
        Ok(Scratch(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file with copies of one line.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn lines(&self, name: &str, line: &str, copies: usize) -> Result<PathBuf, String> {
        self.repeated(name, format!("{line}\n").as_bytes(), copies as u64)
    }

    fn repeated(&self, name: &str, block: &[u8], copies: u64) -> Result<PathBuf, String> {
        let path = self.path(name);
        let write = |path: &Path| {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
            for _ in 0..copies {
                file.write_all(block)?;
            }
            file.flush()
        };
        write(&path).map_err(|error: io::Error| format!("cannot write an input of the bench: {error}"))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Files that cannot be removed stay among the temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
