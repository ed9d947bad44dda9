//! Bad input: garbage, truncated input, huge lengths, deep nesting. Each is reported with its place and skipped,
//! without a panic.

mod common;

use common::{Outcome, Workdir, backbox, backbox_in};

/// Decodes `bad` between two good lines, which must both be decoded.
#[track_caller]
fn between_good_lines(bad: &[u8]) -> Outcome {
    let mut stdin = b"good?n=1\n".to_vec();
    stdin.extend_from_slice(bad);
    stdin.extend_from_slice(b"\ngood?n=2\n");
    let outcome = backbox(["decode", "-F", "{@command} {n}"], stdin);
    let lines: Vec<&str> = outcome.text().lines().collect();
    assert_eq!((lines.first(), lines.last()), (Some(&"good 1"), Some(&"good 2")), "{}", outcome.stderr);
    outcome
}

#[test]
fn nul_bytes_are_read_like_other_characters() {
    let outcome = between_good_lines(b"\0?a\0b=\0\0");
    outcome.exits(0).reports_nothing();
    backbox(["decode"], "t?a=\0\n").prints("{\"command\":\"t\",\"params\":{\"a\":\"\\u0000\"}}\n");
    between_good_lines(&[0; 10_000]).exits(0);
}

#[test]
fn binary_garbage_is_reported_line_by_line() {
    let mut random = common::seed::Random::new(1);
    let garbage: Vec<u8> = (0..300_000).map(|_| random.next() as u8).collect();
    let outcome = between_good_lines(&garbage);
    outcome.exits(1).reports(&["<stdin>:2: ", "is not UTF-8"]);
    let terminal_safe = |text: &str| !text.chars().any(|letter| letter.is_control() && letter != '\n');
    assert!(terminal_safe(&outcome.stderr) && outcome.stderr.lines().all(|line| line.chars().count() < 400));
    backbox(["encode"], &garbage).exits(1).prints("").reports(&["<stdin>:1: "]);
    backbox(["encode", "-s"], &garbage).exits(1).reports(&["<stdin>:1: "]);
    backbox(["decode", "-s"], &garbage).exits(1).reports(&["<stdin>:1: "]);
}

#[test]
fn truncated_character_at_the_end_is_reported() {
    let bad = b"good\nt?a=\xf0\x9f\x98";
    backbox(["decode", "-F", "{@command}"], bad).exits(1).prints("good\n").reports(&["<stdin>:2: ", "is not UTF-8"]);
    let bad = b"{\"command\":\"good\"}\n{\"command\":\"t\",\"params\":{\"a\":\"\xc3";
    backbox(["encode"], bad).exits(1).prints("good\n").reports(&["<stdin>:2: ", "is not UTF-8"]);
    backbox(["encode", "-s"], b"good\n\xe2\x82").exits(1).prints("good\n").reports(&["<stdin>:2: "]);
}

#[test]
fn line_over_the_limit_is_reported_and_skipped() {
    let long = format!("t?a={}", "x".repeat(2 << 20));
    let outcome = between_good_lines(long.as_bytes());
    outcome.exits(1).reports(&["<stdin>:2: line over 1048576 bytes; --max-line allows more"]);
    assert_eq!(outcome.stderr.lines().count(), 1);
    let allowed = backbox(["decode", "--max-line=3000000"], long.clone() + "\n");
    allowed.exits(0).reports_nothing();
    assert!(allowed.stdout.len() > 2 << 20);
    // A comment has no length limit, with or without a line end.
    between_good_lines(format!("#{long}").as_bytes()).exits(0).reports_nothing();
    backbox(["decode"], format!("#{long}")).exits(0).reports_nothing();
    backbox(["decode"], &long).exits(1).reports(&["<stdin>:1: line over"]);
    let json =
        format!("{{\"command\":\"t\",\"params\":{{\"a\":\"{}\"}}}}\n{{\"command\":\"good\"}}\n", "x".repeat(2 << 20));
    backbox(["encode"], json).exits(1).prints("good\n").reports(&["<stdin>:1: the line would be longer than 1048576"]);
    let strings = "x".repeat(2 << 20) + "\ngood\n";
    backbox(["encode", "-s"], strings)
        .exits(1)
        .prints("good\n")
        .reports(&["<stdin>:1: the string or its result is longer"]);
}

