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
fn one_connection_can_be_played_alone() {
    let server = server("1", "1");
    let (address, session) = (server.address.to_string(), file("session", SESSION));
    let played = run(&["replay", "--check", "--conn", "2", "-a", &address, &session]);
    assert_eq!(played.code, Some(0), "{}", played.stderr);
    assert!(played.stderr.contains("(1 message, 1 with a reply)"), "{}", played.stderr);
    assert_eq!(server.running.finish().stdout, "\"é\"\n");
    let none = run(&["replay", "--conn", "4", "-a", &address, &session]);
    assert!(none.code == Some(1) && none.stderr.contains("no message of connection 4"), "{}", none.stderr);
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
fn a_check_compares_numbers_by_value_and_members_by_name() {
    let server = server("3", "{\"b\": [1.0], \"a\": 2.5}");
    let address = server.address.to_string();
    let checked = run(&["replay", "--check", "-a", &address, &file("session", SESSION)]);
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(0), ""), "{}", checked.stderr);
    assert!(checked.stderr.contains("; 0 differences; done"), "{}", checked.stderr);
    assert_eq!(server.running.finish().code, Some(0));
}

#[test]
fn each_difference_is_shown_with_its_place() {
    let session = "{\"command\": \"goodset\"}\n#<{\"a\": 1, \"b\": 2}\n\"x\"\n#<\"ok\"\n\"y\"\n#~O*\n\"z\"\n#~\"OK\"\n";
    let server = server("4", "{\"a\": 1.5, \"c\": null}");
    let (address, session) = (server.address.to_string(), file("lines", session));
    let checked = run(&["replay", "--wire", "obe", "--check", "-a", &address, &session]);
    assert_eq!(checked.code, Some(1), "{}", checked.stderr);
    let expected = "S:2: differs in a, b, c\n  recorded  {\"a\": 1, \"b\": 2}\n  \
         came      {\"a\": 1.5, \"c\": null}\n  \
         a: recorded 1, came 1.5\n  b: recorded 2, did not come\n  c: not recorded, came null\n\
         S:4: differs in @value\n  recorded  \"ok\"\n  came      \"OK\"\n  @value: recorded \"ok\", came \"OK\"\n\
         S:6: differs in @value\n  pattern   O*\n  came      \"OK\"\n  @value: came \"OK\"\n";
    assert_eq!(checked.stdout.replace(&session, "S"), expected);
    assert!(checked.stderr.contains("; 3 differences; done"), "{}", checked.stderr);
    assert_eq!(server.running.finish().code, Some(0));
}

#[test]
fn a_check_waits_so_long_and_can_end_with_the_first_difference() {
    let silent = crate::harness::port();
    let lines = file("lines", "1\n#<1\n2\n#<2\n");
    let arguments = ["replay", "--wire", "obe", "--check", "--reply-timeout", "0.05", "-a", &silent.address];
    let checked = run(&[&arguments[..], &["--fail-fast", &lines]].concat());
    assert_eq!(checked.code, Some(1), "{}", checked.stderr);
    assert_eq!(checked.stdout, format!("{lines}:2: no answer: 0.050 s of silence\n  recorded  1\n"));
    assert!(checked.stderr.contains("; 1 difference; ended at the first difference"), "{}", checked.stderr);
    let nothing = file("lines", "{\"command\":\"x\"}\n");
    let server = server("1", "1");
    let checked = run(&["replay", "--wire", "obe", "--check", "-a", &server.address.to_string(), &nothing]);
    assert_eq!(checked.code, Some(1), "{}", checked.stderr);
    assert!(checked.stderr.contains("nothing was compared"), "{}", checked.stderr);
}

#[test]
fn a_report_for_ci_systems_has_a_case_for_each_recorded_reply() {
    let lines = file("lines", "1\n#<\"OK\"\n2\n3\n#<{\"a\": 1}\n4\n#<4\n");
    for (flags, [failures, skipped], messages) in [(&[][..], [2, 0], "4"), (&["--fail-fast"], [1, 1], "3")] {
        let (server, report) = (server(messages, "1"), directory().join("report.xml"));
        let (address, report) = (server.address.to_string(), report.to_str().unwrap().to_owned());
        let arguments = ["replay", "--wire", "obe", "--check", "-a", &address, "--junit", &report, &lines];
        let checked = run(&[&arguments[..], flags].concat());
        assert_eq!(checked.code, Some(1), "{}", checked.stderr);
        let xml = std::fs::read_to_string(report).unwrap();
        assert!(xml.contains(&format!(" tests=\"3\" failures=\"{failures}\" ")), "{xml}");
        assert_eq!(xml.matches("<skipped/>").count(), skipped, "{xml}");
        assert!(xml.contains("name=\"line 2: &quot;OK&quot;\" time=\"0\"/>\n"), "{xml}");
        assert!(xml.contains("<failure type=\"differs\" message=\"differs in @value\">"), "{xml}");
        assert_eq!(server.running.finish().code, Some(0));
    }
}

