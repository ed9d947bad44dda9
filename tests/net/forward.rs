//! `backbox listen --forward`: it forwards a connection, and its own faults do not disturb that connection.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::*;

/// A forwarder whose target is the test.
struct Forwarding {
    listening: Listening,
    target: Server,
}

fn forward(arguments: &[&str]) -> Forwarding {
    let target = server();
    let listening = listen(&[&["--forward", &target.address], arguments].concat());
    Forwarding { listening, target }
}

impl Forwarding {
    fn pair(&self) -> (Peer, Peer) {
        let client = connect(self.listening.address);
        (client, self.target.accept())
    }
}

#[test]
fn each_byte_and_half_close_is_forwarded() {
    let forwarding = forward(&["--once"]);
    let (mut client, mut target) = forwarding.pair();
    let said = b"hello?version=1.1\r\n# odd\n\xff\xfe\0\nGET / HTTP/1.1\n\nf&bytes=4\na\nb\nx&bytes=zz9\nhalf";
    client.send(said);
    client.half_close();
    let mut received = Vec::new();
    target.socket.read_to_end(&mut received).unwrap();
    assert_eq!(received, said);
    target.send(b"hello?version=1.1\ngoodbye\n");
    target.half_close();
    assert_eq!(client.rest().unwrap(), "hello?version=1.1\ngoodbye\n");
    let ended = forwarding.listening.running.finish();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for line in ["hello?version=1.1\r\n", "GET / HTTP/1.1\n", "f&bytes=4\na\nb\n", "goodbye\n"] {
        assert!(ended.stdout.contains(line), "{line:?} in {}", ended.stdout);
    }
    assert!(ended.stderr.contains("is not UTF-8"), "{}", ended.stderr);
    assert!(ended.stderr.contains("client: closed the connection inside a message: half"), "{}", ended.stderr);
}

#[test]
fn unframable_bytes_are_forwarded() {
    let forwarding = forward(&[]);
    let (mut client, mut target) = forwarding.pair();
    client.send(b"f&bytes=99999999999999\nand on\nit goes\n");
    assert_eq!((target.line(), target.line()), ("f&bytes=99999999999999\n".into(), "and on\n".into()));
}

#[test]
fn signal_adds_no_goodbye_and_a_message_in_flight_is_finished() {
    let forwarding = forward(&[]);
    let (mut client, mut target) = forwarding.pair();
    client.send(b"f&bytes=6\nabc");
    target.send(b"trigger?name=x\n");
    assert_eq!(client.line(), "trigger?name=x\n");
    assert_eq!(target.line(), "f&bytes=6\n");
    let mut half = [0; 3];
    target.buffered().read_exact(&mut half).unwrap();
    forwarding.listening.running.signal(Signal::TERM);
    // The direction without a message in flight ends, which shows that the signal was handled.
    assert_eq!(client.rest().unwrap(), "");
    client.send(b"defnot passed on\n");
    assert_eq!(target.rest().unwrap(), "def");
    assert_eq!(forwarding.listening.running.finish().code, Some(143));
}

