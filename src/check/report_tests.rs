//! Tests of the report of a check, as text and as JUnit XML.

use std::time::Duration;

use super::script::{Settings, What, When, play, record};
use crate::bcp::Side;
use crate::check::report::Entry;
use crate::check::{CloseKind, JunitSuite, junit, summary};
use crate::session::Record;
use crate::text::shown;

/// The entries for a request with these replies if these messages are received instead, ten milliseconds apart.
fn report(replies: &[(&str, &[u8])], messages: &[(&str, &[u8])], exact: bool, gone: Option<CloseKind>) -> Vec<Entry> {
    let time = |count: usize| Duration::from_millis(10) * count as u32;
    let record = |side, number: usize, line: &[u8], payload: &[u8]| {
        record(2 * number as u64 + 4, Some(time(number)), side, line, Some(payload))
    };
    let mut script = vec![record(Side::Client, 0, b"ask", b"")];
    for ((line, payload), number) in replies.iter().zip(1..) {
        let (is_pattern, line) = line.strip_prefix('~').map_or((false, *line), |pattern| (true, pattern));
        script.push(Record { is_pattern, ..record(Side::Server, number, line.as_bytes(), payload) });
    }
    let sends = |(line, payload): &(&str, &[u8])| What::Sends(line.as_bytes().to_vec(), payload.to_vec());
    let events = messages.iter().map(sends).chain(gone.map(What::Closes));
    let events: Vec<_> = events.zip(1..).map(|(what, count)| (When::After(1, time(count)), what)).collect();
    let settings = Settings { exact, reply_timeout: Duration::from_secs(1), ..Settings::default() };
    play(&script, &events, &settings).check.entries
}

fn text(entries: &[Entry], colored: bool) -> String {
    let mut out = String::new();
    entries.iter().for_each(|entry| out += &entry.report("game.bcp", colored));
    out
}

#[track_caller]
fn check(replies: &[&str], messages: &[&str], expected: &str) {
    let bare = |lines: &[&'static str]| -> Vec<(&'static str, &'static [u8])> {
        lines.iter().map(|line| (*line, &b""[..])).collect()
    };
    let leaked = |lines: &[&str]| -> Vec<&'static str> { lines.iter().map(|l| &*l.to_string().leak()).collect() };
    let entries = report(&bare(&leaked(replies)), &bare(&leaked(messages)), false, None);
    assert_eq!(text(&entries, false), expected);
}

#[test]
fn each_differing_parameter_is_shown() {
    check(
        &["set?name=a&value=int:1&old=x", "end"],
        &["set?name=a&value=1&new=%1B[2J", "end"],
        "game.bcp:6: differs in value, old, new\n\
         \x20 - expected set?name=a&value=int:1&old=x\n\
         \x20 + actual   set?name=a&value=1&new=%1B[2J\n\
         \x20   value: expected 1, actual \"1\"\n\
         \x20   old: expected \"x\", not received\n\
         \x20   new: not recorded, actual \"\\u001b[2J\"\n",
    );
    check(
        &["x?v=int:1", "end"],
        &["x?v=int:\u{1b}", "end"],
        "game.bcp:6: differs in @line\n\
         \x20 - expected x?v=int:1\n\
         \x20 + actual   x?v=int:\\x1b\n\
         \x20   @line: only one of the two lines is well-formed\n",
    );
    check(
        &["~mode?name=base&priority=int:*", "end"],
        &["mode?name=attract", "end"],
        "game.bcp:6: differs in name, priority\n\
         \x20 - expected mode?name=base&priority=int:*\n\
         \x20 + actual   mode?name=attract\n\
         \x20   name: actual \"attract\"\n\
         \x20   priority: not received\n",
    );
}

#[test]
fn error_no_reply_and_a_close_have_their_own_headlines() {
    check(
        &["set?name=a", "end"],
        &["error?message=no", "end"],
        "game.bcp:6: the peer replied with an error\n\
         \x20 - expected set?name=a\n\
         \x20 + actual   error?message=no\n\
         \x20   @command: expected set, actual error\n\
         \x20   name: expected \"a\", not received\n\
         \x20   message: not recorded, actual \"no\"\n",
    );
    check(&["set?name=a"], &[], "game.bcp:6: no reply within 1.010 s\n  - expected set?name=a\n");
    // A message with another command does not replace a reply.
    check(
        &["set?name=a", "end"],
        &["sett?name=a", "end"],
        "game.bcp:6: no reply within 0.130 s\n  - expected set?name=a\n",
    );
    let gone = report(&[("a", b""), ("b", b""), ("c", b"")], &[("a", b"")], false, Some(CloseKind::Closed));
    let closed = "game.bcp:8: the peer closed the connection before this reply and 1 more\n  - expected b\n";
    assert_eq!(text(&gone, false), closed);
    let gone = report(&[("a", b"")], &[], false, Some(CloseKind::Reset));
    assert_eq!(text(&gone, false), "game.bcp:6: the connection was lost before this reply\n  - expected a\n");
}

