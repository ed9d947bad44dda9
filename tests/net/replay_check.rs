//! `backbox replay --check`: it compares the replies of a peer with the recorded ones.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::harness::*;

/// A recording with each kind of reply.
const TALK: &str = "\
#backbox-session 1
#@0
hello?version=1.1
#@0.01
#<hello?version=1.1
# a comment
#@0.02
get?names=a,b
#@0.03
#<set?name=a&value=int:1
#<set?name=b&value=int:2
#<list?json={\"all\": [{\"n\": 1, \"m\": [true]}]}
#<frame?name=d&bytes=3
#=YQpi
#<done
#@0.06
next
#@0.07
#<end?by=me
#@0.08
#<goodbye
";

fn session(text: &str) -> PathBuf {
    let file = directory().join("talk.bcp");
    fs::write(&file, text).unwrap();
    file
}

/// Starts a server that replays the server side of this recording. It waits longer for a request than a check for a
/// reply, and a check much longer than a busy machine delays one.
fn stand_in(text: &str) -> (Running, String) {
    let address = directory().join("address");
    let file = session(text);
    let fixed = ["replay", "--serve", "-a", "127.0.0.1:0", "--reply-timeout", "5", "--announce"];
    let running = start(&[&fixed[..], &[address.to_str().unwrap(), file.to_str().unwrap()]].concat());
    let bound = announced(&address).to_string();
    (running, bound)
}

/// Checks this file against a server that replays another recording.
fn check_file(file: &Path, replies: &str, flags: &[&str]) -> Finished {
    let (stand_in, address) = stand_in(replies);
    let fixed = ["replay", "--check", "-a", &address, "--reply-timeout", "1", file.to_str().unwrap()];
    let ended = run(&[&fixed[..], flags].concat());
    stand_in.finish();
    ended
}

fn check(recording: &str, replies: &str, flags: &[&str]) -> Finished {
    check_file(&session(recording), replies, flags)
}

/// The headline of each difference, after the file name.
fn heads(ended: &Finished) -> Vec<&str> {
    let is_head = |line: &&str| !["  ", "FAIL: ", "UPDATED: "].iter().any(|start| line.starts_with(start));
    let heads = ended.stdout.lines().filter(is_head);
    heads.map(|line| line.split_once("talk.bcp").unwrap().1).collect()
}

#[test]
fn peer_that_replies_as_recorded_passes() {
    for speed in ["1", "max", "3"] {
        let ended = check(TALK, TALK, &["--speed", speed, "--exact"]);
        let passed = "PASS: 7 replies as recorded\n";
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), passed), "{}", ended.stderr);
        assert!(ended.stderr.contains("; 0 differences; done\n"), "{}", ended.stderr);
    }
}

#[test]
fn one_mutation_of_a_reply_is_one_difference() {
    let cases: [(&str, &str, &[&str], &str); 15] = [
        ("#<set?name=a&value=int:1\n", "#<set?name=a&value=int:9\n", &[], ":10: differs in value"),
        ("#<set?name=a&value=int:1\n", "#<set?name=a&value=1\n", &[], ":10: differs in value"),
        ("#<set?name=a&value=int:1\n", "#<sett?name=a&value=int:1\n", &[], ":10: no reply within "),
        ("#<set?name=a&value=int:1\n", "#<set?nam=a&value=int:1\n", &[], ":10: differs in name, nam"),
        ("#<set?name=a&value=int:1\n", "#<set?name=a\n", &[], ":10: differs in value"),
        ("#<set?name=a&value=int:1\n", "#<set?name=a&value=int:1&more=1\n", &[], ":10: differs in more"),
        ("#<set?name=b&value=int:2\n", "", &[], ":11: no reply within "),
        (
            "#<set?name=b&value=int:2\n",
            "#<set?name=b&value=int:2\n#<new\n",
            &["--exact"],
            ": not recorded: received after line 11",
        ),
        (
            "#<set?name=a&value=int:1\n#<set?name=b&value=int:2\n",
            "#<set?name=b&value=int:2\n#<set?name=a&value=int:1\n",
            &[],
            ":10: out of order: received after line 11",
        ),
        ("#=YQpi\n", "#=YQpj\n", &[], ":13: differs in @payload"),
        ("\"m\": [true]", "\"m\": [false]", &[], ":12: differs in all"),
        ("#<set?name=a&value=int:1\n", "#<error?message=no\n", &[], ":10: the peer replied with an error"),
        ("#<end?by=me\n", "#@3\n#<end?by=me\n", &[], ":19: no reply within "),
        ("#<hello?version=1.1\n", "", &[], ":5: no reply within "),
        ("next\n#@0.07\n#<end?by=me\n#@0.08\n#<goodbye\n", "", &[], ":19: "),
    ];
    for (old, new, flags, expected) in cases {
        let ended = check(TALK, &TALK.replace(old, new), flags);
        let heads = heads(&ended);
        assert!(heads.len() == 1 && heads[0].starts_with(expected), "{old:?} {new:?}: {heads:?}");
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("; 1 difference; "), "{}", ended.stderr);
    }
}