#[test]
fn unfinished_message_ends_in_a_reset() {
    let forwarding = forward(&[]);
    let (mut client, mut target) = forwarding.pair();
    client.send(b"trigger?name=x\ntrigger?na");
    assert_eq!(target.line(), "trigger?name=x\n");
    let mut half = [0; 10];
    target.buffered().read_exact(&mut half).unwrap();
    forwarding.listening.running.signal(Signal::INT);
    assert_eq!(target.rest().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(forwarding.listening.running.finish().code, Some(130));
}

#[test]
fn closed_stdout_ends_printing_and_not_the_game() {
    let target = server();
    let file = directory().join("address");
    let (forwarding, stdout) =
        Running::spawn_unread(listen_command(&["--forward", &target.address, "--once"], &file).stdin(Stdio::null()));
    let mut client = connect(announced(&file));
    let mut target = target.accept();
    client.send(b"a\n");
    assert_eq!(target.line(), "a\n");
    drop(stdout);
    for _ in 0..200 {
        client.send(b"b\n");
        assert_eq!(target.line(), "b\n");
        target.send(b"c\n");
        assert_eq!(client.line(), "c\n");
    }
    drop((client, target));
    assert_eq!(forwarding.finish().code, Some(0));
}

#[test]
fn unread_stdout_slows_no_peer() {
    let target = server();
    let file = directory().join("address");
    let (forwarding, stdout) =
        Running::spawn_unread(listen_command(&["--forward", &target.address], &file).stdin(Stdio::null()));
    let mut client = connect(announced(&file));
    let mut target = target.accept();
    let lines = "trigger?name=0123456789\n".repeat(10_000);
    let writer = thread::spawn(move || {
        // Ten times the size of the pipe and the socket buffers.
        for _ in 0..10 {
            client.send(lines.as_bytes());
        }
        client
    });
    for _ in 0..100_000 {
        assert_eq!(target.line(), "trigger?name=0123456789\n");
    }
    drop(writer.join().unwrap());
    forwarding.signal(Signal::INT);
    assert_eq!(forwarding.finish().code, Some(130));
    drop(stdout);
}

#[test]
fn output_beyond_the_queue_is_dropped_and_counted() {
    const LINES: usize = 90;
    let target = server();
    let file = directory().join("address");
    let (forwarding, mut stdout) =
        Running::spawn_unread(listen_command(&["--forward", &target.address, "--once"], &file).stdin(Stdio::null()));
    let mut client = connect(announced(&file));
    let mut target = target.accept();
    // Nearly 1 MiB each; the limit of the queue is 64 MiB.
    let line = format!("trigger?name={}\n", "x".repeat(1_000_000));
    for _ in 0..LINES {
        client.send(line.as_bytes());
        assert!(target.line() == line, "a line is not passed on as it is");
    }
    target.send(b"still here\n");
    assert_eq!(client.line(), "still here\n");
    drop((client, target));
    let mut printed = Vec::new();
    stdout.read_to_end(&mut printed).unwrap();
    let ended = forwarding.finish();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let counts = ended.stderr.lines().filter_map(|said| said.split_once(" bytes were forwarded and not printed"));
    let missed: usize = counts.map(|(said, _)| said.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum();
    assert!(missed > 0, "{}", ended.stderr);
    assert_eq!(printed.len() + missed, LINES * line.len() + "still here\n".len(), "{}", ended.stderr);
}

#[test]
fn full_disk_ends_the_recording_and_not_the_game() {
    let forwarding = forward(&["--record", "/dev/full", "--once"]);
    let (mut client, mut target) = forwarding.pair();
    for _ in 0..100 {
        client.send(b"a\n");
        assert_eq!(target.line(), "a\n");
    }
    drop((client, target));
    let ended = forwarding.listening.running.finish();
    assert_eq!(ended.code, Some(3));
    assert_eq!(ended.stderr.matches("cannot continue the recording").count(), 1, "{}", ended.stderr);
}

#[test]
fn full_disk_under_stdout_is_reported_at_once_and_the_game_goes_on() {
    let (target, file) = (server(), directory().join("address"));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = listen_command(&["--forward", &target.address, "--once"], &file);
    let mut forwarding = command.stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let (mut client, mut target) = (connect(announced(&file)), target.accept());
    client.send(b"a\n");
    assert_eq!(target.line(), "a\n");
    let mut said = BufReader::new(forwarding.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line.contains("cannot write to standard output")));
    for _ in 0..100 {
        client.send(b"b\n");
        assert_eq!(target.line(), "b\n");
    }
    drop((client, target));
    assert_eq!(exit_code(&mut forwarding), Some(3));
    assert_eq!(said.filter(|line| !line.starts_with("received")).count(), 0);
}

#[test]
fn no_reply_is_recorded_before_its_request() {
    const EXCHANGES: usize = 2000;
    let file = directory().join("game.bcp");
    let forwarding = forward(&["--once", "--record", file.to_str().unwrap()]);
    let (mut client, mut target) = forwarding.pair();
    let replying = thread::spawn(move || {
        for _ in 0..EXCHANGES {
            let question = target.line();
            target.send(question.replace('q', "a").as_bytes());
        }
    });
    for number in 0..EXCHANGES {
        client.send(format!("q?n={number}\n").as_bytes());
        assert_eq!(client.line(), format!("a?n={number}\n"));
    }
    replying.join().unwrap();
    drop(client);
    let ended = forwarding.listening.running.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let text = fs::read_to_string(&file).unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("q?") || line.starts_with("#<"));
    for number in 0..EXCHANGES {
        assert_eq!(lines.next().unwrap(), format!("q?n={number}"));
        assert_eq!(lines.next().unwrap(), format!("#<a?n={number}"));
    }
    assert_eq!(ended.stdout.lines().count(), 2 * EXCHANGES);
}