#[test]
fn moved_and_unrecorded_messages_are_reported_with_their_place() {
    check(
        &["a", "b", "c"],
        &["b", "a", "c"],
        "game.bcp:6: out of order: received after line 8\n  - expected a\n  + actual   a\n",
    );
    let extra = report(&[("a", b"")], &[("new&bytes=2", b"hi"), ("a", b"")], true, None);
    assert_eq!(
        text(&extra, false),
        "game.bcp: not recorded: received after line 4\n  + actual   new&bytes=2 (payload aGk=)\n"
    );
}

#[test]
fn payloads_are_shown_whole() {
    let entries = report(&[("f&bytes=3", b"abc"), ("end", b"")], &[("f&bytes=3", b"axc"), ("end", b"")], false, None);
    assert_eq!(
        text(&entries, false),
        "game.bcp:6: differs in @payload\n\
         \x20 - expected f&bytes=3 (payload YWJj)\n\
         \x20 + actual   f&bytes=3 (payload YXhj)\n\
         \x20   @payload: expected 3 bytes, byte 1 is 0x62, actual 3 bytes, byte 1 is 0x78\n"
    );
}

#[test]
fn color_makes_expected_red_and_actual_green() {
    let entries = report(&[("set?name=a&value=int:1", b"")], &[("set?name=a&value=int:2", b"")], false, None);
    assert_eq!(
        text(&entries, true),
        "\x1b[1mgame.bcp:6\x1b[0m: differs in value\n\
         \x20 \x1b[31m- expected set?name=a&value=int:1\x1b[0m\n\
         \x20 \x1b[32m+ actual   set?name=a&value=int:2\x1b[0m\n\
         \x20   value: expected 1, actual 2\n"
    );
}

#[test]
fn summary_counts_replies_and_messages() {
    assert_eq!(summary(&[], 14), "PASS: 14 replies as recorded");
    assert_eq!(summary(&[], 1), "PASS: 1 reply as recorded");
    assert_eq!(summary(&[], 0), "FAIL: no replies to compare");
    let entries = report(&[("a", b""), ("b", b"")], &[("new", b""), ("b", b"")], true, None);
    assert_eq!(summary(&entries, 2), "FAIL: 1 of 2 replies differ, and 1 not recorded");
    let entries = report(&[("a", b"")], &[("new", b""), ("new", b""), ("a", b"")], true, None);
    assert_eq!(summary(&entries, 1), "FAIL: 0 of 1 replies differ, and 2 not recorded");
    let entries = report(&[("a", b""), ("b", b""), ("c", b"")], &[("a", b"")], false, Some(CloseKind::Closed));
    assert_eq!(summary(&entries, 3), "FAIL: 2 of 3 replies differ");
}

/// An element of a schema: its required and allowed attributes, and its children in order.
struct Element {
    name: &'static str,
    required: &'static [&'static str],
    allowed: &'static [&'static str],
    /// Each with its minimum and maximum count.
    children: &'static [(&'static str, usize, usize)],
}

/// The schema that Ant's `JUnit.xsd` and Jenkins's `jenkins-junit.xsd` have in common.
const SCHEMA: &[Element] = &[
    Element { name: "testsuites", required: &[], allowed: &[], children: &[("testsuite", 0, usize::MAX)] },
    Element {
        name: "testsuite",
        required: &["name", "package", "id", "timestamp", "hostname", "tests", "failures", "errors", "time"],
        allowed: &[],
        children: &[("properties", 1, 1), ("testcase", 0, usize::MAX), ("system-out", 1, 1), ("system-err", 1, 1)],
    },
    Element {
        name: "testcase",
        required: &["name", "classname", "time"],
        allowed: &[],
        children: &[("skipped", 0, 1), ("failure", 0, 1)],
    },
    Element { name: "failure", required: &["type"], allowed: &["message"], children: &[] },
    Element { name: "skipped", required: &[], allowed: &[], children: &[] },
    Element { name: "properties", required: &[], allowed: &[], children: &[] },
    Element { name: "system-out", required: &[], allowed: &[], children: &[] },
    Element { name: "system-err", required: &[], allowed: &[], children: &[] },
];

