//! Faults of peers, disks and users. No run may hang, and no peer may receive an incomplete line and then an orderly
//! close, because MPF executes such a line.
//!
//! Each fault with its test. Tests without a module name are in this file.
//!
//! - refused, then accepted: `send::retry_connects_to_a_peer_that_starts_later`,
//!   `forward::retry_makes_the_client_wait_for_the_target`,
//!   [`client_waits_for_a_server_that_starts_later`]
//! - reset in the handshake: `send_ways::handshake_without_reply_is_124_and_an_interrupted_one_is_reported`,
//!   [`reset_in_the_handshake_ends_a_client_and_not_a_server`]
//! - half-open peer: [`half_closed_peer_receives_goodbye`], `listen::misbehaving_peers_disturb_no_other`,
//!   `forward::each_byte_and_half_close_is_forwarded`
//! - the peer never closes: `send::peer_that_never_closes_is_disconnected_and_reported`,
//!   `listen::peer_that_does_not_close_after_a_signal_is_disconnected`
//! - partial line, then close: `send::truncated_line_is_reported`, `listen::misbehaving_peers_disturb_no_other`
//! - single bytes, payload in pieces: `send::lines_in_single_bytes_are_read`,
//!   `listen::lines_and_payloads_may_arrive_in_single_bytes`
//! - peer that does not read: [`signal_and_timeout_end_a_run_whose_peer_does_not_read`],
//!   `listen::peer_that_does_not_read_is_reset_and_reported`
//! - peer that writes before it reads: [`peer_that_writes_everything_before_it_reads_loses_nothing`],
//!   `send::two_peers_that_write_before_they_read_do_not_block`
//! - no descriptor left: `listen::lack_of_descriptors_is_reported_once_and_recovered`,
//!   [`lack_of_descriptors_while_forwarding_is_reported_once_and_recovered`]
//! - full disk under a recording: [`recording_on_a_full_disk_contains_only_whole_records`],
//!   `roles::full_disk_under_a_recording_is_reported_at_once_and_3_at_the_end`,
//!   `forward::full_disk_ends_the_recording_and_not_the_game`
//! - signal inside a message: [`signal_during_a_flood_finishes_the_line_and_sends_goodbye`],
//!   `send::incomplete_message_never_ends_in_an_orderly_close`, [`listen_sends_no_incomplete_line`],
//!   `forward::unfinished_message_ends_in_a_reset`
//! - timeout (`-W`) inside a message: `send_goals::timeout_inside_a_message_resets_the_connection`
//! - connection lost inside a message: [`connection_lost_inside_a_message_is_3`]
//! - two programs that reply to each other: `roles::two_programs_that_reply_to_each_other_are_stopped_and_reported`
//! - two addresses, of which one refuses: [`each_address_of_a_name_is_tried`]
//! - IPv6: `send_goals::ipv6_works_like_ipv4`, [`listen_and_forward_work_over_ipv6`]
//! - second signal: [`second_signal_exits_at_once`], [`second_signal_inside_a_message_is_a_reset`],
//!   [`second_signal_inside_a_message_of_listen_is_a_reset`], [`forward_sends_no_incomplete_line`]
//! - empty payload after a goodbye: [`nothing_is_sent_after_a_goodbye_with_an_empty_payload`]
//!
//! Each place where a run can block, with the test that it still ends.
//!
//! - accept: [`run_without_a_client_can_be_ended`]
//! - read of a peer: `listen::signal_sends_goodbye_to_all_peers`
//! - `-W`, `-n`: `roles::timeout_is_124_with_a_goal_unmet_else_0`,
//!   `roles::goal_ends_the_run_whatever_is_printed`
//! - connect that is not accepted: [`signal_ends_an_unaccepted_connection_attempt`],
//!   [`unaccepted_connection_attempt_times_out`]
//! - write to a peer that never reads: [`signal_and_timeout_end_a_run_whose_peer_does_not_read`]
//! - the same in a large message: `send::incomplete_message_never_ends_in_an_orderly_close`
//! - unread stdout: `listen::unread_stdout_stops_the_peers_and_not_the_signals`,
//!   [`signal_ends_a_run_with_unread_output`], `send_goals::timeout_ends_a_run_with_unread_output`,
//!   `listen_ways::timeout_ends_a_run_whose_output_is_not_read`
//! - a recording into a pipe: `listen_ways::signal_ends_a_recording_into_an_unopened_pipe`,
//!   `listen_ways::unread_recording_does_not_harm_a_forwarded_game`
//! - closed stdout: `send::closed_stdout_ends_an_idle_run_with_goodbye`, and the tests of the
//!   same name in `listen` and `replay`
//! - stdout closed during a write: `listen::closed_stdout_is_noticed_in_a_write`,
//!   [`stdout_closed_during_a_blocked_write_ends_the_run`]
//! - a pause: [`signal_ends_a_pause`], `send::signal_ends_connecting`,
//!   `replay::signal_sends_goodbye_and_prints_the_summary`
//! - read of stdin: `send::signal_sends_goodbye_and_ends_the_run`
//! - end of stdin; the peer closes: `send::stream_is_sent_line_by_line_and_a_reset_gets_its_reply`,
//!   `send::peer_that_closes_during_a_stream_is_3_with_stdin_open`

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::*;

