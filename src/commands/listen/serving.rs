//! The running of `backbox listen`: binding or dialling, serving, and what the exit status comes to.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::listener::{Listener, Lost, Part, Setup};
use super::media::{CATEGORIES_OF_CLIENT, CATEGORIES_OF_MEDIA, settings, subscriptions};
use super::printing::Printing;
use super::{COMMAND, Options};
use crate::commands::arguments::note_mistyped_patterns;
use crate::commands::binding::Place;
use crate::commands::dial::{MEDIA_PORT, PIN_PORT, Target};
use crate::commands::ending::catch_signals;
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure};
use crate::framing::{FramingOptions, Wire};
use crate::limits::LONG_FRAMES_BYTES_MAX;
use crate::net::server::{Ended, Server, Settings};
use crate::net::wait::{Input, Output, Poll, Stop};
use crate::net::{SocketAddr, TcpStream};
use crate::output::{Console, say};

/// How long to wait before a lost connection is dialled again, each time.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Serves until a signal comes, stdout's reader has gone, the goals are met, or the only connection has closed.
///
/// # Errors
/// An address that cannot be bound or dialled, a file or a stdout that cannot be written, a goal that was not met.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let console = options.output.console(COMMAND.help.name);
    let output = Arc::new(Output::stdout().map_err(|error| Failure::output(&error))?);
    let printing = printing(options, &output, false)?;
    let mut setup = setup(options)?;
    let until = deadline(options);
    let (server, stop, peer) = match options.part().dials() {
        true => match connect(options, until, &mut setup, &console) {
            Ok((Some(server), stop, target)) => (server, stop, Peer::Dialled(target)),
            Ok((None, stop, _)) => return Ok(stop.signal().map_or(Exit::Done, Exit::Signal)),
            Err(_) if printing.goals.are_set() && until.is_some_and(|until| Instant::now() >= until) => {
                return outcome(Ended::Time, Some(printing), None, &console, options.goals.time(None));
            }
            Err(failure) => return Err(failure),
        },
        false => {
            let bound = bind(options)?;
            setup.recorder = options.record.open(&format!("listening on {}", bound.1), bound.1.port())?;
            let stop = catch_signals()?;
            welcome(options, bound.1, &console)?;
            (bound.0, stop, Peer::Diallers(bound.1))
        }
    };
    let mut host = Listener::new(setup, Some(printing), console);
    let (mut server, mut connections) = (server, 1);
    loop {
        let served = server.run(settled(options, until, !host.stdin_over)?, host, &stop, Some(&output));
        let (ended, back) = served.map_err(|error| Failure::io(format_args!("cannot serve {peer}"), &error))?;
        let Some(back) = back else { return unread(ended, options) };
        host = back;
        let Peer::Dialled(target) = &peer else { return verdict(ended, host, options) };
        if !options.reconnects || ended != Ended::Host || !host.goes_on() {
            return verdict(ended, host, options);
        }
        match redial(target, options.connect.retry, until, &stop, &output)? {
            Redialled::Reached(socket) => server = Server::dialled(socket, connections),
            Redialled::Ended(ended) => return verdict(ended, host, options),
        }
        connections += 1;
    }
}

/// With whom it talks.
enum Peer {
    /// Whoever dials this address.
    Diallers(SocketAddr),
    /// The one that was dialled.
    Dialled(Target),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Diallers(address) => address.fmt(f),
            Peer::Dialled(target) => target.address.fmt(f),
        }
    }
}

/// What became of dialling again.
enum Redialled {
    Reached(TcpStream),
    /// A signal came, the time was up, or nobody reads stdout any more.
    Ended(Ended),
}