/// Checks an element and its children against the schema; returns the text after it.
fn element<'t>(text: &'t str, name: &str) -> &'t str {
    let schema = SCHEMA.iter().find(|element| element.name == name).unwrap_or_else(|| panic!("<{name}>"));
    let head = text.strip_prefix('<').and_then(|text| text.strip_prefix(name)).unwrap();
    let (head, mut rest) = head.split_once('>').unwrap();
    let (attributes, is_empty) = head.strip_suffix('/').map_or((head, false), |head| (head, true));
    let pieces: Vec<&str> = attributes.split('"').collect();
    assert!(pieces.len() % 2 == 1 && pieces.last().unwrap().is_empty() && !attributes.contains('<'), "{attributes}");
    let names: Vec<&str> = pieces.chunks_exact(2).map(|pair| pair[0].trim().strip_suffix('=').unwrap()).collect();
    assert!(schema.required.iter().all(|name| names.contains(name)), "{name} has {names:?}");
    assert!(names.iter().all(|name| schema.required.contains(name) || schema.allowed.contains(name)), "{names:?}");
    if is_empty {
        assert!(schema.children.iter().all(|(_, least, _)| *least == 0), "{name} is empty");
        return rest;
    }
    for (child, least, most) in schema.children {
        let mut count = 0;
        while rest.trim_start().strip_prefix('<').and_then(|text| text.strip_prefix(child)).is_some() {
            rest = element(rest.trim_start(), child);
            count += 1;
        }
        assert!((*least..=*most).contains(&count), "{count} of <{child}> in <{name}>");
    }
    let (content, after) = rest.split_once('<').unwrap();
    assert!(schema.children.is_empty() || content.trim().is_empty(), "text in <{name}>: {content}");
    let mut entities = content.split('&').skip(1).map(|text| text.split_once(';').unwrap().0);
    assert!(entities.all(|name| ["amp", "lt", "gt", "quot"].contains(&name)));
    assert!(!content.contains("]]>") && content.chars().all(|c| c == '\n' || (c >= ' ' && c != '\u{ffff}')));
    after.strip_prefix('/').and_then(|text| text.strip_prefix(name)).and_then(|text| text.strip_prefix('>')).unwrap()
}

#[test]
fn junit_report_is_valid_whatever_a_peer_sends() {
    let entries = report(
        &[("set?name=a&value=<]]>\u{1b}", b""), ("end", b"")],
        &[("set?name=a&value=]]>%26\"\u{9b}\u{ffff}", b""), ("end", b"")],
        false,
        None,
    );
    let file = "dir/a&b\"<.bcp";
    let extra = report(&[("a", b"")], &[("new\x07", b""), ("a", b"")], true, None);
    let entries = [entries, extra].concat();
    let entries = &entries[..];
    let recorded = |number: u64, line: &[u8]| (number, shown(line));
    let (began, took) = (Duration::from_secs(951_782_400), Duration::from_millis(1500));
    let suites = [file, "second.bcp"].map(|file| {
        let failed = recorded(6, &entries[0].recorded.as_ref().unwrap().content.line);
        let replies = vec![recorded(3, b"hello?version=1.1"), failed, recorded(9, b"\xff<")];
        JunitSuite { file, began, took, replies, entries, reached: 8 }
    });
    let xml = junit(&suites);
    let root = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    assert_eq!(element(root, "testsuites"), "\n");
    for text in [
        "id=\"1\" timestamp=\"2000-02-29T00:00:00\" hostname=\"localhost\" ",
        " tests=\"4\" failures=\"2\" errors=\"0\" time=\"1.500\"",
        "<testcase classname=\"dir/a&amp;b&quot;&lt;.bcp\" name=\"line 3: hello?version=1.1\" time=\"0\"/>",
        "<failure type=\"differs\" message=\"differs in value\">dir/a&amp;b&quot;&lt;.bcp:6: differs in value\n",
        "value: expected &quot;&lt;]]&gt;\\u001b&quot;, actual &quot;]]&gt;&amp;\\&quot;\\u009b\\u{ffff}&quot;\n",
        "name=\"not recorded: new\\x07\"",
        "name=\"line 9: \\xFF&lt;\" time=\"0\"><skipped/></testcase>",
    ] {
        assert!(xml.contains(text), "{text} in\n{xml}");
    }
}
