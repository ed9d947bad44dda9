//! How two programs that speak BCP behave: handshake, reset, goodbye, unknown commands (bcp(7), Handshake).
//!
//! A [`Conversation`] is one side of a connection in one of three roles. It is told what was received and appends what
//! to send; it does no I/O and reads no clock.
//!
//! All transitions are in one table, [`Conversation::receive`]. The states, and what moves between them (`<` received,
//! `>` sent):
//!
//! ```text
//!  media controller        Fresh --< reset / > subscriptions, reset_complete--> Open
//!  pin controller          Fresh --> hello--> Greeted --< hello / > reset--> Resetting --< reset_complete--> Open
//!                                             Greeted --< hello with controller_name--> Open
//!                                             Greeted --< error?message=unknown protocol version--> Refused
//!  client                  Open
//!  all roles               any state but PeerLeft --> goodbye--> Leaving
//!                          any state              --< goodbye--> PeerLeft
//! ```
//!
//! A whole conversation, both sides joined in memory:
//!
//! ```
//! use backbox::bcp::{Message, ParseOptions};
//! use backbox::bcp::conversation::{Conversation, ConversationConfig, ReceiveOutcome, Role};
//!
//! let mut pin = Conversation::new(Role::PinController, ConversationConfig::default());
//! let subscriptions = b"monitor_start?category=modes\n".to_vec();
//! let config = ConversationConfig { subscriptions, ..ConversationConfig::default() };
//! let mut media = Conversation::new(Role::MediaController, config);
//! let receive = |side: &mut Conversation, lines: &[u8]| {
//!     let mut replies = Vec::new();
//!     let outcomes: Vec<_> = lines.split(|&b| b == b'\n').filter(|line| !line.is_empty()).map(|line| {
//!         let mut message = Message::new();
//!         message.parse_line(line, &ParseOptions::default()).unwrap();
//!         side.receive(&message, &mut replies)
//!     }).collect();
//!     (replies, outcomes)
//! };
//! let mut hello = Vec::new();
//! pin.open(&mut hello).unwrap();
//! assert!(hello.starts_with(b"hello?version=1.1&controller_name=backbox&controller_version="));
//! let (replies, _) = receive(&mut media, &hello);
//! assert_eq!(replies, b"hello?version=1.1\n");
//! let (replies, _) = receive(&mut pin, &replies);
//! assert_eq!(replies, b"reset\n");
//! let (replies, _) = receive(&mut media, &replies);
//! assert_eq!(replies, b"monitor_start?category=modes\nreset_complete\n");
//! let (replies, outcomes) = receive(&mut pin, &replies);
//! assert_eq!((replies, outcomes), (vec![], vec![ReceiveOutcome::Deliver, ReceiveOutcome::Ready]));
//! ```

use std::fmt;

use super::pattern::Pattern;
use super::{Message, WriteOptions, line_command, write_line};
use crate::text::shown;

/// The version in our `hello`, which is also MPF's.
const VERSION: &str = "1.1";

/// The message of the `error` with which a media controller refuses a version.
const UNKNOWN_VERSION: &str = "unknown protocol version";

/// How many bytes of a command an `error` repeats, so that a peer cannot choose what we send.
const REPEATED_BYTES_MAX: usize = 100;

/// The part that we play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Replies to `hello` and `reset`, subscribes, and replies to unknown commands.
    #[default]
    MediaController,
    /// Sends `hello`, then `reset`.
    PinController,
    /// Joins without a handshake, as MPF's own service client does; replies to `reset`.
    Client,
}

/// What a conversation needs to know.
#[derive(Clone, Debug)]
pub struct ConversationConfig {
    /// The lines, each with its LF, that a media controller sends before its first `reset_complete`. What is subscribed
    /// to later is reported at a random time.
    pub subscriptions: Vec<u8>,
    /// Whether a command is known. A media controller replies to others with an `error`.
    pub is_known: fn(&str) -> bool,
    /// The pattern of an accepted `hello`; `None` accepts version 1, 1.x and none.
    pub accept_version: Option<Pattern>,
}

