//! `backbox listen` in its roles, with scripted replies, lines from standard input, goals and recordings.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::*;

const GREETING: &str = concat!("&controller_name=backbox&controller_version=", env!("CARGO_PKG_VERSION"), "\n");

fn refused(arguments: &[&str], why: &str) {
    let ended = run(&[&["listen"], arguments].concat());
    assert_eq!(ended.code, Some(2), "{arguments:?} {}", ended.stderr);
    assert!(ended.stderr.contains(why), "{arguments:?} {}", ended.stderr);
}

#[test]
fn options_that_exclude_each_other_are_refused_with_the_reason() {
    refused(&["-c", ":1", "-a", ":2"], "-c connects instead");
    refused(&["-c", ":1", "--announce", "x"], "nothing connects to this command");
    refused(&["-c", ":1", "--once"], "has one connection and ends with it");
    refused(&["--retry", "1s"], "--retry needs --connect or --forward");
    refused(&["--as", "pin", "--monitor", "modes"], "clients subscribe to a pin controller");
    refused(&["--as", "pin", "--accept-version", "2"], "only a media controller accepts a version");
    refused(&["--no-auto", "--monitor", "modes"], "the reply to reset subscribes");
    refused(&["--register", ""], "empty event name");
    refused(&["--reconnect"], "a client connects again");
    refused(&["--reconnect", "--forward", ":1"], "a client connects again");
    refused(&["--meta"], "--meta needs --json");
    refused(&["--json", "-F", "{a}"], "each is a form of the same message");
    refused(&["-n", "0"], "-n 0 waits for nothing");
    refused(&["--reply", "a"], "write 'PATTERN => LINE'");
    refused(&["-F", "{@nope}"], "{@nope} is unknown");
    refused(&["--overwrite"], "--overwrite");
    for flag in ["--record", "--announce"] {
        refused(&[flag, "-"], "- is standard output, which has the messages; write ./- for a file of that name");
    }
}

#[test]
fn json_with_meta_has_time_connection_and_sender() {
    let listening = listen(&["--json", "--meta", "-x", "goodbye", "-n", "2"]);
    let mut peer = connect(listening.address);
    let own = peer.socket.local_addr().unwrap();
    peer.send(b"trigger?name=int:x\ntrigger?name=a&n=int:1\nf&bytes=2\nhi");
    let ended = listening.running.finish();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let lines: Vec<serde_json::Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["params"]["n"], 1);
    assert_eq!(lines[1]["bytes"], "aGk=");
    for line in &lines {
        assert_eq!((&line["meta"]["conn"], &line["meta"]["peer"]), (&1.into(), &own.to_string().into()));
        assert_eq!(line["meta"]["from"], "client");
        let time = line["meta"]["time"].to_string();
        assert!(time.split_once('.').unwrap().1.len() == 6 && time.parse::<f64>().unwrap() > 1.6e9, "{time}");
    }
}

