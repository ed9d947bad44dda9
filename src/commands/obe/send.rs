//! `send --wire obe`: messages to a server of OBE_Socket, and the replies to them (design.md, section 9).

use std::time::Instant;

use super::client::Client;
use crate::bcp::template::Template;
use crate::commands::arguments::read_value;
use crate::commands::dial::OBE_PORT;
use crate::commands::ending::{Wanted, catch_signals, verdict};
use crate::commands::send::pace::Pace;
use crate::commands::send::{ANSWER_TIME, COMMAND, Options, where_to_dial};
use crate::commands::shared::{OBE_IS_JSON, OBE_IS_NOT_RECORDED, OBE_LIMITS, patterns_on, refuse_with_obe};
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure};
use crate::framing::{LineFramer, TextLine, Wire};
use crate::limits::OBE_BODY_BYTES_MAX;
use crate::net::dialogue::Reason;
use crate::net::wait::{Input, Output, Poll, is_passing};
use crate::text::trim;

/// What may be wrong with a server that took a message and says nothing.
const SILENCE: &str = "took the message and said nothing: the reference server never answers what it does not know";

/// Refuses what is BCP's alone.
///
/// # Errors
/// [`Failure::Usage`].
pub fn check(options: &Options) -> Result<(), Failure> {
    let shows_json = options.display.selection.template.as_ref().is_some_and(Template::shows_json);
    let waits = !options.goals.expected.is_empty() || options.goals.timeout.is_some();
    let only_without_reply = "--no-reply waits for no reply: leave out -e and -W";
    if options.no_reply && waits {
        return Err(Failure::Usage(only_without_reply.to_owned()));
    }
    refuse_with_obe(&[
        (options.goals.count.is_some(), "-n counts messages that come, and each of OBE_Socket's has one reply"),
        (options.wait, "-w waits for the answer that BCP flatten, and OBE_Socket's reply is waited for anyway"),
        (options.payload.is_some(), "-b is the payload of a message, and OBE_Socket has none"),
        (options.hello, "--hello is BCP's handshake, and OBE_Socket has none"),
        (options.no_goodbye, "--no-goodbye is about BCP's farewell, and OBE_Socket has none"),
        (options.reconnect, "--reconnect keeps one connection up, and OBE_Socket has one for each message"),
        (options.force, "--force passes the guard of MPF, and OBE_Socket's messages meet none"),
        (options.record.file.is_some() || options.record.overwrite, OBE_IS_NOT_RECORDED),
        (options.display.json, "--json is a form of BCP's messages"),
        (shows_json, OBE_IS_JSON),
        (options.limits.limits_lines(), OBE_LIMITS),
    ])
}

/// Sends each message over a connection of its own and prints the reply.
///
/// # Errors
/// A message that makes no sense, an address that cannot be reached, a reply that does not come in time, a stdout that
/// cannot be written.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let mut console = options.output.console(COMMAND.help.name);
    let show = options.display.selection.show_obe()?.for_stdout(options.output.color, false);
    let mut goals = options.goals.goals(Wire::Obe)?;
    patterns_on(Wire::Obe, "--fail-on", &options.fail_on)?.into_iter().for_each(|pattern| goals.fail_on(pattern));
    let mut messages = Messages::of(options)?;
    let target = where_to_dial(options, Some("127.0.0.1"), OBE_PORT)?;
    let stop = catch_signals()?;
    let output = Output::stdout().map_err(|error| Failure::output(&error))?;
    let mut pace = Pace::new(options.every);
    let mut client = Client::new(&target, options.connect.retry, &stop, &output, &mut console);
    (client.goals, client.show) = (goals, Some(show));
    (client.all, client.waits) = (options.all, !options.no_reply);
    client.time = options.goals.time(Some(ANSWER_TIME)).filter(|_| !options.no_reply);
    client.traffic = Traffic::new(options.verbose.0);
    let mut text = Vec::new();
    loop {
        match messages.next(&mut client, &mut text, &mut pace)? {
            Next::Message => {}
            Next::Over => return Ok(end(client)),
            Next::Stopped => return Ok(stop.signal().map_or(client.console.worst(), Exit::Signal)),
            Next::ReaderGone => return Ok(client.console.worst()),
        }
        let Some(ended) = client.ask(&text)? else { return Ok(stop.signal().map_or(Exit::Done, Exit::Signal)) };
        let is_last = matches!(ended.reason, Reason::Stopped(_) | Reason::Output(_) | Reason::Poll(_));
        let failed = client.failure.is_some();
        let exit = verdict(ended, wanted(&mut client), &target.address, client.console)?;
        if is_last || failed {
            return Ok(exit);
        }
    }
}

