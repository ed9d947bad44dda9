//! How two programs that speak BCP behave to each other: handshake, reset, goodbye, unknown commands (design.md,
//! section 1).
//!
//! In: what is out when, by both sides, in three roles; what is the peer's fault and what is our own mistake. Out:
//! sockets, clocks and bytes that are no message yet. A conversation is told what was heard and appends what is to be
//! out.
//!
//! All transitions stand in one table, `transition`. The states, and what moves between them (`<` heard, `>` out):
//!
//! ```text
//!  media controller        Fresh --< reset / > subscriptions, reset_complete--> Open
//!  pin controller          Fresh --> hello--> Greeted --< hello / > reset--> Resetting --< reset_complete--> Open
//!                                             Greeted --< hello with controller_name--> Open
//!                                             Greeted --< error?message=unknown protocol version--> Refused
//!  client                  Open
//!  everyone                any state but Left --> goodbye--> Leaving
//!                          any state          --< goodbye--> Left
//! ```
//!
//! A whole conversation, both sides joined in memory:
//!
//! ```
//! use backbox::bcp::{Message, ParseOptions};
//! use backbox::bcp::conversation::{Conversation, ReceiveOutcome, ConversationConfig, Role};
//!
//! let mut pin = Conversation::new(Role::PinController, ConversationConfig::default());
//! let config = ConversationConfig { subscriptions: b"monitor_start?category=modes\n".to_vec(), ..ConversationConfig::default() };
//! let mut media = Conversation::new(Role::MediaController, config);
//! let hear = |who: &mut Conversation, out: &[u8]| {
//!     let mut answer = Vec::new();
//!     let effects: Vec<ReceiveOutcome> = out.split(|&b| b == b'\n').filter(|line| !line.is_empty()).map(|line| {
//!         let mut parts = Message::new();
//!         parts.parse_line(line, &ParseOptions::default()).unwrap();
//!         who.receive(&parts, &mut answer)
//!     }).collect();
//!     (answer, effects)
//! };
//! let mut hello = Vec::new();
//! pin.open(&mut hello).unwrap();
//! assert!(hello.starts_with(b"hello?version=1.1&controller_name=backbox&controller_version="));
//! let (answer, _) = hear(&mut media, &hello);
//! assert_eq!(answer, b"hello?version=1.1\n");
//! let (reset, _) = hear(&mut pin, &answer);
//! assert_eq!(reset, b"reset\n");
//! let (answer, _) = hear(&mut media, &reset);
//! assert_eq!(answer, b"monitor_start?category=modes\nreset_complete\n");
//! let (nothing, effects) = hear(&mut pin, &answer);
//! assert_eq!((nothing, effects), (vec![], vec![ReceiveOutcome::Deliver, ReceiveOutcome::Ready]));
//! ```

use std::fmt;

use super::pattern::Pattern;
use crate::bcp::{DuplicatePolicy, Message, WriteOptions, write_line};
use crate::text::{shown, trim};

/// The version that we say (MPF says the same).
const VERSION: &str = "1.1";

/// What a media controller says of a version that it does not speak.
const UNKNOWN_VERSION: &str = "unknown protocol version";

/// How much of a command an error repeats, in bytes: an answer must not be a way to have us say anything.
const REPEATED_BYTES_MAX: usize = 100;

/// Which part we play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Answers `hello` and `reset`, subscribes, and answers commands that it does not know.
    MediaController,
    /// Says `hello`, then `reset`.
    PinController,
    /// Joins without a handshake, as MPF's own service client does; answers a `reset` that comes.
    Client,
}

/// What a conversation is told at its start.
#[derive(Clone, Debug)]
pub struct ConversationConfig {
    /// The lines, each with its LF, that a media controller says to the first `reset`, before `reset_complete`: what is
    /// subscribed to after it comes at a random time.
    pub subscriptions: Vec<u8>,
    /// Which commands are known; only a media controller answers others.
    pub is_known: fn(&str) -> bool,
    /// What a `hello` has to look like, instead of naming version 1, 1.x or none.
    pub accept_version: Option<Pattern>,
}

impl Default for ConversationConfig {
    /// No subscriptions, and every command is known.
    fn default() -> ConversationConfig {
        ConversationConfig { subscriptions: Vec::new(), is_known: |_| true, accept_version: None }
    }
}