#[test]
fn template_shows_the_connection() {
    let listening = listen(&["-F", "{@conn} {@peer} {@from} {name}", "-m", "trigger?name=b*", "-n", "1"]);
    let mut peer = connect(listening.address);
    let own = peer.socket.local_addr().unwrap();
    peer.send(b"trigger?name=a\ntrigger?name=b1\ntrigger?name=b2\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    assert_eq!(listening.running.finish().stdout, format!("1 {own} client b1\n"));
}

#[test]
fn only_color_always_colours_a_pipe() {
    for (when, printed) in [
        ("always", "\x1b[1mtrigger\x1b[0m?name=\\x1b[2J\\x9b&bytes=3 <3 bytes>\n"),
        ("auto", "trigger?name=\x1b[2J\u{9b}&bytes=3\nabc"),
    ] {
        let listening = listen(&["-n", "1", "--color", when]);
        connect(listening.address).send("trigger?name=\x1b[2J\u{9b}&bytes=3\nabc".as_bytes());
        assert_eq!(listening.running.finish().stdout, printed);
        let server = server();
        let sending = start(&["send", "-a", &server.address, "--color", when, "a?"]);
        let mut peer = server.accept();
        peer.rest().unwrap();
        peer.send("trigger?name=\x1b[2J\u{9b}&bytes=3\nabc".as_bytes());
        drop(peer);
        assert_eq!(sending.finish().stdout, printed);
    }
}

#[test]
fn goal_ends_the_run_whatever_is_printed() {
    let listening = listen(&["-m", "nothing", "-e", "trigger?name=x", "-W", "20s"]);
    let mut peer = connect(listening.address);
    peer.send(b"trigger?name=y\ntrigger?name=x\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = listening.running.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
}

#[test]
fn timeout_is_124_with_a_goal_unmet_else_0() {
    let unmet = run(&["listen", "-a", "127.0.0.1:0", "-W", "50ms", "-e", "never"]);
    assert_eq!(unmet.code, Some(124));
    assert!(unmet.stderr.contains("timed out after 0.05 s waiting for never (see --timeout)"), "{}", unmet.stderr);
    assert_eq!(run(&["listen", "-a", "127.0.0.1:0", "-W", "50ms"]).code, Some(0));
}

#[test]
fn timeout_counts_from_the_first_connection_attempt() {
    let closed = server().close();
    let connecting = ["listen", "-c", &closed, "--retry", "1000s", "-W", "200ms"];
    let ended = run(&[&connecting[..], &["-n", "1"]].concat());
    assert_eq!(ended.code, Some(124), "{}", ended.stderr);
    assert!(ended.stderr.contains("timed out after 0.2 s"), "{}", ended.stderr);
    let ended = run(&connecting);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(!ended.stderr.contains("received"), "there is nothing to sum up: {}", ended.stderr);
}

#[test]
fn once_is_not_a_goal() {
    let listening = listen(&["--once", "-e", "never"]);
    drop(connect(listening.address));
    let ended = listening.running.finish();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("ended; still waiting for never"), "{}", ended.stderr);
}

#[test]
fn accept_version_replaces_the_accepted_versions() {
    let listening = listen(&["--once", "--accept-version", "2*"]);
    let mut peer = connect(listening.address);
    peer.send(b"hello?version=21\n");
    assert_eq!(peer.line(), "hello?version=1.1\n");
    peer.send(b"hello?version=1.1\n");
    assert_eq!(peer.line(), "error?message=unknown%20protocol%20version\n");
    drop(peer);
    let ended = listening.running.finish();
    assert_eq!(ended.code, Some(4));
    assert!(ended.stderr.contains("--accept-version 1.1 accepts it"), "{}", ended.stderr);
}

#[test]
fn no_auto_turns_the_built_in_replies_off() {
    let listening = listen(&["--no-auto", "--once"]);
    let mut peer = connect(listening.address);
    peer.send(b"hello?version=1.1\nreset\nnosuch\ntrigger?x=int:x\n");
    peer.half_close();
    assert_eq!(peer.rest().unwrap(), "");
    assert_eq!(listening.running.finish().stdout, "hello?version=1.1\nreset\nnosuch\ntrigger?x=int:x\n");
}

#[test]
fn bound_pin_controller_greets_each_client_and_sends_scripted_replies() {
    let rule = "trigger?name=* => switch?name={name}&state={state}";
    let listening = listen(&["--as", "pin", "--reply", rule, "--reply", "hello => "]);
    let mut peer = connect(listening.address);
    assert_eq!(peer.line(), format!("hello?version=1.1{GREETING}"));
    peer.send(b"hello?version=1.1\nnosuch\nreset\ntrigger?name=a%0Ab&state=int:1\n");
    assert_eq!(peer.line(), "reset_complete\n");
    assert_eq!(peer.line(), "switch?name=a%0Ab&state=int:1\n");
    listening.running.signal(Signal::INT);
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
}

#[test]
fn stdin_of_a_connecting_pin_controller_waits_for_the_handshake() {
    let server = server();
    let mut listening = start_with_input(&["listen", "--as", "pin", "-c", &server.address, "--stdin"]);
    listening.write(b"# a comment\n{\"command\":\"mode_start\",\"params\":{\"name\":\"x\"}}\nball_start\n");
    let mut peer = server.accept();
    assert_eq!(peer.line(), format!("hello?version=1.1{GREETING}"));
    peer.send(b"hello?version=1.1\n");
    assert_eq!(peer.line(), "reset\n");
    peer.send(b"monitor_start?category=modes\nreset_complete\n");
    assert_eq!((peer.line(), peer.line()), ("mode_start?name=x\n".into(), "ball_start\n".into()));
    listening.stdin = None;
    peer.send(b"trigger?name=still_there\ngoodbye\n");
    assert_eq!(peer.rest().unwrap(), "");
    drop(peer);
    let ended = listening.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.ends_with("trigger?name=still_there\ngoodbye\n"), "{}", ended.stdout);
}

#[test]
fn goodbye_of_stdin_waits_for_the_messages_before_it() {
    let server = server();
    let mut listening = start_with_input(&["listen", "--as", "pin", "-c", &server.address, "--stdin"]);
    listening.write(b"ball_start\ngoodbye\nball_end\n");
    let mut peer = server.accept();
    assert_eq!(peer.line(), format!("hello?version=1.1{GREETING}"));
    peer.send(b"hello?version=1.1\n");
    assert_eq!(peer.line(), "reset\n");
    peer.send(b"reset_complete\n");
    assert_eq!((peer.line(), peer.line()), ("ball_start\n".into(), "goodbye\n".into()));
    assert_eq!(peer.rest().unwrap(), "");
    drop(peer);
    let ended = listening.finish();
    assert!(ended.stderr.contains("<stdin>:3: not sent"), "{}", ended.stderr);
}

