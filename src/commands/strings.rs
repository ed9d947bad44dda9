//! `-s`: bare strings instead of messages, for both filters.

use crate::codec::{Malformed, Reason};
use crate::failure::{Exit, Failure};
use crate::framing::{Line, LineFramer};
use crate::limits::LINE_BYTES_MAX;
use crate::output::{Console, Output};

use super::source::Source;

/// What is done with one string: its result is appended, without an end.
pub type Convert = fn(&[u8], &mut Vec<u8>) -> Result<(), Malformed>;

/// How strings are read and written.
pub struct Strings {
    /// What becomes of each.
    pub convert: Convert,
    /// What ends a string on input: LF, or NUL.
    pub end_in: u8,
    /// What ends a result.
    pub end_out: u8,
    /// The first string that cannot be converted ends the run.
    pub fail_fast: bool,
    /// The longest string in bytes.
    pub bytes_max: usize,
}

impl Default for Strings {
    fn default() -> Strings {
        Strings {
            convert: |text, out| {
                out.extend_from_slice(text);
                Ok(())
            },
            end_in: b'\n',
            end_out: b'\n',
            fail_fast: false,
            bytes_max: LINE_BYTES_MAX,
        }
    }
}

impl Strings {
    /// Converts the arguments, in their order.
    ///
    /// # Errors
    /// An argument that cannot be converted is [`Failure::Usage`].
    pub fn run_arguments(&self, words: &[String]) -> Result<Exit, Failure> {
        let mut output = Output::new();
        for word in words {
            (self.convert)(word.as_bytes(), output.buffer()).map_err(|error| Failure::Usage(error.to_string()))?;
            output.buffer().push(self.end_out);
        }
        output.flush()?;
        Ok(Exit::Done)
    }

    /// Converts each string of an input, after each read what came whole.
    ///
    /// # Errors
    /// What ends the run: the input cannot be read, the output cannot be written.
    pub fn run_source(&self, mut source: Source, console: &mut Console) -> Result<Exit, Failure> {
        let mut output = Output::new();
        let mut lines = LineFramer::new(self.end_in, self.bytes_max);
        loop {
            let count = source.read(lines.space())?;
            lines.filled(count);
            loop {
                let line = if count == 0 { lines.end() } else { lines.next_line() };
                let Some(line) = line else { break };
                let Err((number, reason)) = self.line(line, &mut output) else { continue };
                output.flush()?;
                console.complain(Exit::No, format_args!("{}:{number}", source.name), reason);
                if self.fail_fast {
                    return Ok(console.worst());
                }
            }
            output.flush()?;
            if count == 0 {
                return Ok(console.worst());
            }
        }
    }

    fn line(&self, line: Line<'_>, output: &mut Output) -> Result<(), (u64, String)> {
        match line {
            Line::Whole { number, text } => {
                let start = output.buffer().len();
                if let Err(error) = (self.convert)(text, output.buffer()) {
                    output.buffer().truncate(start);
                    return Err((number, error.to_string()));
                }
                output.buffer().push(self.end_out);
                Ok(())
            }
            Line::TooLong { number } => {
                Err((number, format!("the string is longer than {} bytes; --max-line allows more", self.bytes_max)))
            }
        }
    }
}

/// The complaint about a string that is not UTF-8.
pub fn not_utf8(text: &[u8]) -> Malformed {
    Malformed::message(text, Reason::NotUtf8)
}