/// Where a conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has been out that matters.
    Fresh,
    /// We have out hello and wait for the answer.
    Greeted,
    /// We have out reset and wait for its completion.
    Resetting,
    /// Commands pass in both directions.
    Open,
    /// The peer does not speak our version.
    Refused,
    /// We have out goodbye: nothing goes after it.
    Leaving,
    /// The peer has out goodbye.
    Left,
}

/// What moves a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    // Ours.
    /// The connection is there.
    Begin,
    /// We want to say a command that is none of the conversation's own.
    Say,
    /// We want to say goodbye.
    Leave,
    // The peer's.
    /// A hello in a version that we speak, or in none.
    Hello,
    /// The same with `controller_name`: a pin controller greets, it does not answer.
    Greeting,
    /// A hello in another version.
    WrongHello,
    Reset,
    ResetComplete,
    Goodbye,
    /// An error that says that our version is unknown.
    Refusal,
    Error,
    /// Any other command that we know.
    Known,
    /// A command that we do not know.
    Unknown,
    /// A line that is no message.
    Malformed,
}

/// What is out in answer, and what the caller learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Nothing; the message is the caller's.
    Pass,
    /// Nothing; the message was the conversation's business.
    Deal,
    SayHello,
    SayReset,
    /// The same, after a hello in a version that is not ours.
    ResetUnusual,
    SayGoodbye,
    AnswerHello,
    RefuseVersion,
    Subscribe,
    Complete,
    RefuseCommand,
    RefuseLine,
    /// The handshake is done.
    Ready,
    /// The peer refuses our version.
    Refused,
    /// The peer leaves.
    Left,
}

/// The one table: what happens in a state, and which state comes of it.
///
/// # Errors
/// What we must not do; the peer may do anything.
fn transition(role: Role, state: State, event: Event) -> Result<(State, Act), ProtocolError> {
    use {Act as A, Event as E, Role as R, State as S};
    Ok(match (role, state, event) {
        // Ours: a goodbye is the last word, and a handshake that has begun is waited for.
        (_, S::Leaving, E::Begin | E::Say | E::Leave) => return Err(ProtocolError::AfterGoodbye),
        (R::PinController, S::Greeted | S::Resetting, E::Begin | E::Say) => return Err(ProtocolError::InHandshake),
        (R::PinController, S::Fresh, E::Begin) => (S::Greeted, A::SayHello),
        (_, state, E::Begin | E::Say) => (state, A::Pass),
        (_, _, E::Leave) => (S::Leaving, A::SayGoodbye),
        // The peer's goodbye ends it, and what it says behind it is heard and not answered.
        (_, _, E::Goodbye) => (S::Left, A::Left),
        (_, S::Left | S::Leaving, E::Hello | E::Greeting | E::WrongHello | E::Reset) => (state, A::Deal),
        (_, S::Left | S::Leaving, _) => (state, A::Pass),
        // The media controller.
        (R::MediaController, state, E::Hello | E::Greeting) => (state, A::AnswerHello),
        (R::MediaController, state, E::WrongHello) => (state, A::RefuseVersion),
        (R::MediaController, S::Fresh, E::Reset) => (S::Open, A::Subscribe),
        (R::MediaController, state, E::Reset) => (state, A::Complete),
        (R::MediaController, state, E::Unknown) => (state, A::RefuseCommand),
        (R::MediaController, state, E::Malformed) => (state, A::RefuseLine),
        // The pin controller.
        (R::PinController, S::Greeted, E::Hello) => (S::Resetting, A::SayReset),
        (R::PinController, S::Greeted, E::Greeting) => (S::Open, A::Ready),
        (R::PinController, S::Greeted, E::WrongHello) => (S::Resetting, A::ResetUnusual),
        (R::PinController, S::Greeted, E::Refusal) => (S::Refused, A::Refused),
        (R::PinController, S::Resetting, E::ResetComplete) => (S::Open, A::Ready),
        // Everybody who is no media controller: a greeting is not answered, a reset is.
        (_, state, E::Hello | E::Greeting | E::WrongHello) => (state, A::Deal),
        (_, state, E::Reset) => (state, A::Complete),
        // An error is never answered: two programs that do would not stop.
        (_, state, E::ResetComplete | E::Refusal | E::Error | E::Known | E::Unknown | E::Malformed) => (state, A::Pass),
    })
}

