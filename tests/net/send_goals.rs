//! What `backbox send` waits for, and its exit status when that is or is not received.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::*;

/// Starts `send` and accepts its connection.
fn sending(arguments: &[&str]) -> (Running, Peer) {
    let server = server();
    let mut all = vec!["send", "-a", &server.address];
    all.extend(arguments);
    let running = if arguments.last() == Some(&"-") { start_with_input(&all) } else { start(&all) };
    let peer = server.accept();
    (running, peer)
}

/// Runs `send` with a peer that sends this reply to the first line and waits for the goodbye.
#[track_caller]
fn run_with_reply(arguments: &[&str], reply: &[u8]) -> Finished {
    let (running, mut peer) = sending(arguments);
    peer.line();
    peer.send(reply);
    assert_eq!(peer.rest().unwrap(), "goodbye\n", "{arguments:?}");
    drop(peer);
    running.finish()
}

#[test]
fn run_ends_at_the_last_goal_and_prints_matches() {
    let ended = run_with_reply(&["-e", "b", "-e", "c?x=1", "a?"], b"b?n=1\nd\nc?x=2\nc?x=int:1\n");
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "b?n=1\nc?x=int:1\n", ""));
    let ended = run_with_reply(&["--all", "-e", "b", "a?"], b"hello?controller_name=MPF&version=1.1\nb\n");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "hello?controller_name=MPF&version=1.1\nb\n"));
}

#[test]
fn count_counts_printed_messages_exactly() {
    let ended = run_with_reply(&["-n", "2", "-x", "b", "a?"], b"hello?version=1.1\nb\nc\nb\nd\ne\n");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "c\nd\n"));
}

#[test]
fn unprinted_messages_also_meet_goals_and_fail() {
    let ended = run_with_reply(&["-x", "b", "-e", "b", "a?"], b"b\n");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    let ended = run_with_reply(&["-m", "c", "-e", "b", "a?"], b"c\nb\n");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    let ended = run_with_reply(&["-x", "error", "-e", "b", "a?"], b"error?message=no\n");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), ""));
}

#[test]
fn reply_is_recognised_from_the_catalogue() {
    let words = ["-w", "service", "subcommand=coil_pulse", "coil=c_knocker"];
    let ended = run_with_reply(&words, b"hello?version=1.1\nlist_coils\ncoil_pulse\n");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "list_coils\ncoil_pulse\n"));
    let ended = run_with_reply(&words, b"coil_pulse?error=no%20such%20coil\n");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), "coil_pulse?error=no%20such%20coil\n"));
    assert!(ended.stderr.contains(": the reply failed: coil_pulse?error="), "{}", ended.stderr);
}

#[test]
fn failed_reply_is_4_at_once_unless_expected() {
    for (arguments, reply, code) in [
        (&["-e", "x", "a?"][..], &b"error?message=no\n"[..], 4),
        (&["-e", "*", "a?"], b"error?message=no\n", 4),
        (&["-e", "error", "a?"], b"error?message=no\n", 0),
        (&["-e", "b?error", "a?"], b"b?error=no\n", 0),
        (&["-e", "b", "a?"], b"b?error=bool:False\n", 0),
        (&["-n", "5", "--fail-on", "trigger?name=tilt", "a?"], b"b\ntrigger?name=tilt\n", 4),
    ] {
        let ended = run_with_reply(arguments, reply);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn messages_after_the_failed_reply_are_not_reported() {
    let ended = run_with_reply(&["-n", "9", "--fail-on", "tilt", "a?"], &b"tilt\n".repeat(50));
    assert_eq!((ended.code, ended.stderr.matches("the reply failed: tilt").count()), (Some(4), 1), "{}", ended.stderr);
}

#[test]
fn without_a_goal_a_failed_reply_is_printed_and_4_at_the_end() {
    let (running, mut peer) = sending(&["a?"]);
    peer.rest().unwrap();
    peer.send(b"error?message=no\nb\n");
    drop(peer);
    let ended = running.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), "error?message=no\nb\n"));
}

