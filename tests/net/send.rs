//! `backbox send` against well-behaved and misbehaving peers.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::*;

#[test]
fn message_is_followed_by_goodbye_and_a_half_close() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "trigger", "name=HIGH SCORE #2", "count:=5"]);
    let mut peer = server.accept();
    assert_eq!(peer.rest().unwrap(), "trigger?name=HIGH%20SCORE%20%232&count=int:5\ngoodbye\n");
    drop(peer);
    let ended = sending.finish();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
}

#[test]
fn line_is_sent_verbatim() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "--force", "Trigger?Name=a+b%zz&json={"]);
    assert_eq!(server.accept().rest().unwrap(), "Trigger?Name=a+b%zz&json={\ngoodbye\n");
    assert_eq!(sending.finish().code, Some(0));
}

#[test]
fn invalid_arguments_are_refused_before_connecting() {
    for (words, complaint) in [
        (&["a?b\nc"][..], "a line break ends a message"),
        (&["#a?b"], "a comment is not sent"),
        (&["  ?"], ""),
        (&["dmd_frame?name=x&bytes=4"], "it announces a payload"),
        (&["trigger", "multiball"], "multiball: write name=multiball"),
        (&["-a", "a:b", "trigger"], "invalid address a:b: write HOST:PORT"),
        (&["--retry", "soon", "trigger"], "invalid duration \"soon\"; write 250ms, 1.5s, 2m"),
    ] {
        let mut arguments = vec!["send", "-a", "127.0.0.1:1"];
        arguments.extend(words);
        let ended = run(&arguments);
        let expected = if complaint.is_empty() { Some(3) } else { Some(2) };
        assert_eq!(ended.code, expected, "{words:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(complaint), "{words:?}: {}", ended.stderr);
    }
}

#[test]
fn refused_connection_is_3_with_a_hint() {
    let ended = run(&["send", "-a", &server().close(), "trigger", "name=x"]);
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.starts_with("backbox send: connection refused at 127.0.0.1:"), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("--retry 30s waits for it\n"), "{}", ended.stderr);
}

#[test]
fn environment_variable_is_the_default_address() {
    let (named, other) = (server(), server());
    let sending = Running::spawn(command(&["send", "a?"]).env("BACKBOX_ADDR", &named.address).stdin(Stdio::null()));
    assert_eq!(named.accept().rest().unwrap(), "a?\ngoodbye\n");
    assert_eq!(sending.finish().code, Some(0));
    let flagged = ["send", "-a", &other.address, "b?"];
    let sending = Running::spawn(command(&flagged).env("BACKBOX_ADDR", &named.address).stdin(Stdio::null()));
    assert_eq!(other.accept().rest().unwrap(), "b?\ngoodbye\n");
    assert_eq!(sending.finish().code, Some(0));
}

#[test]
fn invalid_address_in_the_environment_is_named_and_not_replaced() {
    use std::os::unix::ffi::OsStrExt;
    for (value, why) in [(&b"a:b:c"[..], "invalid address a:b:c"), (b"pin\xff", "\"pin\\xFF\" is not UTF-8")] {
        let value = std::ffi::OsStr::from_bytes(value);
        for wire in ["bcp", "obe"] {
            let mut command = command(&["send", "--wire", wire, "a"]);
            let ended = Running::spawn(command.env("BACKBOX_ADDR", value).stdin(Stdio::null())).finish();
            assert_eq!(ended.code, Some(2));
            assert!(ended.stderr.starts_with(&format!("backbox send: BACKBOX_ADDR: {why}")), "{}", ended.stderr);
        }
    }
}

#[test]
fn standard_input_is_not_read_without_need() {
    let server = server();
    let script = "while read line; do \"$0\" send -a \"$1\" trigger name=\"$line\"; done";
    let mut shell = Command::new("sh");
    let shell = shell.args(["-c", script, env!("CARGO_BIN_EXE_backbox"), &server.address]);
    let mut looping = Running::spawn(shell.stdin(Stdio::piped()));
    looping.write(b"a\nb\n");
    looping.stdin = None;
    for name in ["a", "b"] {
        assert_eq!(server.accept().rest().unwrap(), format!("trigger?name={name}\ngoodbye\n"));
    }
    assert_eq!(looping.finish().code, Some(0));
}