#[test]
fn closed_connection_is_one_difference_that_counts_the_rest() {
    for (last_words, code, way, how) in [
        (&b""[..], 1, "closed the connection", "closed by the server"),
        (
            b"frame&bytes=99999999999\n",
            4,
            "broke the framing",
            "closed by the client, since the server broke the framing",
        ),
    ] {
        let server = server();
        let file = session(TALK);
        let running = start(&["replay", "--check", "-a", &server.address, file.to_str().unwrap()]);
        let mut peer = server.accept();
        assert_eq!(peer.line(), "hello?version=1.1\n");
        peer.send(b"hello?version=1.1\n");
        assert_eq!(peer.line(), "get?names=a,b\n");
        peer.send(&[b"set?name=a&value=int:1\n", last_words].concat());
        drop(peer);
        let ended = running.finish();
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        let head = format!(":11: the peer {way} before this reply and 4 more");
        assert_eq!(heads(&ended), [head], "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("; 1 difference; {how}\n")), "{}", ended.stderr);
    }
}

#[test]
fn peer_that_closes_before_our_goodbye_has_missed_nothing() {
    let recording = "#backbox-session 1\n#@0\nask\n#@0.01\n#<reply\n#<goodbye\n#@1.5\ngoodbye\n";
    let ended = check(recording, recording.split_inclusive("#@1.5").next().unwrap().trim_end_matches("#@1.5"), &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "PASS: 1 reply as recorded\n"), "{}", ended.stderr);
}

#[test]
fn updated_file_passes_and_is_not_changed_again() {
    for (replies, flags) in [
        (TALK.replace("value=int:1", "value=int:7").replace("#<set?name=b&value=int:2\n", ""), &[][..]),
        (TALK.replace("#=YQpi", "#=YQpj").replace("#<done\n", "#<new\n#<done\n"), &["--exact"]),
        (TALK.replace("#<frame?name=d&bytes=3\n#=YQpi\n#<done", "#<done\n#<frame?name=d&bytes=3\n#=YQpi"), &[]),
    ] {
        let file = session(TALK);
        let ended = check_file(&file, &replies, &[&["--update"][..], flags].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let result = ended.stdout.lines().last().unwrap();
        assert!(result.starts_with("UPDATED: ") && result.contains(" of 7 replies differ"), "{}", ended.stdout);
        let updated = fs::read_to_string(&file).unwrap();
        assert_eq!(updated.replace("# a comment\n", ""), replies.replace("# a comment\n", ""));
        assert!(updated.contains("# a comment\n"));
        for flags in [flags.to_vec(), [&["--update"], flags].concat()] {
            let ended = check_file(&file, &replies, &flags);
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            assert!(ended.stdout.starts_with("PASS: "), "{}", ended.stdout);
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), updated);
    }
}

#[test]
fn update_keeps_patterns_and_skips_an_interrupted_check() {
    let pattern = TALK.replace("#<end?by=me", "#~end?by=y*");
    let file = session(&pattern.replace("int:1", "int:9"));
    let ended = check_file(&file, TALK, &["--update"]);
    assert_eq!((ended.code, heads(&ended)), (Some(1), vec![":10: differs in value", ":19: differs in by"]));
    let why = "1 pattern not met, which --update never changes; 1 other difference updated";
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), pattern);

    let server = server();
    let running = start(&["replay", "--update", "-a", &server.address, file.to_str().unwrap()]);
    drop(server.accept());
    let ended = running.finish();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("left as it is, because the check did not reach its end"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), pattern);
}

