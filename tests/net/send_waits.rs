//! How long `backbox send` waits: for MPF to be ready, for silence, for a connection; and what it then reports.

use std::process::Stdio;

use crate::harness::*;

const MODES: &[u8] = b"mode_list?json={\"running_modes\": [[\"attract\", 10]]}\n";

/// Starts `send` and accepts its connection.
fn sending(arguments: &[&str]) -> (Running, Peer) {
    let server = server();
    let running = start(&[&["send", "-a", &server.address], arguments].concat());
    let peer = server.accept();
    (running, peer)
}

#[test]
fn first_message_is_sent_when_mpf_reports_a_mode() {
    let closed = server().close();
    let sending = start(&["send", "-a", &closed, "--ready", "60s", "-n", "1", "a?"]);
    let mut peer = Server::at(&closed).accept();
    assert_eq!(peer.line(), "monitor_start?category=modes\n");
    peer.send(b"hello?version=1.1&controller_name=MPF\nmode_list?json={\"running_modes\": []}\n");
    peer.send(MODES);
    assert_eq!((peer.line(), peer.line()), ("monitor_stop?category=modes\n".into(), "a?\n".into()));
    peer.send(MODES);
    peer.send(b"b\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = sending.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "b\n"), "{}", ended.stderr);
}

#[test]
fn mode_list_that_was_asked_for_is_printed_after_ready() {
    let (running, mut peer) = sending(&["--ready", "60s", "-w", "monitor_start", "category=modes"]);
    peer.line();
    peer.send(MODES);
    assert_eq!(
        (peer.line(), peer.line()),
        ("monitor_stop?category=modes\n".into(), "monitor_start?category=modes\n".into())
    );
    peer.send(MODES);
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = running.finish();
    assert_eq!((ended.code, ended.stdout.as_bytes()), (Some(0), MODES));
}

#[test]
fn mpf_that_is_never_ready_is_124_and_an_error_from_mpf_is_4() {
    let (running, mut peer) = sending(&["--ready", "100ms", "-W", "60s", "a?"]);
    assert_eq!(peer.line(), "monitor_start?category=modes\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = running.finish();
    assert_eq!(ended.code, Some(124));
    assert!(
        ended.stderr.contains("timed out after 0.1 s waiting for MPF to be ready (see --ready)"),
        "{}",
        ended.stderr
    );
    let ended = run(&["send", "-a", &server().close(), "--ready", "150ms", "a?"]);
    assert_eq!(ended.code, Some(124));
    assert!(ended.stderr.contains("connection refused"), "{}", ended.stderr);
    let (running, mut peer) = sending(&["--ready", "60s", "a?"]);
    peer.line();
    peer.send(b"error?message=unknown%20command&command=monitor_start\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    assert_eq!(running.finish().code, Some(4));
}

#[test]
fn silence_ends_a_run_with_0_or_with_124_if_a_goal_is_unmet() {
    for (arguments, code, report) in [
        (&["a?"][..], 0, ""),
        (&["-e", "c", "-W", "60s", "a?"], 124, "nothing arrived for 0.2 s, waiting for c (see --idle)"),
        (&["-e", "b", "a?"], 0, ""),
    ] {
        let (running, mut peer) = sending(&[&["--idle", "200ms", "--all"], arguments].concat());
        assert_eq!(peer.line(), "a?\n");
        peer.send(b"b\n");
        assert_eq!(peer.rest().unwrap(), "goodbye\n");
        drop(peer);
        let ended = running.finish();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), "b\n"), "{}", ended.stderr);
        assert!(ended.stderr.contains(report), "{}", ended.stderr);
    }
}

#[test]
fn repetition_ends_when_the_goals_are_met() {
    let (running, mut peer) = sending(&["--repeat", "50", "--every", "20ms", "-e", "b?x=2", "a?"]);
    for value in [1, 2] {
        assert_eq!(peer.line(), "a?\n");
        peer.send(format!("b?x={value}\n").as_bytes());
    }
    let rest = peer.rest().unwrap();
    assert!(rest.len() < 10 * "a?\n".len() && rest.ends_with("goodbye\n"), "{rest}");
    drop(peer);
    let ended = running.finish();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "b?x=2\n", ""));
}

#[test]
fn timeout_applies_while_reconnecting() {
    // An address that refuses connections, and one that never accepts them.
    for hangs in [false, true] {
        let server = server();
        let arguments = ["send", "-a", &server.address, "--reconnect", "-W", "1500ms", "-e", "b", "a?"];
        let running = start(&arguments);
        let mut peer = server.accept();
        assert_eq!(peer.line(), "a?\n");
        let held = if hangs {
            Some(Server::fill(server))
        } else {
            drop(server);
            None
        };
        drop(peer);
        let ended = running.finish();
        drop(held);
        assert_eq!(ended.code, Some(124), "{}", ended.stderr);
        assert!(ended.stderr.contains("timed out after 1.5 s waiting for b"), "{}", ended.stderr);
        assert_eq!(ended.stderr.contains("; cannot connect to "), !hangs, "{}", ended.stderr);
    }
}

#[test]
fn failed_reconnection_is_3_and_names_the_address() {
    let server = server();
    let running =
        start(&["send", "-a", &server.address, "--reconnect", "--retry", "10ms", "-W", "60s", "-e", "b", "a?"]);
    let mut peer = server.accept();
    assert_eq!(peer.line(), "a?\n");
    let address = server.close();
    drop(peer);
    let ended = running.finish();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("backbox send: connection refused at {address}")), "{}", ended.stderr);
}

#[test]
fn http_server_is_4() {
    // Python's http.server replies to what is no request with a page alone.
    for reply in ["HTTP/1.1 400 Bad Request\r\n\r\n", "<!DOCTYPE HTML>\n<html lang=\"en\">\n"] {
        let (running, mut peer) = sending(&["a?"]);
        peer.send(reply.as_bytes());
        let _ = peer.rest();
        let ended = running.finish();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), ""), "{}", ended.stderr);
        assert!(ended.stderr.contains(" is an HTTP server"), "{}", ended.stderr);
    }
}

#[test]
fn timeout_for_a_trigger_suggests_from_bcp() {
    let (running, mut peer) = sending(&["-W", "50ms", "-e", "trigger?name=x", "trigger", "name=x"]);
    peer.rest().unwrap();
    drop(peer);
    let ended = running.finish();
    assert_eq!(ended.code, Some(124));
    assert!(ended.stderr.contains("waiting for trigger?name=x (see --timeout); "), "{}", ended.stderr);
    assert!(ended.stderr.contains("_from_bcp"), "{}", ended.stderr);
}

#[test]
fn unknown_category_is_sent_with_a_note() {
    let (running, mut peer) = sending(&["monitor_start?category=mode"]);
    assert_eq!(peer.rest().unwrap(), "monitor_start?category=mode\ngoodbye\n");
    drop(peer);
    let ended = running.finish();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr, "unknown category mode: did you mean modes?\n");
}

#[test]
fn hello_accepts_any_version_with_a_note() {
    let server = server();
    let mut command = command(&["send", "-a", &server.address, "--hello"]);
    let running = Running::spawn(command.stdin(Stdio::null()));
    let mut peer = server.accept();
    peer.line();
    peer.send(b"hello?version=0.55.0-dev.12\n");
    assert_eq!(peer.line(), "reset\n");
    peer.send(b"reset_complete\n");
    assert_eq!(peer.rest().unwrap(), "goodbye\n");
    drop(peer);
    let ended = running.finish();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("speaks version 0.55.0-dev.12"), "{}", ended.stderr);
}