/// Dials again once a second, until the time of `--retry` is up, if there is one.
fn redial(
    target: &Target,
    retry: Duration,
    until: Option<Instant>,
    stop: &Stop,
    output: &Output,
) -> Result<Redialled, Failure> {
    let start = Instant::now();
    let give_up = start.checked_add(retry).filter(|_| !retry.is_zero());
    loop {
        let next = Instant::now() + RECONNECT_PAUSE;
        let mut poll = Poll::default();
        let (stopped, gone) = (poll.stop(stop), poll.output(output, false));
        let waited = poll.wait(Some(until.map_or(next, |until| until.min(next))));
        waited.map_err(|error| Failure::io("cannot wait to dial again", &error))?;
        if poll.ready(stopped).read {
            return Ok(Redialled::Ended(Ended::Stopped(stop.signal())));
        }
        if poll.ready(gone).gone {
            return Ok(Redialled::Ended(Ended::ReaderGone));
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Ok(Redialled::Ended(Ended::Time));
        }
        match target.dial_once(retry, stop) {
            Ok(Some(socket)) => return Ok(Redialled::Reached(socket)),
            Ok(None) => return Ok(Redialled::Ended(Ended::Stopped(stop.signal()))),
            Err(failure) if give_up.is_some_and(|end| Instant::now() >= end) => return Err(failure),
            Err(_) => {}
        }
    }
}

/// How to serve, as the options say it.
fn settled(options: &Options, until: Option<Instant>, wants_stdin: bool) -> Result<Settings, Failure> {
    let mut settings = settings();
    settings.framing = options.input.framing();
    settings.long_frames_bytes_max = long_frames_bytes_max(&settings.framing);
    settings.until = until;
    if options.stdin && wants_stdin {
        settings.input = Some(Input::stdin().map_err(|error| Failure::io("cannot read <stdin>", &error))?);
    }
    Ok(settings)
}

/// How many bytes the long frames of all peers share: whoever allows larger payloads wants one of them to come through.
pub fn long_frames_bytes_max(framing: &FramingOptions) -> usize {
    let longest = framing.line_bytes_max.saturating_add(framing.payload_bytes_max);
    LONG_FRAMES_BYTES_MAX.max(longest.saturating_mul(2))
}

/// What prints; with `both` directions a terminal is shown which one a message went.
///
/// # Errors
/// [`Failure::Usage`] for patterns and forms that make no sense.
pub fn printing(options: &Options, output: &Arc<Output>, both: bool) -> Result<Printing, Failure> {
    let show = match options.wire {
        Wire::Bcp => {
            let typed = options.goals.expected.iter().chain(options.display.selection.typed());
            note_mistyped_patterns(typed, &options.output.console(COMMAND.help.name));
            options.display.show(options.output.color, both)?
        }
        Wire::Obe => options.display.selection.show_obe()?.for_stdout(options.output.color, both),
    };
    Ok(Printing::new(Arc::clone(output), show, options.goals.goals(options.wire)?))
}

/// When the run ends at the latest.
pub fn deadline(options: &Options) -> Option<Instant> {
    options.goals.time(None).and_then(|time| Instant::now().checked_add(time))
}

fn setup(options: &Options) -> Result<Setup, Failure> {
    let otherwise = if options.part() == Part::Attached { &CATEGORIES_OF_CLIENT } else { &CATEGORIES_OF_MEDIA };
    Ok(Setup {
        part: options.part(),
        subscriptions: subscriptions(&options.monitor, &options.register, otherwise)?,
        accepts: options.accepts.clone(),
        framing: options.input.framing(),
        replies: options.replies()?,
        silent: options.silent,
        once: options.once,
        traffic: Traffic::new(options.verbose.0),
        recorder: None,
    })
}

/// Dials; no server when the stop came first.
fn connect(
    options: &Options,
    until: Option<Instant>,
    setup: &mut Setup,
    console: &Console,
) -> Result<(Option<Server>, Stop, Target), Failure> {
    let port = if options.part() == Part::Attached { PIN_PORT } else { MEDIA_PORT };
    let target = Target::resolve(options.connect.address.as_deref(), port)?;
    setup.recorder = options.record.open(&format!("dialling {}", target.address), target.address.port)?;
    let stop = catch_signals()?;
    let socket = target.dial_until(options.connect.retry, until, &stop, console)?;
    Ok((socket.map(|socket| Server::dialled(socket, 0)), stop, target))
}

