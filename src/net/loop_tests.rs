//! Tests of the loop with loopback sockets; the peers are blocking sockets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::framing::{Frame, FramingError, FramingOptions};

/// The time limit of a test.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(20);

/// A call of the handler.
pub(super) enum Event<'a> {
    Connect(ConnId),
    Message(ConnId, &'a Frame<'a>),
    Eof(ConnId),
    Close(ConnId, Closed),
    Sent(ConnId),
    Input(io::Result<Vec<u8>>),
    Turn,
    #[cfg_attr(windows, expect(dead_code, reason = "only a pipe shows that its reader has gone"))]
    Stop(Stop),
    Notice(Notice<'a>),
}

/// A handler with one closure for all calls; for `on_turn` it returns the time of the next one.
pub(super) struct Probe<F> {
    handle: F,
    pub(super) wants_input: fn(&Net) -> bool,
    end: Instant,
}

pub(super) fn probe<F: FnMut(&mut Net, Event<'_>) -> Option<Instant>>(handle: F) -> Probe<F> {
    Probe { handle, wants_input: |_| false, end: Instant::now() + TIME_LIMIT }
}

impl<F: FnMut(&mut Net, Event<'_>) -> Option<Instant>> Handler for Probe<F> {
    fn on_connect(&mut self, net: &mut Net, id: ConnId) {
        (self.handle)(net, Event::Connect(id));
    }
    fn on_message(&mut self, net: &mut Net, id: ConnId, frame: &Frame<'_>) {
        (self.handle)(net, Event::Message(id, frame));
    }
    fn on_eof(&mut self, net: &mut Net, id: ConnId) {
        (self.handle)(net, Event::Eof(id));
    }
    fn on_close(&mut self, net: &mut Net, id: ConnId, closed: Closed) {
        (self.handle)(net, Event::Close(id, closed));
    }
    fn on_sent(&mut self, net: &mut Net, id: ConnId) {
        (self.handle)(net, Event::Sent(id));
    }
    fn wants_input(&mut self, net: &Net) -> bool {
        (self.wants_input)(net)
    }
    fn on_input(&mut self, net: &mut Net, bytes: io::Result<Vec<u8>>) {
        (self.handle)(net, Event::Input(bytes));
    }
    fn on_turn(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        assert!(now < self.end, "it hangs");
        let due = (self.handle)(net, Event::Turn);
        Some(due.map_or(self.end, |due| due.min(self.end)))
    }
    fn on_stop(&mut self, net: &mut Net, stop: Stop) {
        (self.handle)(net, Event::Stop(stop));
    }
    fn on_notice(&mut self, net: &mut Net, notice: Notice<'_>) {
        (self.handle)(net, Event::Notice(notice));
    }
}

pub(super) fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(super) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(local()).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address that refuses connections.
pub(super) fn closed_port() -> SocketAddr {
    listener().1
}

/// Where to connect, and for how long to retry.
pub(super) type To = (Vec<SocketAddr>, Duration);

/// One try of one address.
pub(super) fn once(address: SocketAddr) -> To {
    (vec![address], Duration::ZERO)
}

pub(super) fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(TIME_LIMIT)).unwrap();
    socket
}

pub(super) fn accept(listener: &TcpListener) -> TcpStream {
    let (socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(TIME_LIMIT)).unwrap();
    socket
}

/// Reads everything that a peer sends, or the error.
pub(super) fn read_all(mut socket: &TcpStream) -> Result<Vec<u8>, io::ErrorKind> {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).map(|_| bytes).map_err(|error| error.kind())
}

pub(super) fn line<'a>(frame: &Frame<'a>) -> &'a [u8] {
    match frame {
        Frame::Message(message) => message.line,
        other => panic!("no message: {other:?}"),
    }
}