#[test]
#[cfg(unix)]
fn update_keeps_the_links_and_permissions_of_the_file() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let file = session(TALK);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let link = directory().join("link.bcp");
    symlink(&file, &link).unwrap();
    let replies = TALK.replace("value=int:1", "value=int:7");
    let ended = check_file(&link, &replies, &["--update"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), replies);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let folder = file.parent().unwrap();
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn an_update_leaves_a_file_that_another_program_has_changed_and_the_report_is_written() {
    let server = server();
    let (file, report) = (session(TALK), directory().join("report.xml"));
    let (path, xml) = (file.to_str().unwrap(), report.to_str().unwrap());
    let flags = ["replay", "--update", "--speed", "max", "--reply-timeout", "0.1", "--junit", xml];
    let running = start(&[&flags[..], &["-a", &server.address, path]].concat());
    let mut peer = server.accept();
    assert_eq!(peer.line(), "hello?version=1.1\n");
    let edited = TALK.replace("# a comment\n", "# a longer comment\n#<one?more=answer\n");
    fs::write(&file, &edited).unwrap();
    peer.send(b"hello?version=1.2\n");
    while peer.line() != "goodbye\n" {}
    drop(peer);
    let ended = running.finish();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let why = "which is left as it is: another program has changed it since the check began";
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
    assert!(fs::read_to_string(&report).unwrap().contains("differs in version"));
}

#[test]
fn an_update_that_will_not_be_written_is_refused_before_connecting() {
    // The name of the temporary file beside it would be too long.
    let file = directory().join("n".repeat(255));
    fs::write(&file, TALK).unwrap();
    let server = server();
    let ended = run(&["replay", "--update", "-a", &server.address, file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot update "), "{}", ended.stderr);
    assert!(!ended.stderr.contains("playing "), "{}", ended.stderr);
}

#[test]
fn report_for_ci_has_a_case_for_each_reply() {
    let report = directory().join("report.xml");
    let report = report.to_str().unwrap();
    let replies = TALK.replace("value=int:1", "value=<]]>");
    for overwrite in [&[][..], &["--overwrite"]] {
        let ended = check(TALK, &replies, &[&["--junit", report], overwrite].concat());
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    }
    let file = session(TALK);
    let refused = run(&["replay", "--check", "-a", "127.0.0.1:1", "--junit", report, file.to_str().unwrap()]);
    assert_eq!(refused.code, Some(3));
    assert!(refused.stderr.contains("file is not empty; use --overwrite to replace it"), "{}", refused.stderr);
    let xml = fs::read_to_string(report).unwrap();
    assert!(xml.contains(" tests=\"7\" failures=\"1\" "), "{xml}");
    assert_eq!(xml.matches("<testcase classname=\"").count(), 7);
    assert!(xml.contains("actual &quot;&lt;]]&gt;&quot;\n"), "{xml}");
}

#[test]
fn settings_in_the_file_apply_and_lists_extend_the_options() {
    let replies =
        TALK.replace("value=int:1", "value=int:9").replace("n\": 1", "n\": 2").replace("#<done", "#<extra\n#<done");
    let with = |settings: &str| TALK.replacen('\n', &format!("\n{settings}"), 1);
    let clean = check(&with("#!ignore set.value\n#!exclude list\n"), &replies, &[]);
    assert_eq!((clean.code, clean.stdout.as_str()), (Some(0), "PASS: 6 replies as recorded\n"), "{}", clean.stderr);
    let clean = check(&with("#!ignore SET.Value\n"), &replies, &["--exclude", "list?all"]);
    assert_eq!((clean.code, clean.stdout.as_str()), (Some(0), "PASS: 6 replies as recorded\n"), "{}", clean.stderr);
    let exact = check(&with("#!ignore value\n#!exclude list\n#!exact\n"), &replies, &[]);
    assert_eq!(heads(&exact), [": not recorded: received after line 16"], "{}", exact.stderr);
    let swapped = TALK.replace("#<set?name=a&value=int:1\n", "").replace("#<done", "#<set?name=a&value=int:1\n#<done");
    let any = check(&with("#!any-order set\n"), &swapped, &[]);
    assert_eq!((any.code, any.stdout.as_str()), (Some(0), "PASS: 7 replies as recorded\n"), "{}", any.stderr);
}

#[test]
fn what_is_wrong_with_a_pattern_is_known_before_connecting() {
    let with = |settings: &str| session(&TALK.replacen('\n', &format!("\n{settings}"), 1));
    for (file, flags, code, complaint) in [
        (with("#!exclude ?a=1\n"), &[][..], 1, "talk.bcp:2: setting exclude: "),
        (with("#!ignore x.\n"), &[], 1, "talk.bcp:2: setting ignore: the name of a parameter is missing"),
        (session(&TALK.replace("#<done", "#~t?a=int:x")), &[], 1, "talk.bcp:15: a: invalid integer: int:x"),
        (session(TALK), &["--any-order", "t?a=%ff"], 2, "--any-order t?a=%ff: "),
        (session(TALK), &["--ignore", ".x"], 2, "--ignore .x: the name of a parameter is missing"),
        (session("get\n"), &["--update"], 1, "--update changes a session file, and this is none"),
    ] {
        let ended = run(&[&["replay", "--check", "-a", "127.0.0.1:1", file.to_str().unwrap()], flags].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{}", ended.stderr);
        assert!(ended.stderr.contains(complaint), "{}", ended.stderr);
    }
}

#[test]
fn check_that_compares_nothing_is_1() {
    for text in ["#backbox-session 1\n#@0\nget\n", "#backbox-session 1\n#@0\nget\n#@0.01\n#<goodbye\n"] {
        let ended = check(text, TALK, &[]);
        let failed = "FAIL: no replies to compare\n";
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), failed), "{}", ended.stderr);
    }
}

