//! What the long frames of all peers of a server share, and those of all pairs of a tap.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use backbox::framing::{Frame, FramingOptions};
use backbox::limits::LONG_FRAME_BYTES;
use backbox::net::connection::{Connection, Left};
use backbox::net::forward::{self, After, Ear, Ears};
use backbox::net::pump::{Heard, What};
use backbox::net::server::{Background, Host, Next, Server, Settings};

use backbox::net::wait::{Output, stop_pair};

use crate::harness::*;

/// Room for one frame of [`PAYLOAD`], and no other of twice that beside it.
const BUDGET: usize = 5 * LONG_FRAME_BYTES;
const PAYLOAD: usize = 2 * LONG_FRAME_BYTES;

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Message(u64, usize),
    NoRoom(u64, usize),
    Left(u64),
}

/// Tells what it hears, and holds each long frame until it may go on.
struct Teller {
    joined: Sender<Arc<Connection>>,
    seen: Sender<Seen>,
    go_on: Receiver<()>,
}

impl Host for Teller {
    fn joined(&mut self, connection: &Arc<Connection>) -> Next {
        if connection.number == 1 {
            // The test may not want it.
            let _ = self.joined.send(Arc::clone(connection));
        }
        Next::GoOn
    }

    fn heard(&mut self, connection: &Connection, frame: &Frame<'_>, _seen: Instant) -> Next {
        let Frame::Message(message) = frame else { return Next::GoOn };
        self.seen.send(Seen::Message(connection.number, message.raw.len())).unwrap();
        if message.raw.len() > LONG_FRAME_BYTES {
            self.go_on.recv_timeout(PATIENCE).unwrap();
        }
        Next::GoOn
    }

    fn left(&mut self, connection: &Connection, left: &Left) -> Next {
        let seen = match left {
            Left::NoRoom(bytes) => Seen::NoRoom(connection.number, *bytes),
            _ => Seen::Left(connection.number),
        };
        self.seen.send(seen).unwrap();
        Next::GoOn
    }

    fn pause(&mut self) -> Next {
        Next::GoOn
    }
}

struct Serving {
    joined: Receiver<Arc<Connection>>,
    server: Background<Teller>,
    address: std::net::SocketAddr,
    seen: Receiver<Seen>,
    go_on: Sender<()>,
}

fn serve() -> Serving {
    let ((seen, hears), (go_on, goes_on), (joins, joined)) = (channel(), channel(), channel());
    let settings = Settings {
        framing: FramingOptions::default(),
        long_frames_bytes_max: BUDGET,
        connections_max: 10,
        full: b"",
        farewell: b"",
        until: None,
        input: None,
        notice: Box::new(|_| ()),
    };
    let server = Server::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    let address = server.address().unwrap();
    let server = server.in_background(settings, Teller { joined: joins, seen, go_on: goes_on }).unwrap();
    Serving { joined, server, address, seen: hears, go_on }
}

impl Serving {
    #[track_caller]
    fn next(&self) -> Seen {
        self.seen.recv_timeout(PATIENCE).unwrap()
    }
}

/// All of a long frame but its last byte; gives how long it will be.
fn almost(peer: &mut Peer) -> usize {
    let line = format!("f&bytes={PAYLOAD}\n");
    peer.say(line.as_bytes());
    peer.say(&vec![b'x'; PAYLOAD - 1]);
    line.len() + PAYLOAD
}

/// Says on until the connection breaks, as it does where a frame needs too much.
#[track_caller]
fn is_reset(peer: &mut Peer) {
    let piece = vec![b'x'; LONG_FRAME_BYTES];
    let error = loop {
        if let Err(error) = peer.socket.write_all(&piece) {
            break error;
        }
    };
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error:?}");
}

#[test]
fn who_needs_more_than_is_left_is_reset_and_nobody_else() {
    let serving = serve();
    let mut greedy = dial(serving.address);
    drop(serving.joined.recv_timeout(PATIENCE));
    greedy.say(b"trigger?name=x\n");
    assert_eq!(serving.next(), Seen::Message(1, 15));
    // A payload that fits its limit and not what all share.
    greedy.say(format!("f&bytes={}\n", 4 * BUDGET).as_bytes());
    is_reset(&mut greedy);
    assert_eq!(serving.next(), Seen::NoRoom(1, BUDGET));
    // It has given back what it held.
    let mut good = dial(serving.address);
    let length = almost(&mut good);
    good.say(b"y");
    assert_eq!(serving.next(), Seen::Message(2, length));
    serving.go_on.send(()).unwrap();
    drop(good);
    assert_eq!(serving.next(), Seen::Left(2));
    serving.server.stop();
}