/// What the connection was for that has ended.
fn wanted(client: &mut Client<'_>) -> Wanted {
    let missing = if client.settled { "" } else { "a reply" };
    Wanted {
        complete: client.sent.is_some(),
        missing: Some(missing.to_owned()),
        failure: client.failure.take(),
        time: client.time,
        left_out: None,
        silence: Some(SILENCE),
    }
}

/// The end of a run whose messages have all gone.
fn end(client: Client<'_>) -> Exit {
    if client.goals.are_set() && !client.goals.are_met() {
        let why = format!("the last reply has arrived; still waiting for {}", client.goals.missing());
        client.console.complain(Exit::No, &client.target.address, why);
    }
    client.console.worst()
}

/// Where the messages come from.
enum Messages {
    /// The arguments: one, so many times.
    One { text: Vec<u8>, left: u64 },
    /// JSON Lines on standard input.
    Lines { lines: LineFramer, input: Input, over: bool },
}

/// What comes next.
enum Next {
    /// The text of a message.
    Message,
    /// Nothing more.
    Over,
    /// The stop came.
    Stopped,
    /// Nobody reads stdout any more.
    ReaderGone,
}

impl Messages {
    fn of(options: &Options) -> Result<Messages, Failure> {
        Ok(match options.words.as_slice() {
            [] => Messages::lines()?,
            [dash] if dash == "-" => Messages::lines()?,
            words => Messages::One { text: read_value(words, true)?, left: options.repeat.unwrap_or(1) },
        })
    }

    fn lines() -> Result<Messages, Failure> {
        let input = Input::stdin().map_err(|error| Failure::io("cannot read <stdin>", &error))?;
        Ok(Messages::Lines { lines: LineFramer::new(b'\n', OBE_BODY_BYTES_MAX), input, over: false })
    }

    /// Puts the next message into `next` when its time has come.
    fn next(&mut self, client: &mut Client<'_>, next: &mut Vec<u8>, pace: &mut Pace) -> Result<Next, Failure> {
        let (stop, output) = (client.stop, client.output);
        let failure = |error| Failure::io("cannot wait for input", &error);
        while let Some(due) = pace.wait(Instant::now()) {
            if stop.wait_until(due).map_err(failure)? {
                return Ok(Next::Stopped);
            }
        }
        match self {
            Messages::One { left: 0, .. } => return Ok(Next::Over),
            Messages::One { text, left } => {
                *left -= 1;
                next.clone_from(text);
            }
            Messages::Lines { lines, input, over } => loop {
                if take_line(client, lines, *over, next) {
                    break;
                }
                if *over {
                    return Ok(Next::Over);
                }
                let mut poll = Poll::default();
                let (stopped, gone, brings) = (poll.stop(stop), poll.output(output, false), poll.input(input));
                poll.wait(None).map_err(failure)?;
                if poll.ready(stopped).read {
                    return Ok(Next::Stopped);
                }
                if poll.ready(gone).gone {
                    return Ok(Next::ReaderGone);
                }
                if poll.ready(brings).read {
                    pace.idle(Instant::now());
                    let count = read(input, lines)?;
                    *over = count == Some(0);
                }
            },
        }
        pace.gone(Instant::now());
        Ok(Next::Message)
    }
}

/// Takes the next line that is a message; whether there was one. What is none is told; blank lines, and those that
/// begin with `#`, as in a session file, are passed over.
fn take_line(client: &mut Client<'_>, lines: &mut LineFramer, over: bool, next: &mut Vec<u8>) -> bool {
    loop {
        // All whole lines are taken before more is read, so that at the end only the last can be left.
        let (number, text) = match if over { lines.end() } else { lines.next_line() } {
            None => return false,
            Some(TextLine::Whole { number, text }) => (number, trim(text)),
            Some(TextLine::TooLong { number }) => {
                let why = format!("the line is longer than {OBE_BODY_BYTES_MAX} bytes");
                client.console.complain(Exit::No, format_args!("<stdin>:{number}"), why);
                continue;
            }
        };
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        match client.parts.parse_value(text, true) {
            Ok(()) => {
                next.clear();
                next.extend_from_slice(text);
                return true;
            }
            Err(why) => client.console.complain(Exit::No, format_args!("<stdin>:{number}"), why),
        }
    }
}

/// Reads what stdin flatten; `None` when it has to be tried again.
fn read(input: &Input, lines: &mut LineFramer) -> Result<Option<usize>, Failure> {
    match input.read_some(lines.space()) {
        Ok(count) => {
            lines.filled(count);
            Ok(Some(count))
        }
        Err(error) if is_passing(&error) => Ok(None),
        Err(error) => Err(Failure::io("cannot read <stdin>", &error)),
    }
}
