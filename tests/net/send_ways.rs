//! `backbox send`: handshake, payload, repetition, interval, reconnection.

use std::time::{Duration, Instant};

use crate::harness::*;

fn hello() -> String {
    format!("hello?version=1.1&controller_name=backbox&controller_version={}\n", env!("CARGO_PKG_VERSION"))
}

#[test]
fn hello_alone_probes_a_media_controller() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "--hello"]);
    let mut peer = server.accept();
    assert_eq!(peer.line(), hello());
    peer.send(b"hello?version=1.1\n");
    assert_eq!(peer.line(), "reset\n");
    peer.send(b"monitor_start?category=modes\nreset_complete\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = sending.finish();
    let expected = (Some(0), "monitor_start?category=modes\n", "");
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), expected);
}

#[test]
fn hello_and_listen_understand_each_other() {
    let listening = listen(&["--once", "--monitor", "none"]);
    let ended = run(&["send", "-a", &listening.address.to_string(), "--hello", "trigger", "name=x"]);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
    let listened = listening.running.finish().stdout;
    assert_eq!(listened, format!("{}reset\ntrigger?name=x\ngoodbye\n", hello()));
}

#[test]
fn greeting_of_a_pin_controller_counts_as_the_reply() {
    let server = server();
    let mut sending = start_with_input(&["send", "-a", &server.address, "--hello", "-"]);
    sending.write(b"a\n");
    sending.stdin = None;
    let mut peer = server.accept();
    assert_eq!(peer.line(), hello());
    peer.send(b"hello?version=1.1&controller_name=Mission%20Pinball%20Framework\n");
    assert_eq!(peer.rest().unwrap(), "a\ngoodbye\n");
    drop(peer);
    assert_eq!(sending.finish().code, Some(0));
}

#[test]
fn refused_version_is_4_and_nothing_is_sent() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "--hello", "a?"]);
    let mut peer = server.accept();
    assert_eq!(peer.line(), hello());
    peer.send(b"error?message=unknown%20protocol%20version\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = sending.finish();
    assert_eq!(ended.code, Some(4));
    assert_eq!(ended.stderr.matches("protocol version 1.1 was refused").count(), 1, "{}", ended.stderr);
}

#[test]
fn handshake_without_reply_is_124_and_an_interrupted_one_is_reported() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "--hello", "-W", "50ms", "a?"]);
    let mut peer = server.accept();
    assert_eq!(peer.rest().unwrap(), format!("{}goodbye\n", hello()));
    let ended = sending.finish();
    assert_eq!(ended.code, Some(124));
    assert!(ended.stderr.contains("timed out after 0.05 s waiting for the handshake"), "{}", ended.stderr);
    let sending = start(&["send", "-a", &server.address, "--hello", "a?"]);
    let mut peer = server.accept();
    assert_eq!(peer.line(), hello());
    peer.reset();
    assert_eq!(sending.finish().code, Some(3));
}

#[test]
fn payload_comes_from_a_file() {
    let (server, file) = (server(), directory().join("frame"));
    std::fs::write(&file, b"\n\x00#\n").unwrap();
    for words in [&["dmd_frame", "name=x"][..], &["dmd_frame?name=x"]] {
        let mut all = vec!["send", "-a", &server.address, "-b", file.to_str().unwrap()];
        all.extend(words);
        let sending = start(&all);
        let mut peer = server.accept();
        assert_eq!(peer.rest().unwrap(), "dmd_frame?name=x&bytes=4\n\n\0#\ngoodbye\n");
        drop(peer);
        assert_eq!(sending.finish().code, Some(0));
    }
    let missing = run(&["send", "-a", &server.address, "-b", "no-such-file", "dmd_frame"]);
    assert_eq!(missing.code, Some(3));
}

#[test]
fn limits_apply_to_sent_and_received_messages() {
    let (server, file) = (server(), directory().join("frame"));
    std::fs::write(&file, b"abc").unwrap();
    let file = file.to_str().unwrap();
    let limits = ["send", "-a", &server.address, "--max-line", "16", "--max-payload", "2"];
    for (words, code, complaint) in [
        (&["trigger?name=12345"][..], 2, "line over 16 bytes; --max-line allows more"),
        (&["trigger", "name=12345"], 2, "longer than 16 bytes"),
        (&["f?x=1", "-b", file], 1, "frame: over 2 bytes; --max-payload allows more"),
    ] {
        let ended = run(&[&limits, words].concat());
        assert_eq!(ended.code, Some(code), "{words:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(complaint), "{words:?}: {}", ended.stderr);
    }
    let mut sending = start_with_input(&limits);
    sending.write(
        b"trigger?name=1234\n{\"command\":\"a\",\"bytes\":\"aGk=\"}\n{\"command\":\"b\",\"bytes\":\"YWJj\"}\nlast\n",
    );
    sending.stdin = None;
    let mut peer = server.accept();
    assert_eq!(peer.rest().unwrap(), "a&bytes=2\nhilast\ngoodbye\n");
    peer.send(b"0123456789abcdefg\nshort\nf&bytes=3\nabc");
    drop(peer);
    let ended = sending.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), "short\n"), "{}", ended.stderr);
    for complaint in ["<stdin>:1: ", "<stdin>:3: ", "line 1: line over 16 bytes", "payload over 2 bytes"] {
        assert_eq!(ended.stderr.matches(complaint).count(), 1, "{complaint} in {}", ended.stderr);
    }
}

#[test]
fn each_repetition_of_a_message_is_sent() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "--repeat", "100000", "trigger", "name=x"]);
    let mut peer = server.accept();
    let received = peer.rest().unwrap();
    assert!(
        received == format!("{}goodbye\n", "trigger?name=x\n".repeat(100_000)),
        "{} bytes received",
        received.len()
    );
    drop(peer);
    assert_eq!(sending.finish().code, Some(0));
}

