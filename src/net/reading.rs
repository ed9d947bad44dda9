//! What is read: from the socket to the handler, and to the connection that it is linked to.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::connection::{CloseReason, Phase};
use super::handler::{Handler, Notice};
use super::sockets::Net;
use super::sys;
use crate::framing::{Frame, Framer, Wire};
use crate::limits::{LONG_FRAME_BYTES, READ_BYTES};

/// How much a framer gets at a time: a thousand connections have one each.
pub(super) const FRAMER_BYTES: usize = 8 << 10;

impl Net {
    /// Reads at most 64 KiB, so that a flood delays no other peer long; whether there may be more. `has_error` is what
    /// poll saw: some systems forget an error by that, and then read it as an end.
    pub(super) fn read<H: Handler>(&mut self, at: usize, has_error: bool, handler: &mut H) -> bool {
        self.scratch.resize(READ_BYTES, 0);
        let connection = &mut self.connections[at];
        let Some(mut socket) = connection.socket.as_ref().filter(|_| !connection.at_end) else { return false };
        match socket.read(&mut self.scratch) {
            Ok(0) if has_error => connection.lose(io::ErrorKind::ConnectionReset.into()),
            Ok(0) => self.report_end(at, handler),
            Ok(count) => {
                connection.noticed = true;
                self.now = Instant::now();
                let scratch = std::mem::take(&mut self.scratch);
                self.receive(at, &scratch[..count], handler);
                self.scratch = scratch;
                return true;
            }
            Err(error) if sys::is_passing(&error) => {}
            Err(error) => connection.lose(error),
        }
        false
    }

    /// Reports what a connection has read, and passes it on if it is linked.
    fn receive<H: Handler>(&mut self, at: usize, bytes: &[u8], handler: &mut H) {
        let connection = &self.connections[at];
        if connection.discards {
            return;
        }
        let Some(link) = &connection.link else {
            self.observe(at, bytes, false, handler);
            return;
        };
        let to = self.place(link.to);
        let is_last = to.is_none_or(|to| matches!(self.connections[to].phase, Phase::Closing { .. }));
        let Some(to) = to.filter(|&to| !is_last || self.connections[to].outbox.ends_inside_message()) else {
            self.connections[at].discards = true;
            return;
        };
        let end = self.observe(at, bytes, is_last, handler);
        // At the end, nothing beyond the message in flight is passed on.
        let passed = end.filter(|_| self.connections[at].discards).map_or(bytes, |end| &bytes[..end]);
        let link = self.connections[at].link.as_mut();
        let Some(rewrite) = link.and_then(|link| link.rewrite.as_mut()) else {
            return self.connections[to].outbox.push(passed, end);
        };
        let mut rewritten = Vec::new();
        rewrite.rewrite(passed, &mut rewritten);
        let end = (!rewrite.is_inside_message()).then_some(rewritten.len());
        self.connections[to].outbox.push(&rewritten, end);
    }

    /// Reports the frames of what was read, or only the first one if it `is_last`. Returns where the last frame ends in
    /// it, if that is known.
    fn observe<H: Handler>(&mut self, at: usize, bytes: &[u8], is_last: bool, handler: &mut H) -> Option<usize> {
        let mut framer = self.connections[at].framer.take()?;
        let was_long = framer.unread().len() > LONG_FRAME_BYTES;
        let mut fed = 0;
        for piece in bytes.chunks(FRAMER_BYTES) {
            framer.feed(piece);
            fed += piece.len();
            while self.report_frame(at, &mut framer, false, handler) {
                self.connections[at].discards |= is_last;
            }
            if self.connections[at].discards || framer.has_ended() {
                break;
            }
        }
        let (unread, has_ended) = (framer.unread().len(), framer.has_ended());
        let is_kept = unread <= LONG_FRAME_BYTES || unread + self.long_bytes() <= self.long_bytes_max;
        if was_long && unread <= LONG_FRAME_BYTES {
            framer.give_back();
        }
        let connection = &mut self.connections[at];
        let (id, is_linked) = (connection.id, connection.link.is_some());
        if !is_kept && !is_linked {
            connection.end(CloseReason::NoRoom(self.long_bytes_max));
        } else if !is_kept {
            handler.on_notice(self, Notice::Unobserved(id, self.long_bytes_max));
        }
        if is_linked && (has_ended || !is_kept) {
            // What follows is passed on all the same.
            return None;
        }
        let is_inside = framer.is_inside_frame();
        self.connections[at].framer = Some(framer);
        // Nothing is kept of a line over the limit.
        if is_inside { fed.checked_sub(unread).filter(|_| unread > 0) } else { Some(fed) }
    }

    /// Reports the next frame, if there is a whole one; whether more may follow.
    fn report_frame<H: Handler>(&mut self, at: usize, framer: &mut Framer, at_end: bool, handler: &mut H) -> bool {
        let connection = &mut self.connections[at];
        if connection.is_shut() || connection.discards {
            return false;
        }
        let may_be_http = !connection.has_received && connection.link.is_none() && framer.wire() == Wire::Bcp;
        if may_be_http && is_http(framer.unread()) {
            connection.end(CloseReason::Http);
            return false;
        }
        let frame = if at_end { framer.end_of_connection() } else { framer.next_frame() };
        let Some(frame) = frame else { return false };
        connection.has_received |= matches!(frame, Frame::Message(_));
        let (id, is_linked) = (connection.id, connection.link.is_some());
        handler.on_message(self, id, &frame);
        if let Frame::Bad { fault, .. } = frame {
            if framer.has_ended() && !is_linked {
                self.connections[at].discards = true;
                self.report_eof(at, CloseReason::Broken(fault), handler);
            }
        }
        true
    }

    /// How many bytes the long frames of all connections hold.
    pub(super) fn long_bytes(&self) -> usize {
        let framers = self.connections.iter().filter_map(|connection| connection.framer.as_ref());
        framers.map(|framer| framer.unread().len()).filter(|&unread| unread > LONG_FRAME_BYTES).sum()
    }

    /// The peer has closed its side.
    fn report_end<H: Handler>(&mut self, at: usize, handler: &mut H) {
        let connection = &mut self.connections[at];
        (connection.at_end, connection.noticed) = (true, true);
        if connection.discards {
            return;
        }
        if let Some(mut framer) = connection.framer.take() {
            self.report_frame(at, &mut framer, true, handler);
            self.connections[at].framer = Some(framer);
        }
        self.report_eof(at, CloseReason::ByPeer, handler);
        let Some(link) = &mut self.connections[at].link else { return };
        let mut rest = Vec::new();
        if let Some(rewrite) = &mut link.rewrite {
            rewrite.finish(&mut rest);
        }
        let (to, now) = (link.to, self.now);
        if let Some(to) = self.find_mut(to) {
            to.outbox.push(&rest, Some(rest.len()));
            to.finish(now, Duration::MAX, Duration::MAX);
        }
    }

    /// Nothing more will be reported.
    fn report_eof<H: Handler>(&mut self, at: usize, reason: CloseReason, handler: &mut H) {
        let connection = &mut self.connections[at];
        // Else it was ended before, as the handler knows.
        if connection.reason.is_none() {
            connection.reason = Some(reason);
            let id = connection.id;
            handler.on_eof(self, id);
        }
    }
}

/// Whether a connection begins as HTTP: a web page must not play pinball, and a web server is no peer.
fn is_http(start: &[u8]) -> bool {
    [&b"GET "[..], b"POST", b"HEAD", b"PUT ", b"OPTIONS", b"HTTP/"].iter().any(|word| start.starts_with(word))
}
