//! `--wire obe` over connections: `listen` as a server and `send` as a client, see `obe-socket`(7).

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Peer, TIME_LIMIT, connect, listen, run, server, start, start_with_input};
use rustix::process::Signal;

/// A frame with this body.
fn frame(body: &str) -> Vec<u8> {
    format!("{:010}{body}", body.len()).into_bytes()
}

/// Reads the body of the next frame of a peer.
#[track_caller]
fn body(peer: &mut Peer) -> String {
    let mut length = [0; 10];
    peer.buffered().read_exact(&mut length).unwrap();
    let mut body = vec![0; String::from_utf8_lossy(&length).parse().unwrap()];
    peer.buffered().read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

/// Sends one message over a new connection and returns the reply.
#[track_caller]
fn ask(address: std::net::SocketAddr, message: &str) -> String {
    let mut peer = connect(address);
    peer.send(&frame(message));
    body(&mut peer)
}

#[track_caller]
fn refused(arguments: &[&str], why: &str) {
    let finished = run(arguments);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", finished.stderr);
    assert!(finished.stderr.contains(why), "{arguments:?}: {}", finished.stderr);
}

#[test]
fn server_prints_and_replies_and_ends_after_its_count() {
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
    let mut peers = [(); 3].map(|()| connect(listening.address));
    for round in 0..2 {
        // The clients that connect first finish last.
        for peer in peers.iter_mut().rev() {
            for byte in frame(&format!("{round}")) {
                peer.send(&[byte]);
            }
            assert_eq!(body(peer), "{\"a\": [1.0]}");
        }
    }
    let finished = listening.running.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "0\n0\n0\n1\n1\n1\n"), "{}", finished.stderr);
}

#[test]
fn bad_frame_closes_its_own_connection_only() {
    let listening = listen(&["--wire", "obe", "-e", "done"]);
    let mut good = connect(listening.address);
    good.send(b"000000000");
    for (bad, why) in [
        (&b"+000000004\"OK\""[..], "offset 0: invalid length: \"+000000004\""),
        (b"0067108865", "offset 0: a body of 67108865 bytes is announced"),
        (b"GET / HTTP/1.1\r\n\r\n", "\"GET / HTTP\""),
        (b"00000000031 2", "offset 0: not JSON at byte 3: unexpected 2"),
        (b"0000000000", "offset 0: the text is empty"),
        (b"0000000003\"\xff\"", "is not UTF-8"),
    ] {
        let mut peer = connect(listening.address);
        peer.send(bad);
        assert_eq!(peer.rest().unwrap_or_default(), "", "{why}");
        drop(peer);
        let end = Instant::now() + TIME_LIMIT;
        while !listening.running.has_reported(why) {
            assert!(Instant::now() < end, "it does not say {why}");
            thread::sleep(Duration::from_millis(1));
        }
    }
    let mut cut = connect(listening.address);
    cut.send(b"0000000002[]0000000004\"O");
    assert_eq!(body(&mut cut), "\"OK\"");
    cut.half_close();
    assert_eq!(cut.rest().unwrap(), "");
    good.send(b"4\"go\"");
    assert_eq!(body(&mut good), "\"OK\"");
    assert_eq!(ask(listening.address, "{\"command\": \"done\"}"), "\"OK\"");
    let finished = listening.running.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(4), "[]\n\"go\"\n{\"command\": \"done\"}\n"));
    assert!(finished.stderr.contains("offset 12: body cut short: 2 of 4 bytes before"), "{}", finished.stderr);
    assert_eq!(finished.stderr.lines().count(), 9, "{}", finished.stderr);
}

#[test]
fn filters_and_goals_select_what_is_printed_and_awaited() {
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
fn invalid_server_options_are_refused_with_a_reason() {
    for (flags, why) in [
        (&["--as", "pin"][..], "only replies"),
        (&["-c", ":1"], "backbox send --wire obe is the client"),
        (&["--forward", ":1"], "--forward"),
        (&["--monitor", "modes"], "--monitor"),
        (&["--stdin"], "only replies"),
        (&["--no-auto"], "--no-auto"),
        (&["--accept-version", "1"], "--accept-version"),
        (&["--record", "x"], "session files hold BCP"),
        (&["--json"], "--json"),
        (&["-F", "{@json}"], "{@json}"),
        (&["--max-line", "9"], "64 MiB"),
        (&["--reply", "a"], "write one JSON value, or 'PATTERN => JSON'"),
        (&["--reply", "a => b"], "not JSON"),
        (&["-e", "a?b=int:x"], "invalid integer"),
        (&["-e", "{\"command\": \"done\""], "the text ends too soon"),
        (&["--reply", "\"OK => 1"], "not JSON"),
    ] {
        refused(&[&["listen", "--wire", "obe"], flags].concat(), why);
    }
}

#[test]
fn reply_is_printed_and_the_connection_closed_at_once() {
    let server = server();
    let sending = start(&["send", "--wire=obe", "-a", &server.address, "-v", "Go On", "n:=1", "s=int:1"]);
    let mut peer = server.accept();
    assert_eq!(body(&mut peer), "{\"command\": \"Go On\", \"n\": 1, \"s\": \"int:1\"}");
    for byte in frame("{\"a\":\n[1]}") {
        peer.send(&[byte]);
    }
    // The server has not closed the connection before the client does.
    assert_eq!(peer.rest().unwrap(), "");
    let finished = sending.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "{\"a\":[1]}\n"), "{}", finished.stderr);
    assert_eq!(finished.stderr, "> {\"command\": \"Go On\", \"n\": 1, \"s\": \"int:1\"}\n< {\"a\":[1]}\n");
}

