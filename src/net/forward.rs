//! In between two programs: whoever dials us is connected with a target, and what both say is passed on and overheard.
//!
//! Two pumps a pair, each a thread; two ears at most, each a thread behind a tap that never has a pump wait; the
//! caller's thread supervises: it accepts, and ends. An [`Ear`] may block in stdout or on a disk as long as it likes.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::address::{RETRY_PAUSE, Unreached, dial_every};
use super::budget::Budget;
use super::pump::{Heard, Pair, Pump, Rewrite, Taps};
use super::server::Ended;
use super::tap::{TAP_BYTES_MAX, Tap};
use super::wait::{self, ACCEPT_PAUSE, Call, Output, Poll, Stop, Wake, Woken};
use crate::framing::FramingOptions;

/// How long a pair may take over its end after a stop.
const PAIRS_TIME: Duration = Duration::from_millis(500);

/// How long an ear may take over what it still has after a stop or the time.
const EAR_TIME: Duration = Duration::from_millis(500);

/// How often a stop is looked for while an ear takes its time.
const LOOK_TIME: Duration = Duration::from_millis(50);

/// Whether an ear goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It does.
    GoOn,
    /// It hears nothing more; the forwarding goes on.
    Deaf,
    /// All is to end.
    End,
}

/// Who overhears; each runs in a thread of its own.
pub trait Ear: Send + 'static {
    /// Something has happened.
    fn heard(&mut self, heard: &Heard) -> After;
    /// So many bytes were not heard: there was too much at once.
    fn missed(&mut self, bytes: u64);
    /// Nothing more is at hand.
    fn pause(&mut self) -> After;
}

