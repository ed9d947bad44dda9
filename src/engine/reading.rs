//! What is read: from the socket to the handler, and to the connection that it is linked to.

use std::io::{self, Read};
use std::time::Instant;

use super::connection::CloseReason;
use super::handler::{Handler, Notice};
use super::net::Net;
use super::sys;
use crate::framing::{Frame, Framer, FramingError, Wire};
use crate::limits::{LONG_FRAME_BYTES, READ_BYTES};

/// What one read brought.
pub(super) enum ReadResult {
    /// So many bytes, and whether there may be more.
    Some {
        count: usize,
        more: bool,
    },
    Nothing,
    End,
    Failed(io::Error),
}

impl Net {
    /// Reads at most about 64 KiB, so that a flood delays nobody long.
    pub(super) fn read<H: Handler>(&mut self, at: usize, handler: &mut H) {
        let mut bytes = 0;
        while bytes < READ_BYTES {
            match self.read_once(at, handler) {
                ReadResult::Some { count, more: true } => bytes += count,
                ReadResult::Some { .. } | ReadResult::Nothing => return,
                ReadResult::End if self.connections[at].has_error => {
                    return self.connections[at].lose(io::ErrorKind::ConnectionReset.into());
                }
                ReadResult::End => return self.report_end(at, handler),
                ReadResult::Failed(error) => return self.connections[at].lose(error),
            }
        }
    }

    pub(super) fn read_once<H: Handler>(&mut self, at: usize, handler: &mut H) -> ReadResult {
        let connection = &mut self.connections[at];
        let Some(mut socket) = connection.socket.as_ref().filter(|_| !connection.at_end) else {
            return ReadResult::Nothing;
        };
        let forwards = connection.link.is_some();
        let (result, room) = match &mut connection.framer {
            Some(framer) if !forwards && !connection.discards => {
                let space = framer.space();
                let (result, room) = (socket.read(space), space.len());
                if let Ok(count) = result {
                    framer.filled(count);
                }
                (result, room)
            }
            _ => {
                self.scratch.resize(READ_BYTES, 0);
                (socket.read(&mut self.scratch), READ_BYTES)
            }
        };
        let count = match result {
            Ok(0) => return ReadResult::End,
            Ok(count) => count,
            Err(error) if sys::is_passing(&error) => return ReadResult::Nothing,
            Err(error) => return ReadResult::Failed(error),
        };
        connection.noticed = true;
        let discards = connection.discards;
        self.now = Instant::now();
        match (discards, forwards) {
            (true, _) => {}
            (false, true) => self.forward(at, count, handler),
            (false, false) => self.report(at, handler),
        }
        ReadResult::Some { count, more: count == room }
    }

    /// Reports the frames of a connection that is not linked.
    fn report<H: Handler>(&mut self, at: usize, handler: &mut H) {
        let Some(mut framer) = self.connections[at].framer.take() else { return };
        let (fault, _) = self.report_frames(at, &mut framer, usize::MAX, handler);
        let (has_ended, is_kept) = (framer.has_ended(), self.keep(at, &mut framer));
        let limit = self.long_frames_bytes_max;
        let connection = &mut self.connections[at];
        if connection.is_new && self.framing.wire == Wire::Bcp && is_http(framer.unread()) {
            connection.drop_http();
        }
        connection.framer = Some(framer);
        if connection.is_shut() {
            return;
        }
        if !is_kept {
            return connection.end(CloseReason::NoRoom(limit));
        }
        if let Some(fault) = fault.filter(|_| has_ended) {
            connection.break_off(fault);
            if connection.is_open() {
                let id = connection.id;
                handler.on_eof(self, id);
            }
        }
    }

    /// Reports at most so many frames; the last fault among them, and how many there were.
    fn report_frames<H: Handler>(
        &mut self,
        at: usize,
        framer: &mut Framer,
        frames_max: usize,
        handler: &mut H,
    ) -> (Option<FramingError>, usize) {
        let id = self.connections[at].id;
        let looks_for_http = self.framing.wire == Wire::Bcp && self.connections[at].link.is_none();
        let (mut fault, mut count) = (None, 0);
        while count < frames_max && !self.connections[at].is_shut() {
            let Some(frame) = framer.next_frame() else { break };
            match &frame {
                Frame::Message(message) if self.connections[at].is_new => {
                    if looks_for_http && is_http(message.line) {
                        self.connections[at].drop_http();
                        return (fault, count);
                    }
                    self.connections[at].is_new = false;
                }
                Frame::Bad { fault: found, .. } => fault = Some(*found),
                _ => {}
            }
            handler.on_message(self, id, &frame);
            count += 1;
        }
        (fault, count)
    }