#[test]
fn interval_applies_to_repetitions_and_streams() {
    const EVERY: Duration = Duration::from_millis(40);
    let server = server();
    for is_stream in [false, true] {
        let arguments: &[&str] =
            if is_stream { &["--every", "40ms", "-"] } else { &["--every", "40ms", "--repeat", "5", "a?"] };
        let mut all = vec!["send", "-a", &server.address];
        all.extend(arguments);
        let mut sending = start_with_input(&all);
        if is_stream {
            sending.write(&b"a?\n".repeat(5));
            sending.stdin = None;
        }
        let mut peer = server.accept();
        let began = Instant::now();
        for _ in 0..5 {
            assert_eq!(peer.line(), "a?\n");
        }
        assert!(began.elapsed() > EVERY * 3, "{:?}", began.elapsed());
        assert_eq!(peer.rest().unwrap(), "goodbye\n");
        drop(peer);
        assert_eq!(sending.finish().code, Some(0));
    }
}

#[test]
fn without_goodbye_the_connection_is_still_closed() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "--no-goodbye", "a?"]);
    assert_eq!(server.accept().rest().unwrap(), "a?\n");
    assert_eq!(sending.finish().code, Some(0));
    let sending = start(&["send", "-a", &server.address, "goodbye"]);
    assert_eq!(server.accept().rest().unwrap(), "goodbye\n");
    assert_eq!(sending.finish().code, Some(0));
}

#[test]
fn message_that_would_stop_mpf_is_refused_before_connecting_unless_forced() {
    let server = server();
    for (words, refusal) in [
        (
            &["switch", "name=s_start", "state=on"][..],
            "would end MPF 0.81: switch needs state as 0, 1 or -1, got \"on\"",
        ),
        (&["TRIGGER?name=x"], "would be ignored by MPF 0.81"),
        (&["trigger"], "would end MPF 0.81: trigger needs name"),
    ] {
        let mut all = vec!["send", "-a", &server.address];
        all.extend(words);
        let ended = run(&all);
        assert_eq!(ended.code, Some(1), "{words:?}");
        assert!(ended.stderr.starts_with(&format!("backbox send: {refusal}")), "{}", ended.stderr);
        assert!(ended.stderr.ends_with("; --force sends it all the same\n"), "{}", ended.stderr);
    }
    let sending = start(&["send", "-a", &server.address, "--force", "TRIGGER?name=x"]);
    // Only the run with --force connects.
    assert_eq!(server.accept().rest().unwrap(), "TRIGGER?name=x\ngoodbye\n");
    assert_eq!(sending.finish().code, Some(0));
}

#[test]
fn stream_skips_only_the_line_that_would_stop_mpf() {
    let server = server();
    for (flag, sent, code) in [("-q", "a\nb\ngoodbye\n", 1), ("--force", "a\nswitch?name=x&state=on\nb\ngoodbye\n", 0)]
    {
        let mut sending = start_with_input(&["send", "-a", &server.address, flag]);
        sending.write(b"a\nswitch?name=x&state=on\nb\n");
        sending.stdin = None;
        let mut peer = server.accept();
        assert_eq!(peer.rest().unwrap(), sent);
        drop(peer);
        let ended = sending.finish();
        assert_eq!(ended.code, Some(code));
        let refusals = ended.stderr.matches("<stdin>:2: not sent: would end MPF 0.81: switch needs state").count();
        assert_eq!(refusals, usize::from(code == 1), "{}", ended.stderr);
    }
}

#[test]
fn reconnecting_sends_nothing_twice() {
    let server = server();
    let mut sending = start_with_input(&["send", "-q", "-a", &server.address, "--reconnect", "-e", "done"]);
    for line in ["a\n", "b\n"] {
        // Until the loss is noticed, it would write to the lost connection.
        let mut peer = server.accept();
        sending.write(line.as_bytes());
        assert_eq!(peer.line(), line);
        peer.send(b"other\n");
    }
    let mut peer = server.accept();
    sending.write(b"c\n");
    assert_eq!(peer.line(), "c\n");
    sending.stdin = None;
    peer.send(b"done\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = sending.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "done\n"));
    for line in [1, 2] {
        let expected = format!("{}: connection lost after line {line}, which may be lost too", server.address);
        assert_eq!(ended.stderr.matches(&expected).count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn reconnecting_repeats_the_handshake_and_sends_the_message_once() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "--reconnect", "--hello", "-n", "1", "a?"]);
    let mut peer = server.accept();
    assert_eq!(peer.line(), hello());
    peer.reset();
    let mut peer = server.accept();
    assert_eq!(peer.line(), hello());
    peer.send(b"hello?version=1.1&controller_name=x\n");
    assert_eq!(peer.line(), "a?\n");
    peer.send(b"goodbye\n");
    drop(peer);
    let mut peer = server.accept();
    assert_eq!(peer.line(), hello());
    peer.send(b"hello?version=1.1&controller_name=x\nb\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = sending.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "b\n"));
}

#[test]
fn timeout_continues_while_disconnected() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "--reconnect", "-W", "300ms", "-e", "b", "a?"]);
    let mut peer = server.accept();
    assert_eq!(peer.line(), "a?\n");
    server.close();
    drop(peer);
    let ended = sending.finish();
    assert_eq!(ended.code, Some(124), "{}", ended.stderr);
    let sending = start(&["send", "-a", &Server::at("127.0.0.1:0").close(), "--reconnect", "a?"]);
    assert_eq!(sending.finish().code, Some(3));
}
