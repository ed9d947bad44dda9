//! `backbox listen`: what is sent to which peer, and unread outputs.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::*;

/// Makes a named pipe.
fn pipe() -> PathBuf {
    let path = directory().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// Opens a named pipe for reading without reading it.
fn unread_end(pipe: &Path) -> fs::File {
    OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32).open(pipe).unwrap()
}

#[test]
fn default_address_is_where_mpf_connects() {
    // If another program uses the port, the error also names the address.
    let ended = run(&["listen", "-W", "10ms"]);
    assert!(ended.stderr.contains("127.0.0.1:5050"), "{}", ended.stderr);
}

#[test]
fn each_connection_is_subscribed_in_one_write() {
    let listening = listen(&["--monitor", "modes", "--register", "x"]);
    for _ in 0..2 {
        let mut peer = connect(listening.address);
        peer.send(b"reset\n");
        let mut bytes = [0; 200];
        let count = peer.buffered().read(&mut bytes).unwrap();
        let said = std::str::from_utf8(&bytes[..count]).unwrap();
        assert_eq!(said, "monitor_start?category=modes\nregister_trigger?event=x\nreset_complete\n");
    }
}

#[test]
fn peer_of_a_client_is_the_server() {
    let server = server();
    let listening = start(&["listen", "-c", &server.address, "--monitor", "none", "--json", "--meta", "-n", "1"]);
    server.accept().send(b"a?x=1\n");
    let message: serde_json::Value = serde_json::from_str(&listening.finish().stdout).unwrap();
    assert_eq!(
        (&message["meta"]["from"], &message["meta"]["peer"]),
        (&"server".into(), &server.address.as_str().into())
    );
}

#[test]
fn first_reply_that_matches_replaces_the_built_in_one() {
    let rules =
        ["hello =>", "reset => first?x=1", "reset => second", "nosuch =>", "error => never", "q => a?t={t}&n={n}"];
    let flags: Vec<&str> = rules.iter().flat_map(|rule| ["--reply", rule]).collect();
    for (more, unknown) in [(&[][..], "error?message=unknown%20command&command=other\n"), (&["--no-auto"], "")] {
        let listening = listen(&[&flags[..], more].concat());
        let mut peer = connect(listening.address);
        peer.send(
            b"hello?version=1.1\nreset\nnosuch\nother\nerror?message=x\nq?t=a%0A%22%7Bn%7D%22&n=int:7\ngoodbye\n",
        );
        let reply = "a?t=a%0A%22%7Bn%7D%22&n=int:7\n";
        assert_eq!(peer.rest().unwrap(), format!("first?x=1\n{unknown}{reply}"));
    }
}

#[test]
fn line_of_stdin_goes_to_every_peer_despite_one_that_does_not_read() {
    const LINES: usize = 3000;
    let file = directory().join("address");
    let mut listening = Running::spawn(listen_command(&["--stdin"], &file).stdin(Stdio::piped()));
    let address = announced(&file);
    let mut peers = [connect(address), connect(address)];
    for peer in &mut peers {
        peer.send(b"hello\n");
        assert_eq!(peer.line(), "hello?version=1.1\n");
    }
    let [mut deaf, mut good] = peers;
    let line = format!("trigger?name={}\n", "x".repeat(2000));
    let (mut stdin, lines) = (listening.stdin.take().unwrap(), line.repeat(LINES));
    let feeder = thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    for _ in 0..LINES {
        assert!(good.line() == line);
    }
    feeder.join().unwrap();
    // Unread data is lost, and no orderly close follows an incomplete line.
    assert!(deaf.rest().is_err());
    listening.signal(Signal::INT);
    assert_eq!(good.rest().unwrap(), "goodbye\n");
    let ended = listening.finish();
    assert_eq!(ended.stderr.matches("it does not read, and 65536 bytes wait for it").count(), 1, "{}", ended.stderr);
}

#[test]
fn peer_that_breaks_the_framing_is_4_and_reported_once() {
    let check = |running: Running| {
        let ended = running.finish();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), "b\n"), "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("payload over 16777216 bytes").count(), 1, "{}", ended.stderr);
        assert!(!ended.stderr.contains("without a goodbye"), "{}", ended.stderr);
    };
    let said = b"b\nf&bytes=99999999999\nxyz";
    for goal in [&[][..], &["-e", "never"]] {
        let server = server();
        let running = start(&[&["listen", "-c", &server.address, "--monitor", "none"], goal].concat());
        let mut peer = server.accept();
        peer.send(said);
        peer.rest().unwrap();
        drop(peer);
        check(running);
    }
    let listening = listen(&["--once"]);
    let mut peer = connect(listening.address);
    peer.send(said);
    peer.rest().unwrap();
    drop(peer);
    check(listening.running);
    let target = server();
    let forwarding = listen(&["--forward", &target.address, "--once"]);
    connect(forwarding.address).send(said);
    assert_eq!(target.accept().rest().unwrap().as_bytes(), said);
    check(forwarding.running);
}

