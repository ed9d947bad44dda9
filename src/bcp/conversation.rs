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
#[derive(Clone, Debug, Default)]
pub struct ConversationConfig {
    /// The lines, each with its LF, that a media controller sends before its first `reset_complete`. What is subscribed
    /// to later is reported at a random time.
    pub subscriptions: Vec<u8>,
    /// Whether a command is known, which every one is by default. A media controller replies to others with an `error`.
    pub is_known: Option<fn(&str) -> bool>,
    /// The pattern of an accepted `hello`; `None` accepts version 1, 1.x and none.
    pub accept_version: Option<Pattern>,
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
            "error" => Event::Other,
            command if self.config.is_known.is_some_and(|is_known| !is_known(command)) => Event::Unknown,
            _ => Event::Other,
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
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;

    const ROLES: [Role; 3] = [Role::MediaController, Role::PinController, Role::Client];
    const STATES: [State; 7] =
        [State::Fresh, State::Greeted, State::Resetting, State::Open, State::Refused, State::Leaving, State::PeerLeft];
    /// A line for each event.
    const LINES: [&str; 11] = [
        "hello?version=1",
        "hello?version=1.1&controller_name=MPF",
        "hello?version=2",
        "reset",
        "reset_complete",
        "goodbye",
        "error?message=unknown protocol version",
        "error?message=unknown command",
        "trigger?name=x",
        "nosuch",
        "trigger?n=int:x",
    ];

    fn side(role: Role) -> Conversation {
        let subscriptions = b"monitor_start?category=modes\nregister_trigger?event=x\n".to_vec();
        Conversation::new(
            role,
            ConversationConfig {
                subscriptions,
                is_known: Some(crate::catalogue::knows),
                ..ConversationConfig::default()
            },
        )
    }

    fn receive(side: &mut Conversation, line: &str) -> (ReceiveOutcome, String) {
        let (mut message, mut sent) = (Message::new(), Vec::new());
        let outcome = match message.parse_line(line.as_bytes(), &ParseOptions::default()) {
            Ok(()) => side.receive(&message, &mut sent),
            Err(_) => {
                side.receive_malformed(line.as_bytes(), &mut sent);
                ReceiveOutcome::Deliver
            }
        };
        (outcome, String::from_utf8(sent).unwrap())
    }

    #[track_caller]
    fn check(side: &mut Conversation, line: &str, outcome: ReceiveOutcome, sent: &str) {
        assert_eq!(receive(side, line), (outcome, sent.to_owned()), "{line}");
    }

    /// The lines that both sides send, in order, until neither sends anything.
    fn joined(one: &mut Conversation, other: &mut Conversation) -> Vec<String> {
        let (mut log, mut sent) = (Vec::new(), Vec::new());
        one.open(&mut sent).unwrap();
        let mut waiting = String::from_utf8(sent).unwrap();
        let mut sides = [other, one];
        while !waiting.is_empty() {
            assert!(log.len() < 50, "the replies do not stop: {log:?}");
            let mut replies = String::new();
            for line in waiting.lines() {
                log.push(line.to_owned());
                replies.push_str(&receive(sides[0], line).1);
            }
            waiting = replies;
            sides.reverse();
        }
        log
    }