/// A line that is long enough to be truncated.
fn long_line() -> String {
    format!("trigger?name={}\n", "0123456789".repeat(300))
}

/// Reads what was sent of repetitions of this line, and asserts that no orderly close follows an incomplete line.
#[track_caller]
fn whole_or_reset(peer: &mut Peer, line: &str) {
    match peer.rest() {
        Ok(text) => {
            let lines = text.strip_suffix("goodbye\n").unwrap_or(&text);
            assert!(lines.split_inclusive('\n').all(|found| found == line), "an incomplete line and an orderly close");
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn client_waits_for_a_server_that_starts_later() {
    let closed = server().close();
    let listening = start(&["listen", "-c", &closed, "--monitor", "modes", "--retry", "60s"]);
    let mut peer = Server::at(&closed).accept();
    assert_eq!(peer.line(), "monitor_start?category=modes\n");
    peer.send(b"goodbye\n");
    assert_eq!(peer.rest().unwrap(), "");
    drop(peer);
    assert_eq!(listening.finish().code, Some(0));
}

#[test]
fn reset_in_the_handshake_ends_a_client_and_not_a_server() {
    let listening = listen(&[]);
    let mut first = connect(listening.address);
    first.send(b"hello?version=1.1\n");
    first.reset();
    let mut second = connect(listening.address);
    second.send(b"hello?version=1.1\n");
    assert_eq!(second.line(), "hello?version=1.1\n");
    let server = server();
    let connecting = start(&["listen", "--as", "pin", "-c", &server.address]);
    let mut peer = server.accept();
    assert!(peer.line().starts_with("hello?"));
    peer.reset();
    let ended = connecting.finish();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
}

#[test]
fn half_closed_peer_receives_goodbye() {
    let server = server();
    let mut sending = start_with_input(&["send", "-a", &server.address]);
    let mut peer = server.accept();
    sending.write(b"a\n");
    assert_eq!(peer.line(), "a\n");
    peer.half_close();
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    assert_eq!(sending.finish().code, Some(3));
}

#[test]
fn signal_and_timeout_end_a_run_whose_peer_does_not_read() {
    for (time, code) in [("0", 143), ("1s", 124)] {
        let server = server();
        let mut sending = start_with_input(&["send", "-a", &server.address, "-e", "b", "-W", time]);
        let mut peer = server.accept();
        let line = long_line();
        sending.flood(line.as_bytes());
        if code == 143 {
            sending.signal(Signal::TERM);
        }
        assert_eq!(sending.finish().code, Some(code));
        whole_or_reset(&mut peer, &line);
    }
}

#[test]
fn peer_that_writes_everything_before_it_reads_loses_nothing() {
    const PIECES: usize = if cfg!(debug_assertions) { 200 } else { 2000 };
    let server = server();
    let piece = "trigger?name=0123456789\n".repeat(4200);
    let mut command = command(&["send", "-a", &server.address]);
    let (mut sending, mut stdout) = Running::spawn_unread(command.stdin(Stdio::piped()));
    let printed = thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()).unwrap());
    let mut stdin = sending.stdin.take().unwrap();
    let ours = piece.clone();
    let feeder = thread::spawn(move || (0..PIECES).for_each(|_| stdin.write_all(ours.as_bytes()).unwrap()));
    let mut peer = server.accept();
    (0..PIECES).for_each(|_| peer.send(piece.as_bytes()));
    let bytes = (piece.len() * PIECES) as u64;
    let received = std::io::copy(peer.buffered(), &mut std::io::sink()).unwrap();
    assert_eq!(received, bytes + "goodbye\n".len() as u64);
    drop(peer);
    feeder.join().unwrap();
    assert_eq!(sending.finish().code, Some(0));
    assert_eq!(printed.join().unwrap(), bytes);
}

#[test]
fn lack_of_descriptors_while_forwarding_is_reported_once_and_recovered() {
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let (target, file) = (echo.local_addr().unwrap().to_string(), directory().join("address"));
    thread::spawn(move || {
        for socket in echo.incoming().map_while(Result::ok) {
            thread::spawn(move || std::io::copy(&mut &socket, &mut &socket));
        }
    });
    // Clients wait while the target cannot be reached, so for a second no descriptor is free.
    let fixed = ["listen", "-a", "127.0.0.1:0", "--forward", &target, "--retry", "1s", "--announce"];
    let forwarding = Running::spawn(limited("ulimit -n 24", &fixed).arg(&file));
    let address = announced(&file);
    let mut clients: Vec<Peer> = (0..40).map(|_| connect(address)).collect();
    clients.iter_mut().for_each(|client| drop(client.socket.write_all(b"a\n")));
    for mut client in clients {
        let _ = client.socket.shutdown(std::net::Shutdown::Write);
        assert!(client.rest().map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |text| text == "a\n"));
    }
    let mut client = connect(address);
    client.send(b"again\n");
    assert_eq!(client.line(), "again\n");
    forwarding.signal(Signal::INT);
    drop(client);
    let ended = forwarding.finish();
    assert_eq!(ended.code, Some(130));
    assert_eq!(ended.stderr.matches("cannot accept another connection").count(), 1, "{}", ended.stderr);
}

