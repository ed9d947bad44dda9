//! The built-in media controller: what `listen` is to everyone who dials, and what `replay --loopback` plays to.

use std::collections::HashMap;
use std::sync::Arc;

use super::send::print;
use super::traffic::Traffic;
use crate::catalogue::{self, CATEGORIES};
use crate::cli::suggest;
use crate::codec::{Parts, Reading};
use crate::conversation::{self, Conversation, Effect, Repertoire, Role};
use crate::failure::{Exit, Failure};
use crate::framing::{Frame, RawMessage};
use crate::limits::READ_BYTES;
use crate::net::connection::{Connection, Left, QUEUE_BYTES_MAX, Said};
use crate::net::server::{Host, Next, Notice, Settings};
use crate::net::wait::Output;
use crate::output::{Console, say};
use crate::text::shown;

/// What is subscribed to when nothing else is asked for: without subscriptions a whole game is two lines.
pub const CATEGORIES_BY_DEFAULT: [&str; 5] = ["core_events", "service_events", "modes", "player_vars", "machine_vars"];

/// Serves each peer as a media controller and prints what comes.
pub struct MediaController {
    repertoire: Repertoire,
    conversations: HashMap<u64, Conversation>,
    /// Where messages are printed; a peer inside this process needs no print.
    output: Option<Arc<Output>>,
    terminal: bool,
    printed: Vec<u8>,
    /// Whether the first connection that closes is the last.
    once: bool,
    traffic: Traffic,
    parts: Parts,
    said: Vec<u8>,
    /// Its complaints, and the worst of them.
    pub console: Console,
    /// What ended the printing, if something did.
    pub failure: Option<Failure>,
}

impl MediaController {
    /// A media controller that says these subscriptions to the first reset of each connection.
    pub fn new(subscriptions: Vec<u8>, output: Option<Arc<Output>>, console: Console) -> MediaController {
        MediaController {
            repertoire: Repertoire { subscriptions, knows: catalogue::knows },
            conversations: HashMap::new(),
            terminal: output.is_some() && crate::output::stdout_is_terminal(),
            output,
            printed: Vec::new(),
            once: false,
            traffic: Traffic::new(false),
            parts: Parts::new(),
            said: Vec::new(),
            console,
            failure: None,
        }
    }

    /// Ends with the first connection that closes.
    #[must_use]
    pub fn once(mut self, once: bool) -> MediaController {
        self.once = once;
        self
    }

    /// Shows the traffic.
    #[must_use]
    pub fn traffic(mut self, traffic: Traffic) -> MediaController {
        self.traffic = traffic;
        self
    }

    fn message(&mut self, connection: &Connection, message: &RawMessage<'_>) -> Next {
        self.traffic.came(message);
        if self.output.is_some() {
            print(message, self.terminal, &mut self.printed);
        }
        let place = (connection, message.number);
        let Some(conversation) = self.conversations.get_mut(&connection.number) else { return Next::GoOn };
        self.said.clear();
        let effect = match self.parts.read_line(message.text(), &Reading::default()) {
            Ok(()) => conversation.hear(&self.parts, &mut self.said),
            Err(why) => {
                let effect = conversation.hear_malformed(message.line, &mut self.said);
                complain(&mut self.console, Exit::No, place, why);
                effect
            }
        };
        self.answer(connection);
        match effect {
            Effect::PeerLeft => connection.finish(),
            Effect::Fault(fault @ conversation::Fault::Version(_)) => {
                complain(&mut self.console, Exit::Peer, place, fault);
            }
            Effect::Fault(_) | Effect::Passed | Effect::DealtWith | Effect::Ready => {}
        }
        match self.printed.len() >= READ_BYTES {
            true => self.flush(),
            false => Next::GoOn,
        }
    }

    /// Says what the conversation has put together, in one write.
    fn answer(&mut self, connection: &Connection) {
        if self.said.is_empty() {
            return;
        }
        self.traffic.sent_lines(&self.said);
        if connection.say(&self.said) == Said::Overrun {
            let why = format!("it does not read: reset with {QUEUE_BYTES_MAX} bytes waiting for it");
            self.console.complain(Exit::No, connection.peer, why);
        }
    }

    fn flush(&mut self) -> Next {
        let Some(output) = self.output.as_ref().filter(|_| self.failure.is_none()) else {
            self.printed.clear();
            return Next::GoOn;
        };
        let written = output.write_all(&self.printed);
        self.printed.clear();
        self.printed.shrink_to(8 * READ_BYTES);
        match written {
            Ok(()) => Next::GoOn,
            Err(error) => {
                self.failure = Some(Failure::output(&error));
                Next::Stop
            }
        }
    }
}

impl Host for MediaController {
    fn joined(&mut self, connection: &Connection) -> Next {
        let conversation = Conversation::new(Role::MediaController, self.repertoire.clone());
        self.conversations.insert(connection.number, conversation);
        Next::GoOn
    }