impl Default for ConversationConfig {
    /// No subscriptions, and every command is known.
    fn default() -> ConversationConfig {
        ConversationConfig { subscriptions: Vec::new(), is_known: |_| true, accept_version: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the handshake.
    Fresh,
    /// We have sent `hello` and wait for the reply.
    Greeted,
    /// We have sent `reset` and wait for its completion.
    Resetting,
    /// Commands pass in both directions.
    Open,
    /// The peer refused our version.
    Refused,
    /// We have sent `goodbye`: nothing follows it.
    Leaving,
    /// The peer has sent `goodbye`.
    PeerLeft,
}

/// What a message of the peer means to a conversation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    /// A `hello` in an accepted version.
    Hello,
    /// The same with `controller_name`: the greeting of a pin controller, not a reply.
    Greeting,
    /// A `hello` in another version.
    OtherVersion,
    Reset,
    ResetComplete,
    Goodbye,
    /// The `error` that refuses our version.
    Refusal,
    Unknown,
    /// Any other `error` or known command.
    Other,
}

/// Our own mistake: something that must not be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// Some peers still execute lines after a `goodbye`, others do not.
    AfterGoodbye,
    /// The reply to our `hello` or `reset` has not arrived.
    InHandshake,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtocolError::AfterGoodbye => "nothing is sent after a goodbye",
            ProtocolError::InHandshake => "nothing is sent before the handshake is done",
        })
    }
}

/// The outcome of a received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveOutcome {
    /// The message is for the caller.
    Deliver,
    /// The message was for the conversation.
    Consumed,
    /// The peer's `hello` has this version, which is not `1` or `1.*`. It is accepted, as MPF does; worth a note.
    UnusualVersion(String),
    /// The handshake that we began is done.
    Ready,
    /// The peer has sent `goodbye`.
    PeerLeft,
    /// The peer refused our version; the error to report.
    Refused(String),
    /// We refused the peer's version and told it so; the error to report.
    RejectedVersion(String),
    /// We told the peer that its command is unknown.
    RejectedCommand,
}

/// One side of a conversation.
#[derive(Debug)]
pub struct Conversation {
    role: Role,
    config: ConversationConfig,
    state: State,
}

impl Conversation {
    /// A conversation over a new connection.
    pub fn new(role: Role, config: ConversationConfig) -> Conversation {
        let state = if role == Role::Client { State::Open } else { State::Fresh };
        Conversation { role, config, state }
    }

    /// Begins: a pin controller sends `hello`, the others nothing.
    ///
    /// # Errors
    /// It has begun already.
    pub fn open(&mut self, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
        self.send("hello")?;
        if self.role == Role::PinController && self.state == State::Fresh {
            self.state = State::Greeted;
            write_hello(out);
        }
        Ok(())
    }

    /// Notes that a message of ours with this command is about to be sent. A `goodbye` is our last message.
    ///
    /// # Errors
    /// It must not be sent.
    pub fn send(&mut self, command: &str) -> Result<(), ProtocolError> {
        match self.state {
            State::Leaving => return Err(ProtocolError::AfterGoodbye),
            _ if command.eq_ignore_ascii_case("goodbye") => self.state = State::Leaving,
            State::Greeted | State::Resetting => return Err(ProtocolError::InHandshake),
            State::Fresh | State::Open | State::Refused | State::PeerLeft => {}
        }
        Ok(())
    }

    /// Sends `goodbye`, unless it has been sent.
    pub fn leave(&mut self, out: &mut Vec<u8>) {
        if self.send("goodbye").is_ok() {
            write_message("goodbye", &[], out);
        }
    }

    /// Receives a message and appends the replies to it: whole lines, for one write.
    pub fn receive(&mut self, message: &Message, out: &mut Vec<u8>) -> ReceiveOutcome {
        use {Event as E, ReceiveOutcome as O, Role as R, State as S};
        let (state, outcome) = match (self.role, self.state, self.event(message)) {
            (_, _, E::Goodbye) => (S::PeerLeft, O::PeerLeft),
            // After the goodbye of either side nothing gets a reply.
            (_, state @ (S::PeerLeft | S::Leaving), E::Hello | E::Greeting | E::OtherVersion | E::Reset) => {
                (state, O::Consumed)
            }
            (_, state @ (S::PeerLeft | S::Leaving), _) => (state, O::Deliver),
            // The media controller.
            (R::MediaController, state, E::Hello | E::Greeting) => {
                (state, replied("hello", &[("version", VERSION)], out))
            }
            (R::MediaController, state, E::OtherVersion) => (state, reject_version(message, out)),
            (R::MediaController, S::Fresh, E::Reset) => {
                out.extend_from_slice(&self.config.subscriptions);
                (S::Open, replied("reset_complete", &[], out))
            }
            (R::MediaController, state, E::Unknown) => {
                write_error("unknown command", &message.command(), out);
                (state, O::RejectedCommand)
            }
            // The pin controller. As MPF it accepts a reply in any version.
            (R::PinController, S::Greeted, E::Hello) => (S::Resetting, replied("reset", &[], out)),
            (R::PinController, S::Greeted, E::OtherVersion) => {
                write_message("reset", &[], out);
                (S::Resetting, O::UnusualVersion(text_of(message, "version")))
            }
            (R::PinController, S::Greeted, E::Refusal) => {
                (S::Refused, O::Refused(format!("protocol version {VERSION} was refused: {UNKNOWN_VERSION}")))
            }
            (R::PinController, S::Greeted, E::Greeting) | (R::PinController, S::Resetting, E::ResetComplete) => {
                (S::Open, O::Ready)
            }
            // All others: a greeting gets no reply, a reset does.
            (_, state, E::Hello | E::Greeting | E::OtherVersion) => (state, O::Consumed),
            (_, state, E::Reset) => (state, replied("reset_complete", &[], out)),
            // An error never gets a reply: two programs that reply to each other would not stop.
            (_, state, E::ResetComplete | E::Refusal | E::Unknown | E::Other) => (state, O::Deliver),
        };
        self.state = state;
        outcome
    }