/// What the supervisor and the pairs have to tell.
#[derive(Debug)]
pub enum Notice<'a> {
    /// One pair more than allowed was turned away.
    TurnedAway(SocketAddr),
    /// The target did not take the call, so the dialler is reset.
    Unreached(SocketAddr, &'a io::Error),
    /// The dialler waits until the target takes the call.
    Waiting(SocketAddr, &'a io::Error),
    /// No descriptor or memory is free for another pair; told once.
    OutOfDescriptors(&'a io::Error),
    /// A pair was given up: no thread could be started for it, or accepting failed.
    GivenUp(&'a io::Error),
}

/// What makes the rewriter of a pair.
pub type MakeRewrite = Box<dyn Fn() -> Box<dyn Rewrite> + Send + Sync>;

/// How to forward.
pub struct Settings {
    /// What is said is framed so, for the ears.
    pub framing: FramingOptions,
    /// How many pairs there are at once.
    pub connections_max: usize,
    /// How many bytes the frames share that are longer than [`LONG_FRAME_BYTES`](crate::limits::LONG_FRAME_BYTES), of
    /// both directions of all pairs, while they are gathered.
    pub long_frames_bytes_max: usize,
    /// The addresses of the target, in the order in which they are dialled.
    pub target: Vec<SocketAddr>,
    /// How long a dialler waits for the target.
    pub retry: Duration,
    /// Whether the first pair that ends is the last.
    pub once: bool,
    /// When to end at the latest.
    pub until: Option<Instant>,
    /// What rewrites what a dialler says.
    pub rewrite: Option<MakeRewrite>,
    /// Who hears the notices.
    pub notice: fn(Notice<'_>),
}

/// The two ears; the first one's output is watched.
pub struct Ears<P, R> {
    /// Prints.
    pub printer: P,
    /// Records.
    pub recorder: Option<R>,
}

/// What comes back: an ear that hangs does not, and then what ended the run was the stop or the time.
pub struct Outcome<P, R> {
    /// Why it ended.
    pub ended: Ended,
    /// The first ear.
    pub printer: Option<P>,
    /// The second.
    pub recorder: Option<R>,
    /// Whether a dialler was turned away since the target was not reached.
    pub unreached: bool,
}

/// What pairs share.
struct Common {
    settings: Settings,
    taps: Taps,
    stop: Arc<Stop>,
    wake: Wake,
    running: AtomicUsize,
    any_ended: AtomicBool,
    unreached: AtomicBool,
    budget: Arc<Budget>,
}

/// Forwards until the stop, the time, the end of the first pair, or until an ear says so.
///
/// # Errors
/// The system gives no pipe or thread, or its poll fails.
pub fn run<P: Ear, R: Ear>(
    listener: TcpListener,
    settings: Settings,
    ears: Ears<P, R>,
    stop: &Stop,
    output: &Output,
) -> io::Result<Outcome<P, R>> {
    let (wake, woken) = wait::wake_pair()?;
    let (pairs_stop, stopper) = wait::stop_pair()?;
    let ear_ends = Arc::new(AtomicBool::new(false));
    let print_tap = Tap::new(TAP_BYTES_MAX);
    let printer_back = listen_in(ears.printer, &print_tap, &ear_ends, &wake)?;
    let mut taps = vec![print_tap.clone()];
    let recorder_back = match ears.recorder {
        None => None,
        Some(recorder) => {
            let tap = Tap::new(TAP_BYTES_MAX);
            taps.push(tap.clone());
            Some(listen_in(recorder, &tap, &ear_ends, &wake)?)
        }
    };
    let common = Arc::new(Common {
        budget: Budget::new(settings.long_frames_bytes_max),
        settings,
        taps: Taps(taps),
        stop: Arc::new(pairs_stop),
        wake,
        running: AtomicUsize::new(0),
        any_ended: AtomicBool::new(false),
        unreached: AtomicBool::new(false),
    });
    let ended = supervise(&listener, &common, stop, (output, &print_tap), &woken, &ear_ends)?;
    drop(listener);
    drop(stopper);
    let limit = Instant::now() + PAIRS_TIME;
    while common.running.load(Ordering::SeqCst) > 0 && Instant::now() < limit {
        let mut poll = Poll::default();
        poll.woken(&woken);
        poll.wait(Some(limit))?;
        woken.clear();
    }
    common.taps.0.iter().for_each(Tap::end);
    let now = Instant::now();
    let over = match ended {
        Ended::Stopped(_) | Ended::Time => Some(now),
        Ended::Host | Ended::ReaderGone => common.settings.until.map(|until| until.max(now)),
    };
    // The recording first: it is what lasts.
    let recorder = recorder_back.and_then(|back| come_back(&back, stop, over));
    let printer = come_back(&printer_back, stop, over);
    let ended = if printer.is_some() { ended } else { Ended::Time };
    let ended = stop.signal().map_or(ended, |signal| Ended::Stopped(Some(signal)));
    Ok(Outcome { ended, printer, recorder, unreached: common.unreached.load(Ordering::SeqCst) })
}

/// Waits for an ear: as long as it takes, but only so long once all is `over`, or a stop comes.
fn come_back<E>(back: &Receiver<E>, stop: &Stop, over: Option<Instant>) -> Option<E> {
    let mut limit = over.map(|over| over + EAR_TIME);
    let mut stopped = false;
    loop {
        match back.recv_timeout(LOOK_TIME) {
            Ok(ear) => return Some(ear),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if stop.signal().is_some() && !std::mem::replace(&mut stopped, true) {
            limit = limit.into_iter().chain([Instant::now() + EAR_TIME]).min();
        }
        if limit.is_some_and(|limit| Instant::now() >= limit) {
            return None;
        }
    }
}

/// Has an ear hear what its tap brings, in a thread of its own; it comes back at the end.
fn listen_in<E: Ear>(
    mut ear: E,
    tap: &Tap<Arc<Heard>>,
    ends: &Arc<AtomicBool>,
    wake: &Wake,
) -> io::Result<Receiver<E>> {
    let (give_back, back): (SyncSender<E>, _) = sync_channel(1);
    let (tap, ends, wake) = (tap.clone(), Arc::clone(ends), wake.clone());
    let listen = move || {
        let note = |after: After| {
            match after {
                After::GoOn => return,
                After::Deaf => tap.close(),
                After::End => {
                    tap.close();
                    ends.store(true, Ordering::SeqCst);
                }
            }
            wake.wake();
        };
        while let Some(heard) = tap.next() {
            note(ear.heard(&heard));
            while let Some(heard) = tap.next_now() {
                note(ear.heard(&heard));
            }
            let missed = tap.take_dropped();
            if missed > 0 {
                ear.missed(missed);
            }
            note(ear.pause());
        }
        // There is room for it, and nobody may wait for it any more.
        let _ = give_back.try_send(ear);
        wake.wake();
    };
    thread::Builder::new().name("ear".to_owned()).spawn(listen)?;
    Ok(back)
}

fn supervise(
    listener: &TcpListener,
    common: &Arc<Common>,
    stop: &Stop,
    (output, print_tap): (&Output, &Tap<Arc<Heard>>),
    woken: &Woken,
    ear_ends: &AtomicBool,
) -> io::Result<Ended> {
    let (mut accepted, mut resting, mut read) = (Accepted::default(), None, true);
    loop {
        let now = Instant::now();
        resting = resting.filter(|&end: &Instant| end > now);
        let mut poll = Poll::default();
        let stopped = poll.stop(stop);
        let wake = poll.woken(woken);
        let calls = resting.is_none().then(|| poll.listener(listener));
        let output = read.then(|| poll.output(output, false));
        let until = [resting, common.settings.until].into_iter().flatten().min();
        poll.wait(until)?;
        if poll.ready(stopped).read {
            return Ok(Ended::Stopped(stop.signal()));
        }
        if poll.ready(wake).read {
            woken.clear();
        }
        let once = common.settings.once && common.any_ended.load(Ordering::SeqCst);
        if once || ear_ends.load(Ordering::SeqCst) {
            return Ok(Ended::Host);
        }
        if common.settings.until.is_some_and(|until| Instant::now() >= until) {
            return Ok(Ended::Time);
        }
        if output.is_some_and(|place| poll.ready(place).gone) {
            // Nobody reads any more; the game goes on.
            read = false;
            print_tap.close();
        }
        if calls.is_some_and(|place| poll.ready(place).read) {
            resting = accept(listener, common, &mut accepted);
        }
    }
}

/// What has become of accepting so far.
#[derive(Default)]
struct Accepted {
    pairs: u64,
    /// Whether it was told that there is no room: a listener without room fails at each try.
    said_no_room: bool,
}

/// Accepts whoever calls; until when to rest, when there is no room for more.
fn accept(listener: &TcpListener, common: &Arc<Common>, accepted: &mut Accepted) -> Option<Instant> {
    loop {
        match wait::accept(listener) {
            Call::Taken(socket, peer) => {
                if common.running.load(Ordering::SeqCst) >= common.settings.connections_max {
                    wait::reset_when_closed(&socket);
                    (common.settings.notice)(Notice::TurnedAway(peer));
                    continue;
                }
                accepted.pairs += 1;
                let (number, pair) = (accepted.pairs, Arc::clone(common));
                common.running.fetch_add(1, Ordering::SeqCst);
                let spawned = thread::Builder::new().name("pair".to_owned()).spawn(move || {
                    join(&pair, number, socket, peer);
                    pair.any_ended.store(true, Ordering::SeqCst);
                    pair.running.fetch_sub(1, Ordering::SeqCst);
                    pair.wake.wake();
                });
                if let Err(error) = spawned {
                    common.running.fetch_sub(1, Ordering::SeqCst);
                    (common.settings.notice)(Notice::GivenUp(&error));
                }
            }
            Call::None => return None,
            Call::Failed(error) => {
                if !std::mem::replace(&mut accepted.said_no_room, true) {
                    (common.settings.notice)(match wait::is_out_of_descriptors(&error) {
                        true => Notice::OutOfDescriptors(&error),
                        false => Notice::GivenUp(&error),
                    });
                }
                return Some(Instant::now() + ACCEPT_PAUSE);
            }
        }
    }
}

/// Connects a dialler with the target and passes on what both say, until both have ended.
fn join(common: &Common, number: u64, dialler: TcpStream, peer: SocketAddr) {
    let notice = common.settings.notice;
    let mut told = false;
    let waits = |error: &io::Error| {
        if !std::mem::replace(&mut told, true) {
            notice(Notice::Waiting(peer, error));
        }
        // Whoever has said something and left has it delivered.
        !wait::has_left(&dialler)
    };
    let Settings { target, retry, .. } = &common.settings;
    let target = match dial_every(RETRY_PAUSE, target, *retry, None, &common.stop, waits) {
        Ok(target) => target,
        Err(unreached) => {
            wait::reset_when_closed(&dialler);
            if let Unreached::Failed(error) = unreached {
                common.unreached.store(true, Ordering::SeqCst);
                notice(Notice::Unreached(peer, &error));
            }
            return;
        }
    };
    // Some systems hand the listener's mode on. A socket that takes no option is gone, which reading it tells.
    for socket in [&dialler, &target] {
        let _ = socket.set_nonblocking(false);
        let _ = socket.set_nodelay(true);
    }
    let pair = Pair {
        number,
        peer: peer.to_string().into(),
        broken: AtomicBool::new(false),
        taps: common.taps.clone(),
        stop: Arc::clone(&common.stop),
        framing: common.settings.framing.clone(),
        budget: Arc::clone(&common.budget),
    };
    let rewrite = common.settings.rewrite.as_ref().map(|make| make());
    let there = Pump::new(&pair, true, (&dialler, &target), rewrite);
    let back = Pump::new(&pair, false, (&target, &dialler), None);
    thread::scope(|scope| {
        let spawned = thread::Builder::new().name("pump".to_owned()).spawn_scoped(scope, move || back.run());
        match spawned {
            Ok(_) => there.run(),
            Err(error) => {
                wait::reset_when_closed(&dialler);
                notice(Notice::GivenUp(&error));
            }
        }
    });
}
