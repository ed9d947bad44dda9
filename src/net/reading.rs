//! What is read: from the socket to the handler, and to the connection that it is linked to.

use std::io::{self, Read};
use std::time::Instant;

use super::connection::CloseReason;
use super::handler::{Handler, Notice};
use super::sockets::Net;
use super::sys;
use crate::framing::{Frame, Framer, FramingError};
use crate::limits::{LONG_FRAME_BYTES, READ_BYTES};

/// What one read brought.
pub(super) enum ReadResult {
    Some,
    Nothing,
    End,
    Failed(io::Error),
}

impl Net {
    /// Reads at most 64 KiB, so that a flood delays no other peer long.
    pub(super) fn read<H: Handler>(&mut self, at: usize, handler: &mut H) {
        match self.read_once(at, handler) {
            ReadResult::Some | ReadResult::Nothing => {}
            ReadResult::End if self.connections[at].has_error => {
                self.connections[at].lose(io::ErrorKind::ConnectionReset.into());
            }
            ReadResult::End => self.report_end(at, handler),
            ReadResult::Failed(error) => self.connections[at].lose(error),
        }
    }

    pub(super) fn read_once<H: Handler>(&mut self, at: usize, handler: &mut H) -> ReadResult {
        self.scratch.resize(READ_BYTES, 0);
        let connection = &mut self.connections[at];
        let socket = connection.socket.as_ref().filter(|_| !connection.at_end);
        let Some(mut socket) = socket else { return ReadResult::Nothing };
        let count = match socket.read(&mut self.scratch) {
            Ok(0) => return ReadResult::End,
            Ok(count) => count,
            Err(error) if sys::is_passing(&error) => return ReadResult::Nothing,
            Err(error) => return ReadResult::Failed(error),
        };
        connection.noticed = true;
        self.now = Instant::now();
        let scratch = std::mem::take(&mut self.scratch);
        self.take_in(at, &scratch[..count], handler);
        self.scratch = scratch;
        ReadResult::Some
    }

    /// Reports what a connection has read, and passes it on if it is linked.
    fn take_in<H: Handler>(&mut self, at: usize, bytes: &[u8], handler: &mut H) {
        let Some(link) = self.connections[at].link.as_ref().filter(|_| !self.connections[at].discards) else {
            if !self.connections[at].discards {
                self.observe(at, bytes, usize::MAX, handler);
            }
            return;
        };
        let to = self.place(link.to);
        let ends = to.is_none_or(|to| self.connections[to].is_leaving());
        let Some(to) = to.filter(|&to| !ends || self.connections[to].outbox.ends_inside_message()) else {
            self.connections[at].discards = true;
            return;
        };
        // At the end, nothing beyond the message in flight is passed on.
        let (passed, end) = self.observe(at, bytes, if ends { 1 } else { usize::MAX }, handler);
        let link = self.connections[at].link.as_mut();
        let Some(rewrite) = link.and_then(|link| link.rewrite.as_mut()) else {
            return self.connections[to].outbox.push_part(&bytes[..passed], end);
        };
        let mut rewritten = Vec::new();
        rewrite.rewrite(&bytes[..passed], &mut rewritten);
        let end = (!rewrite.is_inside_message()).then_some(rewritten.len());
        self.connections[to].outbox.push_part(&rewritten, end);
    }

    /// Reports the frames of what was read, at most so many; how many bytes they and an unfinished one are, and where
    /// in them the last one ends, if that is known.
    fn observe<H: Handler>(
        &mut self,
        at: usize,
        bytes: &[u8],
        frames_max: usize,
        handler: &mut H,
    ) -> (usize, Option<usize>) {
        let Some(mut framer) = self.connections[at].framer.take() else { return (bytes.len(), None) };
        let (mut fed, mut fault) = (0, None);
        while fed < bytes.len() && !framer.has_ended() && !self.connections[at].is_shut() {
            let space = framer.space();
            let count = space.len().min(bytes.len() - fed);
            space[..count].copy_from_slice(&bytes[fed..fed + count]);
            framer.filled(count);
            fed += count;
            let (found, reported) = self.report_frames(at, &mut framer, frames_max, handler);
            fault = found.or(fault);
            if reported == frames_max {
                self.connections[at].discards = true;
                let end = fed - framer.unread().len();
                return (end, Some(end));
            }
        }
        let end = match (framer.is_inside_frame(), framer.unread().len()) {
            (false, _) => Some(fed),
            (true, unread) => fed.checked_sub(unread).filter(|_| unread > 0),
        };
        let (is_kept, has_ended) = (self.keep(at, &mut framer), framer.has_ended());
        let limit = self.settings.long_frames_bytes_max;
        let connection = &mut self.connections[at];
        let id = connection.id;
        if connection.link.is_some() && (has_ended || !is_kept) {
            // What follows is passed on all the same.
            if !is_kept {
                self.long_bytes -= std::mem::take(&mut connection.long_bytes);
                handler.on_notice(self, Notice::Unobserved(id, limit));
            }
            return (bytes.len(), None);
        }
        if connection.can_be_http(&self.settings.framing) && is_http(framer.unread()) {
            connection.drop_http();
        }
        connection.framer = Some(framer);
        if connection.is_shut() {
            return (fed, end);
        }
        if !is_kept {
            connection.end(CloseReason::NoRoom(limit));
        } else if let Some(fault) = fault.filter(|_| has_ended) {
            connection.break_off(fault);
            if connection.is_open() {
                handler.on_eof(self, id);
            }
        }
        (fed, end)
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
        let (mut fault, mut count) = (None, 0);
        while count < frames_max && !self.connections[at].is_shut() {
            let Some(frame) = framer.next_frame() else { break };
            match &frame {
                Frame::Message(message) if self.connections[at].is_new => {
                    let connection = &mut self.connections[at];
                    if connection.can_be_http(&self.settings.framing) && is_http(message.line) {
                        connection.drop_http();
                        return (fault, count);
                    }
                    connection.is_new = false;
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
        if others + kept > self.settings.long_frames_bytes_max {
            return false;
        }
        if connection.long_bytes > 0 && kept == 0 {
            framer.give_back();
        }
        (self.long_bytes, connection.long_bytes) = (others + kept, kept);
        true
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