#[test]
fn what_waits_for_a_handshake_that_never_ends_is_reported() {
    let server = server();
    let rule = "monitor_start => mode_list?running_modes=none";
    let listening = start(&["listen", "--as", "pin", "-c", &server.address, "--reply", rule]);
    let mut peer = server.accept();
    assert_eq!(peer.line(), format!("hello?version=1.1{GREETING}"));
    peer.send(b"monitor_start?category=modes\n");
    drop(peer);
    let ended = listening.finish();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains(": what was to be sent after the handshake was not sent"), "{}", ended.stderr);
}

#[test]
fn reply_to_a_message_within_the_handshake_follows_the_handshake() {
    let server = server();
    let rule = "monitor_start?category=modes => mode_list?running_modes=none";
    let listening = start(&["listen", "--as", "pin", "-c", &server.address, "--reply", rule]);
    let mut peer = server.accept();
    assert_eq!(peer.line(), format!("hello?version=1.1{GREETING}"));
    peer.send(b"hello?version=1.1\n");
    assert_eq!(peer.line(), "reset\n");
    peer.send(b"monitor_start?category=modes\nreset_complete\n");
    assert_eq!(peer.line(), "mode_list?running_modes=none\n");
    peer.send(b"goodbye\n");
    drop(peer);
    assert_eq!(listening.finish().code, Some(0));
}

#[test]
fn joined_client_subscribes_at_once_and_replies_to_a_later_reset() {
    let server = server();
    let listening = start(&["listen", "-c", &server.address]);
    let mut peer = server.accept();
    for category in ["devices", "events", "modes", "machine_vars", "player_vars"] {
        assert_eq!(peer.line(), format!("monitor_start?category={category}\n"));
    }
    peer.send(b"hello?version=1.1&controller_name=MPF\nnosuch\nreset\n");
    assert_eq!(peer.line(), "reset_complete\n");
    drop(peer);
    let ended = listening.finish();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("closed by the server, without a goodbye"), "{}", ended.stderr);
}

#[test]
fn joined_client_sends_nothing_that_would_end_mpf() {
    let server = server();
    let rule = "trigger?name=* => switch?name=s&state={name}";
    let arguments = ["listen", "-c", &server.address, "--monitor", "none", "--stdin", "--reply", rule];
    let mut listening = start_with_input(&arguments);
    let mut peer = server.accept();
    listening.write(b"switch?name=s&state=on\nswitch?name=s&state=1\n");
    assert_eq!(peer.line(), "switch?name=s&state=1\n");
    peer.send(b"trigger?name=on\ntrigger?name=0\n");
    assert_eq!(peer.line(), "switch?name=s&state=0\n");
    peer.send(b"goodbye\n");
    assert_eq!(peer.rest().unwrap(), "");
    drop(peer);
    let ended = listening.finish();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("<stdin>:1: not sent: would end MPF"), "{}", ended.stderr);
    assert!(ended.stderr.contains("&state={name}: not sent: would end MPF"), "{}", ended.stderr);
}

#[test]
fn close_by_the_server_with_a_goal_unmet_is_1() {
    let server = server();
    let listening = start(&["listen", "-c", &server.address, "--monitor", "none", "-e", "x"]);
    drop(server.accept());
    let ended = listening.finish();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("still waiting for x"), "{}", ended.stderr);
}

