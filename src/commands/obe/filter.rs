//! The filters with `--wire obe`: JSON Lines into OBE_Socket's frames and back (design.md, sections 3, 5 and 6).
//!
//! The text of a message goes through unchanged; it is read all the same, since what is no JSON is no message.

use crate::bcp::{Message, push_ascii_json};
use crate::commands::arguments::read_value;
use crate::commands::decode::Next;
use crate::commands::shared::Input;
use crate::commands::source::Source;
use crate::exit::{Exit, Failure};
use crate::framing::{Frame, LineFramer, ObeFramer, RawMessage, TextLine, body, push_frame};
use crate::limits::{OBE_BODY_BYTES_MAX, READ_BYTES, WRITE_BYTES};
use crate::output::show::Show;
use crate::output::{Console, Stdout};
use crate::text::trim;

/// One frame from the arguments.
///
/// # Errors
/// [`Failure::Usage`] for arguments that make no message, and what writing meets.
pub fn encode_words(words: &[String], input: &Input) -> Result<Exit, Failure> {
    let text = read_value(words, input.reading.allow_nan)?;
    let mut output = Stdout::new();
    push_frame(&text, output.buffer());
    output.flush()?;
    Ok(Exit::Success)
}

/// A frame for each line of JSON Lines: its text without white space at its ends.
///
/// # Errors
/// What reading and writing meet.
pub fn encode_lines(source: Source, input: &Input, console: &mut Console) -> Result<Exit, Failure> {
    let mut parts = Message::new();
    let lines = LineFramer::new(b'\n', OBE_BODY_BYTES_MAX);
    source.convert_lines(lines, input.fail_fast, console, |line, out| {
        let (number, text) = match line {
            TextLine::Whole { number, text } => (number, trim(text)),
            TextLine::TooLong { number } => {
                return Err((
                    number,
                    format!("the line is longer than {OBE_BODY_BYTES_MAX} bytes, which decode refuses"),
                ));
            }
        };
        if !text.is_empty() {
            parts.parse_value(text, input.reading.allow_nan).map_err(|error| (number, error.to_string()))?;
            parts.release_large_buffers();
            push_frame(text, out);
        }
        Ok(())
    })
}

/// What decodes the frames of one input after the other.
pub struct ObeDecoder<'a> {
    /// What prints them.
    pub show: &'a mut Show,
    /// Where they are read.
    pub parts: &'a mut Message,
    /// Where they are printed.
    pub output: &'a mut Stdout,
    /// `--no-nan` and `--fail-fast`.
    pub input: &'a Input,
    /// `--ascii`.
    pub ascii: bool,
}

impl ObeDecoder<'_> {
    /// Decodes one input to its end; what came whole is written after each read.
    ///
    /// # Errors
    /// What reading and writing meet.
    pub fn source(&mut self, mut source: Source, console: &mut Console) -> Result<Next, Failure> {
        let mut framer = ObeFramer::new(OBE_BODY_BYTES_MAX, READ_BYTES);
        loop {
            let count = source.read(framer.space())?;
            framer.filled(count);
            loop {
                let frame = if count == 0 { framer.end() } else { framer.next_frame() };
                let (number, why) = match frame {
                    None => break,
                    Some(Frame::Ignored { .. }) => continue,
                    Some(Frame::Bad { number, fault }) => (number, fault.to_string()),
                    Some(Frame::Message(message)) => match self.message(&message) {
                        Ok(()) if self.output.buffer().len() < WRITE_BYTES => continue,
                        Ok(()) => {
                            self.output.flush()?;
                            continue;
                        }
                        Err(why) => (message.number, why),
                    },
                };
                self.output.flush()?;
                console.report(Exit::Failed, format_args!("{}: offset {number}", source.name), why);
                if self.input.fail_fast {
                    return Ok(Next::Stop);
                }
            }
            self.output.flush()?;
            if count == 0 || framer.has_ended() {
                return Ok(Next::GoOn);
            }
        }
    }

    fn message(&mut self, message: &RawMessage<'_>) -> Result<(), String> {
        self.parts.parse_value(body(message.raw), self.input.reading.allow_nan).map_err(|error| error.to_string())?;
        match self.show.looks_inside() {
            true => self.parts.take_command(),
            false => self.parts.release_large_buffers(),
        }
        if self.ascii {
            let mut line = Vec::new();
            self.show.show(message, Some(self.parts), None, &mut line);
            push_ascii_json(&line, self.output.buffer());
        } else {
            self.show.show(message, Some(self.parts), None, self.output.buffer());
        }
        Ok(())
    }
}