/// Runs a handler with one connection to `address`; returns how the connection closed and the outcome of the run.
pub(super) fn converse(
    settings: NetSettings,
    to: To,
    mut handle: impl FnMut(&mut Net, &Event<'_>, ConnId) -> Option<Instant>,
) -> (Closed, Outcome) {
    let mut net = Net::new(settings).unwrap();
    let id = net.connect(&to.0, to.1);
    let mut ended = None;
    let outcome = net
        .run(&mut probe(|net, event| {
            let due = handle(net, &event, id);
            if let Event::Close(_, closed) = event {
                assert!(ended.is_none());
                ended = Some(closed);
            }
            due
        }))
        .unwrap();
    (ended.unwrap(), outcome)
}

#[test]
fn message_and_goodbye_are_sent_in_one_write_and_the_reply_is_read() {
    let (listener, address) = listener();
    let peer = thread::spawn(move || {
        let mut socket = accept(&listener);
        let mut first = [0; 100];
        let count = socket.read(&mut first).unwrap();
        socket.write_all(b"reply\n").unwrap();
        let rest = read_all(&socket).unwrap();
        (first[..count].to_vec(), rest)
    });
    let mut replies = Vec::new();
    let (closed, _) = converse(NetSettings::default(), once(address), |net, event, id| {
        match event {
            Event::Connect(_) => {
                assert!(net.send(id, b"trigger\n") && net.send(id, b"goodbye\n"));
                net.finish(id, Duration::MAX, DRAIN_TIME);
                assert!(!net.send(id, b"late\n"));
            }
            Event::Message(_, frame) => replies.push(line(frame).to_vec()),
            _ => {}
        }
        None
    });
    assert!(matches!(closed.reason, CloseReason::ByUs), "{closed:?}");
    assert!(closed.unsent == 0 && !closed.is_silent && closed.unfinished.is_empty());
    assert_eq!(replies, [b"reply"]);
    assert_eq!(peer.join().unwrap(), (b"trigger\ngoodbye\n".to_vec(), Vec::new()));
}

#[test]
fn peer_that_never_closes_is_drained_for_a_limited_time() {
    let (listener, address) = listener();
    let start = Instant::now();
    let (closed, _) = converse(NetSettings::default(), once(address), |net, event, id| {
        if let Event::Connect(_) = event {
            net.finish(id, Duration::MAX, Duration::from_millis(50));
        }
        None
    });
    assert!(matches!(closed.reason, CloseReason::ByUs) && closed.is_silent);
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert_eq!(read_all(&accept(&listener)), Ok(Vec::new()));
}

#[test]
#[cfg_attr(windows, ignore = "Wine forgets a reset that follows unread bytes")]
fn incomplete_message_ends_in_a_reset_and_a_complete_one_in_a_close() {
    for (inside, expected) in [(true, Err(io::ErrorKind::ConnectionReset)), (false, Ok(()))] {
        let (listener, address) = listener();
        let (signal, signalled) = channel::<()>();
        let peer = thread::spawn(move || {
            let socket = accept(&listener);
            // The peer reads only at the end.
            let _ = signalled.recv();
            read_all(&socket).map(|_| ())
        });
        let message = vec![b'x'; 64 << 20];
        let (closed, _) = converse(NetSettings::default(), once(address), |net, event, id| {
            if let Event::Connect(_) = event {
                net.send(id, if inside { &message } else { b"short\n" });
                net.finish(id, Duration::from_millis(20), Duration::from_millis(20));
            }
            None
        });
        assert_eq!(closed.unsent, usize::from(inside));
        assert!(closed.waiting.is_empty());
        drop(signal);
        assert_eq!(peer.join().unwrap(), expected);
    }
}

#[test]
fn refused_connection_is_reported_after_each_address_was_tried() {
    let (closed, _) = converse(NetSettings::default(), once(closed_port()), |_, _, _| None);
    let CloseReason::Unreached(error) = closed.reason else { panic!("{closed:?}") };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    let (listener, address) = listener();
    let both = (vec![closed_port(), address], Duration::ZERO);
    let (closed, _) = converse(NetSettings::default(), both, |net, event, id| {
        if let Event::Connect(_) = event {
            assert_eq!(net.peer(id), Some(address));
            net.finish(id, Duration::MAX, Duration::ZERO);
        }
        None
    });
    assert!(matches!(closed.reason, CloseReason::ByUs));
    drop(listener);
}

#[test]
fn retry_connects_to_a_server_that_starts_later() {
    let address = closed_port();
    let (signal, signalled) = channel();
    let peer = thread::spawn(move || {
        signalled.recv().unwrap();
        let listener = TcpListener::bind(address).unwrap();
        read_all(&accept(&listener)).unwrap()
    });
    let (closed, _) = converse(NetSettings::default(), (vec![address], TIME_LIMIT), |net, event, id| {
        match event {
            Event::Notice(Notice::Retrying(_, error)) => {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
                let _ = signal.send(());
            }
            Event::Connect(_) => {
                net.send(id, b"here\n");
                net.finish(id, Duration::MAX, DRAIN_TIME);
            }
            _ => {}
        }
        None
    });
    assert!(matches!(closed.reason, CloseReason::ByUs), "{closed:?}");
    assert_eq!(peer.join().unwrap(), b"here\n");
}

#[test]
fn connecting_ends_at_the_deadline() {
    let start = Instant::now();
    let deadline = start + Duration::from_millis(230);
    let (closed, _) = converse(NetSettings::default(), (vec![closed_port()], Duration::MAX), |net, event, _| {
        if matches!(event, Event::Turn) && Instant::now() >= deadline {
            net.hurry();
        }
        Some(deadline)
    });
    assert!(matches!(closed.reason, CloseReason::Reset));
    assert!(Instant::now() >= deadline);
}

#[test]
fn back_pressure_in_both_directions_loses_nothing() {
    const BYTES: usize = 20 << 20;
    let (listener, address) = listener();
    let peer = thread::spawn(move || {
        let mut socket = accept(&listener);
        let line = [&[b'p'; 1023][..], b"\n"].concat();
        for _ in 0..BYTES / 1024 {
            socket.write_all(&line).unwrap();
        }
        socket.shutdown(Shutdown::Write).unwrap();
        read_all(&socket).unwrap().len()
    });
    let (mut sent, mut read) = (0, 0);
    let ours = [&[b'o'; 1023][..], b"\n"].concat();
    let (closed, _) = converse(NetSettings::default(), once(address), |net, event, id| {
        match event {
            Event::Message(_, frame) => read += line(frame).len() + 1,
            Event::Turn if net.is_open(id) => {
                while sent < BYTES && net.has_room(id, ours.len()) {
                    net.send(id, &ours);
                    sent += ours.len();
                }
                if sent == BYTES && read == BYTES {
                    net.finish(id, Duration::MAX, DRAIN_TIME);
                }
            }
            _ => {}
        }
        None
    });
    assert_eq!((closed.unsent, read, peer.join().unwrap()), (0, BYTES, BYTES));
}

#[test]
fn peer_close_and_incomplete_line_are_reported_and_sending_still_works() {
    let (listener, address) = listener();
    let peer = thread::spawn(move || {
        let mut socket = accept(&listener);
        socket.write_all(b"whole\nhal").unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        read_all(&socket).unwrap()
    });
    let mut seen = Vec::new();
    let (closed, _) = converse(NetSettings::default(), once(address), |net, event, id| {
        match event {
            Event::Message(_, frame) => seen.push(line(frame).to_vec()),
            Event::Eof(_) => {
                seen.push(b"(end)".to_vec());
                net.send(id, b"goodbye\n");
                net.finish(id, FLUSH_TIME, DRAIN_TIME);
            }
            _ => {}
        }
        None
    });
    assert!(matches!(closed.reason, CloseReason::ByPeer), "{closed:?}");
    assert_eq!((seen, closed.unfinished), (vec![b"whole".to_vec(), b"(end)".to_vec()], b"hal".to_vec()));
    assert_eq!(peer.join().unwrap(), b"goodbye\n");
}

#[test]
fn reset_is_a_loss_unless_all_was_sent_and_something_was_received() {
    for (greets, finishes) in [(false, false), (false, true), (true, true)] {
        let (listener, address) = listener();
        let peer = thread::spawn(move || {
            let mut socket = accept(&listener);
            if greets {
                socket.write_all(b"hello\n").unwrap();
            }
            let mut bytes = [0; 10];
            socket.read_exact(&mut bytes[..1]).unwrap();
            sys::reset_when_closed(&socket, true);
        });
        let (closed, _) = converse(NetSettings::default(), once(address), |net, event, id| {
            let begins = if greets { matches!(event, Event::Message(..)) } else { matches!(event, Event::Connect(_)) };
            if begins {
                net.send(id, b"goodbye\n");
                if finishes {
                    net.finish(id, Duration::MAX, DRAIN_TIME);
                }
            }
            None
        });
        peer.join().unwrap();
        let is_loss = matches!(closed.reason, CloseReason::Lost(_));
        assert_eq!(is_loss, !greets, "{closed:?}");
        assert!(!closed.is_silent);
    }
}

#[test]
fn unsent_bytes_are_returned_after_a_loss() {
    let (listener, address) = listener();
    let peer = thread::spawn(move || drop(accept(&listener)));
    let big = vec![b'x'; 32 << 20];
    let (closed, _) = converse(NetSettings::default(), once(address), |net, event, id| {
        if let Event::Connect(_) = event {
            net.send(id, &big);
            net.send(id, b"two\n");
            net.send(id, b"three\n");
        }
        None
    });
    peer.join().unwrap();
    assert!(matches!(closed.reason, CloseReason::Lost(_) | CloseReason::ByPeer), "{closed:?}");
    assert_eq!((closed.unsent, closed.waiting), (3, vec![b"two\n".to_vec(), b"three\n".to_vec()]));
}

#[test]
fn on_sent_is_called_when_all_is_written_and_input_is_read_on_demand() {
    let (listener, address) = listener();
    let peer = thread::spawn(move || read_all(&accept(&listener)).unwrap());
    let input = StdinReader::new(Box::new(io::Cursor::new(vec![b'\n'; 1 << 20])), 64 << 10);
    let mut net = Net::new(NetSettings { input: Some(input), ..NetSettings::default() }).unwrap();
    let id = net.connect(&[address], Duration::ZERO);
    let (mut sent, mut blocks) = (0, 0);
    let mut handler = probe(|net, event| {
        match event {
            Event::Sent(_) => sent += 1,
            Event::Input(Ok(bytes)) if bytes.is_empty() => net.finish(ConnId(1), Duration::MAX, DRAIN_TIME),
            Event::Input(Ok(bytes)) => {
                blocks += 1;
                assert_eq!(net.pending(ConnId(1)), 0);
                net.send(ConnId(1), &bytes);
            }
            Event::Input(Err(error)) => panic!("{error}"),
            _ => {}
        }
        None
    });
    handler.wants_input = |net| net.is_open(ConnId(1)) && net.pending(ConnId(1)) == 0;
    net.run(&mut handler).unwrap();
    assert_eq!((id, sent, blocks, peer.join().unwrap().len()), (ConnId(1), 16, 16, 1 << 20));
}

#[test]
fn server_greets_and_replies_and_rejects_a_peer_over_the_limit() {
    let mut net = Net::new(NetSettings { full: b"error\n", ..NetSettings::default() }).unwrap();
    net.connections_max = 2;
    let address = net.listen(&[local()]).unwrap();
    let peers = thread::spawn(move || {
        let mut one = connect(address);
        let mut two = connect(address);
        let mut hello = [0; 6];
        for peer in [&mut one, &mut two] {
            peer.read_exact(&mut hello).unwrap();
            assert_eq!(&hello, b"hello\n");
        }
        assert_eq!(read_all(&connect(address)), Ok(b"error\n".to_vec()));
        one.write_all(b"stop\n").unwrap();
        (read_all(&one).unwrap(), read_all(&two).unwrap())
    });
    let (mut open, mut turned_away) = (Vec::new(), 0);
    net.run(&mut probe(|net, event| {
        match event {
            Event::Connect(id) => {
                open.push(id);
                net.send(id, b"hello\n");
            }
            Event::Message(id, frame) => {
                assert_eq!((id, line(frame)), (ConnId(1), &b"stop"[..]));
                net.leave();
                for &id in &open {
                    net.send(id, b"goodbye\n");
                    net.finish(id, FLUSH_TIME, DRAIN_TIME);
                }
            }
            Event::Notice(Notice::TurnedAway(_)) => turned_away += 1,
            _ => {}
        }
        None
    }))
    .unwrap();
    assert_eq!(peers.join().unwrap(), (b"goodbye\n".to_vec(), b"goodbye\n".to_vec()));
    assert_eq!((open, turned_away), (vec![ConnId(1), ConnId(2)], 1));
}

#[test]
fn peer_that_never_reads_is_reset_without_disturbing_others() {
    let mut net = Net::new(NetSettings::default()).unwrap();
    let address = net.listen(&[local()]).unwrap();
    let peers = thread::spawn(move || {
        let stuck = connect(address);
        let mut other = connect(address);
        other.write_all(b"ask\n").unwrap();
        let reply = read_all(&other).unwrap();
        drop(stuck);
        reply
    });
    let message = vec![b'\n'; 32 << 10];
    let mut reasons = Vec::new();
    net.run(&mut probe(|net, event| {
        match event {
            Event::Turn => {
                while net.has_room(ConnId(1), message.len()) {
                    net.send(ConnId(1), &message);
                }
            }
            Event::Message(id, _) => {
                net.leave();
                net.send(id, b"reply\n");
                net.finish(id, FLUSH_TIME, DRAIN_TIME);
                net.reset(ConnId(1));
            }
            Event::Close(_, closed) => reasons.push(format!("{:?}", closed.reason)),
            _ => {}
        }
        None
    }))
    .unwrap();
    assert_eq!(peers.join().unwrap(), b"reply\n");
    assert_eq!(reasons, ["Reset", "ByUs"]);
}

#[test]
fn http_is_dropped_and_an_invalid_length_breaks_the_framing() {
    for (bytes, expected) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "Http"),
        (b"# comment\nPOST /", "Http"),
        (b"HTTP/1.1 400 Bad Request\r\n", "Http"),
        (b"ok\nGET x\n", "ByPeer"),
        (b"f&bytes=99999999999999999999\nrest", "Broken"),
    ] {
        let mut net = Net::new(NetSettings::default()).unwrap();
        let address = net.listen(&[local()]).unwrap();
        let peer = thread::spawn(move || {
            let mut socket = connect(address);
            socket.write_all(bytes).unwrap();
            let _ = socket.shutdown(Shutdown::Write);
            let _ = read_all(&socket);
        });
        let mut reason = String::new();
        net.run(&mut probe(|net, event| {
            match event {
                Event::Connect(_) => net.leave(),
                Event::Eof(id) => net.finish(id, FLUSH_TIME, DRAIN_TIME),
                Event::Close(_, closed) => reason = format!("{:?}", closed.reason),
                _ => {}
            }
            None
        }))
        .unwrap();
        peer.join().unwrap();
        assert!(reason.starts_with(expected), "{reason}");
    }
}