#[test]
fn an_update_has_the_session_say_what_came_and_changes_nothing_else() {
    let (text, reply) = (SESSION.replace("56\n", "oops\n#~zz\n").replace("2.50", "2.75"), "{\"b\": [1.0], \"a\": 2.5}");
    let (session, server) = (file("session", &text), server("20", reply));
    let address = server.address.to_string();
    let arguments = ["replay", "--update", "-a", &address, &session];
    let left = run(&arguments);
    // The server has closed the connection of the bad body.
    assert_eq!(left.code, Some(1), "{}", left.stderr);
    assert!(left.stderr.contains("left as it is, since the check did not come to its end"), "{}", left.stderr);
    assert_eq!(std::fs::read_to_string(&session).unwrap(), text);

    // A bad body may look like the announcement of a payload, and has none.
    let text = text.replace("oops", "56").replace("# a comment\n", "#@0 4\nx&bytes=70\n# a comment\n");
    for pattern in ["zz", "\"OK\""] {
        let text = text.replace("zz", pattern);
        std::fs::write(&session, &text).unwrap();
        let updated = run(&["replay", "--update", "-a", &address, &session]);
        let expected = text.replace("{\"a\": 2.75, \"b\": [1]}", reply);
        assert_eq!(std::fs::read_to_string(&session).unwrap(), expected);
        let unmet = pattern == "zz";
        assert_eq!(updated.code, Some(i32::from(unmet)), "{}", updated.stderr);
        assert!(updated.stderr.contains("session: 1 difference updated\n"), "{}", updated.stderr);
        assert_eq!(updated.stderr.contains("1 pattern not met"), unmet, "{}", updated.stderr);
    }
    let refused = run(&["replay", "--wire", "obe", "--update", "-a", &address, &file("lines", "1\n#<2\n")]);
    assert!(refused.code == Some(1) && refused.stderr.contains("changes a session file"), "{}", refused.stderr);
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
fn the_recorded_pace_can_be_shortened() {
    let lines = file("lines", "#@0\n1\n#@3600\n2\n#@7200\n3\n");
    for pace in [&["--speed", "max"][..], &["--max-gap", "0.01"], &["--speed", "1000000"]] {
        let server = server("3", "1");
        let address = server.address.to_string();
        let played = run(&[&["replay", "--wire", "obe", "-a", &address, "-W", "20"], pace, &[&lines]].concat());
        assert_eq!((played.code, played.stdout.as_str()), (Some(0), "\"OK\"\n".repeat(3).as_str()), "{pace:?}");
        assert_eq!(server.running.finish().stdout, "1\n2\n3\n");
    }
}

#[test]
fn a_dry_run_prints_the_session() {
    let session = file("session", SESSION);
    let printed = run(&["replay", "--dry-run", &session]);
    assert_eq!((printed.code, printed.stdout.as_str(), printed.stderr.as_str()), (Some(0), SESSION, ""));
    let one = run(&["replay", "--dry-run", "--conn", "2", &session]);
    assert!(one.stdout.ends_with("#@0.02 2\n\"é\"\n#<\"OK\"\n") && !one.stdout.contains("goodset"), "{}", one.stdout);
    // A body may be longer than a line of BCP, and no limit of those is needed for it.
    let long = SESSION.replace("é", &"é".repeat(1 << 20));
    let printed = run(&["replay", "--dry-run", &file("session", &long)]);
    assert!(printed.code == Some(0) && printed.stdout == long, "{}", printed.stderr);
    let refused = run(&["replay", "--dry-run", "--wire", "obe", "--from", "mpf", &session]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
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
        ("1\n", &["-a", &nobody, "--retry", "20s", "-W", "0.1"], 124, "0.1 s passed before the last message was sent"),
        ("# no\n", &["-a", &nobody], 1, "nothing to play"),
        ("1\noops\n", &["-a", &nobody], 1, "lines:2: not JSON at byte 1: no value begins like oops"),
        ("#backbox-session 1\n1\nhello?a\n", &["-a", &nobody], 1, "lines:3: not JSON"),
        ("#backbox-session 1\n#!wire obe\noops\n", &["-a", &nobody], 3, "asks (1 message"),
        ("1\n#~{\"a\":\n", &["-a", &nobody], 1, "lines:2: not JSON at byte 6: the text ends too soon"),
        ("1\n#<2\n#<3\n", &["-a", &nobody], 1, "lines:3: a reply to no message"),
        ("1\n#@x\n", &["-a", &nobody], 1, "lines:2: "),
        ("1\n#~a?b=int:x\n", &["-a", &nobody], 1, "lines:2: b: int:x is no integer"),
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
        (&["--check", "--exclude", "*"], "--ignore, --exclude, --any-order and --exact"),
        (&["--check", "--exact"], "--ignore, --exclude, --any-order and --exact"),
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