    /// Receives a malformed line, empty if it was not kept. A media controller's reply repeats only its command.
    pub fn receive_malformed(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let command = line_command(line).to_ascii_lowercase();
        let has_goodbye = matches!(self.state, State::Leaving | State::PeerLeft);
        if self.role == Role::MediaController && !has_goodbye && command != "error" {
            write_error("malformed line", &command, out);
        }
    }

    /// Whether the peer has sent `goodbye`.
    pub fn peer_has_left(&self) -> bool {
        self.state == State::PeerLeft
    }

    fn event(&self, message: &Message) -> Event {
        match &*message.command() {
            "hello" if !self.accepts(message) => Event::OtherVersion,
            "hello" if message.find("controller_name").is_some() => Event::Greeting,
            "hello" => Event::Hello,
            "reset" => Event::Reset,
            "reset_complete" => Event::ResetComplete,
            "goodbye" => Event::Goodbye,
            "error" if text_of(message, "message") == UNKNOWN_VERSION => Event::Refusal,
            command if command == "error" || (self.config.is_known)(command) => Event::Other,
            _ => Event::Unknown,
        }
    }

    fn accepts(&self, hello: &Message) -> bool {
        match (&self.config.accept_version, hello.find("version")) {
            (Some(pattern), _) => pattern.matches(hello, None),
            (None, Some(version)) => version.text() == "1" || version.text().starts_with("1."),
            (None, None) => true,
        }
    }
}

/// Replies with one message.
fn replied(command: &str, params: &[(&str, &str)], out: &mut Vec<u8>) -> ReceiveOutcome {
    write_message(command, params, out);
    ReceiveOutcome::Consumed
}

fn reject_version(hello: &Message, out: &mut Vec<u8>) -> ReceiveOutcome {
    write_message("error", &[("message", UNKNOWN_VERSION)], out);
    let version = shown(text_of(hello, "version").as_bytes());
    let error = format!("refused protocol version {version}; --accept-version {version} accepts it");
    ReceiveOutcome::RejectedVersion(error)
}

/// Appends the `hello` of a pin controller, with which it also greets its clients.
pub fn write_hello(out: &mut Vec<u8>) {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    write_message("hello", &[("version", VERSION), ("controller_name", name), ("controller_version", version)], out);
}

fn text_of(message: &Message, name: &str) -> String {
    message.find(name).map_or_else(String::new, |value| value.text().into_owned())
}

/// An `error` that names the command, cut to [`REPEATED_BYTES_MAX`].
fn write_error(message: &str, command: &str, out: &mut Vec<u8>) {
    let mut end = command.len().min(REPEATED_BYTES_MAX);
    while !command.is_char_boundary(end) {
        end -= 1;
    }
    let params = [("message", message), ("command", &command[..end])];
    write_message("error", if end == 0 { &params[..1] } else { &params }, out);
}

/// Appends one message whose values are strings, with its LF. The command must be one that `encode` accepts, and the
/// names unique.
pub fn write_message(command: &str, params: &[(&str, &str)], out: &mut Vec<u8>) {
    let mut message = Message::new();
    message.begin(command.as_bytes());
    for (name, text) in params {
        message.push_text(name.as_bytes(), text.as_bytes(), true);
    }
    if write_line(&message, None, &WriteOptions::default(), out).is_ok() {
        out.push(b'\n');
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