/// Where we are to be dialled.
fn place(options: &Options) -> Place<'_> {
    Place { address: options.address.as_deref(), port: None, announce: options.announce.as_deref(), wire: options.wire }
}

/// Says where we listen, to whoever reads it.
///
/// # Errors
/// The file of `--announce` cannot be written.
pub fn welcome(options: &Options, address: SocketAddr, console: &Console) -> Result<(), Failure> {
    place(options).welcome(address, console)
}

/// The status of a run that a signal ended.
pub fn signal_of(ended: Ended) -> Option<Exit> {
    match ended {
        Ended::Stopped(Some(signal)) => Some(Exit::Signal(signal)),
        _ => None,
    }
}

/// One rule decides (design.md, section 8): a signal, else what ended the run, else the worst thing seen.
fn verdict(ended: Ended, host: Listener, options: &Options) -> Result<Exit, Failure> {
    if let Some(exit) = signal_of(ended) {
        return Ok(exit);
    }
    let Listener { console, printing, lost, .. } = host;
    outcome(ended, printing, lost, &console, options.goals.time(None))
}

/// What a run comes to whose printer still waits for somebody to read standard output.
///
/// # Errors
/// [`Failure::Time`] where something was waited for, else [`Failure::Io`].
pub fn unread(ended: Ended, options: &Options) -> Result<Exit, Failure> {
    let why = "nobody reads the output; what came last is lost";
    match signal_of(ended) {
        Some(exit) => {
            say(&format!("backbox {}: {why}\n", COMMAND.help.name));
            Ok(exit)
        }
        None if options.goals.are_any() => Err(Failure::Time(format!("the time was up, and {why}"))),
        None => Err(Failure::Io(why.to_owned())),
    }
}

/// What a run comes to that no signal ended; `lost` says how its connection ended, if that ended it.
///
/// # Errors
/// What ended it, when that is a failure.
pub fn outcome(
    ended: Ended,
    printing: Option<Printing>,
    lost: Option<Lost>,
    console: &Console,
    time: Option<Duration>,
) -> Result<Exit, Failure> {
    let Some(mut printing) = printing else { return Ok(console.worst()) };
    match printing.failure.take() {
        None => {}
        Some(Failure::ReaderGone) => return Ok(console.worst()),
        Some(failure) => return Err(failure),
    }
    let unmet = printing.goals.are_set() && !printing.goals.are_met();
    let missing = printing.goals.missing();
    match (ended, lost) {
        (Ended::ReaderGone | Ended::Stopped(_), _) => Ok(console.worst()),
        (Ended::Time, _) if unmet => {
            let seconds = time.unwrap_or_default().as_secs_f64();
            Err(Failure::Time(format!("timed out after {seconds} s waiting for {missing} (see --timeout)")))
        }
        (Ended::Time, _) => Ok(console.worst()),
        // Which has been told as a frame.
        (Ended::Host, Some(Lost { broken: true, .. })) => Ok(Exit::Peer),
        (Ended::Host, Some(Lost { how, .. })) if unmet => {
            Err(Failure::Refused(format!("the connection was {how}; still waiting for {missing}")))
        }
        (Ended::Host, Some(Lost { how, .. })) => {
            Err(Failure::Io(format!("the connection was {how}, without a goodbye")))
        }
        (Ended::Host, None) if unmet => {
            Err(Failure::Refused(format!("the connection ended; still waiting for {missing}")))
        }
        (Ended::Host, None) => Ok(console.worst()),
    }
}

/// Binds, and says what else to try when that fails.
///
/// # Errors
/// As for [`Place::bind`].
pub fn bind(options: &Options) -> Result<(Server, SocketAddr), Failure> {
    place(options).bind()
}