#[test]
fn reply_sent_with_the_close_is_printed_and_the_handshake_is_not() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "service", "subcommand=list_coils"]);
    let mut peer = server.accept();
    peer.send(b"hello?version=1.1&controller_name=MPF\n");
    peer.rest().unwrap();
    peer.send(b"list_coils?coils=%1b[2J\ndmd&bytes=3\n\n\n\ngoodbye\n");
    drop(peer);
    let ended = sending.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "list_coils?coils=%1b[2J\ndmd&bytes=3\n\n\n\n"));
}

#[test]
fn peer_that_never_closes_is_disconnected_and_reported() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "trigger", "name=x"]);
    let _peer = server.accept();
    let ended = sending.finish();
    assert_eq!(ended.code, Some(0));
    let note = "accepted the connection but sent nothing: a media controller serves one connection at a time\n";
    assert!(ended.stderr.ends_with(note), "{}", ended.stderr);
    let quiet = start(&["send", "-q", "-a", &server.address, "trigger", "name=x"]);
    let _peer = server.accept();
    assert_eq!(quiet.finish().stderr, "");
}

#[test]
fn peer_that_keeps_sending_is_disconnected_after_half_a_second() {
    let server = server();
    let began = Instant::now();
    let sending = start(&["send", "-a", &server.address, "trigger", "name=x"]);
    let mut peer = server.accept();
    assert_eq!(peer.rest().unwrap(), "trigger?name=x\ngoodbye\n");
    let sender = thread::spawn(move || {
        let end = Instant::now() + TIME_LIMIT;
        while peer.socket.write_all(b"tick\n").is_ok() && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        Instant::now() < end
    });
    let ended = sending.finish();
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.starts_with("tick\ntick\n"), "{}", ended.stdout);
    assert!(sender.join().unwrap(), "the connection stays open");
}

#[test]
fn flooding_peer_is_disconnected() {
    let server = server();
    let (sending, mut stdout) =
        Running::spawn_unread(&mut command(&["send", "-a", &server.address, "trigger", "name=x"]));
    let printed = thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()).unwrap());
    let mut peer = server.accept();
    let flood = b"trigger?name=y\n".repeat(1000);
    let sender = thread::spawn(move || while peer.socket.write_all(&flood).is_ok() {});
    assert_eq!(sending.finish().code, Some(0));
    assert!(printed.join().unwrap() > 0);
    sender.join().unwrap();
}

#[test]
fn peer_that_resets_without_a_message_is_3() {
    let server = server();
    let mut sending = start_with_input(&["send", "-a", &server.address]);
    let mut peer = server.accept();
    sending.write(b"a\n");
    assert_eq!(peer.line(), "a\n");
    peer.reset();
    let ended = sending.finish();
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("lost the connection to 127.0.0.1:"), "{}", ended.stderr);
}

#[test]
fn peer_that_closes_during_a_stream_is_3_with_stdin_open() {
    let server = server();
    let mut sending = start_with_input(&["send", "-a", &server.address]);
    let mut peer = server.accept();
    sending.write(b"a\n");
    assert_eq!(peer.line(), "a\n");
    drop(peer);
    let ended = sending.finish();
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("closed the connection before the last message was sent"), "{}", ended.stderr);
}

#[test]
fn truncated_line_is_reported() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "a?"]);
    let mut peer = server.accept();
    peer.rest().unwrap();
    peer.send(b"b\nhal\x1bf");
    drop(peer);
    let ended = sending.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "b\n"));
    assert!(ended.stderr.ends_with(": the connection ended inside a message: hal\\x1bf\n"), "{}", ended.stderr);
}

#[test]
fn lines_in_single_bytes_are_read() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "a?"]);
    let mut peer = server.accept();
    peer.rest().unwrap();
    b"hello\ntrigger?name=x\nf&bytes=2\nhi".iter().for_each(|&byte| peer.send(&[byte]));
    drop(peer);
    assert_eq!(sending.finish().stdout, "trigger?name=x\nf&bytes=2\nhi");
}

#[test]
fn malformed_reply_is_printed_and_reported() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "a?"]);
    let mut peer = server.accept();
    peer.rest().unwrap();
    peer.send(b"b?n=int:x\n");
    drop(peer);
    let ended = sending.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "b?n=int:x\n"));
    assert!(ended.stderr.contains(": line 1: n: invalid integer: int:x"), "{}", ended.stderr);
}

