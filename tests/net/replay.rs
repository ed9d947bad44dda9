//! `backbox replay` against the test and against other backbox processes.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::*;

/// Writes a session file with this text.
fn session(text: &str) -> String {
    let file = directory().join("session.bcp");
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// What the client of the game sent.
fn client_of_the_game() -> String {
    let game = fs::read_to_string(GAME).unwrap();
    game.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

#[test]
fn report_of_the_built_in_media_controller_counts() {
    let file = session("t?a=int:x\nreset\n");
    let ended = run(&["replay", "--loopback", "--speed", "max", &file]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("line 1: a: invalid integer: int:x"), "{}", ended.stderr);
    assert!(ended.stdout.ends_with("reset_complete\n"), "{}", ended.stdout);
}

#[test]
fn game_over_loopback_prints_the_replies() {
    let ended = run(&["replay", "--loopback", "--speed", "max", GAME]);
    assert_eq!(
        ended.stdout,
        "hello?version=1.1\n\
         monitor_start?category=core_events\nmonitor_start?category=service_events\nmonitor_start?category=modes\n\
         monitor_start?category=player_vars\nmonitor_start?category=machine_vars\nreset_complete\n"
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let first = "playing the client of one-ball-game.bcp (227 messages, 20.9 s as recorded) to the built-in \
                 media controller at 127.0.0.1:";
    assert!(lines[0].starts_with(first), "{}", ended.stderr);
    assert!(lines[1].starts_with("replayed 227 messages (46152 bytes) of one-ball-game.bcp in "), "{}", ended.stderr);
    assert!(lines[1].contains("s; received 7 messages (206 bytes) from 127.0.0.1:"), "{}", ended.stderr);
    assert!(lines[1].ends_with("; done"), "{}", ended.stderr);
    assert_eq!(lines.len(), 2);
    assert_eq!(run(&["replay", "-q", "--loopback", "--speed", "max", GAME]).stderr, "");
}

#[test]
fn client_is_played_byte_for_byte() {
    let server = server();
    let playing = start(&["replay", "--speed", "max", "-a", &server.address, GAME]);
    let mut peer = server.accept();
    assert!(peer.rest().unwrap() == client_of_the_game());
    peer.send(b"late?\n");
    drop(peer);
    let ended = playing.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "late?\n"));
    assert!(ended.stderr.contains("; received 1 message (6 bytes) from 127.0.0.1:"), "{}", ended.stderr);
}

#[test]
fn recorded_pace_is_divided_by_the_speed_and_the_end_is_waited_for() {
    let file = session("#backbox-session 1\n#@5\na\n#@5.001\nb\n#@6\nf&bytes=2\nhi#@6.5\n#<c\n");
    let server = server();
    let playing = start(&["replay", "--speed", "2", "-a", &server.address, &file]);
    let mut peer = server.accept();
    assert_eq!((peer.line(), peer.line()), ("a\n".into(), "b\n".into()));
    let begin = Instant::now();
    assert_eq!(peer.line(), "f&bytes=2\n");
    let (middle, rest) = (begin.elapsed(), peer.rest().unwrap());
    let end = begin.elapsed();
    assert_eq!(rest, "higoodbye\n");
    // A line may be read late but is never sent early.
    assert!(middle > Duration::from_millis(400), "{middle:?}");
    assert!(end > Duration::from_millis(650), "{end:?}");
    drop(peer);
    assert_eq!(playing.finish().code, Some(0));
}

#[test]
fn plain_lines_are_sent_at_once() {
    let file = session("hello?version=1.1\n# a comment\ntrigger?name=x");
    let server = server();
    let playing = start(&["replay", "-a", &server.address, &file]);
    assert_eq!(server.accept().rest().unwrap(), "hello?version=1.1\ntrigger?name=x\ngoodbye\n");
    assert_eq!(playing.finish().code, Some(0));
}

#[test]
fn wrong_file_is_reported_before_connecting() {
    let good = "#backbox-session 1\n#@0\na\n";
    for (text, code, complaint) in [
        (&*format!("{good}#@soon\nb\n"), 1, ":4: bad time"),
        ("#backbox-session 2\na\n", 1, ":1: format 2 is newer"),
        (&*format!("{good}#@1 2\nb\n"), 1, "several connections, and one is played: --conn picks one of 1, 2"),
        ("#backbox-session 1\n#@0\n#<a\n", 1, "the client sent no line"),
        ("", 1, "no BCP line in it"),
        ("{\"json\": 1}\n", 1, ":1: neither a session, nor a log"),
    ] {
        let file = session(text);
        let ended = run(&["replay", "-a", "127.0.0.1:1", &file]);
        assert_eq!(ended.code, Some(code), "{text}: {}", ended.stderr);
        // The message begins with FILE:LINE:, so that an editor can open the place.
        let said_by = if complaint.starts_with(':') { "" } else { "backbox replay: " };
        assert!(ended.stderr.starts_with(&format!("{said_by}{file}:")), "{}", ended.stderr);
        assert!(ended.stderr.contains(complaint), "{text}: {}", ended.stderr);
    }
    let directory = directory();
    let directory = directory.to_str().unwrap();
    for (file, code, why) in [
        (directory, 3, format!("cannot read {directory}: is a directory")),
        ("/dev/null", 1, "/dev/null: no BCP line in it".to_owned()),
        ("/no/such/file", 3, "cannot open /no/such/file: no such file or directory".to_owned()),
    ] {
        let ended = run(&["replay", file]);
        assert_eq!((ended.code, ended.stderr), (Some(code), format!("backbox replay: {why}\n")));
    }
}

#[test]
fn file_that_ends_in_an_incomplete_line_is_played_up_to_it() {
    let file = session("#backbox-session 1\n#@0\na\nhalf");
    let server = server();
    let playing = start(&["replay", "-a", &server.address, &file]);
    assert_eq!(server.accept().rest().unwrap(), "a\ngoodbye\n");
    let ended = playing.finish();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.starts_with(&format!("{file}:4: the file ends inside")), "{}", ended.stderr);
}

