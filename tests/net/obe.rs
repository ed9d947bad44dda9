//! `--wire obe` over connections: `listen` as the server of OBE_Socket's clients, `send` as a client (design.md,
//! sections 3, 9 and 10).

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Peer, dial, directory, listen, run};

/// A frame of this body.
fn frame(body: &str) -> Vec<u8> {
    format!("{:010}{body}", body.len()).into_bytes()
}

/// The body of the next frame of a peer.
#[track_caller]
fn body(peer: &mut Peer) -> String {
    let mut length = [0; 10];
    peer.buffered().read_exact(&mut length).unwrap();
    let mut body = vec![0; String::from_utf8_lossy(&length).parse().unwrap()];
    peer.buffered().read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

/// What a server replies to one message on a connection of its own.
#[track_caller]
fn ask(address: std::net::SocketAddr, message: &str) -> String {
    let mut peer = dial(address);
    peer.say(&frame(message));
    body(&mut peer)
}

#[track_caller]
fn refused(arguments: &[&str], why: &str) {
    let finished = run(arguments);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", finished.stderr);
    assert!(finished.stderr.contains(why), "{arguments:?}: {}", finished.stderr);
}

#[test]
fn a_server_prints_replies_and_ends_when_it_is_done() {
    let listening = listen(&["--wire", "obe", "-e", "done", "--reply", "goodset => {\"set\": \"{pickiness}\"}"]);
    let goodset = "{\"command\": \"goodset\", \"pickiness\": 4}";
    assert_eq!(ask(listening.address, goodset), "{\"set\": 4}");
    assert_eq!(ask(listening.address, "[1,\r\n 2]"), "\"OK\"");
    assert_eq!(ask(listening.address, "\"é\""), "\"OK\"");
    assert_eq!(ask(listening.address, "{\"command\": \"done\"}"), "\"OK\"");
    let finished = listening.running.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.stdout, format!("{goodset}\n[1, 2]\n\"é\"\n{{\"command\": \"done\"}}\n"));
}

#[test]
fn several_clients_are_served_at_once_and_no_connection_is_closed_first() {
    let listening = listen(&["--wire", "obe", "-n", "6", "--reply", "{\"a\": [1.0]}"]);
    let mut peers = [(); 3].map(|()| dial(listening.address));
    for round in 0..2 {
        // The first to dial are the last to be done.
        for peer in peers.iter_mut().rev() {
            for byte in frame(&format!("{round}")) {
                peer.say(&[byte]);
            }
            assert_eq!(body(peer), "{\"a\": [1.0]}");
        }
    }
    let finished = listening.running.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "0\n0\n0\n1\n1\n1\n"), "{}", finished.stderr);
}

#[test]
fn a_bad_frame_costs_its_own_connection_and_no_other() {
    let listening = listen(&["--wire", "obe", "-e", "done"]);
    let mut good = dial(listening.address);
    good.say(b"000000000");
    for (bad, why) in [
        (&b"+000000004\"OK\""[..], "offset 0: a length of ten digits has to stand here, not \"+000000004\""),
        (b"0067108865", "offset 0: a body of 67108865 bytes is announced"),
        (b"GET / HTTP/1.1\r\n\r\n", "not \"GET / HTTP\""),
        (b"00000000031 2", "offset 0: not JSON at byte 3: text behind the value: 2"),
        (b"0000000000", "offset 0: nothing here"),
        (b"0000000003\"\xff\"", "is not UTF-8"),
    ] {
        let mut peer = dial(listening.address);
        peer.say(bad);
        assert_eq!(peer.rest().unwrap_or_default(), "", "{why}");
        drop(peer);
        let end = Instant::now() + PATIENCE;
        while !listening.running.has_said(why) {
            assert!(Instant::now() < end, "it does not say {why}");
            thread::sleep(Duration::from_millis(1));
        }
    }
    let mut cut = dial(listening.address);
    cut.say(b"0000000002[]0000000004\"O");
    assert_eq!(body(&mut cut), "\"OK\"");
    cut.half_close();
    assert_eq!(cut.rest().unwrap(), "");
    good.say(b"4\"go\"");
    assert_eq!(body(&mut good), "\"OK\"");
    assert_eq!(ask(listening.address, "{\"command\": \"done\"}"), "\"OK\"");
    let finished = listening.running.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(4), "[]\n\"go\"\n{\"command\": \"done\"}\n"));
    assert!(finished.stderr.contains("offset 12: body cut short: 2 of 4 bytes came"), "{}", finished.stderr);
    assert_eq!(finished.stderr.lines().count(), 8, "{}", finished.stderr);
}

#[test]
fn what_is_printed_and_waited_for_can_be_chosen() {
    let arguments = ["--wire", "obe", "-m", "*?n=int:*", "-F", "{@conn}: {@command} {n}", "-e", "\"end\"", "-e", "3.0"];
    let listening = listen(&arguments);
    for message in
        ["\"end\"", "{\"command\": \"Set\", \"n\": 5}", "{\"n\": 6}", "{\"command\": \"Set\", \"n\": 5.5}", "3"]
    {
        assert_eq!(ask(listening.address, message), "\"OK\"");
    }
    let finished = listening.running.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "2: Set 5\n3:  6\n"), "{}", finished.stderr);
    let late = run(&["listen", "--wire=obe", "-a", "127.0.0.1:0", "-e", "done", "-W", "0.05"]);
    assert_eq!(late.code, Some(124), "{}", late.stderr);
}

#[test]
fn a_recording_says_which_wire_it_is_of() {
    let file = directory().join("session");
    let listening = listen(&["--wire", "obe", "--once", "-v", "--record", file.to_str().unwrap()]);
    let port = listening.address.port();
    assert_eq!(ask(listening.address, "{\"command\":\n\"a\"}"), "\"OK\"");
    let finished = listening.running.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains("< {\"command\":\"a\"}\n> \"OK\"\n"), "{}", finished.stderr);
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.starts_with(&format!("#backbox-session 1\n#!port {port}\n#!wire obe\n# ")), "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("#@")).collect();
    assert_eq!(lines[4..], ["{\"command\":\"a\"}", "#<\"OK\"", "# connection 1: closed by the dialler"]);
}

#[test]
fn what_makes_no_sense_for_a_server_is_refused_with_a_sentence() {
    for (flags, why) in [
        (&["--as", "pin"][..], "--as says which part"),
        (&["-c", ":1"], "-c joins a game"),
        (&["--forward", ":1"], "--forward"),
        (&["--monitor", "modes"], "--monitor"),
        (&["--stdin"], "--stdin speaks unasked"),
        (&["--no-auto"], "--no-auto"),
        (&["--accept-version", "1"], "--accept-version"),
        (&["--json"], "--json"),
        (&["-F", "{@json}"], "{@json}"),
        (&["--max-line", "9"], "64 MiB"),
        (&["--reply", "a"], "write one JSON value, or 'PATTERN => JSON'"),
        (&["--reply", "a => b"], "not JSON"),
        (&["-e", "a?b=int:x"], "no integer"),
    ] {
        refused(&[&["listen", "--wire", "obe"], flags].concat(), why);
    }
}
