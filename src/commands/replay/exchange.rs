//! What every script of `replay` does alike with its peer: a line of ours is sent, a frame heard, goodbye said, and all
//! of it shown, recorded and counted (design.md, section 11).

use std::time::{Duration, Instant};

use super::recording::Line;
use super::tally::Tally;
use crate::bcp::line_command;
use crate::bcp::template::Side;
use crate::commands::ending::{closing, complain_of_frame};
use crate::commands::listen::listener::{side, survive};
use crate::commands::recorder::Recorder;
use crate::commands::traffic::Traffic;
use crate::framing::{Frame, RawMessage};
use crate::net::address::Address;
use crate::net::dialogue::Ended;
use crate::net::queue::Outbox;
use crate::output::progress::ERASE;
use crate::output::{Console, Progress, push_for_terminal, stdout_is_terminal};
use crate::session::CONNECTION_MAX;

/// How long a terminal may take to be drawn on.
const DRAWING_TIME: Duration = Duration::from_millis(3);

/// A message that may not have gone yet.
#[derive(Debug)]
struct UnderWay {
    /// When it was due, if it was at a time.
    due: Option<Instant>,
    /// How many bytes of the recording it is; `None` for a goodbye that does not stand there.
    bytes: Option<usize>,
}

/// Our side of a conversation, over one connection after the other.
#[derive(Debug)]
pub struct Exchange<'a> {
    console: &'a mut Console,
    ours: Side,
    traffic: Traffic,
    recorder: Option<Recorder>,
    terminal: bool,
    /// What happened so far, on all connections.
    pub tally: Tally,
    peer: Address,
    connection: u32,
    /// Somebody has said goodbye: the recording, or the peer.
    pub said_goodbye: bool,
    /// The peer has said it.
    pub peer_left: bool,
    progress: Progress,
    /// What is being written: the oldest first.
    under_way: Vec<UnderWay>,
}

impl<'a> Exchange<'a> {
    /// Nobody is connected yet; `ours` is the end that is played, `total` how many messages it will send, if that is
    /// known.
    pub fn new(
        ours: Side,
        total: Option<u64>,
        traffic: Traffic,
        recorder: Option<Recorder>,
        console: &'a mut Console,
    ) -> Exchange<'a> {
        let progress = console.progress();
        Exchange {
            console,
            progress,
            ours,
            traffic,
            recorder,
            terminal: stdout_is_terminal(),
            tally: Tally::new(total),
            peer: Address::new("", 0),
            connection: 0,
            said_goodbye: false,
            peer_left: false,
            under_way: Vec::new(),
        }
    }

    /// A connection with this peer stands.
    pub fn begin(&mut self, peer: Address) {
        self.peer = peer;
        self.connection = self.connection.saturating_add(1).min(CONNECTION_MAX);
        self.said_goodbye = false;
        self.peer_left = false;
        self.under_way.clear();
        self.tally.connected();
    }

    /// Which end we are.
    pub fn ours(&self) -> Side {
        self.ours
    }

    /// With whom the connection is, or was.
    pub fn peer(&self) -> &Address {
        &self.peer
    }

    /// Standard error.
    pub fn console(&mut self) -> &mut Console {
        self.console
    }

    /// Puts a line of ours on its way that was due at a time, or at no time.
    pub fn send(&mut self, line: &Line, due: Option<Instant>, outbox: &mut Outbox) {
        self.said_goodbye |= is_goodbye(line.line());
        self.under_way.push(UnderWay { due, bytes: Some(line.bytes.len()) });
        self.tally.sends(line.bytes.len());
        self.push(line.line(), line.payload(), &line.bytes, outbox);
    }

    /// Everything that was on its way has gone by `now`, which is when lateness is measured. On a terminal it says now
    /// and then how far it is.
    pub fn gone(&mut self, now: Instant) {
        for due in self.under_way.drain(..).filter_map(|line| line.due) {
            self.tally.left(now.saturating_duration_since(due));
        }
        self.progress.draw(now, || self.tally.progress(now));
    }

    /// So many of the last messages do not go out: they count no more.
    pub fn dropped(&mut self, messages: usize) {
        let kept = self.under_way.len().saturating_sub(messages);
        self.under_way.drain(kept..).filter_map(|line| line.bytes).for_each(|bytes| self.tally.takes_back(bytes));
    }

    /// When to look again before `due`, to say how far it is; not so near to it that it would come late.
    pub fn wake(&self, due: Instant) -> Instant {
        self.progress.next().filter(|&next| next + DRAWING_TIME < due).unwrap_or(due)
    }

    /// Hears one frame; what is `printed`, if anything is, has it too.
    pub fn heard(&mut self, frame: &Frame<'_>, printed: Option<&mut Vec<u8>>) {
        if let Some(recorder) = &mut self.recorder {
            let recorded = recorder.frame(Instant::now(), self.connection, side(self.ours.other()), frame);
            survive(self.console, recorded);
        }
        match frame {
            Frame::Message(message) => {
                self.tally.hears(message.raw.len());
                self.traffic.came(message);
                self.peer_left |= is_goodbye(message.line);
                if let Some(printed) = printed {
                    if self.terminal && self.progress.is_shown() {
                        printed.extend_from_slice(ERASE.as_bytes());
                    }
                    print(message, self.terminal, printed);
                }
            }
            Frame::Ignored { .. } => {}
            Frame::Bad { number, fault } => complain_of_frame(self.console, &self.peer, *number, *fault),
        }
    }

    /// Says goodbye, unless the recording did.
    pub fn farewell(&mut self, outbox: &mut Outbox) {
        if outbox.is_empty() {
            // A signal may come before anybody has looked at what has gone.
            self.gone(Instant::now());
        }
        if !self.said_goodbye {
            self.said_goodbye = true;
            self.under_way.push(UnderWay { due: None, bytes: None });
            self.push(b"goodbye", None, b"goodbye\n", outbox);
        }
    }

    /// The connection has ended like this.
    pub fn ended(&mut self, ended: &Ended) {
        if ended.unsent == 0 {
            self.gone(Instant::now());
        }
        if let Some(recorder) = &mut self.recorder {
            let (how, theirs) = (closing(ended, self.ours), side(self.ours.other()));
            let recorded = recorder.ended(self.connection, &how, theirs, &ended.unfinished);
            survive(self.console, recorded);
        }
    }

    fn push(&mut self, line: &[u8], payload: Option<&[u8]>, whole: &[u8], outbox: &mut Outbox) {
        self.traffic.sent(line, payload.map(<[u8]>::len));
        if let Some(recorder) = &mut self.recorder {
            let recorded = recorder.message(Instant::now(), self.connection, side(self.ours), line, payload);
            survive(self.console, recorded);
        }
        outbox.push(whole);
    }
}

/// Whether a line is the last that its side says.
pub fn is_goodbye(line: &[u8]) -> bool {
    line_command(line).eq_ignore_ascii_case("goodbye")
}

/// Appends a message as it stands, or so that it cannot move a terminal's cursor.
fn print(message: &RawMessage<'_>, terminal: bool, printed: &mut Vec<u8>) {
    if !terminal {
        return printed.extend_from_slice(message.raw);
    }
    push_for_terminal(message.line, printed);
    if let Some(payload) = message.payload {
        printed.extend_from_slice(format!(" <{} bytes>", payload.len()).as_bytes());
    }
    printed.push(b'\n');
}
