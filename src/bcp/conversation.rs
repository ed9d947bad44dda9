//! How two programs that speak BCP behave: handshake, reset, goodbye, unknown commands (bcp(7), Handshake).
//!
//! A [`Conversation`] is one side of a connection in one of three roles. It is told what was received and appends what
//! to send; it does no I/O and reads no clock.
//!
//! All transitions are in one table, `transition`. The states, and what moves between them (`<` received, `>` sent):
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    // Ours.
    /// The connection is there.
    Begin,
    /// We want to send a command.
    Send,
    /// We want to send `goodbye`.
    Leave,
    // The peer's.
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
    Error,
    /// Any other command that is known.
    Known,
    Unknown,
    /// A malformed line.
    Malformed,
}

/// What is sent, and what the caller learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Nothing is sent; the message is for the caller.
    Deliver,
    /// Nothing is sent; the message was for the conversation.
    Consume,
    SendHello,
    SendReset,
    /// The same, after a `hello` in another version.
    SendResetWithNote,
    SendGoodbye,
    ReplyHello,
    RejectVersion,
    /// Sends the subscriptions and `reset_complete`.
    Subscribe,
    CompleteReset,
    RejectCommand,
    RejectLine,
    Ready,
    ReportRefusal,
    ReportLeft,
}

