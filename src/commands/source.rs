//! The inputs of the filters: standard input or a file, read in large pieces and named in every message.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::failure::Failure;
use crate::text::shown;

/// An open input.
pub struct Source {
    reader: Box<dyn Read>,
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
        let name = shown(path.as_os_str().as_encoded_bytes());
        let file = File::open(path).map_err(|error| Failure::io(format_args!("cannot open {name}"), &error))?;
        Ok(Source { reader: Box::new(file), name })
    }

    /// Standard input. Its buffer is passed by, since every read is larger than it.
    pub fn stdin() -> Source {
        Source { reader: Box::new(io::stdin().lock()), name: "<stdin>".to_string() }
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

    /// Reads everything, up to one byte more than `limit`, so that a caller sees what is too much.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn read_all(&mut self, limit: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        match self.reader.by_ref().take(limit).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(Failure::io(format_args!("cannot read {}", self.name), &error)),
        }
    }
}
