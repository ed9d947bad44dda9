//! `backbox replay`: its pace, passes, timeout, and the files that it writes.

use std::fs;
use std::io::Read;
use std::time::{Duration, Instant};

use crate::harness::*;

/// Writes `session.bcp` with this text in a new folder.
fn session(text: &str) -> String {
    let file = directory().join("session.bcp");
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// The path of a file that does not exist, in a new folder.
fn place() -> String {
    directory().join("new").to_str().unwrap().to_owned()
}

#[test]
fn rate_paces_lines_without_times() {
    let file = session("a\nb\nc\n");
    let server = server();
    let playing = start(&["replay", "--rate", "5", "-a", &server.address, &file]);
    let mut peer = server.accept();
    assert_eq!(peer.line(), "a\n");
    let begin = Instant::now();
    assert_eq!(peer.line(), "b\n");
    assert_eq!(peer.rest().unwrap(), "c\ngoodbye\n");
    // A line may be read late but is never sent early. The third line follows the first after two intervals.
    assert!(begin.elapsed() > Duration::from_millis(450), "{:?}", begin.elapsed());
    drop(peer);
    assert_eq!(playing.finish().code, Some(0));
}

#[test]
fn max_gap_shortens_an_hour_of_waiting() {
    let file = session("#backbox-session 1\n#@0\na\n#@3600\nb\n#@3600.001\n#<c\n#@7200\n#<d\n");
    let server = server();
    let playing = start(&["replay", "--max-gap", "50ms", "-a", &server.address, &file]);
    let mut peer = server.accept();
    assert_eq!(peer.rest().unwrap(), "a\nb\ngoodbye\n");
    drop(peer);
    assert_eq!(playing.finish().code, Some(0));
}

#[test]
fn each_pass_opens_a_connection_and_shares_one_clock() {
    let file = session("#backbox-session 1\n#@0\na\n#@0.1\ngoodbye\n#@0.2\n#<b\n");
    let (server, record) = (server(), place());
    let playing = start(&["replay", "--repeat", "3", "-a", &server.address, "--record", &record, &file]);
    let begin = Instant::now();
    for _ in 0..3 {
        let mut peer = server.accept();
        assert_eq!(peer.rest().unwrap(), "a\ngoodbye\n");
    }
    // The passes begin 200 ms apart.
    assert!(begin.elapsed() > Duration::from_millis(350), "{:?}", begin.elapsed());
    let ended = playing.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("replayed 6 messages (30 bytes) of session.bcp in "), "{}", ended.stderr);
    assert!(ended.stderr.contains("over 3 connections; "), "{}", ended.stderr);
    let recorded = fs::read_to_string(&record).unwrap();
    let third = recorded.split(" 3\n").nth(1).unwrap_or_default();
    assert!(third.starts_with("a\n") && recorded.contains("# connection 3: closed by the "), "{recorded}");
}