/// Runs `send` with a server that sends this reply and closes.
#[track_caller]
fn replied(reply: &[u8], arguments: &[&str]) -> crate::harness::Finished {
    let server = server();
    let sending = start(&[&["send", "--wire=obe", "-a", &server.address, "x"], arguments].concat());
    let mut peer = server.accept();
    assert_eq!(body(&mut peer), "{\"command\": \"x\"}");
    peer.send(reply);
    drop(peer);
    sending.finish()
}

#[test]
fn each_reply_has_its_exit_status() {
    for (reply, arguments, code, out, why) in [
        (&b"0000000004\"OK\""[..], &["-e", "\"OK\""][..], 0, "\"OK\"\n", ""),
        (b"0000000004\"OK\"", &["-e", "x"], 1, "", "still waiting for x"),
        (b"0000000004\"OK\"", &["-m", "x"], 0, "", ""),
        (b"0000000007{\"a\":1}", &["-e", "*?a=1", "-F", "{a}"], 0, "1\n", ""),
        (b"0000000011{\"error\":1}", &[], 4, "{\"error\":1}\n", "the reply failed: {\"error\":1}"),
        (b"0000000003\"a\"", &["--fail-on", "\"a\""], 4, "\"a\"\n", "the reply failed"),
        (b"0000000002OK", &[], 4, "", "offset 0: not JSON at byte 1: unexpected OK"),
        (b"+000000002[]", &[], 4, "", "offset 0: invalid length: \"+000000002\""),
        (b"0067108865", &[], 4, "", "a body of 67108865 bytes is announced"),
        (b"0000000004\"O", &[], 4, "", "offset 0: body cut short: 2 of 4 bytes before"),
        (b"00000000", &[], 4, "", "\"00000000\" at the end of the input"),
        (b"0000000002[]0000000002[]", &[], 4, "[]\n", "offset 12: more than one reply"),
        (b"", &[], 1, "", "still waiting for a reply"),
    ] {
        let finished = replied(reply, arguments);
        let context = format!("{} {arguments:?}: {}", reply.escape_ascii(), finished.stderr);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(code), out), "{context}");
        assert!(finished.stderr.contains(why) && finished.stderr.is_empty() == why.is_empty(), "{context}");
    }
}

#[test]
fn silent_server_is_awaited_until_the_timeout() {
    // Some servers close after their client has closed, which is no reply.
    for closes in [false, true] {
        let server = server();
        let sending = start(&["send", "--wire=obe", "-a", &server.address, "x", "-W", "0.05"]);
        let mut peer = server.accept();
        if closes {
            assert_eq!(peer.rest().unwrap(), "0000000016{\"command\": \"x\"}");
        }
        let peer = Some(peer).filter(|_| !closes);
        let finished = sending.finish();
        drop(peer);
        assert_eq!(finished.code, Some(124), "{}", finished.stderr);
        for why in ["timed out after 0.05 s waiting for a reply", "the reference server"] {
            assert!(finished.stderr.contains(why), "{}", finished.stderr);
        }
    }
}

#[test]
fn refused_connection_is_an_error_unless_a_retry_succeeds() {
    let address = server().close();
    let finished = run(&["send", "--wire=obe", "-a", &address, "x"]);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert!(
        finished.stderr.contains(&format!("connection refused at {address}: no program is listening")),
        "{}",
        finished.stderr
    );
    let sending = start(&["send", "--wire=obe", "-a", &address, "--retry", "20s", "-e", "1", "x"]);
    let end = Instant::now() + TIME_LIMIT;
    while !sending.has_reported("retrying") {
        assert!(Instant::now() < end, "it does not connect");
        thread::sleep(Duration::from_millis(1));
    }
    let server = crate::harness::Server::at(&address);
    let mut peer = server.accept();
    body(&mut peer);
    peer.send(&frame("1.0"));
    let finished = sending.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "1.0\n"), "{}", finished.stderr);
}

#[test]
fn stream_opens_a_connection_for_each_message() {
    let server = server();
    let mut sending = start_with_input(&["send", "--wire=obe", "-a", &server.address]);
    for (line, message) in [("# no\n\n [1,  2]\r\n", "[1,  2]"), ("{oops}\n\"é\"\n", "\"é\""), ("5", "5")] {
        sending.write(line.as_bytes());
        if message == "5" {
            // The last line needs no line feed.
            sending.stdin = None;
        }
        let mut peer = server.accept();
        assert_eq!(body(&mut peer), message);
        peer.send(&frame(&format!("[{message}]")));
        assert_eq!(peer.rest().unwrap(), "");
    }
    let finished = sending.finish();
    assert_eq!(
        (finished.code, finished.stdout.as_str()),
        (Some(1), "[[1,  2]]\n[\"é\"]\n[5]\n"),
        "{}",
        finished.stderr
    );
    assert!(finished.stderr.starts_with("<stdin>:4: not JSON at byte 2"), "{}", finished.stderr);
}