#[test]
fn options_that_exclude_each_other_are_refused_with_a_reason() {
    for (arguments, complaint) in [
        (&["replay"][..], "FILE is missing: write backbox replay FILE"),
        (&["replay", GAME, GAME], "several FILEs need --check"),
        (
            &["replay", "--loopback", "-a", "x", GAME],
            "--loopback and -a cannot be used together: the media controller is in this process",
        ),
        (&["replay", "--loopback", "--retry", "1", GAME], "--loopback and --retry cannot be used together"),
        (
            &["replay", "--dry-run", "--check", GAME],
            "--check and --dry-run cannot be used together: --dry-run does not connect",
        ),
        (&["replay", "--speed", "0", GAME], "--speed: invalid speed \"0\"; write a number above 0, or max"),
    ] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(complaint), "{}", ended.stderr);
    }
}

#[test]
fn refused_connection_is_3_and_retry_waits_for_a_server() {
    let closed = server().close();
    let ended = run(&["replay", "-a", &closed, GAME]);
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("connection refused at 127.0.0.1:"), "{}", ended.stderr);
    let playing = start(&["replay", "--retry", "60s", "--speed", "max", "-a", &closed, GAME]);
    let listener = TcpListener::bind(&closed).unwrap();
    let (socket, _) = listener.accept().unwrap();
    let sink = std::thread::spawn(move || std::io::copy(&mut { socket }, &mut std::io::sink()).unwrap());
    assert_eq!(playing.finish().code, Some(0));
    assert_eq!(sink.join().unwrap(), client_of_the_game().len() as u64);
}

