//! `-s`: bare strings instead of messages, in both filters.

use std::ffi::OsStr;
use std::path::Path;

use crate::bcp::Malformed;
use crate::exit::Failure;
use crate::framing::{Frame, Framer};

use super::input::Filter;

/// How strings are read, converted and written.
pub(crate) struct Strings {
    /// Appends the result for one string.
    pub convert: fn(&[u8], &mut Vec<u8>) -> Result<(), Malformed>,
    /// What ends a string on input: LF, or NUL.
    pub end_in: u8,
    /// What ends a result.
    pub end_out: u8,
    /// The longest string, and the longest result: nothing is written that the other filter refuses.
    pub bytes_max: usize,
}

impl Strings {
    /// Converts the arguments, or the strings of an input if there are none, or one that is `-`.
    ///
    /// # Errors
    /// An argument that cannot be converted is [`Failure::Usage`], one that is too long [`Failure::Refused`]. An input
    /// that cannot be read, and so on.
    pub(crate) fn run(&self, words: &[impl AsRef<OsStr>], input: &Path, filter: &mut Filter) -> Result<(), Failure> {
        let is_dash = |word: &dyn AsRef<OsStr>| word.as_ref() == "-";
        if words.is_empty() || (words.len() == 1 && is_dash(&words[0])) {
            let mut framer = Framer::bare_lines(self.end_in, self.bytes_max);
            let source = filter.open(input)?;
            return filter.feed(source, &mut framer, |line, out| self.line(line, out)).map(|_| ());
        }
        if words.iter().any(|word| is_dash(word)) {
            let why = "- reads the strings from standard input, so there can be no other arguments";
            return Err(Failure::Usage(why.to_owned()));
        }
        if filter.fail_fast {
            let why = "--fail-fast stops reading an input, but the strings are arguments: leave out one of them";
            return Err(Failure::Usage(why.to_owned()));
        }
        for word in words {
            let (text, out) = (word.as_ref().as_encoded_bytes(), filter.output.buffer());
            let start = out.len();
            (self.convert)(text, out).map_err(|error| Failure::Usage(error.to_string()))?;
            self.check_length(text.len(), out.len() - start).map_err(Failure::Refused)?;
            out.push(self.end_out);
        }
        filter.output.flush()
    }

    fn line(&self, line: Frame<'_>, out: &mut Vec<u8>) -> Result<bool, (u64, String)> {
        let (number, text) = line.bare_line().map_err(|number| (number, self.too_long("the string is")))?;
        let start = out.len();
        let converted = (self.convert)(text, out).map_err(|error| error.to_string());
        converted.and_then(|()| self.check_length(text.len(), out.len() - start)).map_err(|reason| {
            out.truncate(start);
            (number, reason)
        })?;
        out.push(self.end_out);
        Ok(true)
    }

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