#[test]
fn pairs_are_numbered() {
    let file = directory().join("game.bcp");
    let style = "{@conn} {@from} {@command}";
    let forwarding = forward(&["-F", style, "-n", "4", "--record", file.to_str().unwrap()]);
    let (mut one, mut first) = forwarding.pair();
    let (mut two, mut second) = forwarding.pair();
    for (sender, receiver, text) in [(&mut one, &mut first, "a\n"), (&mut two, &mut second, "b\n")] {
        sender.send(text.as_bytes());
        assert_eq!(receiver.line(), text);
        receiver.send(b"c\n");
        assert_eq!(sender.line(), "c\n");
    }
    let ended = forwarding.listening.running.finish();
    assert_eq!(ended.stdout, "1 client a\n1 server c\n2 client b\n2 server c\n", "{}", ended.stderr);
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.len() <= 3).collect();
    assert_eq!(lines, ["a", "#<c", "b", "#<c"], "{text}");
}

#[test]
fn refusing_target_resets_the_client_and_is_reported() {
    let closed = server().close();
    // With --once, the run ends as well.
    for (once, code) in [(&[][..], 130), (&["--once"], 3)] {
        let forwarding = listen(&[&["--forward", &closed], once].concat());
        // The connection may be reset before this is written, or even before connect returns.
        let result = TcpStream::connect_timeout(&forwarding.address, TIME_LIMIT).and_then(|mut client| {
            client.set_read_timeout(Some(TIME_LIMIT))?;
            let _ = client.write_all(b"hello\n");
            client.read_to_string(&mut String::new())
        });
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        if once.is_empty() {
            forwarding.running.signal(Signal::INT);
        }
        let ended = forwarding.running.finish();
        let said =
            format!(": reset: connection refused at {closed}: no program is listening on this port; --retry 30s");
        assert!(ended.code == Some(code) && ended.stderr.contains(&said), "{:?}: {}", ended.code, ended.stderr);
    }
}

#[test]
fn retry_makes_the_client_wait_for_the_target() {
    let later = server().close();
    let forwarding = listen(&["--forward", &later, "--retry", "20s"]);
    let mut client = connect(forwarding.address);
    client.send(b"hello\n");
    let waiting = Instant::now();
    while !forwarding.running.has_reported("retrying until it accepts") {
        assert!(waiting.elapsed() < TIME_LIMIT, "it does not connect again");
        thread::sleep(Duration::from_millis(2));
    }
    let target = Server::at(&later);
    assert_eq!(target.accept().line(), "hello\n");
}

