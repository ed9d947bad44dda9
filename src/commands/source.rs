//! The inputs of the filters: standard input or a file, read in large pieces and named in every message.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::exit::{Exit, Failure};
use crate::framing::{LineFramer, TextLine};
use crate::net::wait::widen_pipes;
use crate::output::{Console, Stdout};
use crate::text::file_name;

/// An open input.
pub struct Source {
    /// Its bytes.
    pub reader: Box<dyn Read>,
    /// What messages call it: the file's name, or `<stdin>`.
    pub name: String,
}

impl Source {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// [`Failure::Io`] that names the file.
    pub fn open(path: &Path) -> Result<Source, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Source::stdin());
        }
        // The name stands before every complaint, where an editor looks for the file: it is never cut.
        let name = file_name(path);
        let file = File::open(path).map_err(|error| Failure::io(format_args!("cannot open {name}"), &error))?;
        Ok(Source::new(Box::new(file), name))
    }

    /// Standard input. Its buffer is passed by, since every read is larger than it.
    pub fn stdin() -> Source {
        Source::new(Box::new(io::stdin().lock()), "<stdin>".to_string())
    }

    fn new(reader: Box<dyn Read>, name: String) -> Source {
        widen_pipes();
        Source { reader, name }
    }

    /// Reads what is there into `space`; 0 at the end.
    ///
    /// # Errors
    /// [`Failure::Io`] that names the input; a directory fails here.
    pub fn read(&mut self, space: &mut [u8]) -> Result<usize, Failure> {
        loop {
            match self.reader.read(space) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::io(format_args!("cannot read {}", self.name), &error)),
                Ok(count) => return Ok(count),
            }
        }
    }

    /// The whole of a file, or of standard input for `-`, as a payload of at most `limit` bytes.
    ///
    /// # Errors
    /// As for [`Source::open`] and [`Source::read`]; [`Failure::Refused`] for more bytes.
    pub fn payload(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
        let Source { reader, name } = Source::open(path)?;
        let mut bytes = Vec::new();
        let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        match reader.take(one_more).read_to_end(&mut bytes) {
            Err(error) => Err(Failure::io(format_args!("cannot read {name}"), &error)),
            Ok(count) if count > limit => {
                Err(Failure::Refused(format!("{name} holds more than {limit} bytes; --max-payload allows more")))
            }
            Ok(_) => Ok(bytes),
        }
    }

    /// Converts the lines of the input, one by one; writes after each read what came of those that were whole, and
    /// reports each that could not be converted with its place.
    ///
    /// # Errors
    /// What ends the run: the input cannot be read, the output cannot be written.
    pub fn convert_lines(
        mut self,
        mut lines: LineFramer,
        fail_fast: bool,
        console: &mut Console,
        mut convert: impl FnMut(TextLine<'_>, &mut Vec<u8>) -> Result<(), (u64, String)>,
    ) -> Result<Exit, Failure> {
        let mut output = Stdout::new();
        loop {
            let count = self.read(lines.space())?;
            lines.filled(count);
            loop {
                let line = if count == 0 { lines.end() } else { lines.next_line() };
                let Some(line) = line else { break };
                let Err((number, reason)) = convert(line, output.buffer()) else { continue };
                output.flush()?;
                console.report(Exit::Failed, format_args!("{}:{number}", self.name), reason);
                if fail_fast {
                    return Ok(console.worst());
                }
            }
            output.flush()?;
            if count == 0 {
                return Ok(console.worst());
            }
        }
    }
}