#[test]
fn payload_cut_short_ends_its_input_only() {
    let folder = Workdir::new();
    folder.write("cut.bcp", "a\nf&bytes=10\nb\nc\n");
    folder.write("no-lf.bcp", "f&bytes=10");
    folder.write("good.bcp", "good\n");
    let decode = |file: &str| backbox_in(&folder, ["decode", "-F", "{@command}", file, "good.bcp"], "");
    decode("cut.bcp").exits(1).prints("a\ngood\n").reports(&["cut.bcp:2: payload cut short: 4 of 10 bytes"]);
    decode("no-lf.bcp").exits(1).prints("good\n").reports(&["no-lf.bcp:1: payload cut short: 0 of 10 bytes"]);
    let fast = backbox_in(&folder, ["decode", "--fail-fast", "cut.bcp", "good.bcp"], "");
    fast.exits(1).prints("{\"command\":\"a\",\"params\":{}}\n");
}

#[test]
fn huge_length_is_not_allocated() {
    for claim in ["16777217", "99999999999999", "18446744073709551616", &"9".repeat(1_000)] {
        let outcome = backbox(["decode", "-F", "{@command}"], format!("a\nf&bytes={claim}\nb\n"));
        outcome.exits(1).prints("a\n").reports(&["<stdin>:2: payload over 16777216 bytes"]);
    }
    // If the limit allows the length, the payload is awaited but no memory is reserved for it.
    let most = usize::MAX;
    let outcome = backbox(["decode", &format!("--max-payload={most}")], format!("f&bytes={most}\nb\n"));
    outcome.exits(1).prints("").reports(&[&format!("2 of {most} bytes")]);
    let outcome = backbox(["decode", &format!("--max-line={most}")], "a\n");
    outcome.exits(0).prints("{\"command\":\"a\",\"params\":{}}\n");
}

#[test]
fn json_a_hundred_thousand_deep_is_refused() {
    let deep = "[".repeat(100_000);
    for bad in [format!("t?json={{\"a\":{deep}"), format!("t?json=%7B%22a%22:{deep}"), format!("t?json={deep}")] {
        between_good_lines(bad.as_bytes()).exits(1).reports(&["<stdin>:2: ", "nested more than 128 levels deep"]);
    }
    let objects = "{\"a\":".repeat(100_000);
    between_good_lines(format!("t?json={objects}").as_bytes()).exits(1).reports(&["128 levels deep"]);
    for bad in [
        format!("{{\"command\":\"t\",\"params\":{{\"a\":{deep}"),
        format!("{{\"command\":\"t\",\"meta\":{deep}"),
        deep.clone(),
        objects,
    ] {
        let outcome = backbox(["encode"], bad + "\n{\"command\":\"good\"}\n");
        outcome.exits(1).prints("good\n").reports(&["<stdin>:1: "]);
    }
    backbox(["encode", "t", &format!("a:={deep}")], "").exits(2).reports(&["a:=[[["]);
}

#[test]
fn sixty_thousand_names_are_read_in_linear_time() {
    let names: String = (0..60_000).map(|n| format!("&n{n}={}", n % 10)).collect();
    let json: Vec<String> = (0..60_000).map(|n| format!("\"n{n}\":\"{}\"", n % 10)).collect();
    let json = format!("{{\"command\":\"t\",\"params\":{{{}}}}}\n", json.join(","));
    let line = format!("t?{}\n", &names[1..]);
    backbox(["decode"], &line).exits(0).prints(&json);
    backbox(["encode"], &json).exits(0).prints(&line);
    backbox(["encode", "--sort-keys"], &json).exits(0);
    backbox(["decode", "-F", "{n59999}", "-m", "t?n0=0&n59999=9"], &line).exits(0).prints("9\n");
}