/// Our own mistake: something that must not be out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// Lines behind a goodbye are still executed by some peers, and by others not.
    AfterGoodbye,
    /// The answer to our hello or reset is still to come.
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

/// The peer's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerError {
    /// It greeted in a version that we do not speak; we have told it so.
    Version(String),
    /// It does not speak our version; what it out.
    VersionRefused(String),
    /// A command that we do not know; we have told it so.
    UnknownCommand(String),
    /// A line that is no message.
    Malformed,
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerError::Version(version) => {
                let version = shown(version.as_bytes());
                write!(f, "refused protocol version {version}; --accept-version {version} accepts it")
            }
            PeerError::VersionRefused(out) => {
                write!(f, "protocol version {VERSION} was refused: {}", shown(out.as_bytes()))
            }
            PeerError::UnknownCommand(command) => write!(f, "unknown command {}", shown(command.as_bytes())),
            PeerError::Malformed => write!(f, "malformed line"),
        }
    }
}

/// What hearing a message led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveOutcome {
    /// The message is for the caller.
    Deliver,
    /// The message was the conversation's own business.
    Consumed,
    /// The peer's `hello` names a version that is not `1` or `1.*`. It is accepted, as MPF does; worth a note.
    UnusualVersion(String),
    /// The handshake that we began is done.
    Ready,
    /// The peer has out goodbye.
    PeerLeft,
    /// Something is wrong with the peer, which has been told where it is to be told.
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
    /// A conversation over a connection that has just been made.
    pub fn new(role: Role, config: ConversationConfig) -> Conversation {
        let state = match role {
            Role::Client => State::Open,
            Role::MediaController | Role::PinController => State::Fresh,
        };
        Conversation { role, config, state }
    }

    /// Begins: a pin controller says hello, the others nothing.
    ///
    /// # Errors
    /// It has begun already.
    pub fn open(&mut self, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
        let act = self.step(Event::Begin)?;
        self.act(act, None, out);
        Ok(())
    }

    /// Asks whether a message of ours with this command may go out now; a goodbye counts as our last word.
    ///
    /// # Errors
    /// It must not go out.
    pub fn send(&mut self, command: &str) -> Result<(), ProtocolError> {
        let event = if command.eq_ignore_ascii_case("goodbye") { Event::Leave } else { Event::Say };
        self.step(event).map(|_| ())
    }

    /// Says goodbye, if it has not been out.
    pub fn leave(&mut self, out: &mut Vec<u8>) {
        if let Ok(act) = self.step(Event::Leave) {
            self.act(act, None, out);
        }
    }

    /// Hears one message and appends the answer to it, if there is one: whole lines, to go out in one write.
    pub fn receive(&mut self, message: &Message, out: &mut Vec<u8>) -> ReceiveOutcome {
        let event = self.event(message);
        match self.step(event) {
            Ok(act) => self.act(act, Some(message), out),
            // Only our own events are refused.
            Err(_) => ReceiveOutcome::Deliver,
        }
    }

    /// Hears a line that is no message, empty where it was not kept. What stands before its `?` is all that an answer
    /// repeats.
    pub fn receive_malformed(&mut self, line: &[u8], out: &mut Vec<u8>) -> ReceiveOutcome {
        let command = line.split(|&b| b == b'?').next().unwrap_or_default();
        let command = String::from_utf8_lossy(trim(command)).to_ascii_lowercase();
        let event = if command == "error" { Event::Error } else { Event::Malformed };
        if self.step(event) == Ok(Act::RefuseLine) {
            answer("malformed line", &command, out);
        }
        ReceiveOutcome::PeerError(PeerError::Malformed)
    }

    /// Whether the peer has out goodbye.
    pub fn peer_has_left(&self) -> bool {
        self.state == State::Left
    }

    fn step(&mut self, event: Event) -> Result<Act, ProtocolError> {
        let (state, act) = transition(self.role, self.state, event)?;
        self.state = state;
        Ok(act)
    }

    fn event(&self, message: &Message) -> Event {
        match &*message.command() {
            "hello" if !self.speaks_our_version(message) => Event::WrongHello,
            "hello" if message.find("controller_name").is_some() => Event::Greeting,
            "hello" => Event::Hello,
            "reset" => Event::Reset,
            "reset_complete" => Event::ResetComplete,
            "goodbye" => Event::Goodbye,
            "error" => match message.find("message") {
                Some(text) if text.text() == UNKNOWN_VERSION => Event::Refusal,
                _ => Event::Error,
            },
            command if (self.config.is_known)(command) => Event::Known,
            _ => Event::Unknown,
        }
    }

    /// Whether a hello names a version that we speak, or none, as some peers' do.
    fn speaks_our_version(&self, hello: &Message) -> bool {
        if let Some(accepted) = &self.config.accept_version {
            return accepted.matches(hello, None);
        }
        hello.find("version").is_none_or(|version| {
            let version = version.text();
            version == "1" || version.starts_with("1.")
        })
    }

    fn act(&self, act: Act, heard: Option<&Message>, out: &mut Vec<u8>) -> ReceiveOutcome {
        match act {
            Act::Pass => return ReceiveOutcome::Deliver,
            Act::Deal => {}
            Act::Ready => return ReceiveOutcome::Ready,
            Act::Left => return ReceiveOutcome::PeerLeft,
            Act::SayHello => write_hello(out),
            Act::SayReset => write_message("reset", &[], out),
            Act::ResetUnusual => {
                write_message("reset", &[], out);
                return ReceiveOutcome::UnusualVersion(parameter(heard, "version"));
            }
            Act::SayGoodbye => write_message("goodbye", &[], out),
            Act::AnswerHello => write_message("hello", &[("version", VERSION)], out),
            Act::Complete => write_message("reset_complete", &[], out),
            Act::Subscribe => {
                out.extend_from_slice(&self.config.subscriptions);
                write_message("reset_complete", &[], out);
            }
            Act::RefuseVersion => {
                write_message("error", &[("message", UNKNOWN_VERSION)], out);
                return ReceiveOutcome::PeerError(PeerError::Version(parameter(heard, "version")));
            }
            Act::Refused => {
                let out = [parameter(heard, "message"), parameter(heard, "version")].concat();
                return ReceiveOutcome::PeerError(PeerError::VersionRefused(out));
            }
            Act::RefuseCommand => {
                let command = heard.map(|message| message.command().into_owned()).unwrap_or_default();
                answer("unknown command", &command, out);
                return ReceiveOutcome::PeerError(PeerError::UnknownCommand(command));
            }
            Act::RefuseLine => return ReceiveOutcome::PeerError(PeerError::Malformed),
        }
        ReceiveOutcome::Consumed
    }
}

