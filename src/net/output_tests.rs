//! Tests of printing and recording in the loop, and of its end; a pipe replaces standard output.
#![cfg(unix)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::loop_tests::*;
use super::*;

/// A pipe whose writing end is the output.
fn output() -> (File, Output) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let writer = Arc::new(File::from(writer));
    (File::from(reader), Output { writer: Box::new(Arc::clone(&writer)), watched: Some(writer) })
}

/// A recording in memory, which may fail.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>, bool);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A peer that sends a number of bytes in lines of 1 KiB, then closes its side and waits for our close.
fn talker(bytes: usize) -> (SocketAddr, thread::JoinHandle<bool>) {
    let (listener, address) = listener();
    let peer = thread::spawn(move || {
        let mut socket = accept(&listener);
        let line = [&[b'p'; 1023][..], b"\n"].concat();
        let mut written = Ok(());
        for _ in 0..bytes / 1024 {
            written = written.and_then(|()| socket.write_all(&line));
        }
        written.is_ok() && socket.shutdown(std::net::Shutdown::Write).is_ok() && read_all(&socket).is_ok()
    });
    (address, peer)
}

/// Prints and records each message; finishes when the peer closes.
fn echo(net: &mut Net, event: &Event<'_>, id: ConnId) {
    match event {
        Event::Message(_, frame) => {
            net.record(line(frame));
            net.record(b"\n");
            net.print(line(frame));
            net.print(b"\n");
        }
        Event::Eof(_) => net.finish(id, FLUSH_TIME, DRAIN_TIME),
        _ => {}
    }
}

#[test]
fn output_and_recording_are_complete_with_a_slow_reader() {
    const BYTES: usize = 4 << 20;
    let (reader, output) = output();
    let memory = Memory::default();
    let settings =
        NetSettings { output: Some(output), recording: Some(Box::new(memory.clone())), ..NetSettings::default() };
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        reader.take(BYTES as u64).read_to_end(&mut text).map(|_| text)
    });
    let (address, peer) = talker(BYTES);
    let (closed, outcome) = converse(settings, once(address), |net, event, id| {
        echo(net, event, id);
        None
    });
    assert!(peer.join().unwrap() && matches!(closed.reason, CloseReason::ByPeer), "{closed:?}");
    assert_eq!(outcome, Outcome::default());
    let text = reader.join().unwrap().unwrap();
    assert!(text.len() == BYTES && text == *memory.0.lock().unwrap());
}

#[test]
fn small_output_needs_no_thread_and_large_output_starts_one() {
    let (_reader, output) = output();
    let waker = sys::Waker::new().unwrap();
    let mut printer = stdio::Printer::new(Some(output), false, &waker);
    for (bytes, is_direct) in [(4096, true), (4097, false), (1, false)] {
        printer.push(&vec![b'x'; bytes]);
        printer.hand_over();
        assert_eq!(printer.writer.is_some(), is_direct);
    }
}

#[test]
fn unread_output_blocks_the_peer_until_the_shutdown_deadline() {
    let (reader, output) = output();
    let (address, peer) = talker(4 << 20);
    let settings = NetSettings { output: Some(output), ..NetSettings::default() };
    let (mut hurried, mut bytes) = (None, 0);
    let (closed, outcome) = converse(settings, once(address), |net, event, id| {
        echo(net, event, id);
        if let Event::Message(_, frame) = event {
            bytes += line(frame).len() + 1;
        }
        if matches!(event, Event::Turn) && net.is_held() && hurried.is_none() {
            // The output stays blocked, so unread data waits in the socket.
            assert!(bytes < 1 << 20);
            hurried = Some(Instant::now());
            net.cut(id);
            net.send(id, b"goodbye\n");
            net.hurry();
        }
        None
    });
    let took = hurried.unwrap().elapsed();
    assert!(took >= OUTPUT_TIME && took < TIME_LIMIT / 2, "{took:?}");
    assert!(matches!(closed.reason, CloseReason::ByUs), "{closed:?}");
    assert!(outcome.unprinted > 0);
    drop(reader);
    // Everything that the peer sends is read, so the connection is not reset.
    assert!(peer.join().unwrap());
}

#[test]
fn slow_output_is_dropped_and_counted_where_peers_must_not_wait() {
    const BYTES: usize = 80 << 20;
    let (reader, output) = output();
    let memory = Memory::default();
    let (address, peer) = talker(BYTES);
    let settings = NetSettings {
        output: Some(output),
        recording: Some(Box::new(memory.clone())),
        drops_output: true,
        ..NetSettings::default()
    };
    let (mut dropped, mut reader) = (0, Some(reader));
    let (closed, outcome) = converse(settings, once(address), |net, event, id| {
        echo(net, event, id);
        match event {
            Event::Notice(Notice::OutputDropped(bytes)) => dropped += bytes,
            Event::Stop(Stop::OutputGone(error)) => assert_eq!(error.kind(), io::ErrorKind::BrokenPipe),
            Event::Close(..) => drop(reader.take()),
            _ => {}
        }
        None
    });
    assert!(peer.join().unwrap() && matches!(closed.reason, CloseReason::ByPeer), "{closed:?}");
    assert!(dropped > 10 << 20 && dropped < 20 << 20, "{dropped}");
    assert_eq!((outcome, memory.0.lock().unwrap().len()), (Outcome::default(), BYTES));
}