#[test]
fn stream_is_sent_line_by_line_and_a_reset_gets_its_reply() {
    let server = server();
    let mut sending = start_with_input(&["send", "-v", "-a", &server.address, "-"]);
    let mut peer = server.accept();
    sending.write(b"# not sent\n\na?x=1\r\n{\"command\":\"b\",\"params\":{\"n\":5}}\n{oops}\nf&bytes=2\nh");
    assert_eq!((peer.line(), peer.line()), ("a?x=1\n".into(), "b?n=int:5\n".into()));
    peer.send(b"reset\n");
    assert_eq!(peer.line(), "reset_complete\n");
    sending.write(b"ilast");
    sending.stdin = None;
    assert_eq!(peer.rest().unwrap(), "f&bytes=2\nhilast\ngoodbye\n");
    drop(peer);
    let ended = sending.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("<stdin>:5: "), "{}", ended.stderr);
    for line in ["> a?x=1\n", "> f&bytes=2 <2 bytes>\n", "< reset\n> reset_complete\n", "> goodbye\n"] {
        assert!(ended.stderr.contains(line), "{line} in {}", ended.stderr);
    }
}

#[test]
fn nothing_is_sent_after_a_goodbye_in_the_stream() {
    let server = server();
    let mut sending = start_with_input(&["send", "-a", &server.address]);
    sending.write(b"a\ngoodbye\nb\n");
    assert_eq!(server.accept().rest().unwrap(), "a\ngoodbye\n");
    let ended = sending.finish();
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(1), "<stdin>:3: not sent: nothing is sent after a goodbye\n")
    );
}

#[test]
fn signal_sends_goodbye_and_ends_the_run() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let server = server();
        let mut sending = start_with_input(&["send", "-a", &server.address]);
        let mut peer = server.accept();
        sending.write(b"a\n");
        assert_eq!(peer.line(), "a\n");
        sending.signal(signal);
        assert_eq!(peer.rest().unwrap(), "goodbye\n");
        drop(peer);
        assert_eq!(sending.finish().code, Some(code));
    }
}

#[test]
fn retry_connects_to_a_peer_that_starts_later() {
    let closed = server().close();
    let sending = start(&["send", "--retry", "60s", "-a", &closed, "a?"]);
    assert_eq!(Server::at(&closed).accept().rest().unwrap(), "a?\ngoodbye\n");
    assert_eq!(sending.finish().code, Some(0));
}

#[test]
fn signal_ends_connecting() {
    let closed = server().close();
    let mut command = command(&["send", "--retry", "60s", "-a", &closed, "a?"]);
    let mut sending = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut note = String::new();
    BufReader::new(sending.stderr.take().unwrap()).read_line(&mut note).unwrap();
    assert_eq!(note, format!("{closed}: connection refused; retrying until it accepts\n"));
    kill_process(Pid::from_child(&sending), Signal::INT).unwrap();
    assert_eq!(exit_code(&mut sending), Some(130));
}

