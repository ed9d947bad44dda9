//! The inputs of `encode` and `decode`, the one loop that reads them, and `-s`: bare strings instead of messages.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use crate::bcp::Malformed;
use crate::exit::{Exit, Failure};
use crate::framing::{Frame, Framer, Wire, is_ignored};
use crate::limits::{READ_BYTES, WRITE_BYTES};
use crate::net::widen_pipes;
use crate::output::{Console, Stdout};
use crate::text::file_name;

use super::run::note_terminal_input;

/// What messages call standard input.
const STDIN: &str = "<stdin>";

/// An open input.
pub(crate) struct Source {
    pub reader: Box<dyn Read>,
    /// What messages call it: the name of the file, never cut, or `<stdin>`.
    pub name: String,
}

impl Source {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// [`Failure::Io`] that names the file.
    pub(crate) fn open(path: &Path) -> Result<Source, Failure> {
        widen_pipes();
        if path.as_os_str() == "-" {
            // Its buffer is bypassed, because every read is larger.
            return Ok(Source { reader: Box::new(io::stdin().lock()), name: STDIN.to_owned() });
        }
        let name = file_name(path);
        let file = File::open(path).map_err(|error| Failure::io(format_args!("cannot open {name}"), &error))?;
        Ok(Source { reader: Box::new(file), name })
    }

    pub(crate) fn is_stdin(&self) -> bool {
        self.name == STDIN
    }

    /// Reads what is there into `space`; 0 at the end.
    ///
    /// # Errors
    /// [`Failure::Io`] that names the input; a directory fails here.
    pub(crate) fn read(&mut self, space: &mut [u8]) -> Result<usize, Failure> {
        loop {
            match self.reader.read(space) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure(&error)),
                Ok(count) => return Ok(count),
            }
        }
    }

    /// What a read that failed with `error` ends with.
    pub(crate) fn failure(&self, error: &io::Error) -> Failure {
        Failure::io(format_args!("cannot read {}", self.name), error)
    }

    /// The beginning of the input, which is still to be read: `lines` lines that are neither blank nor comments, if it
    /// has as many in its first 64 KiB. No more is read than that takes, so that an interactive input goes on.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub(crate) fn peek(&mut self, lines: usize) -> Result<Vec<u8>, Failure> {
        let (mut head, mut has_ended) = (Vec::new(), false);
        while !has_ended && head.len() < READ_BYTES && whole_lines(&head) < lines {
            let start = head.len();
            head.resize(start + READ_BYTES, 0);
            let count = self.read(&mut head[start..])?;
            head.truncate(start + count);
            has_ended = count == 0;
        }
        let rest: Box<dyn Read> = match has_ended {
            // A terminal would have to be told twice.
            true => Box::new(io::empty()),
            false => std::mem::replace(&mut self.reader, Box::new(io::empty())),
        };
        self.reader = Box::new(Cursor::new(head.clone()).chain(rest));
        Ok(head)
    }

    /// The whole of a file, or of standard input for `-`, as a payload of at most `limit` bytes.
    ///
    /// # Errors
    /// As for [`Source::open`] and [`Source::read`]; [`Failure::Refused`] if there are more bytes.
    pub(crate) fn payload(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
        let mut source = Source::open(path)?;
        let mut bytes = Vec::new();
        let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        match source.reader.by_ref().take(one_more).read_to_end(&mut bytes) {
            Err(error) => Err(source.failure(&error)),
            Ok(count) if count > limit => {
                Err(Failure::Refused(format!("{}: over {limit} bytes; --max-payload allows more", source.name)))
            }
            Ok(_) => Ok(bytes),
        }
    }
}

fn whole_lines(head: &[u8]) -> usize {
    head.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n") && !is_ignored(line)).count()
}

/// The outputs of a filter.
pub(crate) struct Filter {
    pub output: Stdout,
    pub console: Console,
    /// Whether the run ends with the first thing that is reported.
    pub fail_fast: bool,
}

impl Filter {
    pub(crate) fn new(console: Console, fail_fast: bool) -> Filter {
        Filter { output: Stdout::default(), console, fail_fast }
    }