#[test]
fn peer_that_closes_before_the_end_is_3() {
    let file = session("#backbox-session 1\n#@0\na\n#@30\nb\n");
    for (goodbye, how) in [(&b""[..], "closed by the server"), (b"goodbye\n", "stopped at the goodbye of the peer")] {
        let server = server();
        let playing = start(&["replay", "-a", &server.address, &file]);
        let mut peer = server.accept();
        assert_eq!(peer.line(), "a\n");
        peer.send(goodbye);
        drop(peer);
        let ended = playing.finish();
        assert_eq!(ended.code, Some(3));
        assert!(ended.stderr.contains(&format!("; {how}\n")), "{}", ended.stderr);
    }
}

#[test]
fn signal_sends_goodbye_and_prints_the_summary() {
    let file = session("#backbox-session 1\n#@0\na\n#@600\nb\n");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let server = server();
        let playing = start(&["replay", "-a", &server.address, &file]);
        let mut peer = server.accept();
        assert_eq!(peer.line(), "a\n");
        playing.signal(signal);
        assert_eq!(peer.rest().unwrap(), "goodbye\n");
        drop(peer);
        let ended = playing.finish();
        assert_eq!(ended.code, Some(code));
        assert!(ended.stderr.contains("replayed 1 message (2 bytes) of session.bcp"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("; closed by the client, which a signal ended\nlateness: p50 "),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn recording_tells_what_was_not_sent_because_of_a_signal() {
    let line = format!("trigger?name={}\n", "x".repeat(1000));
    let file = session(&line.repeat(20_000));
    let recording = directory().join("recording.bcp");
    let server = server();
    let playing = start(&["replay", "-a", &server.address, &file, "--record", recording.to_str().unwrap()]);
    let mut peer = server.accept();
    assert_eq!(peer.line(), line);
    // When the recording stops growing, writing is blocked by the peer, which reads nothing.
    let length = || fs::metadata(&recording).unwrap().len();
    let mut before = 0;
    while length() != before {
        before = length();
        std::thread::sleep(Duration::from_millis(100));
    }
    playing.signal(Signal::INT);
    let got = 1 + peer.rest().unwrap().matches("trigger").count();
    drop(peer);
    let ended = playing.finish();
    assert_eq!(ended.code, Some(130));
    // Unsent messages do not count.
    let sent = format!("replayed {got} messages ({} bytes) of ", got * line.len());
    assert!(ended.stderr.contains(&sent), "{sent}: {}", ended.stderr);
    let recorded = fs::read_to_string(&recording).unwrap();
    let unsent = recorded.split("not sent: ").nth(1).map_or(0, |rest| rest.split(' ').next().unwrap().parse().unwrap());
    assert_eq!(recorded.matches("trigger").count(), got + unsent);
}

#[test]
fn closed_stdout_ends_an_idle_run_with_goodbye() {
    let file = session("#backbox-session 1\n#@0\na\n#@600\nb\n");
    let server = server();
    let mut command = command(&["replay", "-a", &server.address, &file]);
    let (playing, stdout) = Running::spawn_unread(command.stdin(Stdio::null()));
    let mut peer = server.accept();
    assert_eq!(peer.line(), "a\n");
    drop(stdout);
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    assert_eq!(playing.finish().code, Some(0));
}

#[test]
fn standard_input_without_a_line_plays_nothing() {
    let ended = run(&["replay", "--loopback", "-"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr, "backbox replay: <stdin>: no BCP line in it\n");
}

#[test]
fn full_disk_is_not_reported_as_a_closed_output() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let file = session("#backbox-session 1\n#@0\nhello?version=1.1\n#@0.2\nreset\n");
    let command = format!("'{}' replay --loopback '{file}' > /dev/full", env!("CARGO_BIN_EXE_backbox"));
    let outcome = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
    let text = String::from_utf8(outcome.stderr).unwrap();
    assert_eq!(outcome.status.code(), Some(3), "{text}");
    assert!(
        text.contains("; closed by the client, whose output failed\n") && !text.contains("nothing reads"),
        "{text}"
    );
}