#[test]
fn reconnect_subscribes_again() {
    let (server, file) = (server(), directory().join("game.bcp"));
    let arguments = ["listen", "-c", &server.address, "--reconnect", "--monitor", "modes", "--stdin"];
    let goals = ["-F", "{@conn} {name}", "-m", "trigger", "-n", "3", "--record", file.to_str().unwrap()];
    let mut listening = start_with_input(&[&arguments[..], &goals].concat());
    let mut peer = server.accept();
    assert_eq!(peer.line(), "monitor_start?category=modes\n");
    peer.send(b"trigger?name=a\n");
    peer.reset();
    let mut peer = server.accept();
    assert_eq!(peer.line(), "monitor_start?category=modes\n");
    listening.write(b"trigger?name=out\n");
    assert_eq!(peer.line(), "trigger?name=out\n");
    listening.stdin = None;
    // It also reconnects after a goodbye.
    peer.send(b"trigger?name=b\ngoodbye\n");
    drop(peer);
    let mut peer = server.accept();
    assert_eq!(peer.line(), "monitor_start?category=modes\n");
    peer.send(b"trigger?name=c\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = listening.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "1 a\n2 b\n3 c\n"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("; connecting again\n").count(), 2, "{}", ended.stderr);
    let recorded = fs::read_to_string(&file).unwrap();
    assert!(
        recorded.contains("# connection 1: lost the server: ") && recorded.contains("# connection 3: "),
        "{recorded}"
    );
}

#[test]
fn reconnecting_ends_with_retry_timeout_signal_and_closed_stdout() {
    let lose = |more: &[&str]| {
        let server = server();
        let running = start(&[&["listen", "-c", &server.address, "--reconnect"], more].concat());
        drop(server.accept());
        drop(server);
        running
    };
    let tried = lose(&["--retry", "1ms"]).finish();
    assert_eq!(tried.code, Some(3), "{}", tried.stderr);
    assert!(tried.stderr.contains("no program is listening on this port; tried for 0.001 s"), "{}", tried.stderr);
    let timed = lose(&["-W", "300ms", "-e", "never"]).finish();
    assert_eq!(timed.code, Some(124), "{}", timed.stderr);
    let stopped = lose(&[]);
    let waiting = Instant::now();
    while !stopped.has_reported("connecting again") {
        assert!(waiting.elapsed() < TIME_LIMIT, "it does not connect again");
        std::thread::sleep(Duration::from_millis(2));
    }
    stopped.signal(Signal::INT);
    assert_eq!(stopped.finish().code, Some(130));
    let server = server();
    let mut command = command(&["listen", "-c", &server.address, "--reconnect"]);
    let (unread, stdout) = Running::spawn_unread(command.stdin(std::process::Stdio::null()));
    drop(server.accept());
    drop(server);
    drop(stdout);
    assert_eq!(unread.finish().code, Some(0));
}

#[test]
fn two_programs_that_reply_to_each_other_are_stopped_and_reported() {
    let first = listen(&["--reply", "ping => pong"]);
    let address = first.address.to_string();
    let second = start(&[
        "listen",
        "--as",
        "pin",
        "-c",
        &address,
        "--reply",
        "pong => ping",
        "--reply",
        "reset_complete => ping",
    ]);
    let waiting = Instant::now();
    while !second.has_reported("two programs reply to each other")
        && !first.running.has_reported("two programs reply to each other")
    {
        assert!(waiting.elapsed() < TIME_LIMIT, "the replies do not stop");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn recording_has_both_directions_and_the_sender_of_each_line() {
    let file = directory().join("game.bcp");
    let path = file.to_str().unwrap();
    let listening = listen(&["--record", path, "--monitor", "modes"]);
    let mut first = connect(listening.address);
    first.send(b"hello?version=1.1\n");
    assert_eq!(first.line(), "hello?version=1.1\n");
    let mut second = connect(listening.address);
    second.send(b"# odd\ndmd_frame&bytes=3\n\n\n\nreset\n");
    assert_eq!((second.line(), second.line()), ("monitor_start?category=modes\n".into(), "reset_complete\n".into()));
    second.send(b"goodbye\n");
    assert_eq!(second.rest().unwrap(), "");
    drop(second);
    listening.running.signal(Signal::INT);
    assert_eq!(first.rest().unwrap(), "goodbye\n");
    drop(first);
    let address = listening.address;
    assert_eq!(listening.running.finish().code, Some(130));
    let text = fs::read_to_string(&file).unwrap();
    let is_end = |line: &&str| line.starts_with("# connection");
    let mut ends: Vec<&str> = text.lines().filter(is_end).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["# connection 1: closed by the server", "# connection 2: closed by the client"]);
    let other = |line: &&str| !is_end(line) && !line.starts_with("#@") && !line.starts_with("# 2");
    let lines: Vec<&str> = text.lines().filter(other).collect();
    let expected = format!(
        "#backbox-session 1|#!port {}|hello?version=1.1|#<hello?version=1.1|#># odd|dmd_frame&bytes=3||||reset|\
         #<monitor_start?category=modes|#<reset_complete|goodbye|#<goodbye",
        address.port()
    );
    assert_eq!(lines.join("|"), expected);
    assert!(text.contains(" 2\n#># odd\n"), "{text}");
}

#[test]
fn full_disk_under_a_recording_is_reported_at_once_and_3_at_the_end() {
    let listening = listen(&["--record", "/dev/full", "-n", "2"]);
    let mut peer = connect(listening.address);
    peer.send(b"hello\n");
    assert_eq!(peer.line(), "hello?version=1.1\n");
    peer.send(b"trigger?name=x\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = listening.running.finish();
    assert_eq!(ended.code, Some(3));
    assert_eq!(ended.stderr.matches("cannot continue the recording").count(), 1, "{}", ended.stderr);
    assert_eq!(ended.stdout, "hello\ntrigger?name=x\n");
}