#[test]
fn client_that_closes_while_waiting_for_the_target_is_dropped() {
    let forwarding = listen(&["--forward", &server().close(), "--retry", "1000s", "--once", "-q"]);
    drop(connect(forwarding.address));
    let ended = forwarding.running.finish();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn reset_is_forwarded_to_the_other_side() {
    let forwarding = forward(&[]);
    let (mut client, mut target) = forwarding.pair();
    client.send(b"trigger?na");
    target.send(b"x\n");
    assert_eq!(client.line(), "x\n");
    client.reset();
    assert_eq!(target.rest().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn forwarding_to_the_own_address_is_a_usage_error_with_advice() {
    let free = server().close();
    let number = free.rsplit(':').next().unwrap();
    // 127.0.0.2 stands for an address of this computer on another interface than the bound one.
    for (own, target) in [(free.clone(), free.clone()), (format!("0.0.0.0:{number}"), format!("127.0.0.2:{number}"))] {
        let ended = run(&["listen", "-a", &own, "--forward", &target]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains("write --forward :5052, or listen elsewhere with -a"), "{}", ended.stderr);
    }
}

#[test]
fn forward_refuses_options_that_send_something() {
    for flags in [
        &["--as", "pin"][..],
        &["-c", ":1"],
        &["--monitor", "modes"],
        &["--register", "x"],
        &["--reply", "a => b"],
        &["--stdin"],
        &["--no-auto"],
        &["--accept-version", "2"],
    ] {
        let ended = run(&[&["listen", "--forward", ":1"], flags].concat());
        assert_eq!(ended.code, Some(2), "{flags:?}");
        assert!(ended.stderr.contains("--forward "), "{}", ended.stderr);
    }
    let alone = run(&["listen", "--canonical"]);
    assert_eq!(alone.code, Some(2));
    assert!(alone.stderr.contains("--canonical needs --forward"), "{}", alone.stderr);
}

/// Decodes like a media controller that splits at every separator and then unescapes only `%XX`.
fn split_at_every_mark(line: &str) -> Vec<String> {
    line.split(['?', '&', '=', '#', '+', ';']).map(unescaped).collect()
}

/// Decodes like a media controller that unescapes a line before it splits it.
fn unescape_first(line: &str) -> Vec<String> {
    let line = unescaped(line);
    let (command, query) = line.split_once('?').unwrap_or((&line, ""));
    let pairs = query.split('&').flat_map(|pair| pair.splitn(2, '=').map(str::to_owned).collect::<Vec<_>>());
    [command.to_owned()].into_iter().chain(pairs).collect()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The parameters: the value of `json=` read as JSON, or the plain value.
fn meant(pieces: &[String]) -> serde_json::Value {
    assert_eq!(pieces[0], "trigger");
    assert_eq!(pieces.len(), 3, "{pieces:?}");
    match pieces[1].as_str() {
        "json" => serde_json::from_str(&pieces[2]).unwrap(),
        name => serde_json::json!({ name: pieces[2] }),
    }
}

#[test]
fn canonical_lines_survive_decoders_that_split_first_or_unescape_first() {
    let forwarding = forward(&["--canonical"]);
    let (mut client, mut target) = forwarding.pair();
    for (said, expected) in [
        ("trigger?name=HIGH%20SCORE%20%232\n", serde_json::json!({"name": "HIGH SCORE #2"})),
        ("trigger?name=Brooks%20%26%20Dunn\n", serde_json::json!({"name": "Brooks & Dunn"})),
        (
            "trigger?json={\"name\": [\"Ball search enabled?\"]}\n",
            serde_json::json!({"name": ["Ball search enabled?"]}),
        ),
    ] {
        client.send(said.as_bytes());
        let line = target.line();
        let line = line.trim_end();
        assert_eq!(meant(&split_at_every_mark(line)), expected, "{line}");
        assert_eq!(meant(&unescape_first(line)), expected, "{line}");
    }
    target.send(b"trigger?name=Brooks%20%26%20Dunn\n");
    assert_eq!(client.line(), "trigger?name=Brooks%20%26%20Dunn\n", "lines of the target are not rewritten");
}

#[test]
fn canonical_leaves_payloads_and_lines_that_would_grow_too_long() {
    let forwarding = forward(&["--canonical", "--max-line", "70000"]);
    let (mut client, mut target) = forwarding.pair();
    // The payload contains text that looks like a line to rewrite and like a payload marker.
    let payload = b"Trigger?a=%26\n&bytes=3\n\xff\0\r\n%26";
    let marker = format!("&bytes={}\n", payload.len());
    let grows = format!("T?a=%26{}\n", "é".repeat(20_000));
    let over_the_limit = format!("T?a={}\n", "x".repeat(70_001));
    let said = [
        [b"DMD?x=%26", marker.as_bytes(), payload].concat(),
        grows.clone().into_bytes(),
        over_the_limit.clone().into_bytes(),
        b"Reset\nhal".to_vec(),
    ];
    let expected = [
        [b"dmd?json={\"x\": \"\\u0026\"}", marker.as_bytes(), payload].concat(),
        grows.into_bytes(),
        over_the_limit.into_bytes(),
        b"reset\nhal".to_vec(),
    ];
    let said = said.concat();
    // The first bytes one by one: a read may end anywhere in a payload.
    let (slowly, rest) = said.split_at(80);
    slowly.iter().for_each(|byte| client.send(&[*byte]));
    client.send(rest);
    client.half_close();
    let mut received = Vec::new();
    target.buffered().read_to_end(&mut received).unwrap();
    assert!(received == expected.concat(), "{}", String::from_utf8_lossy(&received));
}
