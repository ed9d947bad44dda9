//! `backbox decode --lint`: findings instead of messages. The catalogue has the rules.

use std::ffi::OsString;

use crate::bcp::ParseOptions;
use crate::catalogue::lint;
use crate::exit::{Exit, Failure};
use crate::framing::{Frame, Framer, FramingOptions, RawMessage};

use super::decode::is_bcp;
use super::input::{Filter, Source};

/// Prints the findings of one input after the other.
pub(crate) struct Linter {
    framing: FramingOptions,
    reading: ParseOptions,
    findings: u64,
}

impl Linter {
    pub(crate) fn new(framing: FramingOptions, reading: ParseOptions) -> Linter {
        Linter { framing, reading, findings: 0 }
    }

    /// Lints each file, or standard input.
    ///
    /// # Errors
    /// What ends the run at once; a file that cannot be read does not.
    pub(crate) fn run(&mut self, files: &[OsString], filter: &mut Filter) -> Result<(), Failure> {
        let outcome = filter.each_file(files, |source, filter| self.source(source, filter));
        if self.findings > 0 {
            filter.console.worsen(Exit::Failed);
        }
        outcome?;
        if self.findings > 0 {
            filter.console.note(format_args!("findings: {}", self.findings));
        }
        Ok(())
    }

    fn source(&mut self, mut source: Source, filter: &mut Filter) -> Result<bool, Failure> {
        if !is_bcp(&mut source, filter)? {
            return Ok(!filter.fail_fast);
        }
        let (name, fail_fast) = (source.name.clone(), filter.fail_fast);
        filter.feed(source, &mut Framer::new(self.framing.clone()), |frame, out| {
            let (number, findings) = match frame {
                Frame::Ignored { .. } => return Ok(true),
                Frame::Message(message) => (message.number, self.findings(&message)),
                Frame::Bad { number, fault } => (number, vec![format!("stop: {fault}")]),
            };
            for finding in findings {
                self.findings += 1;
                out.extend_from_slice(format!("{name}:{number}: {finding}\n").as_bytes());
                if fail_fast {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn findings(&self, message: &RawMessage<'_>) -> Vec<String> {
        let is_lost = !self.framing.payloads && message.marker.is_some();
        match is_lost {
            // The payload is not known: any other stands for it.
            true => lint(&[message.text(), b"&bytes=1"].concat(), Some(b"\0"), &self.reading),
            false => lint(message.line, message.payload, &self.reading),
        }
    }
}