/// The number of messages in a recording, all of which must be readable.
#[track_caller]
fn recorded(file: &str) -> usize {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.ends_with('\n'), "truncated inside a line: {}", &text[text.len().saturating_sub(100)..]);
    let read = run(&["decode", file]);
    assert_eq!(read.code, Some(0), "{}", read.stderr);
    read.stdout.lines().count()
}

#[test]
fn recording_on_a_full_disk_contains_only_whole_records() {
    // A file size limit accepts what fits and refuses the rest, like a full disk.
    const LIMIT: &str = "trap '' XFSZ; ulimit -f 8";
    const LINES: usize = 1000;
    let text = "trigger?name=0123456789\n".repeat(LINES);
    let directory = directory();
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let check = |ended: Finished, file: &str| {
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("file too large").count(), 1, "{}", ended.stderr);
        let count = recorded(file);
        assert!((10..LINES).contains(&count), "{count}");
    };
    let (target, file) = (server(), path("send.bcp"));
    let mut command = limited(LIMIT, &["send", "-a", &target.address, "--record", &file]);
    let mut sending = Running::spawn(command.stdin(Stdio::piped()));
    sending.write(text.as_bytes());
    sending.stdin = None;
    assert_eq!(target.accept().rest().unwrap(), format!("{text}goodbye\n"));
    check(sending.finish(), &file);
    for (way, file) in [(&[][..], path("listen.bcp")), (&["--forward", &target.address], path("forward.bcp"))] {
        let place = path(if way.is_empty() { "one" } else { "other" });
        let fixed = ["listen", "-a", "127.0.0.1:0", "--once", "--record", &file, "--announce", &place];
        let listening = Running::spawn(&mut limited(LIMIT, &[&fixed, way].concat()));
        let mut peer = connect(announced(place.as_ref()));
        peer.send(text.as_bytes());
        peer.half_close();
        if !way.is_empty() {
            assert_eq!(target.accept().rest().unwrap(), text);
        }
        assert_eq!(peer.rest().unwrap(), "");
        let ended = listening.finish();
        assert_eq!(ended.stdout.matches("trigger?name=0123456789\n").count(), LINES);
        check(ended, &file);
    }
}

#[test]
fn signal_during_a_flood_finishes_the_line_and_sends_goodbye() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = server();
        let mut sending = start_with_input(&["send", "-a", &server.address]);
        let mut stdin = sending.stdin.take().unwrap();
        let line = long_line();
        let flood = line.repeat(100);
        let feeder = thread::spawn(move || while stdin.write_all(flood.as_bytes()).is_ok() {});
        let mut peer = server.accept();
        assert_eq!(peer.line(), line);
        sending.signal(signal);
        let text = peer.rest().unwrap();
        let lines = text.strip_suffix("goodbye\n").expect("no goodbye");
        assert!(lines.split_inclusive('\n').all(|found| found == line));
        drop(peer);
        assert_eq!(sending.finish().code, Some(128 + signal.as_raw()));
        feeder.join().unwrap();
    }
}