#[test]
fn empty_input_opens_no_connection() {
    let server = server();
    for (arguments, input, code) in [
        (&[][..], &b""[..], 0),
        (&["-"], b"\n# comment\n", 0),
        (&[], b"nope\n1 2\n", 1),
        (&["{\"a\":}"], b"", 2),
        (&["x", "a"], b"", 2),
    ] {
        let mut sending =
            start_with_input(&[&["send", "--wire=obe", "--retry", "20s", "-a", &server.address], arguments].concat());
        if !input.is_empty() {
            sending.write(input);
        }
        sending.stdin = None;
        assert_eq!(sending.finish().code, Some(code), "{arguments:?}");
    }
    let sending = start_with_input(&["send", "--wire=obe", "-a", &server.address]);
    sending.await_handlers();
    sending.signal(Signal::TERM);
    assert_eq!(sending.finish().code, Some(143));
    // Only the run with a valid option connects.
    let sending = start(&["send", "--wire=obe", "-a", &server.address, "--no-reply", "x"]);
    assert_eq!(body(&mut server.accept()), "{\"command\": \"x\"}");
    assert_eq!(sending.finish().code, Some(0));
}

#[test]
fn signal_ends_the_wait_for_a_reply() {
    let server = server();
    let sending = start(&["send", "--wire=obe", "-a", &server.address, "x"]);
    let mut peer = server.accept();
    assert_eq!(body(&mut peer), "{\"command\": \"x\"}");
    sending.signal(Signal::INT);
    assert_eq!(peer.rest().unwrap(), "");
    drop(peer);
    assert_eq!(sending.finish().code, Some(130));
}

#[test]
fn repeated_message_uses_a_connection_each_time() {
    let server = server();
    let sending = start(&["send", "--wire=obe", "-a", &server.address, "5", "--repeat", "3", "--every", "5ms"]);
    for count in 0..3 {
        let mut peer = server.accept();
        assert_eq!(body(&mut peer), "5");
        peer.send(&frame(&count.to_string()));
        assert_eq!(peer.rest().unwrap(), "");
    }
    assert_eq!(sending.finish().stdout, "0\n1\n2\n");
}

#[test]
fn large_message_and_large_reply_are_complete() {
    let server = server();
    let mut sending = start_with_input(&["send", "--wire=obe", "-a", &server.address]);
    let large = format!("\"{}\"", "x".repeat(8 << 20));
    let replier = thread::spawn({
        let large = large.clone();
        move || {
            let mut peer = server.accept();
            assert!(body(&mut peer) == large);
            peer.send(&frame(&large));
            assert_eq!(peer.rest().unwrap(), "");
        }
    });
    sending.write(large.as_bytes());
    sending.stdin = None;
    let finished = sending.finish();
    assert!(finished.code == Some(0) && finished.stdout == large + "\n", "{}", finished.stderr);
    replier.join().unwrap();
}

#[test]
fn invalid_client_options_are_refused_with_a_reason() {
    for (flags, why) in [
        (&["-n", "1"][..], "-n and --wire obe"),
        (&["-w"], "-w and --wire obe"),
        (&["-b", "x"], "-b and --wire obe"),
        (&["--hello"], "--hello"),
        (&["--no-goodbye"], "--no-goodbye"),
        (&["--reconnect"], "--reconnect"),
        (&["--force"], "--force"),
        (&["--record", "x"], "session files hold BCP messages only"),
        (&["--json"], "--json"),
        (&["-F", "{@json}"], "{@json}"),
        (&["--max-payload", "9"], "64 MiB"),
        (&["-e", "[1,"], "the text ends too soon"),
        (&["--no-reply", "-e", "x"], "there is no reply to wait for"),
        (&["--every", "1s"], "one message has no pace"),
    ] {
        refused(&[&["send", "--wire", "obe", "x"], flags].concat(), why);
    }
    refused(&["send", "--no-reply", "x"], "--no-reply needs --wire obe");
}

#[test]
fn default_port_is_that_of_the_reference_class() {
    // Whether or not the address can be bound here, the message names it.
    let listened = run(&["listen", "--wire", "obe", "-e", "x", "-W", "0.01"]);
    assert!(matches!(listened.code, Some(3 | 124)), "{}", listened.stderr);
    assert!(listened.stderr.contains("127.0.0.1:61981"), "{}", listened.stderr);
    // A loopback address that no other server uses. Only Linux has more than one by default.
    if cfg!(target_os = "linux") {
        let refused = run(&["send", "--wire=obe", "x", "-a", "127.0.0.61"]);
        assert_eq!(refused.code, Some(3), "{}", refused.stderr);
        assert!(refused.stderr.contains("connection refused at 127.0.0.61:61981"), "{}", refused.stderr);
    }
}