#[cfg(unix)]
#[test]
fn many_names_are_looked_up_among_many_in_linear_time() {
    let names: Vec<String> = (0..60_000).map(|n| format!("n{n}")).collect();
    let line = format!("t?{}\n", names.join("&"));
    // The maximum length of one argument.
    let asked: Vec<&str> = names.iter().step_by(4).map(String::as_str).collect();
    let began = std::time::Instant::now();
    // With a linear search for each name, this takes a minute in a debug build.
    backbox(["decode", "-F", "found", "-m", &format!("t?{}", asked.join("&"))], &line).exits(0).prints("found\n");
    backbox(["decode", "-F", &format!("{{{}}}", asked.join("}{"))], &line).exits(0).prints("\n");
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn one_name_sixty_thousand_times_is_one_parameter() {
    let same: String = (0..60_000).map(|n| format!("&a={n}")).collect();
    backbox(["decode"], format!("t?{same}\n")).prints("{\"command\":\"t\",\"params\":{\"a\":\"0\"}}\n");
    let members: Vec<String> = (0..60_000).map(|n| format!("\"a\":{n}")).collect();
    let members = members.join(",");
    backbox(["decode"], format!("t?json={{{members}}}\n")).prints("{\"command\":\"t\",\"params\":{\"a\":59999}}\n");
    let json = format!("{{\"command\":\"t\",\"params\":{{{members}}}}}\n");
    backbox(["encode"], json).exits(1).reports(&["<stdin>:1: a: given twice"]);
}

#[test]
fn error_messages_are_short_and_have_no_control_characters() {
    let evil = format!("t?\x1b[2J\u{9b}\x07=int:\x1b]0;x\x07{}\n", "y".repeat(10_000));
    let outcome = backbox(["decode"], &evil);
    outcome.exits(1);
    assert_eq!(outcome.stderr.lines().count(), 1);
    assert!(outcome.stderr.len() < 500, "{}", outcome.stderr);
    let controls = |text: &str| text.trim_end().chars().any(char::is_control);
    assert!(!controls(&outcome.stderr), "{:?}", outcome.stderr);
    for args in [&["\x1b[2J"][..], &["decode", "--\x1b[2J"], &["decode", "\x1b[2J"], &["encode", "t", "\x1b[2J"]] {
        let outcome = backbox(args, "");
        assert!(outcome.code != Some(0) && !controls(&outcome.stderr), "{:?}", outcome.stderr);
    }
}

#[test]
fn file_names_are_never_cut_and_offending_text_is() {
    let folder = Workdir::new();
    let name = format!("{}.bcp", "long-name-".repeat(15));
    let path = folder.write(&name, format!("trigger?count=int:{}\n", "x".repeat(200)));
    let path = path.to_str().unwrap();
    let missing = format!("{path}.missing");
    let malformed = backbox(["decode", path], "");
    malformed.exits(1).reports(&[&format!("{path}:1: "), "…"]);
    assert!(!malformed.stderr.contains(&"x".repeat(100)), "{}", malformed.stderr);
    for (args, named, code) in [
        (&["decode", &missing][..], &missing[..], 3),
        (&["decode", "--lint", &missing], &missing, 3),
        (&["encode", "-i", &missing], &missing, 3),
        (&["encode", "-b", &missing, "trigger"], &missing, 3),
        (&["send", "-a", "127.0.0.1:1", "--record", path, "trigger", "name=x"], path, 3),
        (&["listen", "-a", "127.0.0.1:0", "--record", path], path, 3),
        (&["replay", &missing], &missing, 3),
        (&["replay", "--loopback", "--record", path, path], path, 2),
    ] {
        let outcome = backbox(args, "");
        outcome.exits(code).reports(&[named]);
    }
}