#[test]
fn signal_or_timeout_ends_a_check_with_a_partial_report() {
    let text = "#backbox-session 1\n#@0\nask\n#<a?x=1\n#<b\n#@0.01\nnext\n#@0.02\n#<c\n";
    for (flags, code) in [(&[][..], 130), (&["-W", "0.5"], 124)] {
        let server = server();
        let file = session(text);
        let fixed = ["replay", "--check", "-v", "-a", &server.address, file.to_str().unwrap()];
        let running = start(&[&fixed[..], flags].concat());
        let mut peer = server.accept();
        assert_eq!(peer.line(), "ask\n");
        peer.send(b"a?x=2\nb\n");
        assert_eq!(peer.line(), "next\n");
        if flags.is_empty() {
            running.signal(Signal::INT);
        }
        let ended = running.finish();
        assert_eq!((ended.code, heads(&ended)), (Some(code), vec![":4: differs in x"]), "{}", ended.stderr);
        assert!(ended.stderr.contains("< a?x=2\n") && ended.stderr.contains("> next\n"), "{}", ended.stderr);
    }
}

#[test]
fn fail_fast_stops_at_the_first_difference_and_its_summary_is_true() {
    let file = session("#backbox-session 1\nhello\n#<hello?version=2\nfoo\n#<bar\n");
    let flags = ["replay", "--check", "--loopback", "--fail-fast", "--reply-timeout", "0.1"];
    let ended = run(&[&flags[..], &[file.to_str().unwrap()]].concat());
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("replayed 1 message "), "{}", ended.stderr);
    assert!(ended.stderr.contains("; stopped at the first difference\n"), "{}", ended.stderr);
}

#[test]
fn recorded_server_checks_a_client() {
    let (address, file) = (directory().join("address"), session(TALK));
    let fixed = ["replay", "--serve", "--check", "-a", "127.0.0.1:0", "--announce", address.to_str().unwrap()];
    let running = start(&[&fixed[..], &["--reply-timeout", "0.3", file.to_str().unwrap()]].concat());
    let mut peer = connect(announced(&address));
    peer.send(b"hello?version=1.1\nget?names=a\n");
    assert_eq!((peer.line(), peer.line()), ("hello?version=1.1\n".into(), "set?name=a&value=int:1\n".into()));
    peer.send(b"next\n");
    assert!(peer.rest().unwrap().ends_with("end?by=me\ngoodbye\n"));
    let ended = running.finish();
    assert_eq!((ended.code, heads(&ended)), (Some(1), vec![":8: differs in names"]), "{}", ended.stderr);
}

#[test]
fn one_of_several_connections_is_checked_and_updated() {
    let two = TALK.replace("#@0.06\n", "#@0.05 2\nother\n#<answer?n=int:1\n#@0.06\n");
    let replies = TALK.replace("value=int:1", "value=int:9");
    let file = session(&two);
    let ended = check_file(&file, &replies, &["--conn", "1", "--update"]);
    assert_eq!((ended.code, heads(&ended)), (Some(0), vec![":10: differs in value"]), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), two.replace("value=int:1", "value=int:9"));
    let ended = run(&["replay", "--check", "-a", "127.0.0.1:1", file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("--conn picks one of 1, 2"), "{}", ended.stderr);
}

