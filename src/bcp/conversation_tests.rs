//! Tests of conversations without a socket: one side, both sides connected in memory, and each state and event.

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
        ConversationConfig { subscriptions, is_known: crate::catalogue::knows, ..ConversationConfig::default() },
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