    fn heard(&mut self, connection: &Connection, frame: &Frame<'_>) -> Next {
        match frame {
            Frame::Message(message) => self.message(connection, message),
            Frame::Ignored { .. } => Next::GoOn,
            Frame::Bad { number, fault } => {
                complain(&mut self.console, Exit::No, (connection, *number), fault);
                self.said.clear();
                if let Some(conversation) = self.conversations.get_mut(&connection.number) {
                    conversation.hear_malformed(b"", &mut self.said);
                }
                self.answer(connection);
                Next::GoOn
            }
        }
    }

    fn left(&mut self, connection: &Connection, left: &Left) -> Next {
        self.conversations.remove(&connection.number);
        let peer = connection.peer;
        match left {
            Left::Closed(unfinished) if !unfinished.is_empty() => {
                let why = format!("it left in the middle of a line: {}", shown(unfinished));
                self.console.complain(Exit::No, peer, why);
            }
            Left::Closed(_) | Left::Broken(_) => {}
            Left::Lost(error) => {
                self.console.note(format_args!("{peer}: {}", crate::failure::plain_words(error)));
            }
            Left::Http => self.console.complain(Exit::No, peer, "it speaks HTTP, not BCP: dropped"),
        }
        if self.once { Next::Stop } else { Next::GoOn }
    }

    fn pause(&mut self) -> Next {
        self.flush()
    }
}

fn complain(console: &mut Console, exit: Exit, place: (&Connection, u64), why: impl std::fmt::Display) {
    console.complain(exit, format_args!("{}: line {}", place.0.peer, place.1), why);
}

/// How a server of media controllers behaves.
pub fn settings(connections_max: usize) -> Settings {
    Settings {
        framing: crate::framing::Framing::default(),
        connections_max,
        full: b"error?message=too%20many%20connections\n",
        farewell: b"goodbye\n",
        notice: Box::new(|notice| {
            say(&match notice {
                Notice::TurnedAway(peer) => {
                    format!("{peer}: turned away: too many connections; --max-conns allows more\n")
                }
                Notice::OutOfDescriptors(error) => format!(
                    "no descriptor is left for another connection ({}); waiting for one to close\n",
                    crate::failure::plain_words(error)
                ),
                Notice::GivenUp(error) => {
                    format!("a connection was given up: {}\n", crate::failure::plain_words(error))
                }
            });
        }),
    }
}

/// The lines that subscribe to these categories (all the default ones when none is named, `all` and `none` are words
/// too)
/// and these events.
///
/// # Errors
/// [`Failure::Usage`] for an unknown category.
pub fn subscriptions(monitor: &[String], register: &[String]) -> Result<Vec<u8>, Failure> {
    let named: Vec<&str> = monitor.iter().map(String::as_str).collect();
    let categories = match named.as_slice() {
        [] => CATEGORIES_BY_DEFAULT.to_vec(),
        ["none"] => Vec::new(),
        names if names.contains(&"none") => {
            return Err(Failure::Usage("--monitor none leaves no room for another category".to_owned()));
        }
        names if names.contains(&"all") => CATEGORIES.to_vec(),
        names => names.to_vec(),
    };
    if let Some(unknown) = categories.iter().find(|name| !CATEGORIES.contains(name)) {
        let words = category_words();
        let advice = match suggest(unknown, words.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there are {}", words.join(", ")),
        };
        return Err(Failure::Usage(format!("--monitor: {} is no category; {advice}", shown(unknown.as_bytes()))));
    }
    let mut lines = Vec::new();
    for category in categories {
        conversation::push("monitor_start", &[("category", category)], &mut lines);
    }
    for event in register {
        conversation::push("register_trigger", &[("event", event)], &mut lines);
    }
    Ok(lines)
}

/// Every word that `--monitor` takes.
pub fn category_words() -> Vec<String> {
    CATEGORIES.iter().chain(&["all", "none"]).map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(monitor: &[&str], register: &[&str]) -> Result<String, Failure> {
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        subscriptions(&owned(monitor), &owned(register)).map(|lines| String::from_utf8(lines).unwrap())
    }

    #[test]
    fn subscriptions_are_lines_in_order() {
        assert_eq!(lines(&[], &[]).unwrap().matches("monitor_start?category=").count(), 5);
        assert!(lines(&[], &[]).unwrap().starts_with("monitor_start?category=core_events\n"));
        assert_eq!(lines(&["none"], &["a b"]).unwrap(), "register_trigger?event=a%20b\n");
        assert_eq!(lines(&["modes", "devices"], &[]).unwrap().lines().last(), Some("monitor_start?category=devices"));
        assert_eq!(lines(&["all"], &[]).unwrap().lines().count(), CATEGORIES.len());
    }

    #[test]
    fn an_unknown_category_is_usage_that_names_the_near_one_or_all() {
        let why = |word| lines(&[word], &[]).unwrap_err().message().unwrap_or_default().to_owned();
        assert_eq!(why("mode"), "--monitor: mode is no category; did you mean modes?");
        assert!(why("xyz").starts_with("--monitor: xyz is no category; there are events, devices"));
        assert!(matches!(lines(&["none", "modes"], &[]), Err(Failure::Usage(_))));
    }
}