#[test]
fn long_frames_share_a_budget_and_the_peer_that_exceeds_it_is_reset() {
    let mut net = Net::new(NetSettings::default()).unwrap();
    net.long_bytes_max = 300 << 10;
    let address = net.listen(&[local()]).unwrap();
    let peers = thread::spawn(move || {
        let (mut one, mut two) = (connect(address), connect(address));
        one.write_all(&vec![b'a'; 200 << 10]).unwrap();
        // The second frame exceeds the rest of the budget, however much of it has arrived.
        let mut reply = [0; 1];
        one.read_exact(&mut reply).unwrap();
        let _ = two.write_all(&vec![b'b'; 200 << 10]);
        let cut_off = read_all(&two).is_err();
        one.write_all(b"\n").unwrap();
        let _ = one.shutdown(Shutdown::Write);
        (cut_off, read_all(&one).unwrap())
    });
    let (mut lengths, mut reasons, mut reported) = (Vec::new(), Vec::new(), false);
    net.run(&mut probe(|net, event| {
        match event {
            Event::Turn => {
                let is_held = net.long_bytes() == 200 << 10;
                if is_held && !std::mem::replace(&mut reported, true) {
                    net.send(ConnId(1), b".");
                }
            }
            Event::Message(id, frame) => lengths.push((id.0, line(frame).len())),
            Event::Eof(id) => net.finish(id, FLUSH_TIME, DRAIN_TIME),
            Event::Close(id, closed) => {
                reasons.push((id.0, format!("{:?}", closed.reason)));
                if id == ConnId(1) {
                    net.leave();
                }
            }
            _ => {}
        }
        None
    }))
    .unwrap();
    assert_eq!(peers.join().unwrap(), (true, Vec::new()));
    assert_eq!(lengths, [(1, 200 << 10)]);
    assert_eq!(reasons, [(2, format!("NoRoom({})", 300 << 10)), (1, "ByPeer".to_owned())]);
    assert_eq!(net.long_bytes(), 0);
}

#[test]
fn malformed_frame_is_reported_and_the_connection_continues() {
    let (listener, address) = listener();
    let peer = thread::spawn(move || {
        let mut socket = accept(&listener);
        socket.write_all(&[&b"x".repeat(100)[..], b"\nok\n"].concat()).unwrap();
        drop(socket);
    });
    let framing = FramingOptions { line_bytes_max: 10, ..FramingOptions::default() };
    let mut seen = Vec::new();
    let (closed, _) = converse(NetSettings { framing, ..NetSettings::default() }, once(address), |net, event, id| {
        match event {
            Event::Message(_, Frame::Bad { fault: FramingError::LineTooLong(limit), .. }) => {
                seen.push(limit.to_string())
            }
            Event::Message(_, frame) => seen.push(String::from_utf8_lossy(line(frame)).into_owned()),
            Event::Eof(_) => net.finish(id, FLUSH_TIME, DRAIN_TIME),
            _ => {}
        }
        None
    });
    peer.join().unwrap();
    assert!(matches!(closed.reason, CloseReason::ByPeer | CloseReason::Lost(_)));
    assert_eq!(seen, ["10", "ok"]);
}