#[test]
fn listen_sends_no_incomplete_line() {
    for twice in [false, true] {
        let file = directory().join("address");
        let mut listening = Running::spawn(listen_command(&["--stdin"], &file).stdin(Stdio::piped()));
        let mut peer = connect(announced(&file));
        peer.send(b"hello\n");
        assert_eq!(peer.line(), "hello?version=1.1\n");
        let line = long_line();
        listening.flood(line.as_bytes());
        match twice {
            true => listening.signal_twice(Signal::TERM, Signal::INT),
            false => listening.signal(Signal::TERM),
        }
        let ended = listening.finish();
        assert!(matches!(ended.code, Some(130 | 143)), "{ended:?}");
        whole_or_reset(&mut peer, &line);
    }
}

#[test]
fn second_signal_inside_a_message_of_listen_is_a_reset() {
    let file = directory().join("address");
    let mut listening = Running::spawn(listen_command(&["--stdin"], &file).stdin(Stdio::piped()));
    let mut peer = connect(announced(&file));
    peer.send(b"hello\n");
    assert_eq!(peer.line(), "hello?version=1.1\n");
    let start = "f&bytes=16777216\n";
    listening.write(&[start.as_bytes(), &vec![b'x'; 16 << 20]].concat());
    assert_eq!(peer.line(), start);
    listening.signal_twice(Signal::INT, Signal::TERM);
    let ended = listening.finish();
    assert!(matches!(ended.code, Some(130 | 143)), "{ended:?}");
    assert_eq!(peer.rest().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn forward_sends_no_incomplete_line() {
    for (twice, canonical) in [(false, false), (true, false), (true, true)] {
        let target = server();
        let rewritten: &[&str] = if canonical { &["--canonical"] } else { &[] };
        let forwarding = listen(&[&["--forward", &target.address], rewritten].concat());
        let client = connect(forwarding.address);
        let mut target = target.accept();
        let line = long_line();
        // It can write only what the buffers of both sockets and of the forwarder can contain.
        flood(&client.socket, line.as_bytes());
        match twice {
            true => forwarding.running.signal_twice(Signal::TERM, Signal::INT),
            false => forwarding.running.signal(Signal::TERM),
        }
        let ended = forwarding.running.finish();
        assert!(matches!(ended.code, Some(130 | 143)), "{ended:?}");
        whole_or_reset(&mut target, &line);
    }
}

#[test]
fn connection_lost_inside_a_message_is_3() {
    for resets in [false, true] {
        let server = server();
        let mut sending = start_with_input(&["send", "-a", &server.address]);
        let mut stdin = sending.stdin.take().unwrap();
        let feeder = thread::spawn(move || {
            let _ = stdin.write_all(b"f&bytes=16777216\n");
            let _ = stdin.write_all(&vec![b'x'; 16 << 20]);
            stdin
        });
        let mut peer = server.accept();
        assert_eq!(peer.line(), "f&bytes=16777216\n");
        let half_closed = if resets {
            peer.reset();
            None
        } else {
            peer.half_close();
            Some(peer)
        };
        assert_eq!(sending.finish().code, Some(3));
        if let Some(mut peer) = half_closed {
            assert_eq!(peer.rest().unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
        drop(feeder.join());
    }
}

#[test]
fn each_address_of_a_name_is_tried() {
    for only in ["127.0.0.1:0", "[::1]:0"] {
        let server = Server::at(only);
        let name = format!("localhost:{}", server.address.rsplit(':').next().unwrap());
        let sending = start(&["send", "-a", &name, "a?"]);
        assert_eq!(server.accept().rest().unwrap(), "a?\ngoodbye\n");
        let ended = sending.finish();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let forwarding = listen(&["--forward", &name]);
        connect(forwarding.address).send(b"b\n");
        assert_eq!(server.accept().line(), "b\n");
    }
}

#[test]
fn listen_and_forward_work_over_ipv6() {
    let (first, second) = (directory().join("address"), directory().join("address"));
    let over_6 = ["listen", "-a", "[::1]:0", "--format", "{@peer} {@command}", "--announce"];
    let listening = Running::spawn(command(&over_6).arg(&first).args(["--once"]).stdin(Stdio::null()));
    let address = announced(&first).to_string();
    assert!(address.starts_with("[::1]:"), "{address}");
    let forwarding =
        Running::spawn(command(&over_6).arg(&second).args(["--once", "--forward", &address]).stdin(Stdio::null()));
    let ended = run(&["send", "-a", &announced(&second).to_string(), "trigger", "name=x"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let listened = listening.finish();
    assert!(listened.stdout.starts_with("[::1]:") && listened.stdout.contains(" trigger\n"), "{listened:?}");
    let forwarded = forwarding.finish();
    assert!(forwarded.stdout.contains(" trigger\n"), "{forwarded:?}");
}

#[test]
fn second_signal_exits_at_once() {
    let server = server();
    let mut sending = start_with_input(&["send", "-a", &server.address]);
    let mut peer = server.accept();
    sending.write(b"a\n");
    assert_eq!(peer.line(), "a\n");
    sending.signal_twice(Signal::INT, Signal::TERM);
    // Of two signals delivered together, either may be handled second.
    let ended = sending.finish();
    assert!(matches!(ended.code, Some(130 | 143)), "{ended:?}");
    assert_eq!(peer.rest().unwrap(), "", "for a goodbye there was no time");
}

#[test]
fn second_signal_inside_a_message_is_a_reset() {
    let server = server();
    let mut sending = start_with_input(&["send", "-a", &server.address]);
    let mut peer = server.accept();
    let line = long_line();
    sending.flood(line.as_bytes());
    sending.signal_twice(Signal::INT, Signal::TERM);
    let ended = sending.finish();
    assert!(matches!(ended.code, Some(130 | 143)), "{ended:?}");
    whole_or_reset(&mut peer, &line);
}

#[test]
fn nothing_is_sent_after_a_goodbye_with_an_empty_payload() {
    let server = server();
    let mut sending = start_with_input(&["send", "-a", &server.address]);
    sending.write(b"a\ngoodbye&bytes=0\nb\n");
    assert_eq!(server.accept().rest().unwrap(), "a\ngoodbye&bytes=0\n");
    let ended = sending.finish();
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr, "<stdin>:3: not sent: nothing is sent after a goodbye\n");
}

#[test]
fn run_without_a_client_can_be_ended() {
    for way in [&[][..], &["--as", "pin"], &["--forward", "127.0.0.1:1"]] {
        let listening = listen(way);
        listening.running.signal(Signal::TERM);
        assert_eq!(listening.running.finish().code, Some(143));
        assert_eq!(listen(&[way, &["-W", "50ms"]].concat()).running.finish().code, Some(0));
    }
    assert_eq!(listen(&["-W", "50ms", "-n", "1"]).running.finish().code, Some(124));
}

#[test]
fn signal_ends_an_unaccepted_connection_attempt() {
    let (engaged, _calls) = Server::unresponsive();
    let address = engaged.address.as_str();
    for arguments in [
        &["send", "-a", address, "a?"][..],
        &["send", "--retry", "60s", "-a", address, "a?"],
        &["listen", "-c", address],
        &["replay", "-a", address, GAME],
    ] {
        let running = start(arguments);
        running.await_handlers();
        running.signal(Signal::INT);
        assert_eq!(running.finish().code, Some(130), "{arguments:?}");
    }
    let forwarding = listen(&["--forward", address]);
    let mut client = connect(forwarding.address);
    forwarding.running.signal(Signal::TERM);
    assert_eq!(forwarding.running.finish().code, Some(143));
    assert!(client.rest().is_err(), "an orderly close");
}

#[test]
fn unaccepted_connection_attempt_times_out() {
    let (engaged, _calls) = Server::unresponsive();
    let ended = run(&["send", "-a", &engaged.address, "a?"]);
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains(&format!("timed out connecting to {}", engaged.address)), "{}", ended.stderr);
}

#[test]
fn signal_ends_a_run_with_unread_output() {
    let server = server();
    let (sending, stdout) = Running::spawn_unread(command(&["send", "-a", &server.address]).stdin(Stdio::piped()));
    let mut peer = server.accept();
    peer.socket.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    // Send until the buffers are full.
    while peer.socket.write_all("trigger?name=0123456789\n".repeat(10_000).as_bytes()).is_ok() {}
    sending.signal(Signal::INT);
    assert_eq!(sending.finish().code, Some(130));
    drop(stdout);
}

#[test]
fn stdout_closed_during_a_blocked_write_ends_the_run() {
    let file = directory().join("address");
    let (listening, stdout) = Running::spawn_unread(listen_command(&[], &file).stdin(Stdio::null()));
    let mut peer = connect(announced(&file));
    peer.socket.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    while peer.socket.write_all("trigger?name=0123456789\n".repeat(10_000).as_bytes()).is_ok() {}
    drop(stdout);
    // The connection may end in a reset, because not everything that the peer sent was read.
    let _ = peer.buffered().read_to_end(&mut Vec::new());
    drop(peer);
    let ended = listening.finish();
    assert!(matches!(ended.code, Some(0 | 1)), "{ended:?}");
}

#[test]
fn signal_ends_a_pause() {
    let server = server();
    let sending = start(&["send", "-a", &server.address, "--every", "10m", "--repeat", "2", "a?"]);
    let mut peer = server.accept();
    assert_eq!(peer.line(), "a?\n");
    sending.signal(Signal::INT);
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    assert_eq!(sending.finish().code, Some(130));
}