    /// The exit status of a run that ended like this.
    pub(crate) fn finish(&self, outcome: Result<(), Failure>) -> Result<Exit, Failure> {
        match outcome {
            Ok(()) | Err(Failure::OutputClosed) => Ok(self.console.worst()),
            Err(failure) => Err(failure),
        }
    }

    /// Reports what is wrong with the input at a place, after all that was right before it. Whether the run goes on.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(crate) fn report(&mut self, place: &str, reason: impl std::fmt::Display) -> Result<bool, Failure> {
        self.output.flush()?;
        self.console.report(Exit::Failed, place, reason);
        Ok(!self.fail_fast)
    }

    /// Opens an input. A person who has given none learns that it is the terminal.
    ///
    /// # Errors
    /// As for [`Source::open`].
    pub(crate) fn open(&self, path: &Path) -> Result<Source, Failure> {
        if path.as_os_str() == "-" {
            note_terminal_input(&self.console);
        }
        Source::open(path)
    }

    /// Opens each file, or standard input if there is none, and calls `read`, until that returns `false`. A file that
    /// cannot be read does not affect the others.
    ///
    /// # Errors
    /// What ends the run.
    pub(crate) fn each_file(
        &mut self,
        files: &[OsString],
        mut read: impl FnMut(Source, &mut Filter) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let stdin = [OsString::from("-")];
        for file in if files.is_empty() { &stdin } else { files } {
            match self.open(Path::new(file)).and_then(|source| read(source, self)) {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure @ Failure::Io(_)) if !self.output.has_failed() => {
                    self.console.report_failure(&failure);
                    if file.as_encoded_bytes().contains(&b'?') {
                        self.console.note("decode reads files; to decode a line, write echo 'LINE' | backbox decode");
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Reads an input to its end, frame by frame. After each read, what `convert` has appended is written. Its errors
    /// are the number of the frame and the reason; they are reported. The input is left when it returns `false`.
    ///
    /// Whether the run goes on.
    ///
    /// # Errors
    /// The input cannot be read, or the output not written.
    pub(crate) fn feed(
        &mut self,
        mut source: Source,
        framer: &mut Framer,
        mut convert: impl FnMut(Frame<'_>, &mut Vec<u8>) -> Result<bool, (u64, String)>,
    ) -> Result<bool, Failure> {
        // A message of OBE_Socket has no line number.
        let place = if framer.wire() == Wire::Obe { ": offset " } else { ":" };
        loop {
            let count = source.read(framer.space())?;
            framer.filled(count);
            while let Some(frame) = if count == 0 { framer.end() } else { framer.next_frame() } {
                let goes_on = match convert(frame, self.output.buffer()) {
                    Ok(goes_on) => goes_on,
                    Err((number, reason)) => self.report(&format!("{}{}{number}", source.name, place), reason)?,
                };
                if !goes_on || self.output.buffer().len() >= WRITE_BYTES {
                    self.output.flush()?;
                }
                if !goes_on {
                    return Ok(false);
                }
            }
            self.output.flush()?;
            if count == 0 || framer.has_ended() {
                return Ok(true);
            }
        }
    }
}

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
            self.check_length(text.len().max(out.len() - start)).map_err(Failure::Refused)?;
            out.push(self.end_out);
        }
        filter.output.flush()
    }

    fn line(&self, line: Frame<'_>, out: &mut Vec<u8>) -> Result<bool, (u64, String)> {
        let (number, text) = line.bare_line().map_err(|number| (number, self.too_long()))?;
        let start = out.len();
        let converted = (self.convert)(text, out).map_err(|error| error.to_string());
        converted.and_then(|()| self.check_length(out.len() - start)).map_err(|reason| {
            out.truncate(start);
            (number, reason)
        })?;
        out.push(self.end_out);
        Ok(true)
    }

    fn check_length(&self, bytes: usize) -> Result<(), String> {
        if bytes <= self.bytes_max { Ok(()) } else { Err(self.too_long()) }
    }

    fn too_long(&self) -> String {
        format!("the string or its result is longer than {} bytes; --max-line allows more", self.bytes_max)
    }
}