#[test]
fn timeout_is_124_and_goodbye_is_sent() {
    let (running, mut peer) = sending(&["-W", "50ms", "-n", "3", "-e", "b", "-w", "reset"]);
    assert_eq!(peer.line(), "reset\n");
    peer.send(b"b\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = running.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(124), "b\n"));
    let missing = "timed out after 0.05 s waiting for the reply reset_complete and message 2 of 3 (see --timeout)";
    assert!(ended.stderr.contains(missing), "{}", ended.stderr);
}

#[test]
fn without_a_goal_the_timeout_is_the_time_to_stay() {
    let began = Instant::now();
    let (running, mut peer) = sending(&["-W", "0.2", "a?"]);
    assert_eq!(peer.line(), "a?\n");
    peer.send(b"b\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    assert!(began.elapsed().as_millis() >= 200);
    drop(peer);
    let ended = running.finish();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "b\n", ""));
}

#[test]
fn unsent_messages_at_the_timeout_are_reported() {
    let (running, mut peer) = sending(&["-q", "-W", "50ms", "--every", "1000s", "--repeat", "3", "a?"]);
    assert_eq!(peer.rest().unwrap(), "a?\ngoodbye\n");
    drop(peer);
    let ended = running.finish();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.ends_with(": timed out before the last message was sent\n"), "{}", ended.stderr);
    for (input, rest) in [(&b"a\nb\n"[..], true), (b"a\n", false)] {
        let (mut running, mut peer) = sending(&["-W", "50ms", "--every", "1000s", "-"]);
        running.write(input);
        assert_eq!(peer.rest().unwrap(), "a\ngoodbye\n");
        drop(peer);
        let ended = running.finish();
        let reported = ended.stderr.contains("timed out before the last message was sent");
        assert_eq!((ended.code, reported), (Some(0), rest), "{}", ended.stderr);
    }
}

#[test]
fn timeout_starts_with_the_first_line() {
    let (mut running, mut peer) = sending(&["-W", "100ms", "-e", "b", "-"]);
    // Longer than the timeout: if it counted from the start, a goodbye would be sent instead of the line.
    thread::sleep(Duration::from_millis(300));
    running.write(b"a\n");
    assert_eq!(peer.rest().unwrap(), "a\ngoodbye\n");
    assert_eq!(running.finish().code, Some(124));
}

#[test]
fn timeout_of_0_means_no_timeout() {
    let (running, mut peer) = sending(&["-W", "0", "a?"]);
    assert_eq!(peer.line(), "a?\n");
    peer.send(b"goodbye\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    assert_eq!(running.finish().code, Some(0));
}

#[test]
fn timeout_ends_a_run_whose_peer_does_not_read() {
    let server = server();
    let mut running = start_with_input(&["send", "-a", &server.address, "-W", "100ms", "-e", "b"]);
    let mut stdin = running.stdin.take().unwrap();
    let feeder = thread::spawn(move || {
        // More than the socket buffers can contain; the write ends when the program exits.
        let text = "trigger?name=0123456789012345678901234567890123456789\n".repeat(1 << 20);
        let _ = stdin.write_all(text.as_bytes());
    });
    let peer = server.accept();
    assert_eq!(running.finish().code, Some(124));
    feeder.join().unwrap();
    drop(peer);
}

#[test]
fn timeout_ends_a_run_with_unread_output() {
    let server = server();
    let mut command = command(&["send", "-a", &server.address, "-W", "100ms", "-e", "never", "--all", "a?"]);
    let (running, stdout) = Running::spawn_unread(command.stdin(std::process::Stdio::null()));
    let mut peer = server.accept();
    assert_eq!(peer.line(), "a?\n");
    let flood = thread::spawn(move || {
        let text = "trigger?name=0123456789012345678901234567890123456789\n".repeat(1 << 18);
        let _ = peer.socket.write_all(text.as_bytes());
    });
    assert_eq!(running.finish().code, Some(124));
    flood.join().unwrap();
    drop(stdout);
}

#[test]
fn peer_that_closes_before_the_goal_is_1() {
    let (running, mut peer) = sending(&["-e", "b", "a?"]);
    assert_eq!(peer.line(), "a?\n");
    drop(peer);
    let ended = running.finish();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.ends_with("closed the connection; still waiting for b\n"), "{}", ended.stderr);
    let (running, mut peer) = sending(&["-n", "2", "a?"]);
    assert_eq!(peer.line(), "a?\n");
    peer.reset();
    let ended = running.finish();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("still waiting for message 1 of 2"), "{}", ended.stderr);
}

#[test]
fn peer_that_closes_before_the_last_message_is_3() {
    let (mut running, mut peer) = sending(&["-e", "b", "-"]);
    running.write(b"a\n");
    assert_eq!(peer.line(), "a\n");
    drop(peer);
    assert_eq!(running.finish().code, Some(3));
}

