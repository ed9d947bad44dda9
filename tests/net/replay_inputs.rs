//! What `replay` reads: sessions, plain lines, logs, standard input. Errors in them are reported before it
//! connects.

use std::fs;
use std::io::Read;

use crate::harness::*;

/// Writes a file with these bytes.
fn file(bytes: &[u8]) -> String {
    let path = directory().join("input");
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn wrong_line_is_reported_with_its_place_before_connecting() {
    let binary: Vec<u8> = (0..=255).collect();
    let session = |lines: &str| format!("#backbox-session 1\n{lines}").into_bytes();
    for (bytes, place, reason) in [
        (b"#backbox-session 2\na\n".to_vec(), ":1", "format 2 is newer"),
        (session("a\n#@soon\nb\n"), ":3", "bad time"),
        (session("#@0 one\na\n"), ":2", "bad connection number one"),
        (session("a\n#=QQ==\n"), ":3", "a payload without a line"),
        (session("a\n#<f&bytes=1\n#=Q\n"), ":4", "bad base64"),
        (session("a\n#<f&bytes=4\n#=QUI=\n"), ":4", "a payload of 2 bytes, where line 3 says 4"),
        (session("#!colour red\na\n"), ":2", "unknown setting 'colour'"),
        (b"a\nf&bytes=4\nAB".to_vec(), ":2", "payload cut short"),
        (binary, ":1", "neither a session"),
        (Vec::new(), "", "no BCP line in it"),
    ] {
        let input = file(&bytes);
        let ended = run(&["replay", "-a", "127.0.0.1:1", &input]);
        assert_eq!(ended.code, Some(1), "{reason}: {}", ended.stderr);
        let prefix = if place.is_empty() { "backbox replay: " } else { "" };
        let expected = format!("{prefix}{input}{place}: {reason}");
        assert!(ended.stderr.starts_with(&expected), "{expected}: {}", ended.stderr);
    }
}

#[test]
fn damaged_lines_of_a_log_are_skipped_and_set_the_exit_status() {
    let stamp = "2026-11-20 21:02:01,000 : DEBUG : BCPClientSocket :";
    let log = format!("{stamp} Sending \"a\"\n{stamp} Received \"b'x\n{stamp} Sending \"b\"\n");
    let input = file(log.as_bytes());
    let server = server();
    let playing = start(&["replay", "-a", &server.address, &input]);
    assert_eq!(server.accept().rest().unwrap(), "a\nb\ngoodbye\n");
    let ended = playing.finish();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("{input}:2: garbled: no closing quote")), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("garbled").count(), 1, "{}", ended.stderr);
}

#[test]
fn one_connection_of_several_is_played() {
    let input = file(b"#backbox-session 1\n#@0\na\n#@0 2\nb\n#@0\nc\n");
    for (number, played) in [("1", "a\nc\ngoodbye\n"), ("2", "b\ngoodbye\n")] {
        let server = server();
        let playing = start(&["replay", "--conn", number, "-a", &server.address, &input]);
        assert_eq!(server.accept().rest().unwrap(), played);
        assert_eq!(playing.finish().code, Some(0));
    }
    let ended = run(&["replay", "--conn", "3", "-a", "127.0.0.1:1", &input]);
    assert!(ended.stderr.contains("no connection 3: --conn picks one of 1, 2"), "{}", ended.stderr);
    assert_eq!(ended.code, Some(1));
    assert_eq!(run(&["replay", "--conn", "0", &input]).code, Some(2));
}

#[test]
fn standard_input_is_read_to_its_end_before_it_is_played() {
    let server = server();
    let mut playing = start_with_input(&["replay", "-a", &server.address, "-"]);
    playing.write(b"#backbox-session 1\n#@0\na\n");
    playing.write(b"f&bytes=2\nhi");
    playing.stdin = None;
    assert_eq!(server.accept().rest().unwrap(), "a\nf&bytes=2\nhigoodbye\n");
    let ended = playing.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.starts_with("playing the client of <stdin> (2 messages, 0.0 s as recorded) to "),
        "{}",
        ended.stderr
    );
}

#[test]
fn error_on_standard_input_is_reported_before_a_connection() {
    for (wrong, expected) in
        [("#@soon\nb\n", "<stdin>:4: bad time"), ("#@1 2\nb\n", "backbox replay: <stdin>: several connections")]
    {
        let mut playing = start_with_input(&["replay", "-a", "127.0.0.1:1", "-"]);
        playing.write(b"#backbox-session 1\n#@0\na\n");
        playing.write(wrong.as_bytes());
        playing.stdin = None;
        let ended = playing.finish();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.starts_with(expected), "{}", ended.stderr);
    }
}

#[test]
fn our_own_recording_is_printed_verbatim() {
    let folder = directory();
    let (sent, seen) = (folder.join("sent.bcp"), folder.join("seen.bcp"));
    let listening = listen(&["--once", "--record", seen.to_str().unwrap()]);
    let address = listening.address.to_string();
    let replayed = run(&["replay", "--speed", "max", "-a", &address, "--record", sent.to_str().unwrap(), GAME]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    drop(listening.running.finish());
    for recorded in [sent, seen] {
        let printed = run(&["replay", "-q", "--dry-run", recorded.to_str().unwrap()]);
        assert_eq!(printed.code, Some(0), "{}", printed.stderr);
        assert_eq!(printed.stdout, fs::read_to_string(recorded).unwrap());
    }
}

#[test]
fn options_set_the_limits_of_lines_and_payloads() {
    let long = format!("long?x={}\n", "y".repeat(2 << 20));
    let frame = [format!("f&bytes={}\n", 17 << 20).into_bytes(), vec![0; 17 << 20]].concat();
    for (bytes, flag, more, reason) in [
        (long.as_bytes(), "--max-line", "3000000", "line over 1048576 bytes; --max-line allows more"),
        (&frame[..], "--max-payload", "20000000", "payload over 16777216 bytes; --max-payload allows more"),
    ] {
        let input = file(bytes);
        let refused = run(&["replay", "--loopback", &input]);
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains(reason), "{}", refused.stderr);
        let server = server();
        let playing = start(&["replay", "-a", &server.address, flag, more, &input]);
        let mut got = Vec::new();
        server.accept().buffered().read_to_end(&mut got).unwrap();
        assert!(got == [bytes, b"goodbye\n"].concat(), "{flag}: {} bytes", got.len());
        let ended = playing.finish();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

#[test]
fn obe_socket_is_not_replayed() {
    let refused = run(&["replay", "--wire", "obe", &file(b"1\n")]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--wire"), "{}", refused.stderr);
}
