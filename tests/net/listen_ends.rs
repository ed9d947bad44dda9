//! How a run of `backbox listen` ends, and what it waits for.

use crate::harness::*;

#[test]
fn idle_run_ends_with_0_and_with_a_goal_unmet_with_124() {
    for (goal, code, report) in [
        (&[][..], 0, "received 1 message on 1 connection"),
        (&["-e", "never"], 124, "nothing arrived for 0.3 s, waiting for never (see --idle)"),
    ] {
        let listening = listen(&[&["--idle", "300ms"], goal].concat());
        let mut peer = connect(listening.address);
        peer.send(b"trigger?name=x\n");
        assert_eq!(peer.rest().unwrap(), "goodbye\n");
        drop(peer);
        let ended = listening.running.finish();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), "trigger?name=x\n"), "{}", ended.stderr);
        assert!(ended.stderr.contains(report), "{}", ended.stderr);
    }
    assert_eq!(run(&["listen", "-a", "127.0.0.1:0", "--idle", "50ms"]).code, Some(0), "without any peer");
}

#[test]
fn idle_forwarding_ends_too() {
    let target = server();
    let forwarding = listen(&["--forward", &target.address, "--idle", "300ms"]);
    let (mut client, mut target) = (connect(forwarding.address), target.accept());
    client.send(b"a\n");
    assert_eq!(target.line(), "a\n");
    assert_eq!(target.rest().unwrap(), "");
    drop((client, target));
    let ended = forwarding.running.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "a\n"), "{}", ended.stderr);
}

#[test]
fn standard_input_waits_for_the_first_peer() {
    let file = directory().join("address");
    let mut listening = Running::spawn(listen_command(&["--stdin"], &file).stdin(std::process::Stdio::piped()));
    listening.write(b"trigger?name=early\n");
    listening.stdin = None;
    let mut peer = connect(announced(&file));
    assert_eq!(peer.line(), "trigger?name=early\n");
    peer.send(b"goodbye\n");
    assert_eq!(peer.rest().unwrap(), "");
}

#[test]
fn timeout_while_connecting_names_the_address() {
    let (engaged, _calls) = Server::unresponsive();
    for (goal, code, reports) in [
        (&["-n", "1"][..], 124, &["timed out after 0.2 s waiting for message 1 of 1 (see --timeout): "][..]),
        (&[], 3, &["timed out connecting to ", "; tried for 0.2 s"]),
    ] {
        let ended = run(&[&["listen", "-c", &engaged.address, "-W", "200ms"], goal].concat());
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(reports.iter().all(|report| ended.stderr.contains(report)), "{}", ended.stderr);
    }
}

#[test]
fn timeout_applies_while_reconnecting() {
    let server = server();
    for goal in [&["-n", "1"][..], &[]] {
        let listening = start(&[&["listen", "-c", &server.address, "--reconnect", "-W", "500ms"], goal].concat());
        drop(server.accept());
        let ended = listening.finish();
        let expected = if goal.is_empty() { 0 } else { 124 };
        assert_eq!(ended.code, Some(expected), "{}", ended.stderr);
    }
}

#[test]
fn http_server_is_4() {
    let server = server();
    let listening = start(&["listen", "-c", &server.address]);
    let mut server = server.accept();
    server.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let _ = server.rest();
    drop(server);
    let ended = listening.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("is an HTTP server"), "{}", ended.stderr);
}

#[test]
fn pin_controller_accepts_any_version_with_a_note_and_ends_when_its_own_is_refused() {
    let server = server();
    let listening = start(&["listen", "--as", "pin", "-c", &server.address]);
    let mut peer = server.accept();
    assert!(peer.line().starts_with("hello?version=1.1&"));
    peer.send(b"hello?version=0.55.0-dev.12\n");
    assert_eq!(peer.line(), "reset\n");
    peer.send(b"reset_complete\ngoodbye\n");
    drop(peer);
    let ended = listening.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("protocol version 0.55.0-dev.12"), "{}", ended.stderr);
    let listening = start(&["listen", "--as", "pin", "-c", &server.address, "--reconnect"]);
    let mut peer = server.accept();
    peer.send(b"error?message=unknown%20protocol%20version\n");
    let _ = peer.rest();
    drop(peer);
    let ended = listening.finish();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("protocol version 1.1 was refused"), "{}", ended.stderr);
}

#[test]
fn goal_unmet_at_the_servers_goodbye_is_1() {
    let server = server();
    let listening = start(&["listen", "-c", &server.address, "--monitor", "none", "-e", "never"]);
    let mut peer = server.accept();
    peer.send(b"a\ngoodbye\n");
    assert_eq!(peer.rest().unwrap(), "");
    drop(peer);
    let ended = listening.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "a\ngoodbye\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains("still waiting for never"), "{}", ended.stderr);
}
