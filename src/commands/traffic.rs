//! What `-v` shows on standard error: `> ` before a line that was sent, `< ` before one that was received.

use crate::framing::RawMessage;
use crate::output::{push_for_terminal, say};

/// Shows the traffic of one connection, or does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    shown: bool,
}

impl Traffic {
    pub fn new(verbose: bool) -> Traffic {
        Traffic { shown: verbose }
    }

    /// One line was sent, with a payload of so many bytes.
    pub fn sent(&self, line: &[u8], payload: Option<usize>) {
        self.show('>', line, payload);
    }

    /// Lines without payloads were sent.
    pub fn sent_lines(&self, lines: &[u8]) {
        lines.split(|&b| b == b'\n').filter(|line| !line.is_empty()).for_each(|line| self.show('>', line, None));
    }

    /// A message was received.
    pub fn came(&self, message: &RawMessage<'_>) {
        self.show('<', message.line, message.payload.map(<[u8]>::len));
    }

    fn show(&self, direction: char, line: &[u8], payload: Option<usize>) {
        if !self.shown {
            return;
        }
        let mut text = format!("{direction} ").into_bytes();
        push_for_terminal(line, &mut text);
        if let Some(bytes) = payload {
            text.extend_from_slice(format!(" <{bytes} bytes>").as_bytes());
        }
        text.push(b'\n');
        say(&String::from_utf8_lossy(&text));
    }
}