/// The one table: what happens in a state, and the state after it.
///
/// # Errors
/// What we must not do. The peer may do anything.
fn transition(role: Role, state: State, event: Event) -> Result<(State, Action), ProtocolError> {
    use {Action as A, Event as E, Role as R, State as S};
    Ok(match (role, state, event) {
        // Ours: nothing follows a goodbye, and a handshake that has begun is waited for.
        (_, S::Leaving, E::Begin | E::Send | E::Leave) => return Err(ProtocolError::AfterGoodbye),
        (R::PinController, S::Greeted | S::Resetting, E::Begin | E::Send) => return Err(ProtocolError::InHandshake),
        (R::PinController, S::Fresh, E::Begin) => (S::Greeted, A::SendHello),
        (_, state, E::Begin | E::Send) => (state, A::Deliver),
        (_, _, E::Leave) => (S::Leaving, A::SendGoodbye),
        // After the goodbye of either side nothing gets a reply.
        (_, _, E::Goodbye) => (S::PeerLeft, A::ReportLeft),
        (_, S::PeerLeft | S::Leaving, E::Hello | E::Greeting | E::OtherVersion | E::Reset) => (state, A::Consume),
        (_, S::PeerLeft | S::Leaving, _) => (state, A::Deliver),
        // The media controller.
        (R::MediaController, state, E::Hello | E::Greeting) => (state, A::ReplyHello),
        (R::MediaController, state, E::OtherVersion) => (state, A::RejectVersion),
        (R::MediaController, S::Fresh, E::Reset) => (S::Open, A::Subscribe),
        (R::MediaController, state, E::Reset) => (state, A::CompleteReset),
        (R::MediaController, state, E::Unknown) => (state, A::RejectCommand),
        (R::MediaController, state, E::Malformed) => (state, A::RejectLine),
        // The pin controller. As MPF it accepts a reply in any version.
        (R::PinController, S::Greeted, E::Hello) => (S::Resetting, A::SendReset),
        (R::PinController, S::Greeted, E::Greeting) => (S::Open, A::Ready),
        (R::PinController, S::Greeted, E::OtherVersion) => (S::Resetting, A::SendResetWithNote),
        (R::PinController, S::Greeted, E::Refusal) => (S::Refused, A::ReportRefusal),
        (R::PinController, S::Resetting, E::ResetComplete) => (S::Open, A::Ready),
        // All others: a greeting gets no reply, a reset does.
        (_, state, E::Hello | E::Greeting | E::OtherVersion) => (state, A::Consume),
        (_, state, E::Reset) => (state, A::CompleteReset),
        // An error never gets a reply: two programs that reply to each other would not stop.
        (_, state, E::ResetComplete | E::Refusal | E::Error | E::Known | E::Unknown | E::Malformed) => {
            (state, A::Deliver)
        }
    })
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

/// An error of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerError {
    /// It greeted in this version, which is not accepted. The peer has been told.
    Version(String),
    /// It refused our version; its message.
    VersionRefused(String),
    /// This command is unknown. The peer has been told.
    UnknownCommand(String),
    /// A malformed line.
    Malformed,
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerError::Version(version) => {
                let version = shown(version.as_bytes());
                write!(f, "refused protocol version {version}; --accept-version {version} accepts it")
            }
            PeerError::VersionRefused(message) => {
                write!(f, "protocol version {VERSION} was refused: {}", shown(message.as_bytes()))
            }
            PeerError::UnknownCommand(command) => write!(f, "unknown command {}", shown(command.as_bytes())),
            PeerError::Malformed => write!(f, "malformed line"),
        }
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
    /// An error of the peer.
    PeerError(PeerError),
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
        let action = self.step(Event::Begin)?;
        self.act(action, None, out);
        Ok(())
    }

    /// Notes that a message of ours with this command is about to be sent. A `goodbye` is our last message.
    ///
    /// # Errors
    /// It must not be sent.
    pub fn send(&mut self, command: &str) -> Result<(), ProtocolError> {
        let event = if command.eq_ignore_ascii_case("goodbye") { Event::Leave } else { Event::Send };
        self.step(event).map(|_| ())
    }

    /// Sends `goodbye`, unless it has been sent.
    pub fn leave(&mut self, out: &mut Vec<u8>) {
        if let Ok(action) = self.step(Event::Leave) {
            self.act(action, None, out);
        }
    }

    /// Receives a message and appends the replies to it: whole lines, for one write.
    pub fn receive(&mut self, message: &Message, out: &mut Vec<u8>) -> ReceiveOutcome {
        match self.step(self.event(message)) {
            Ok(action) => self.act(action, Some(message), out),
            // Only our own events can be an error.
            Err(_) => ReceiveOutcome::Deliver,
        }
    }

    /// Receives a malformed line, empty if it was not kept. A reply repeats only its command.
    pub fn receive_malformed(&mut self, line: &[u8], out: &mut Vec<u8>) -> ReceiveOutcome {
        let command = line_command(line).to_ascii_lowercase();
        let event = if command == "error" { Event::Error } else { Event::Malformed };
        if self.step(event) == Ok(Action::RejectLine) {
            write_error("malformed line", &command, out);
        }
        ReceiveOutcome::PeerError(PeerError::Malformed)
    }

    /// Whether the peer has sent `goodbye`.
    pub fn peer_has_left(&self) -> bool {
        self.state == State::PeerLeft
    }

    fn step(&mut self, event: Event) -> Result<Action, ProtocolError> {
        let (state, action) = transition(self.role, self.state, event)?;
        self.state = state;
        Ok(action)
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
            "error" => Event::Error,
            command if (self.config.is_known)(command) => Event::Known,
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

    fn act(&self, action: Action, received: Option<&Message>, out: &mut Vec<u8>) -> ReceiveOutcome {
        let text = |name: &str| received.map_or_else(String::new, |message| text_of(message, name));
        match action {
            Action::Deliver => return ReceiveOutcome::Deliver,
            Action::Consume => {}
            Action::Ready => return ReceiveOutcome::Ready,
            Action::ReportLeft => return ReceiveOutcome::PeerLeft,
            Action::ReportRefusal => return ReceiveOutcome::PeerError(PeerError::VersionRefused(text("message"))),
            Action::SendHello => write_hello(out),
            Action::SendReset => write_message("reset", &[], out),
            Action::SendResetWithNote => {
                write_message("reset", &[], out);
                return ReceiveOutcome::UnusualVersion(text("version"));
            }
            Action::SendGoodbye => write_message("goodbye", &[], out),
            Action::ReplyHello => write_message("hello", &[("version", VERSION)], out),
            Action::CompleteReset => write_message("reset_complete", &[], out),
            Action::Subscribe => {
                out.extend_from_slice(&self.config.subscriptions);
                write_message("reset_complete", &[], out);
            }
            Action::RejectVersion => {
                write_message("error", &[("message", UNKNOWN_VERSION)], out);
                return ReceiveOutcome::PeerError(PeerError::Version(text("version")));
            }
            Action::RejectCommand => {
                let command = received.map_or_else(String::new, |message| message.command().into_owned());
                write_error("unknown command", &command, out);
                return ReceiveOutcome::PeerError(PeerError::UnknownCommand(command));
            }
            Action::RejectLine => return ReceiveOutcome::PeerError(PeerError::Malformed),
        }
        ReceiveOutcome::Consumed
    }
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