#[test]
fn options_of_a_check_need_one() {
    for (arguments, complaint) in [
        (&["--exact"][..], "--exact needs --check or --update: "),
        (&["--junit", "x"], "--junit needs --check or --update: "),
        (&["--reply-timeout", "1"], "--reply-timeout needs --check, --update or --serve: "),
        (&["--check", "--repeat", "2"], "a check needs a fresh peer each time; leave out --repeat"),
        (&["--update", "--fail-fast"], "--update needs all differences; leave out --fail-fast"),
        (&["--view", "table", "--check"], "standard output has the report; -v shows the traffic"),
    ] {
        let ended = run(&[&["replay", GAME], arguments].concat());
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(complaint), "{}", ended.stderr);
    }
}

/// Replays a file to `listen` with default options and returns the recording that `listen` makes.
fn recorded(file: &str, flags: &[&str]) -> PathBuf {
    let record = directory().join("made.bcp");
    let listening = listen(&["--record", record.to_str().unwrap()]);
    let played = run(&[&["replay", "-a", &listening.address.to_string(), file], flags].concat());
    assert_eq!(played.code, Some(0), "{}", played.stderr);
    listening.running.signal(Signal::INT);
    assert_eq!(listening.running.finish().code, Some(130));
    record
}

#[test]
fn what_listen_recorded_passes_against_the_built_in_media_controller() {
    let talk = session(
        "#backbox-session 1\n#@0\nhello?version=1.1\nwhat?x=1\nreset\ntrigger?name=a\n#@0.1\nreset\nf&bytes=3\nabc\
         hello?version=9.9\n#@0.2\nx?v=int:z\nreset\ngoodbye\n",
    );
    for (file, flags) in [(GAME, &["--speed", "max"][..]), (talk.to_str().unwrap(), &[])] {
        let record = recorded(file, flags);
        for speed in ["max", "20"] {
            let ended =
                run(&["replay", "--loopback", "--check", "--exact", "--speed", speed, record.to_str().unwrap()]);
            assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
            assert!(ended.stdout.starts_with("PASS: "), "{}", ended.stdout);
        }
    }
}

#[test]
fn several_files_have_a_line_each_a_total_and_one_report() {
    let folder = directory();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = write("good.bcp", "#backbox-session 1\nhello?version=1.1\n#<hello?version=1.1\n");
    let bad = write("bad.bcp", "#backbox-session 1\nhello?version=1.1\n#<hello?version=1.2\nreset\n#~reset_complete\n");
    let report = write("report.xml", "");
    let check = |files: &[&str]| {
        let flags = ["replay", "--loopback", "--check", "--reply-timeout", "0.2", "--overwrite", "--junit", &report];
        run(&[&flags[..], files].concat())
    };
    let ended = check(&[&good, &bad, &good]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], format!("ok   {good} 1 reply as recorded"));
    assert_eq!(lines[1], format!("{bad}:3: differs in version"));
    assert_eq!(lines[5], format!("FAIL {bad} 1 of 2 replies differ"));
    assert_eq!(lines[7], "FAIL: 1 of 3 files differ");
    assert_eq!((ended.code, lines.len()), (Some(1), 8), "{}", ended.stderr);
    let xml = fs::read_to_string(&report).unwrap();
    assert_eq!((xml.matches("<testsuite ").count(), xml.matches("<failure ").count()), (3, 1), "{xml}");
    let ended = check(&[&good, &good]);
    assert!(ended.stdout.ends_with("PASS: 2 replies in 2 files as recorded\n"), "{}", ended.stdout);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let outdated = write("outdated.bcp", "#backbox-session 1\nhello?version=1.1\n#<hello?version=1.2\n");
    let ended = run(&["replay", "--loopback", "--update", &outdated, &good]);
    let lines =
        format!("UPDATED {outdated} 1 of 1 replies differ\nok   {good} 1 reply as recorded\nUPDATED: 1 of 2 files\n");
    assert!(ended.stdout.ends_with(&lines), "{}", ended.stdout);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let closed = server().close();
    let ended = run(&["replay", "--check", "-a", &closed, &good, &bad]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stdout.starts_with(&format!("FAIL {good} not connected\nFAIL {bad} ")), "{}", ended.stdout);
}

#[test]
fn standard_input_is_checked_like_a_file() {
    let mut running = start_with_input(&["replay", "--loopback", "--check", "-"]);
    running.write(b"#backbox-session 1\nhello?version=1.1\n#<hello?version=1.1\n");
    running.stdin = None;
    let ended = running.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "PASS: 1 reply as recorded\n"), "{}", ended.stderr);
}