    /// Whether there is room for what waits for the rest of its frame.
    fn keep(&mut self, at: usize, framer: &mut Framer) -> bool {
        let connection = &mut self.connections[at];
        let kept = Some(framer.unread().len()).filter(|&kept| kept > LONG_FRAME_BYTES).unwrap_or_default();
        let others = self.long_bytes - connection.long_bytes;
        if others + kept > self.long_frames_bytes_max {
            return false;
        }
        if connection.long_bytes > 0 && kept == 0 {
            framer.give_back();
        }
        (self.long_bytes, connection.long_bytes) = (others + kept, kept);
        true
    }

    /// Reports what a linked connection has read into the scratch, and passes it on.
    fn forward<H: Handler>(&mut self, at: usize, count: usize, handler: &mut H) {
        let Some(to) = self.connections[at].link.as_ref().and_then(|link| self.place(link.to)) else {
            self.connections[at].discards = true;
            return;
        };
        let ends = self.connections[to].is_leaving();
        if ends && !self.connections[to].outbox.ends_inside_message() {
            self.connections[at].discards = true;
            return;
        }
        let scratch = std::mem::take(&mut self.scratch);
        // At the end, nothing beyond the message in flight is passed on.
        let frames_max = if ends { 1 } else { usize::MAX };
        let (passed, end) = self.observe(at, &scratch[..count], frames_max, handler);
        let bytes = &scratch[..passed];
        let mut rewritten = Vec::new();
        let link = self.connections[at].link.as_mut();
        match link.and_then(|link| link.rewrite.as_mut()) {
            None => self.connections[to].outbox.push_part(bytes, end),
            Some(rewrite) => {
                rewrite.rewrite(bytes, &mut rewritten);
                let end = (!rewrite.is_inside_message()).then_some(rewritten.len());
                self.connections[to].outbox.push_part(&rewritten, end);
            }
        }
        self.scratch = scratch;
    }

    /// Reports the frames of bytes that are passed on; how many bytes those and the unfinished one are, and where in
    /// them the last frame ends, if that is known.
    fn observe<H: Handler>(
        &mut self,
        at: usize,
        bytes: &[u8],
        frames_max: usize,
        handler: &mut H,
    ) -> (usize, Option<usize>) {
        let Some(mut framer) = self.connections[at].framer.take() else { return (bytes.len(), None) };
        let mut fed = 0;
        while fed < bytes.len() && !framer.has_ended() {
            let space = framer.space();
            let count = space.len().min(bytes.len() - fed);
            space[..count].copy_from_slice(&bytes[fed..fed + count]);
            framer.filled(count);
            fed += count;
            let (_, reported) = self.report_frames(at, &mut framer, frames_max, handler);
            if reported == frames_max {
                let end = fed - framer.unread().len();
                self.connections[at].discards = true;
                return (end, Some(end));
            }
        }
        if framer.has_ended() {
            // What follows cannot be framed, and is passed on all the same.
            return (bytes.len(), None);
        }
        let unread = framer.unread().len();
        let end = match framer.is_inside_frame() {
            false => Some(fed),
            true => fed.checked_sub(unread).filter(|_| unread > 0),
        };
        if !self.keep(at, &mut framer) {
            self.long_bytes -= std::mem::take(&mut self.connections[at].long_bytes);
            let id = self.connections[at].id;
            handler.on_notice(self, Notice::Unobserved(id, self.long_frames_bytes_max));
        } else {
            self.connections[at].framer = Some(framer);
        }
        (fed, end)
    }

    /// The peer has closed its side.
    fn report_end<H: Handler>(&mut self, at: usize, handler: &mut H) {
        let connection = &mut self.connections[at];
        let id = connection.id;
        (connection.at_end, connection.noticed) = (true, true);
        if connection.discards {
            return;
        }
        if let Some(mut framer) = connection.framer.take() {
            let fault = match framer.end_of_connection() {
                Some(frame) => {
                    handler.on_message(self, id, &frame);
                    if let Frame::Bad { fault, .. } = frame { Some(fault) } else { None }
                }
                None => None,
            };
            let connection = &mut self.connections[at];
            connection.framer = Some(framer);
            if let Some(fault) = fault {
                connection.reason.get_or_insert(CloseReason::Broken(fault));
            }
        }
        let connection = &mut self.connections[at];
        connection.reason.get_or_insert(CloseReason::ByPeer);
        let mut rest = Vec::new();
        if let Some(link) = &mut connection.link {
            if let Some(rewrite) = &mut link.rewrite {
                rewrite.finish(&mut rest);
            }
            let to = link.to;
            if let Some(to) = self.place(to) {
                self.connections[to].outbox.push_part(&rest, None);
            }
        }
        if self.connections[at].is_open() {
            handler.on_eof(self, id);
        }
    }
}

/// Whether a connection begins as HTTP: a web page must not play pinball, and a web server is no peer.
fn is_http(start: &[u8]) -> bool {
    [&b"GET "[..], b"POST", b"HEAD", b"PUT ", b"OPTIONS", b"HTTP/"].iter().any(|word| start.starts_with(word))
}
