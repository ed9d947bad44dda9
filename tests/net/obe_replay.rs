//! `replay --wire obe` over connections (design.md, section 11).

use crate::harness::{Listening, directory, listen, run, start_with_input};

/// A file of this name and text.
fn file(name: &str, text: &str) -> String {
    let path = directory().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A session of three messages, the last of them unanswered.
const SESSION: &str = "#backbox-session 1\n#!wire obe\n# a comment\n#@0\n{\"command\": \"goodset\", \"pickiness\": 4}\n\
                       #@0.01\n#<{\"a\": 2.50, \"b\": [1]}\n#@0.02 2\n\"é\"\n#<\"OK\"\n#@0.03 3\n56\n";

/// A server that answers so, and ends after so many messages.
fn server(messages: &str, reply: &str) -> Listening {
    listen(&["--wire", "obe", "-n", messages, "--reply", &format!("goodset => {reply}")])
}

#[test]
fn a_session_says_itself_which_wire_it_is_of() {
    let server = server("3", "{\"b\": [1.0], \"a\": 2.5}");
    let address = server.address.to_string();
    let session = file("session", SESSION);
    let played = run(&["replay", "-a", &address, &session]);
    assert_eq!(played.code, Some(0), "{}", played.stderr);
    assert_eq!(played.stdout, "{\"b\": [1.0], \"a\": 2.5}\n\"OK\"\n");
    let (first, rest) = played.stderr.split_once('\n').unwrap();
    assert_eq!(first, format!("asking {address} what session asks (3 messages, 2 with a reply)"));
    assert!(rest.starts_with("replayed 3 messages (44 bytes) of session in "), "{rest}");
    assert!(rest.contains(", over 3 connections; ") && rest.contains("; done\nlateness: p50 "), "{rest}");
    let heard = server.running.finish();
    assert_eq!(heard.stdout, "{\"command\": \"goodset\", \"pickiness\": 4}\n\"é\"\n56\n", "{}", heard.stderr);
}

#[test]
fn json_lines_are_played_as_often_and_as_fast_as_asked() {
    let server = server("6", "1");
    let address = server.address.to_string();
    let lines = file("lines", "\n{\"command\": \"goodset\"}\n#<1\n# no\n[2]\n#<2");
    let folder = directory();
    let record = folder.join("again");
    let arguments = ["replay", "--wire", "obe", "-a", &address, "--loop", "3", "--rate", "1000", "--record"];
    let played = run(&[&arguments[..], &[record.to_str().unwrap(), "-v", &lines]].concat());
    assert_eq!((played.code, played.stdout.as_str()), (Some(0), "1\n\"OK\"\n".repeat(3).as_str()));
    assert!(played.stderr.contains("\n> {\"command\": \"goodset\"}\n< 1\n> [2]\n"), "{}", played.stderr);
    assert_eq!(server.running.finish().stdout, "{\"command\": \"goodset\"}\n[2]\n".repeat(3));
    let recorded = std::fs::read_to_string(record).unwrap();
    assert!(recorded.contains("#!wire obe\n") && recorded.contains(" 6\n[2]\n"), "{recorded}");
}

#[test]
fn without_any_recorded_reply_each_is_waited_for() {
    let server = server("2", "{\"command\": \"set\"}");
    let address = server.address.to_string();
    let lines = file("lines", "{\"command\": \"goodset\"}\n\"x\"");
    let played = run(&["replay", "--wire", "obe", "-a", &address, &lines]);
    assert_eq!((played.code, played.stdout.as_str()), (Some(0), "{\"command\": \"set\"}\n\"OK\"\n"));
    assert_eq!(server.running.finish().stdout, "{\"command\": \"goodset\"}\n\"x\"\n");
}

#[test]
fn a_dry_run_prints_the_session() {
    let session = file("session", SESSION);
    let printed = run(&["replay", "--dry-run", &session]);
    assert_eq!((printed.code, printed.stdout.as_str(), printed.stderr.as_str()), (Some(0), SESSION, ""));
    let lines = file("lines", "[1]\r\n#<2\n\"last\"");
    let printed = run(&["replay", "--wire", "obe", "--dry-run", &lines]);
    let expected = "#backbox-session 1\n#!wire obe\n[1]\n#<2\n\"last\"\n";
    assert_eq!((printed.code, printed.stdout.as_str(), printed.stderr.as_str()), (Some(0), expected, ""));
}

#[test]
fn each_end_has_its_exit_status() {
    let nobody = crate::harness::port().close();
    let silent = crate::harness::port();
    for (text, arguments, code, why) in [
        ("1\n", &["-a", &nobody][..], 3, "connection refused at"),
        ("# no\n", &["-a", &nobody], 1, "nothing to play"),
        ("1\n#<2\n#<3\n", &["-a", &nobody], 1, "lines:3: a reply to no message"),
        ("1\n#@x\n", &["-a", &nobody], 1, "lines:2: "),
        ("#!ignore a\n1\n#<2\n", &["-a", &nobody], 1, "lines:1: #!ignore is about BCP's messages"),
        ("1\n#<2\n", &["-a", &silent.address, "-W", "0.05"], 124, "0.05 s passed before the last reply came"),
        ("#@0\n1\n#@600\n2\n", &["-a", &silent.address, "-W", "0.05"], 124, "0.05 s passed before the last"),
    ] {
        let lines = file("lines", text);
        let played = run(&[&["replay", "--wire", "obe"], arguments, &[&lines]].concat());
        assert_eq!((played.code, played.stdout.as_str()), (Some(code), ""), "{text:?}: {}", played.stderr);
        assert!(played.stderr.contains(why), "{text:?}: {}", played.stderr);
    }
}

#[test]
fn what_only_bcp_has_is_refused_with_a_sentence() {
    let session = file("session", SESSION);
    for (flags, why) in [
        (&["--loopback"][..], "--loopback plays to a media controller"),
        (&["--from", "bcp"], "--from is about BCP's"),
        (&["--conn", "1"], "--conn picks one connection"),
    ] {
        let refused = run(&[&["replay"], flags, &[&session]].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{flags:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(why), "{flags:?}: {}", refused.stderr);
    }
    let refused = run(&["replay", "--wire", "obe", "-"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let mut playing = start_with_input(&["replay", "-"]);
    playing.write(SESSION.as_bytes());
    let refused = playing.finish();
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("a session of OBE_Socket's"), "{}", refused.stderr);
}