/// Runs for one second with unread output, while the peer sends as much as it can.
fn ends_in_time(goal: &[&str], forwards: bool, code: i32) {
    let (target, file) = (server(), directory().join("address"));
    let way: &[&str] = if forwards { &["--forward", &target.address] } else { &[] };
    let arguments = [way, &["-W", "1s"], goal].concat();
    let (listening, stdout) = Running::spawn_unread(listen_command(&arguments, &file).stdin(Stdio::null()));
    let mut peer = connect(announced(&file));
    if forwards {
        let mut target = target.accept();
        thread::spawn(move || std::io::copy(target.buffered(), &mut std::io::sink()));
    }
    peer.socket.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let lines = "trigger?name=0123456789\n".repeat(10_000);
    // Forwarding accepts everything until the timeout.
    while peer.socket.write_all(lines.as_bytes()).is_ok() {}
    let ended = listening.finish();
    drop((peer.rest(), stdout));
    assert_eq!(ended.code, Some(code), "{arguments:?} {}", ended.stderr);
    assert!(ended.stderr.contains("no program reads the output; the last messages are lost"), "{}", ended.stderr);
}

#[test]
fn timeout_ends_a_run_whose_output_is_not_read() {
    thread::scope(|scope| {
        scope.spawn(|| ends_in_time(&["-e", "never"], false, 124));
        scope.spawn(|| ends_in_time(&["-e", "never"], true, 124));
        scope.spawn(|| ends_in_time(&["-n", "50000"], false, 124));
        scope.spawn(|| ends_in_time(&[], true, 3));
    });
}

#[test]
fn unread_stdout_uses_bounded_memory() {
    const BYTES_MAX: usize = 32 << 20;
    let file = directory().join("address");
    let (listening, _stdout) = Running::spawn_unread(listen_command(&[], &file).stdin(Stdio::null()));
    let peers: Vec<Peer> = (0..8).map(|_| connect(announced(&file))).collect();
    for peer in &peers {
        flood(&peer.socket, "trigger?name=0123456789\n".repeat(1000).as_bytes());
    }
    assert!(listening.peak_memory() < BYTES_MAX, "{} bytes", listening.peak_memory());
}

#[test]
fn signal_ends_a_recording_into_an_unopened_pipe() {
    for run in [
        &["listen", "-a", "127.0.0.1:0"][..],
        &["listen", "-a", "127.0.0.1:0", "--forward", "127.0.0.1:1"],
        &["send", "-a", "127.0.0.1:1", "reset"],
        &["replay", "-a", "127.0.0.1:1", GAME],
    ] {
        let pipe = pipe();
        let recording = start(&[run, &["--record", pipe.to_str().unwrap()]].concat());
        recording.await_sleep();
        recording.signal(Signal::INT);
        // Signal handlers are not installed yet, so the signal has its default effect.
        assert_eq!(recording.finish().code, None, "{run:?}");
    }
}

#[test]
fn unread_recording_does_not_harm_a_forwarded_game() {
    const LINES: usize = 90;
    let (target, pipe) = (server(), pipe());
    let mut reader = unread_end(&pipe);
    let forwarding =
        listen(&["--forward", &target.address, "--once", "-m", "none", "--record", pipe.to_str().unwrap()]);
    let (mut client, mut target) = (connect(forwarding.address), target.accept());
    // Nearly 1 MiB each; the limit of the queue is 64 MiB.
    let line = format!("trigger?name={}\n", "x".repeat(1_000_000));
    for _ in 0..LINES {
        client.send(line.as_bytes());
        assert!(target.line() == line, "a line is not passed on as it is");
    }
    drop((client, target));
    rustix::io::ioctl_fionbio(&reader, false).unwrap();
    let mut recorded = String::new();
    reader.read_to_string(&mut recorded).unwrap();
    let ended = forwarding.running.finish();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let whole = recorded.split_inclusive('\n').filter(|found| *found == line).count();
    // Each message has a time stamp.
    let missed = (LINES - whole) * (line.len() + "#@0.000000\n".len());
    assert!(whole > 10 && missed > 0, "{whole} lines");
    let counts = ended.stderr.split_once("--record: ").unwrap().1;
    let counted: usize = counts.split_once(" bytes were forwarded and not recorded").unwrap().0.parse().unwrap();
    assert!((missed..missed + 1000).contains(&counted), "{missed}: {}", ended.stderr);
    assert!(recorded.contains(&format!("# {counted} bytes are missing above\n")));
}

