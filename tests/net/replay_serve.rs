//! `backbox replay --serve`: it plays the recorded server to a client.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::*;

const TALK: &str = "#backbox-session 1\n#@0\nhello?version=1.1\n#@0.01\n#<hello?version=1.1\n#@0.02\nreset\n#@0.03\n\
                    #<reset_complete\n#<f&bytes=3\n#=YQpi\n#@0.04\ngoodbye\n";

/// Starts `replay --serve` with this session and returns its address.
fn serve(text: &str, arguments: &[&str]) -> (Running, SocketAddr) {
    let folder = directory();
    let (file, address) = (folder.join("session.bcp"), folder.join("address"));
    fs::write(&file, text).unwrap();
    let (file, announce) = (file.to_str().unwrap(), address.to_str().unwrap());
    let fixed = ["replay", "--serve", "-a", "127.0.0.1:0", "--announce", announce, file];
    (start(&[&fixed, arguments].concat()), announced(&address))
}

#[test]
fn line_leaves_when_what_was_sent_before_it_has_arrived() {
    let (serving, address) = serve(TALK, &[]);
    let mut peer = connect(address);
    // Another order of parameters and another form of the same value count as equal.
    peer.send(b"HELLO?version=%31.1\n");
    assert_eq!(peer.line(), "hello?version=1.1\n");
    peer.send(b"not_recorded\nreset\n");
    assert_eq!(
        (peer.line(), peer.line(), peer.line()),
        ("reset_complete\n".into(), "f&bytes=3\n".into(), "a\n".into())
    );
    peer.send(b"goodbye\n");
    assert_eq!(peer.rest().unwrap(), "bgoodbye\n");
    drop(peer);
    let ended = serving.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "HELLO?version=%31.1\nnot_recorded\nreset\ngoodbye\n"));
    let messages: Vec<&str> = ended.stderr.lines().collect();
    let first =
        format!("playing the server of session.bcp (3 messages, 0.0 s as recorded) to the first client of {address}");
    assert_eq!(messages[0], first);
    assert!(messages[1].starts_with("replayed 3 messages (46 bytes) of session.bcp in "), "{}", ended.stderr);
    assert!(messages[1].contains("; received 4 messages (47 bytes) from 127.0.0.1:"), "{}", ended.stderr);
    assert!(messages[1].ends_with("; done"), "{}", ended.stderr);
}

#[test]
fn two_replays_of_one_session_play_both_sides() {
    let (serving, address) = serve(TALK, &["--record", directory().join("new").to_str().unwrap()]);
    let file = directory().join("session.bcp");
    fs::write(&file, TALK).unwrap();
    let played = run(&["replay", "-a", &address.to_string(), file.to_str().unwrap()]);
    assert_eq!(
        (played.code, played.stdout.as_str()),
        (Some(0), "hello?version=1.1\nreset_complete\nf&bytes=3\na\nbgoodbye\n")
    );
    assert_eq!(serving.finish().code, Some(0));
}

#[test]
fn missing_request_is_waited_for_until_the_reply_timeout() {
    let (serving, address) = serve(TALK, &["--reply-timeout", "0.2"]);
    let mut peer = connect(address);
    let begin = Instant::now();
    assert_eq!(peer.line(), "hello?version=1.1\n");
    assert!(begin.elapsed() > Duration::from_millis(180), "{:?}", begin.elapsed());
    assert_eq!(peer.rest().unwrap(), "reset_complete\nf&bytes=3\na\nbgoodbye\n");
    drop(peer);
    assert_eq!(serving.finish().code, Some(0));
}

#[test]
fn only_the_first_client_is_served_and_one_that_leaves_early_is_3() {
    let (serving, address) = serve(TALK, &[]);
    let first = connect(address);
    // No other client is accepted.
    let end = Instant::now() + TIME_LIMIT;
    while TcpListener::bind(address).is_err() {
        assert!(Instant::now() < end, "it still listens");
    }
    drop(first);
    let ended = serving.finish();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("; closed by the client\n"), "{}", ended.stderr);
}

#[test]
fn waiting_for_a_client_ends_with_a_signal_or_the_time() {
    let (serving, _) = serve(TALK, &[]);
    serving.await_handlers();
    serving.signal(Signal::INT);
    assert_eq!(serving.finish().code, Some(130));
    let (serving, _) = serve(TALK, &["-W", "0.1"]);
    let ended = serving.finish();
    assert_eq!(ended.code, Some(124), "{}", ended.stderr);
    let why = "timed out after 0.1 s waiting for the last message to be sent (see --timeout)\n";
    assert!(ended.stderr.ends_with(why), "{}", ended.stderr);
}

#[test]
fn session_without_a_line_of_the_server_and_a_port_in_use_are_reported() {
    let file = directory().join("session.bcp");
    fs::write(&file, "#backbox-session 1\n#@0\na\n").unwrap();
    let ended = run(&["replay", "--serve", file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("nothing for --serve to play: the server sent no line"), "{}", ended.stderr);
    fs::write(&file, TALK).unwrap();
    let other = server();
    let ended = run(&["replay", "--serve", "-a", &other.address, file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains(&format!("cannot listen on {}: ", other.address)), "{}", ended.stderr);
}

#[test]
fn options_that_exclude_each_other_are_refused_with_a_reason() {
    for (arguments, complaint) in [
        (&["--serve", "--loopback", GAME][..], "--serve cannot be used together: one plays to a media controller"),
        (&["--serve", "--retry", "1", GAME], "--serve waits for one client"),
        (&["--serve", "--repeat", "2", GAME], "--serve and --repeat cannot be used together: "),
        (&["--announce", "x", GAME], "--announce needs --serve: "),
        (&["--reply-timeout", "1", GAME], "--reply-timeout needs --check, --update or --serve: "),
    ] {
        let ended = run(&[&["replay"], arguments].concat());
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(complaint), "{}", ended.stderr);
    }
}