#[test]
fn closed_stdout_ends_an_idle_run_with_goodbye() {
    let server = server();
    let (mut sending, stdout) = Running::spawn_unread(command(&["send", "-a", &server.address]).stdin(Stdio::piped()));
    let mut peer = server.accept();
    sending.write(b"a\n");
    assert_eq!(peer.line(), "a\n");
    drop(stdout);
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = sending.finish();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn full_disk_is_3() {
    let server = server();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = command(&["send", "-a", &server.address, "a?"]);
    let mut sending = command.stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let mut peer = server.accept();
    peer.rest().unwrap();
    peer.send(b"b\n");
    drop(peer);
    assert_eq!(exit_code(&mut sending), Some(3));
}

#[test]
fn incomplete_message_never_ends_in_an_orderly_close() {
    let server = server();
    let mut sending = start_with_input(&["send", "-a", &server.address]);
    let mut peer = server.accept();
    let mut stdin = sending.stdin.take().unwrap();
    let feeder = thread::spawn(move || {
        // More than the socket buffers can contain; the write ends when the program exits.
        let _ = stdin.write_all(b"f&bytes=16777216\n");
        let _ = stdin.write_all(&vec![b'x'; 16 << 20]);
        stdin
    });
    assert_eq!(peer.line(), "f&bytes=16777216\n");
    sending.signal(Signal::TERM);
    assert_eq!(sending.finish().code, Some(143));
    let broken = peer.rest().expect_err("an orderly close inside a message");
    assert_eq!(broken.kind(), std::io::ErrorKind::ConnectionReset);
    drop(feeder.join());
}

#[test]
fn two_peers_that_write_before_they_read_do_not_block() {
    const LINES: usize = 400_000;
    let server = server();
    let mut sending = start_with_input(&["send", "-a", &server.address]);
    let mut stdin = sending.stdin.take().unwrap();
    let text = "trigger?name=012345678901\n".repeat(LINES);
    let (ours, theirs) = (text.clone(), text.clone());
    let feeder = thread::spawn(move || stdin.write_all(ours.as_bytes()));
    let mut peer = server.accept();
    peer.send(theirs.as_bytes());
    let received = peer.rest().unwrap();
    assert!(received.strip_suffix("goodbye\n") == Some(&text), "{} bytes received", received.len());
    drop(peer);
    feeder.join().unwrap().unwrap();
    let ended = sending.finish();
    assert!(ended.stdout == text, "{} bytes printed", ended.stdout.len());
    assert_eq!(ended.code, Some(0));
}

#[test]
fn peer_that_breaks_the_framing_is_4_and_reported_once() {
    for replaying in [false, true] {
        let server = server();
        let arguments = ["send", "-a", &server.address, "a?"];
        let replay = ["replay", "-q", "-a", &server.address, GAME];
        let running = start(if replaying { &replay } else { &arguments });
        let mut peer = server.accept();
        peer.send(b"b\nf&bytes=99999999999\nxyz");
        let _ = peer.rest();
        let ended = running.finish();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), "b\n"));
        assert_eq!(ended.stderr.matches("payload over 16777216 bytes").count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn line_over_the_limit_is_reported_and_the_next_one_read() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "a?"]);
    let mut peer = server.accept();
    peer.rest().unwrap();
    peer.send(&vec![b'x'; (1 << 20) + 1]);
    peer.send(b"\nb\n");
    drop(peer);
    let ended = sending.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "b\n"));
    assert!(ended.stderr.contains(": line 1: line over 1048576 bytes"), "{}", ended.stderr);
}

#[test]
fn recording_holds_both_directions_and_an_old_one_is_refused_before_anything_is_sent() {
    let (server, file) = (server(), directory().join("game.bcp"));
    let name = file.to_str().unwrap();
    let sending = start(&["send", "-a", &server.address, "--record", name, "a?x=1"]);
    let mut peer = server.accept();
    assert_eq!(peer.rest().unwrap(), "a?x=1\ngoodbye\n");
    peer.send(b"b?y=2\n# no\nf&bytes=2\nhihal");
    drop(peer);
    assert_eq!(sending.finish().code, Some(1));
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("#@")).collect();
    assert_eq!(lines[..2], ["#backbox-session 1", &format!("#!port {}", server.address.rsplit(':').next().unwrap())]);
    assert!(lines[2].ends_with(&format!("Z, connecting to {}", server.address)), "{text}");
    let messages = ["a?x=1", "goodbye", "#<b?y=2", "#<# no", "#<f&bytes=2", "#=aGk="];
    assert_eq!(lines[3..9], messages);
    assert_eq!(lines[9], "# connection 1, server: unfinished line: hal");
    let refused = run(&["send", "-a", &server.address, "--record", name, "a?"]);
    assert_eq!(refused.code, Some(3));
    assert!(refused.stderr.ends_with("file is not empty; use --overwrite to replace it\n"), "{}", refused.stderr);
    assert_eq!(run(&["send", "-a", &server.address, "--overwrite", "a?"]).code, Some(2));
}

#[test]
fn full_disk_under_the_recording_is_3_and_the_message_goes_out() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "--record", "/dev/full", "a?"]);
    assert_eq!(server.accept().rest().unwrap(), "a?\ngoodbye\n");
    let ended = sending.finish();
    assert_eq!(ended.code, Some(3));
    assert_eq!(ended.stderr.matches("cannot continue the recording /dev/full").count(), 1, "{}", ended.stderr);
}