#[test]
fn line_truncated_by_our_own_close_is_no_failure() {
    for (wire, half, done) in
        [("bcp", &b"trigger?na"[..], &b"done\n"[..]), ("obe", b"0000000009\"ha", b"0000000006\"done\"")]
    {
        let expected = if wire == "obe" { "\"done\"" } else { "done" };
        let listening = listen(&["--wire", wire, "-e", expected]);
        let mut busy = connect(listening.address);
        busy.send(half);
        let mut other = connect(listening.address);
        other.send(done);
        let _ = busy.rest();
        drop((busy, other));
        let ended = listening.running.finish();
        assert_eq!(ended.code, Some(0), "{wire}: {}", ended.stderr);
    }
}

/// The rows of a table, without times, ports and durations.
fn rows(table: &str) -> Vec<String> {
    let row = |line: &str| {
        let text = line.get(10..).unwrap_or(line);
        let text = text.split_once(" from 127.0.0.1:").map_or(text, |(before, _)| before);
        match text.split_once(" after ").and_then(|(before, rest)| Some((before, rest.split_once(": ")?.1))) {
            Some((how, counts)) => format!("{how}: {counts}"),
            None => text.to_owned(),
        }
    };
    table.lines().map(row).collect()
}

#[test]
fn table_in_a_pipe_has_both_directions_and_how_the_connection_closed() {
    let listening = listen(&["--view", "table", "--once", "--monitor", "modes", "-x", "b"]);
    let mut peer = connect(listening.address);
    peer.send(b"hello?version=1.1\nreset\nx?a=int:y\nswitch?state=int:1&name=s\nb?c=1\ngoodbye\n");
    peer.rest().unwrap();
    assert_eq!(
        rows(&listening.running.finish().stdout),
        [
            "connected",
            "MPF→MC  hello              version 1.1",
            "MC→MPF  hello              version 1.1",
            "MPF→MC  reset",
            "MC→MPF  monitor_start      category modes",
            "MC→MPF  reset_complete",
            "MPF→MC  ! x?a=int:y  a: invalid integer: int:y; write digits after int:, as in int:5",
            "MC→MPF  error              message malformed line  command x",
            "MPF→MC  switch             s  state 1",
            "MC→MPF  error              message unknown command  command b",
            "MPF→MC  goodbye",
            "closed by MPF (goodbye): 5 messages from MPF, 5 from MC, 1 malformed",
        ]
    );
}

#[test]
fn table_names_the_program_that_greets() {
    let listening = listen(&["--view", "table", "--once"]);
    let mut peer = connect(listening.address);
    peer.send(b"hello?version=1.1&controller_name=mpf&controller_version=0.81.0\n");
    peer.half_close();
    peer.rest().unwrap();
    let table = listening.running.finish().stdout;
    assert!(table.contains("  version 1.1  controller_name mpf  controller_version 0.81.0\n"), "{table}");
    assert_eq!(rows(&table)[2], "the client is mpf 0.81.0", "{table}");
}

#[test]
fn table_of_a_forwarded_game_has_both_directions() {
    let target = server();
    let listening = listen(&["--view", "table", "--once", "--forward", &target.address]);
    let mut client = connect(listening.address);
    client.send(b"a?x=1\n");
    let mut server = target.accept();
    assert_eq!(server.line(), "a?x=1\n");
    server.send(b"b\n");
    assert_eq!(client.line(), "b\n");
    client.half_close();
    server.rest().unwrap();
    drop(server);
    let table = listening.running.finish().stdout;
    let rows = rows(&table);
    assert_eq!(rows[..3], ["connected", "client→server  a                  x 1", "server→client  b"], "{table}");
    assert!(rows[3].ends_with(": 1 message from client, 1 from server"), "{table}");
}

#[test]
fn table_names_both_sides_by_role() {
    let server = server();
    for (role, arrow) in [(&[][..], "MC→MPF  monitor_start"), (&["--as", "pin"], "MPF→MC  hello")] {
        let listening = start(&[&["listen", "--view", "table", "-c", &server.address], role].concat());
        let mut peer = server.accept();
        peer.line();
        peer.send(b"goodbye\n");
        drop(peer);
        let table = listening.finish().stdout;
        assert!(table.contains(&format!("connected to {}\n", server.address)) && table.contains(arrow), "{table}");
    }
    for form in [&["--json"][..], &["-F", "{@line}"], &["--wire", "obe"]] {
        assert_eq!(run(&[&["listen", "--view", "table"], form].concat()).code, Some(2));
    }
}