/// Appends the `hello` of a pin controller, which is also how one greets whoever dials it.
pub fn write_hello(out: &mut Vec<u8>) {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    write_message("hello", &[("version", VERSION), ("controller_name", name), ("controller_version", version)], out);
}

fn parameter(message: Option<&Message>, name: &str) -> String {
    message.and_then(|message| message.find(name)).map(|value| value.text().into_owned()).unwrap_or_default()
}

/// An error that names the command it is about, cut to [`REPEATED_BYTES_MAX`].
fn answer(message: &str, command: &str, out: &mut Vec<u8>) {
    let mut end = command.len().min(REPEATED_BYTES_MAX);
    while !command.is_char_boundary(end) {
        end -= 1;
    }
    match command.get(..end) {
        None | Some("") => write_message("error", &[("message", message)], out),
        Some(command) => write_message("error", &[("message", message), ("command", command)], out),
    }
}

/// Appends one message of texts in its canonical form, with its LF.
pub fn write_message(command: &str, parameters: &[(&str, &str)], out: &mut Vec<u8>) {
    let mut parts = Message::new();
    parts.begin(command.as_bytes());
    for (name, text) in parameters {
        parts.push_text(name.as_bytes(), text.as_bytes(), true);
    }
    // Neither step can fail: commands are ours, a name stands once, and nothing that we say is near a limit.
    if parts
        .dedup(DuplicatePolicy::FirstWins)
        .and_then(|()| write_line(&parts, None, &WriteOptions::default(), out))
        .is_ok()
    {
        out.push(b'\n');
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