#[test]
fn goal_met_before_the_last_message_does_not_end_a_stream() {
    let (mut running, mut peer) = sending(&["-e", "b", "-"]);
    running.write(b"a\n");
    assert_eq!(peer.line(), "a\n");
    peer.send(b"b\n");
    running.write(b"c\n");
    assert_eq!(peer.line(), "c\n");
    running.stdin = None;
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    assert_eq!(running.finish().code, Some(0));
}

#[test]
fn reply_sent_with_the_close_is_printed_and_counted() {
    for _ in 0..20 {
        let (running, mut peer) = sending(&["-n", "2", "a?"]);
        assert_eq!(peer.line(), "a?\n");
        peer.send(b"b\nc\n");
        drop(peer);
        let ended = running.finish();
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "b\nc\n", ""));
    }
}

#[test]
fn messages_are_printed_as_json_or_by_a_template() {
    let ended = run_with_reply(&["--json", "-e", "b", "a?"], b"c\nB?N=int:1&l=x%20y\n");
    assert_eq!(ended.stdout, "{\"command\":\"b\",\"params\":{\"n\":1,\"l\":\"x y\"}}\n");
    let ended = run_with_reply(&["-F", "{@command}={n}", "-m", "b", "-n", "1", "a?"], b"c\nb?n=int:1\n");
    assert_eq!(ended.stdout, "b=1\n");
}

#[test]
fn options_that_conflict_are_refused() {
    for (arguments, complaint) in [
        (&["-w", "trigger", "name=x"][..], "trigger has no reply; -e PATTERN waits for a message of your choice"),
        (&["-w"], "-w needs COMMAND: it waits for the reply to one message"),
        (&["-w", "--repeat", "2", "reset"], "-w and --repeat cannot be used together: it waits for one reply"),
        (&["--repeat", "2"], "--repeat needs COMMAND: it repeats the message of the arguments"),
        (&["--repeat", "0", "reset"], "--repeat: 0 sends nothing"),
        (&["-b", "/dev/null", "-"], "-b needs COMMAND: it is the payload of one message"),
        (&["--every", "1s", "reset"], "--every needs --repeat or standard input: one message has no pace"),
        (&["--every", "1s", "--hello"], "--every needs messages: - reads them from standard input"),
        (&["--overwrite", "reset"], "--overwrite needs --record"),
        (&["--json", "-F", "x", "reset"], "--json and -F"),
        (&["-n", "0", "reset"], "-n 0 waits for nothing"),
        (&["-e", "?x", "reset"], "-e: "),
        (&["--fail-on", "", "reset"], "--fail-on: "),
    ] {
        let mut all = vec!["send", "-a", "127.0.0.1:1"];
        all.extend(arguments);
        let ended = run(&all);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(complaint), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn peer_that_is_silent_until_the_timeout_is_reported() {
    let (running, _peer) = sending(&["-W", "50ms", "-n", "1", "a?"]);
    let ended = running.finish();
    assert_eq!(ended.code, Some(124));
    assert!(ended.stderr.contains("accepted the connection but sent nothing"), "{}", ended.stderr);
}

#[test]
fn timeout_inside_a_message_resets_the_connection() {
    let (mut running, mut peer) = sending(&["-W", "200ms", "-n", "1", "-"]);
    let mut stdin = running.stdin.take().unwrap();
    let feeder = thread::spawn(move || {
        let _ = stdin.write_all(b"f&bytes=16777216\n");
        let _ = stdin.write_all(&vec![b'x'; 16 << 20]);
        stdin
    });
    assert_eq!(peer.line(), "f&bytes=16777216\n");
    assert_eq!(running.finish().code, Some(124));
    let broken = peer.rest().expect_err("an orderly close inside a message");
    assert_eq!(broken.kind(), std::io::ErrorKind::ConnectionReset);
    drop(feeder.join());
}

#[test]
fn goodbye_of_the_peer_before_the_goal_is_1() {
    let (running, mut peer) = sending(&["-e", "b", "a?"]);
    assert_eq!(peer.line(), "a?\n");
    peer.send(b"goodbye\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    assert_eq!(running.finish().code, Some(1));
}

#[test]
fn ipv6_works_like_ipv4() {
    let server = Server::at("[::1]:0");
    let running = start(&["send", "-a", &server.address, "-e", "b", "a?"]);
    let mut peer = server.accept();
    assert_eq!(peer.line(), "a?\n");
    peer.send(b"b\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    assert_eq!(running.finish().code, Some(0));
}