    #[test]
    fn both_sides_complete_a_handshake() {
        let (mut pin, mut media) = (side(Role::PinController), side(Role::MediaController));
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            joined(&mut pin, &mut media),
            [
                &format!("hello?version=1.1&controller_name=backbox&controller_version={version}"),
                "hello?version=1.1",
                "reset",
                "monitor_start?category=modes",
                "register_trigger?event=x",
                "reset_complete",
            ]
        );
    }

    #[test]
    fn two_sides_with_the_same_role_do_not_reply_endlessly() {
        for (one, other) in ROLES.into_iter().flat_map(|one| ROLES.map(|other| (one, other))) {
            let (mut first, mut second) = (side(one), side(other));
            joined(&mut first, &mut second);
            // Nothing may follow an error that one side sends.
            let mut line = "nosuch".to_owned();
            for turn in 0.. {
                let (_, sent) = receive(if turn % 2 == 0 { &mut first } else { &mut second }, &line);
                let Some(next) = sent.lines().next() else { break };
                line = next.to_owned();
                assert!(turn < 3, "{one:?} and {other:?} reply to each other endlessly");
            }
        }
    }

    #[test]
    fn media_controller_accepts_version_one_and_refuses_others() {
        let mut media = side(Role::MediaController);
        for version in ["1", "1.x", "1.0", "1.1", "float:1.1", "int:1"] {
            check(&mut media, &format!("hello?version={version}"), ReceiveOutcome::Consumed, "hello?version=1.1\n");
        }
        check(&mut media, "hello", ReceiveOutcome::Consumed, "hello?version=1.1\n");
        for version in ["", "2.0", "21", "11", "one"] {
            let refusal = "error?message=unknown%20protocol%20version\n";
            let error = format!("refused protocol version {version}; --accept-version {version} accepts it");
            check(&mut media, &format!("hello?version={version}"), ReceiveOutcome::RejectedVersion(error), refusal);
        }
        let (outcome, _) = receive(&mut media, "hello?version=2%1b");
        let error = "refused protocol version 2\\x1b; --accept-version 2\\x1b accepts it";
        assert_eq!(outcome, ReceiveOutcome::RejectedVersion(error.to_owned()));
    }

    #[test]
    fn only_the_first_reset_subscribes() {
        let mut media = side(Role::MediaController);
        let all = "monitor_start?category=modes\nregister_trigger?event=x\nreset_complete\n";
        check(&mut media, "reset", ReceiveOutcome::Consumed, all);
        check(&mut media, "reset", ReceiveOutcome::Consumed, "reset_complete\n");
    }

    #[test]
    fn only_a_media_controller_replies_to_an_unknown_command() {
        for (command, sent) in [
            ("nosuch?a=1", "error?message=unknown%20command&command=nosuch\n"),
            ("no such", "error?message=unknown%20command&command=no%20such\n"),
            ("100%", "error?json={\"message\": \"unknown command\", \"command\": \"100\\u0025\"}\n"),
        ] {
            check(&mut side(Role::MediaController), command, ReceiveOutcome::RejectedCommand, sent);
            check(&mut side(Role::Client), command, ReceiveOutcome::Deliver, "");
            check(&mut side(Role::PinController), command, ReceiveOutcome::Deliver, "");
        }
        check(&mut side(Role::MediaController), "trigger?name=x", ReceiveOutcome::Deliver, "");
    }

    #[test]
    fn reply_repeats_at_most_100_bytes_of_a_command() {
        let long = "é".repeat(80);
        let (_, sent) = receive(&mut side(Role::MediaController), &format!("{long}?secret=1"));
        assert_eq!(sent, format!("error?message=unknown%20command&command={}\n", "%C3%A9".repeat(50)));
        let (_, sent) = receive(&mut side(Role::MediaController), "Trigger ?name=int:secret");
        assert_eq!(sent, "error?message=malformed%20line&command=trigger\n");
    }

    #[test]
    fn error_gets_no_reply() {
        let mut media = side(Role::MediaController);
        check(&mut media, "error?message=unknown command&command=hello", ReceiveOutcome::Deliver, "");
        check(&mut media, "error?message=unknown protocol version", ReceiveOutcome::Deliver, "");
        check(&mut media, "error?n=int:x", ReceiveOutcome::Deliver, "");
        for (role, state) in ROLES.into_iter().flat_map(|role| STATES.map(|state| (role, state))) {
            let mut one = Conversation { state, ..side(role) };
            check(&mut one, "error?message=unknown command", ReceiveOutcome::Deliver, "");
            assert_eq!(one.state, state, "{role:?}");
        }
    }

    #[test]
    fn nothing_is_sent_after_a_goodbye_of_either_side() {
        for role in ROLES {
            for (line, state) in LINES.into_iter().flat_map(|line| [(line, State::PeerLeft), (line, State::Leaving)]) {
                let mut one = Conversation { state, ..side(role) };
                let (outcome, sent) = receive(&mut one, line);
                let expected = [ReceiveOutcome::Deliver, ReceiveOutcome::Consumed, ReceiveOutcome::PeerLeft];
                assert!(expected.contains(&outcome) && sent.is_empty(), "{role:?} {state:?} {line}");
                assert!(one.state == State::PeerLeft || one.state == state);
            }
            let mut one = side(role);
            let mut sent = Vec::new();
            one.leave(&mut sent);
            one.leave(&mut sent);
            assert_eq!(sent, b"goodbye\n", "{role:?}");
            assert_eq!(one.send("trigger"), Err(ProtocolError::AfterGoodbye));
            assert!(!one.peer_has_left());
            check(&mut one, "goodbye", ReceiveOutcome::PeerLeft, "");
            assert!(one.peer_has_left());
        }
    }

    #[test]
    fn client_replies_to_a_reset_and_not_to_a_greeting() {
        let mut client = side(Role::Client);
        check(&mut client, "hello?version=1.1&controller_name=MPF", ReceiveOutcome::Consumed, "");
        check(&mut client, "reset", ReceiveOutcome::Consumed, "reset_complete\n");
        assert_eq!(client.send("trigger"), Ok(()));
        assert_eq!(client.send("goodbye"), Ok(()));
        assert_eq!(client.send("trigger"), Err(ProtocolError::AfterGoodbye));
        let mut sent = Vec::new();
        client.leave(&mut sent);
        assert_eq!(sent, b"", "the goodbye of the stream is the one");
    }

    #[test]
    fn only_an_error_refuses_a_pin_controller() {
        let begun = || {
            let mut pin = side(Role::PinController);
            pin.open(&mut Vec::new()).unwrap();
            pin
        };
        let refused = ReceiveOutcome::Refused("protocol version 1.1 was refused: unknown protocol version".to_owned());
        check(&mut begun(), "error?message=unknown%20protocol%20version", refused, "");
        check(&mut begun(), "hello?version=21", ReceiveOutcome::UnusualVersion("21".into()), "reset\n");
        check(&mut begun(), "hello?version=1.1&controller_name=MPF", ReceiveOutcome::Ready, "");
        let mut pin = begun();
        assert_eq!(pin.send("trigger"), Err(ProtocolError::InHandshake));
        assert_eq!(pin.open(&mut Vec::new()), Err(ProtocolError::InHandshake));
        check(&mut pin, "hello", ReceiveOutcome::Consumed, "reset\n");
        check(&mut pin, "trigger?name=early", ReceiveOutcome::Deliver, "");
        check(&mut pin, "reset_complete", ReceiveOutcome::Ready, "");
        assert_eq!(pin.send("trigger"), Ok(()));
    }

    #[test]
    fn each_mistake_of_ours_has_a_message() {
        assert_eq!(ProtocolError::AfterGoodbye.to_string(), "nothing is sent after a goodbye");
        assert_eq!(ProtocolError::InHandshake.to_string(), "nothing is sent before the handshake is done");
    }
}