#[test]
fn a_frame_counts_until_it_has_been_given_on() {
    let serving = serve();
    let line = format!("f&bytes={}\n", 4 * LONG_FRAME_BYTES);
    let frame = [line.as_bytes(), &vec![b'x'; 4 * LONG_FRAME_BYTES]].concat();
    let mut second = dial(serving.address);
    let connection = serving.joined.recv_timeout(PATIENCE).unwrap();
    let mut first = dial(serving.address);
    let length = almost(&mut first);
    first.say(b"y");
    assert_eq!(serving.next(), Seen::Message(2, length));
    // The host holds that frame, and this one would be too much beside it.
    second.say(&frame);
    let waiting = Instant::now();
    while connection.is_open() {
        assert!(waiting.elapsed() < PATIENCE, "it is not given up");
        thread::sleep(Duration::from_millis(1));
    }
    drop(connection);
    // A short one costs nothing, whatever is left.
    let mut short = dial(serving.address);
    short.say(b"trigger?name=x\n");
    serving.go_on.send(()).unwrap();
    let seen = [serving.next(), serving.next()];
    assert!(seen.contains(&Seen::NoRoom(1, BUDGET)) && seen.contains(&Seen::Message(3, 15)), "{seen:?}");
    assert!(second.rest().is_err(), "it ends by a reset");
    // Now there is room for what was refused.
    dial(serving.address).say(&frame);
    assert_eq!(serving.next(), Seen::Message(4, frame.len()));
    serving.go_on.send(()).unwrap();
    serving.server.stop();
}

/// Tells what a tap hears: lines, and that there is no room.
struct Overhearing(Sender<String>);

impl Ear for Overhearing {
    fn heard(&mut self, heard: &Heard) -> After {
        let tell = |what: String| self.0.send(format!("{} {what}", heard.by_dialler)).unwrap();
        match &heard.what {
            What::Frames(chunk) => chunk.each(|frame| match frame {
                Frame::Message(message) => tell(String::from_utf8_lossy(message.line).into_owned()),
                frame => tell(format!("{frame:?}")),
            }),
            What::NoRoom(bytes) => tell(format!("no room in {bytes}")),
            What::Left(_) => {}
        }
        After::GoOn
    }

    fn missed(&mut self, _bytes: u64) {}

    fn pause(&mut self) -> After {
        After::GoOn
    }
}

#[test]
fn a_tap_hears_no_more_of_a_side_without_room_and_passes_all_on() {
    let target = port();
    let (tells, told) = channel();
    let settings = forward::Settings {
        framing: FramingOptions::default(),
        connections_max: 2,
        long_frames_bytes_max: BUDGET,
        target: vec![target.address.parse().unwrap()],
        retry: Duration::ZERO,
        once: true,
        until: None,
        rewrite: None,
        notice: |_| (),
    };
    let server = Server::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    let address = server.address().unwrap();
    let (stop, stopper) = stop_pair().unwrap();
    let forwarding = thread::spawn(move || {
        let ears = Ears { printer: Overhearing(tells), recorder: None::<Overhearing> };
        server.forward(settings, ears, &stop, &Output::stdout().unwrap()).map(drop)
    });
    let next = || told.recv_timeout(PATIENCE).unwrap();
    let (mut dialler, mut target) = (dial(address), target.accept());
    // What has been told is gone from what is shared.
    let fits = [format!("f&bytes={PAYLOAD}\n").into_bytes(), vec![b'x'; PAYLOAD]].concat();
    let too_much = [format!("g&bytes={}\n", 2 * BUDGET).into_bytes(), vec![b'x'; 2 * BUDGET], b"h\n".to_vec()].concat();
    let all = [&fits[..], &fits, &fits, &too_much].concat();
    let says = all.clone();
    let dialling = thread::spawn(move || {
        dialler.say(&says);
        dialler
    });
    let mut got = vec![0; all.len()];
    target.buffered().read_exact(&mut got).unwrap();
    assert!(got == all, "it is not passed on as it was said");
    let dialler = dialling.join().unwrap();
    let fitting = format!("true f&bytes={PAYLOAD}");
    assert_eq!([next(), next(), next()], [&*fitting, &fitting, &fitting]);
    assert_eq!(next(), format!("true no room in {BUDGET}"));
    // The other side is heard as ever.
    target.say(b"answer\n");
    assert_eq!(next(), "false answer");
    drop((dialler, target));
    forwarding.join().unwrap().unwrap();
    drop(stopper);
}