#[test]
fn pass_without_a_connection_ends_them_all() {
    let file = session("#backbox-session 1\n#@0\na\n");
    let server = server();
    let playing = start(&["replay", "--repeat", "2", "-a", &server.address, &file]);
    let mut peer = server.accept();
    server.close();
    assert_eq!(peer.rest().unwrap(), "a\ngoodbye\n");
    drop(peer);
    let ended = playing.finish();
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("replayed 1 message (2 bytes)"), "{}", ended.stderr);
    assert!(ended.stderr.contains("; not connected\n"), "{}", ended.stderr);
    assert!(
        ended.stderr.ends_with("no program is listening on this port; --retry 30s waits for it\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn loopback_passes_run_one_after_another() {
    let file = session("hello?version=1.1\nreset\n");
    let ended = run(&["replay", "--loopback", "--repeat", "20", &file]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.matches("reset_complete\n").count(), 20, "{}", ended.stdout);
}

#[test]
fn timeout_limits_the_whole_run_and_the_summary_is_printed() {
    let file = session("#backbox-session 1\n#@0\na\n#@600\nb\n");
    let server = server();
    let playing = start(&["replay", "-W", "200ms", "-a", &server.address, &file]);
    let mut peer = server.accept();
    assert_eq!(peer.rest().unwrap(), "a\ngoodbye\n");
    drop(peer);
    let ended = playing.finish();
    assert_eq!(ended.code, Some(124), "{}", ended.stderr);
    assert!(ended.stderr.contains("replayed 1 message (2 bytes)"), "{}", ended.stderr);
    assert!(ended.stderr.contains("; closed by the client, whose time was up\n"), "{}", ended.stderr);
    assert!(
        ended.stderr.ends_with("timed out after 0.2 s waiting for the last message to be sent (see --timeout)\n"),
        "{}",
        ended.stderr
    );
    // With --retry, a refused connection ends in a timeout too.
    let closed = server.close();
    let why = format!(
        "backbox replay: timed out after 0.2 s waiting for the last message to be sent (see --timeout); cannot connect \
         to {closed}: connection refused\n"
    );
    let refused = run(&["replay", "-q", "-W", "200ms", "--retry", "60s", "-a", &closed, &file]);
    assert_eq!((refused.code, refused.stderr), (Some(124), why));
    assert_eq!(run(&["replay", "-W", "50ms", "-a", &closed, &file]).code, Some(3));
    let (engaged, _calls) = Server::unresponsive();
    let silent = run(&["replay", "-W", "200ms", "-a", &engaged.address, &file]);
    assert_eq!(silent.code, Some(124), "{}", silent.stderr);
    // After everything is sent, the timeout is not an error.
    let ended = run(&["replay", "--loopback", "-W", "0.3", &session("#backbox-session 1\n#@0\na\n#@600\n#<b\n")]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn summary_counts_messages_bytes_and_lateness() {
    let file = session("#backbox-session 1\n#@0\nhello?version=1.1\n#@0.02\nreset\n");
    let ended = run(&["replay", "--loopback", &file]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let summary = ended.stderr.lines().find(|line| line.starts_with("replayed ")).unwrap();
    assert!(summary.starts_with("replayed 2 messages (24 bytes) of session.bcp in "), "{summary}");
    assert!(summary.contains("; received 7 messages (206 bytes) from 127.0.0.1:"), "{summary}");
    assert!(summary.ends_with("; done"), "{summary}");
    let lateness = ended.stderr.lines().find_map(|line| line.strip_prefix("lateness: ")).unwrap();
    let numbers: Vec<f64> = lateness.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(numbers.len() == 4 && numbers.is_sorted() && numbers[3] > 0.0, "{lateness}");
    // At maximum speed, nothing is late.
    let ended = run(&["replay", "--loopback", "--speed", "max", &file]);
    assert_eq!(ended.code, Some(0));
    assert!(!ended.stderr.contains("lateness"), "{}", ended.stderr);
}

#[test]
fn file_that_is_not_empty_is_refused_before_connecting() {
    let file = session("a\n");
    for flag in ["--junit", "--record"] {
        let old = session("old");
        let ended = run(&["replay", "--check", "-a", "127.0.0.1:1", flag, &old, &file]);
        assert_eq!(ended.code, Some(3));
        assert!(ended.stderr.contains("file is not empty; use --overwrite to replace it"), "{}", ended.stderr);
        assert_eq!(fs::read(&old).unwrap(), b"old");
        let ended = run(&["replay", "--check", "-a", "127.0.0.1:1", "--overwrite", flag, &file, &file]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains("would write over the session that is played"), "{}", ended.stderr);
        assert_eq!(fs::read(&file).unwrap(), b"a\n");
        let nowhere = run(&["replay", "--check", "-a", "127.0.0.1:1", flag, "/no/such/folder/x", &file]);
        assert_eq!(nowhere.code, Some(3), "{}", nowhere.stderr);
    }
}

#[test]
fn two_options_cannot_write_the_same_file() {
    let (file, place) = (session("a\n"), directory().join("out"));
    let (path, detour) = (place.to_str().unwrap(), place.parent().unwrap().join("./out"));
    let detour = detour.to_str().unwrap();
    let ended = run(&["replay", "--loopback", "--check", "--junit", path, "--record", detour, &file]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--record and --junit would both write "), "{}", ended.stderr);
    assert!(!place.exists());
    let ended = run(&["listen", "--announce", path, "--record", detour]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let ended = run(&["replay", "--loopback", "--check", "--junit", "/dev/null", "--record", "/dev/null", &file]);
    assert_ne!(ended.code, Some(2), "{}", ended.stderr);
}

#[test]
fn both_directions_are_recorded_and_shown() {
    let (record, file) = (place(), session("hello?version=1.1\nf&bytes=3\na\nb"));
    let ended = run(&["replay", "-v", "--loopback", "--record", &record, &file]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // The replies may arrive before or after the goodbye.
    for line in ["\n> f&bytes=3 <3 bytes>\n", "\n> goodbye\n", "\n< hello?version=1.1\n"] {
        assert!(ended.stderr.contains(line), "{}", ended.stderr);
    }
    let recorded = fs::read_to_string(&record).unwrap();
    for line in ["\nhello?version=1.1\n", "\nf&bytes=3\na\nb", "\n#<hello?version=1.1\n", "closed by the "] {
        assert!(recorded.contains(line), "{recorded}");
    }
    // The recording can be replayed.
    assert_eq!(run(&["replay", "--loopback", &record]).code, Some(0));
}

#[test]
fn guard_warns_once_for_each_kind_and_everything_is_sent() {
    let lines = "switch?name=a&state=on\nswitch?name=b&state=off\nTRIGGER?name=x\n";
    let (server, file) = (server(), session(lines));
    let playing = start(&["replay", "-a", &server.address, &file]);
    let mut peer = server.accept();
    assert_eq!(peer.rest().unwrap(), format!("{lines}goodbye\n"));
    drop(peer);
    let ended = playing.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let messages: Vec<&str> = ended.stderr.lines().collect();
    assert!(messages[0].starts_with(&format!("{file}:1: would end MPF 0.81: switch needs state")), "{}", ended.stderr);
    assert!(messages[0].ends_with("(sent all the same)"), "{}", ended.stderr);
    assert!(messages[1].starts_with(&format!("{file}:3: would be ignored by MPF")), "{}", ended.stderr);
    assert!(messages[2].starts_with("playing the client of "), "{}", ended.stderr);
    // The test is not MPF, so it accepts what would end MPF.
    assert!(!run(&["replay", "--loopback", &file]).stderr.contains("MPF"));
}

#[test]
fn options_that_exclude_each_other_are_refused_with_a_reason() {
    for (arguments, complaint) in [
        (&["--rate", "5", "--speed", "2", GAME][..], "--rate does not use the recorded times"),
        (&["--rate", "5", "--max-gap", "2", GAME], "--rate does not use the recorded times"),
        (&["--rate", "-1", GAME], "invalid rate \"-1\"; write a number of messages a second, above 0"),
        (&["--max-gap", "1", "--speed", "max", GAME], "there is no gap to shorten"),
        (&["--repeat", "0", GAME], "--repeat: 0 plays nothing"),
        (&["--overwrite", GAME], "--overwrite needs --record or --junit: "),
    ] {
        let ended = run(&[&["replay"], arguments].concat());
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(complaint), "{}", ended.stderr);
    }
}

#[test]
fn memory_does_not_grow_with_the_session() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let file = directory().join("long.bcp");
    let game = fs::read_to_string(GAME).unwrap();
    let kept = |line: &&str| !line.starts_with("#!") && !line.starts_with("goodbye");
    let block: String = game.split_inclusive('\n').skip(1).filter(kept).collect();
    fs::write(&file, format!("#backbox-session 1\n{}", block.repeat((24 << 20) / block.len()))).unwrap();
    let server = server();
    let playing = start(&["replay", "--speed", "max", "-a", &server.address, file.to_str().unwrap()]);
    let mut peer = server.accept();
    let mut half = vec![0; 12 << 20];
    peer.buffered().read_exact(&mut half).unwrap();
    let most = playing.peak_memory();
    assert!(most < 16 << 20, "{most} bytes");
    std::io::copy(peer.buffered(), &mut std::io::sink()).unwrap();
    drop(peer);
    assert_eq!(playing.finish().code, Some(0));
    fs::remove_file(&file).unwrap();
}

#[test]
fn table_shows_both_directions_in_a_pipe_too() {
    let ended = run(&["replay", "-q", "--loopback", "--speed", "max", "--view", "table", GAME]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for row in
        ["MPF→MC  ball_start         player_num 1  ball 1\n", "MPF→MC  mode_start         ", "MC→MPF  reset_complete\n"]
    {
        assert!(ended.stdout.contains(row), "{row}: {}", ended.stdout);
    }
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].contains("  connected to 127.0.0.1:"), "{}", lines[0]);
    let last = lines.last().unwrap();
    assert!(
        last.contains("closed by the client after ") && last.ends_with(" s: 227 messages sent, 7 received"),
        "{last}"
    );
}
