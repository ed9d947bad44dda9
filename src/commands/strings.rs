//! `-s`: bare strings instead of messages, for both filters.

use std::ffi::OsStr;

use crate::bcp::{Malformed, MalformedReason};
use crate::exit::{Exit, Failure};
use crate::framing::{LineFramer, TextLine};
use crate::output::{Console, Stdout};

use super::source::Source;

/// What is done with one string: its result is appended, without an end.
pub type Convert = fn(&[u8], &mut Vec<u8>) -> Result<(), Malformed>;

/// Whether the strings come from an input: no argument is one, or `-` says so.
pub fn from_input(words: &[impl AsRef<OsStr>]) -> bool {
    match words {
        [] => true,
        [word] => word.as_ref() == "-",
        _ => false,
    }
}

/// Refuses what makes no sense with the strings as arguments, with a sentence that says why (section 8).
///
/// # Errors
/// [`Failure::Usage`].
pub fn check(words: &[impl AsRef<OsStr>], fail_fast: bool) -> Result<(), Failure> {
    let refuse = |text: &str| Err(Failure::Usage(text.to_string()));
    if from_input(words) {
        return Ok(());
    }
    if words.iter().any(|word| word.as_ref() == "-") {
        return refuse("- reads the strings from standard input, so none can be an argument beside it");
    }
    if fail_fast {
        return refuse("--fail-fast is about the strings of an input, and here they are arguments");
    }
    Ok(())
}

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

impl Strings {
    /// Converts the arguments, in their order.
    ///
    /// # Errors
    /// An argument that cannot be converted is [`Failure::Usage`], one that is too long [`Failure::Refused`].
    pub fn run_arguments(&self, words: &[String]) -> Result<Exit, Failure> {
        let mut output = Stdout::new();
        for word in words {
            let out = output.buffer();
            let start = out.len();
            (self.convert)(word.as_bytes(), out).map_err(|error| Failure::Usage(error.to_string()))?;
            self.check_length(word.len(), out.len() - start).map_err(Failure::Refused)?;
            out.push(self.end_out);
        }
        output.flush()?;
        Ok(Exit::Success)
    }

    /// Converts each string of an input, after each read what came whole.
    ///
    /// # Errors
    /// What ends the run: the input cannot be read, the output cannot be written.
    pub fn run_source(&self, source: Source, console: &mut Console) -> Result<Exit, Failure> {
        let lines = LineFramer::new(self.end_in, self.bytes_max);
        source.convert_lines(lines, self.fail_fast, console, |line, out| self.line(line, out))
    }

    fn line(&self, line: TextLine<'_>, out: &mut Vec<u8>) -> Result<(), (u64, String)> {
        let (number, text) = match line {
            TextLine::Whole { number, text } => (number, text),
            TextLine::TooLong { number } => return Err((number, self.too_long("the string is"))),
        };
        let start = out.len();
        let converted = (self.convert)(text, out).map_err(|error| error.to_string());
        match converted.and_then(|()| self.check_length(text.len(), out.len() - start)) {
            Ok(()) => {
                out.push(self.end_out);
                Ok(())
            }
            Err(reason) => {
                out.truncate(start);
                Err((number, reason))
            }
        }
    }

    /// Neither a string nor what becomes of it is over the limit: nothing is written that the other filter would
    /// refuse (section 5).
    fn check_length(&self, bytes: usize, result_bytes: usize) -> Result<(), String> {
        match bytes.max(result_bytes) <= self.bytes_max {
            true => Ok(()),
            false if bytes > self.bytes_max => Err(self.too_long("the string is")),
            false => Err(self.too_long("the result would be")),
        }
    }

    fn too_long(&self, what: &str) -> String {
        format!("{what} longer than {} bytes; --max-line allows more", self.bytes_max)
    }
}

/// The complaint about a string that is not UTF-8.
pub fn not_utf8(text: &[u8]) -> Malformed {
    Malformed::message(text, MalformedReason::NotUtf8)
}
