//! `backbox decode --lint`: findings instead of messages.
//!
//! The catalogue has the rules; this module reads the inputs, counts lines and sets the exit status.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::catalogue::lint;
use crate::exit::{Exit, Failure};
use crate::framing::{BcpFramer, Frame, FramingOptions, RawMessage};
use crate::output::{Console, Stdout};

use super::shared::Input;
use super::source::Source;

/// Lints each file, or standard input, and prints what it finds.
///
/// # Errors
/// What ends the run at once; a file that cannot be read does not.
pub fn run(words: &[OsString], input: &Input, payloads: bool, console: &mut Console) -> Result<Exit, Failure> {
    let mut run = Run { framing: FramingOptions { payloads, ..input.framing() }, output: Stdout::new(), findings: 0 };
    let stdin = [OsString::from("-")];
    let files = if words.is_empty() { &stdin[..] } else { words };
    for file in files {
        match Source::open(&PathBuf::from(file)).and_then(|source| run.source(source, input)) {
            Ok(()) => {}
            Err(failure @ Failure::Io(_)) if !run.output.has_failed() => console.report_failure(&failure),
            Err(failure) => return Err(failure),
        }
        if input.fail_fast && run.findings > 0 {
            break;
        }
    }
    if run.findings == 0 {
        return Ok(console.worst());
    }
    console.note(format_args!("findings: {}", run.findings));
    Ok(console.worst().worse(Exit::Failed))
}

/// The work on one run's inputs.
struct Run {
    framing: FramingOptions,
    output: Stdout,
    findings: u64,
}

impl Run {
    fn source(&mut self, mut source: Source, input: &Input) -> Result<(), Failure> {
        let mut framer = BcpFramer::new(self.framing.clone());
        loop {
            let count = source.read(framer.space())?;
            framer.filled(count);
            loop {
                let frame = if count == 0 { framer.end() } else { framer.next_frame() };
                match frame {
                    None => break,
                    Some(Frame::Ignored { .. }) => {}
                    Some(Frame::Message(message)) => self.message(&source.name, &message, input),
                    Some(Frame::Bad { number, fault }) => {
                        self.print(&source.name, number, format_args!("stop: {fault}"));
                    }
                }
                if input.fail_fast && self.findings > 0 {
                    return self.output.flush();
                }
            }
            self.output.flush()?;
            if count == 0 || framer.has_ended() {
                return Ok(());
            }
        }
    }

    fn message(&mut self, name: &str, message: &RawMessage<'_>, input: &Input) {
        // The payload of a log without payloads is not known: any other stands for it.
        let is_lost = !self.framing.payloads && message.line.len() > message.text().len();
        let findings = match is_lost {
            true => lint(&[message.text(), b"&bytes=1"].concat(), Some(b"\0"), &input.reading),
            false => lint(message.line, message.payload, &input.reading),
        };
        for finding in findings {
            self.print(name, message.number, format_args!("{finding}"));
            if input.fail_fast {
                break;
            }
        }
    }

    fn print(&mut self, name: &str, number: u64, finding: std::fmt::Arguments<'_>) {
        self.findings += 1;
        self.output.buffer().extend_from_slice(format!("{name}:{number}: {finding}\n").as_bytes());
    }
}