#[test]
fn closed_reader_is_noticed_while_idle() {
    let (reader, output) = output();
    let (listener, address) = listener();
    let settings = NetSettings { output: Some(output), ..NetSettings::default() };
    let mut reader = Some(reader);
    let mut stops = Vec::new();
    let (closed, _) = converse(settings, once(address), |net, event, id| {
        match event {
            Event::Connect(_) => drop(reader.take()),
            Event::Stop(Stop::OutputGone(error)) => {
                stops.push(error.kind());
                net.print(b"into nowhere\n");
                net.send(id, b"goodbye\n");
                net.finish(id, FLUSH_TIME, Duration::from_millis(20));
            }
            _ => {}
        }
        None
    });
    assert!(matches!(closed.reason, CloseReason::ByUs));
    assert_eq!((stops, read_all(&accept(&listener))), (vec![io::ErrorKind::BrokenPipe], Ok(b"goodbye\n".to_vec())));
}

#[test]
fn failed_recording_is_reported_once_and_the_run_continues() {
    let (address, peer) = talker(1 << 20);
    let failing = Memory(Arc::default(), true);
    let settings = NetSettings { recording: Some(Box::new(failing)), ..NetSettings::default() };
    let mut failures = Vec::new();
    let (closed, outcome) = converse(settings, once(address), |net, event, id| {
        echo(net, event, id);
        if let Event::Notice(Notice::RecordingFailed(error)) = event {
            failures.push(error.kind());
        }
        None
    });
    assert!(peer.join().unwrap() && matches!(closed.reason, CloseReason::ByPeer));
    assert_eq!((failures, outcome), (vec![io::ErrorKind::StorageFull], Outcome::default()));
}

#[test]
fn drain_time_does_not_count_while_our_output_is_blocked() {
    let (reader, output) = output();
    let (address, peer) = talker(1 << 20);
    let settings = NetSettings { output: Some(output), ..NetSettings::default() };
    let mut slow = Some(thread::spawn(move || {
        // Longer than the time limit of the peer.
        thread::sleep(Duration::from_millis(150));
        let mut text = Vec::new();
        reader.take(1 << 20).read_to_end(&mut text).map(|_| text.len())
    }));
    let mut printed = 0;
    let (closed, outcome) = converse(settings, once(address), |net, event, id| {
        if let Event::Connect(_) = event {
            net.finish(id, Duration::MAX, Duration::from_millis(100));
        }
        if let Event::Message(_, frame) = event {
            printed += line(frame).len() + 1;
        }
        echo(net, event, id);
        None
    });
    assert_eq!(printed, 1 << 20);
    assert!(peer.join().unwrap() && matches!(closed.reason, CloseReason::ByUs));
    assert_eq!((outcome, slow.take().unwrap().join().unwrap().unwrap()), (Outcome::default(), 1 << 20));
}

#[test]
fn loop_in_another_thread_stops_on_request() {
    struct Server(Vec<ConnId>, bool);
    impl Handler for Server {
        fn on_connect(&mut self, net: &mut Net, id: ConnId) {
            self.0.push(id);
            net.send(id, b"hello\n");
        }
        fn on_message(&mut self, _: &mut Net, _: ConnId, _: &crate::framing::Frame<'_>) {}
        fn on_eof(&mut self, net: &mut Net, id: ConnId) {
            net.finish(id, FLUSH_TIME, DRAIN_TIME);
        }
        fn on_close(&mut self, _: &mut Net, _: ConnId, _: Closed) {}
        fn on_turn(&mut self, _: &mut Net, _: Instant) -> Option<Instant> {
            None
        }
        fn on_stop(&mut self, net: &mut Net, stop: Stop) {
            self.1 = matches!(stop, Stop::Signal(15));
            for &id in &self.0 {
                net.send(id, b"goodbye\n");
            }
            net.hurry();
        }
    }
    let mut net = Net::new(NetSettings::default()).unwrap();
    let address = net.listen(&[local()]).unwrap();
    let stop = run_in_background(net, Server(Vec::new(), false)).unwrap();
    let mut peer = connect(address);
    let mut hello = [0; 6];
    peer.read_exact(&mut hello).unwrap();
    let peer = thread::spawn(move || read_all(&peer));
    let Server(served, was_asked) = stop().unwrap();
    assert_eq!((served, was_asked, peer.join().unwrap()), (vec![ConnId(1)], true, Ok(b"goodbye\n".to_vec())));
}
