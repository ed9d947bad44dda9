//! Tests of the guard: each rule, and the recorded behaviour of MPF 0.81.

use base64::Engine as _;
use serde_json::Value;

use super::*;

#[track_caller]
fn passes(line: &str) {
    assert_eq!(check_line(line.as_bytes(), None), Ok(()), "{line}");
}

#[track_caller]
fn refused(line: &[u8], payload: Option<&[u8]>, rule: GuardRule, expected: &str) {
    let refusal = check_line(line, payload).expect_err(&shown(line));
    assert_eq!(refusal.rule, rule, "{}: {refusal}", shown(line));
    assert!(refusal.to_string().contains(expected), "{}: {refusal}", shown(line));
}

#[test]
fn line_has_a_maximum_length_and_an_encoding() {
    let line = |count: usize| format!("nosuch?x={}", "a".repeat(count - 9));
    passes(&line(MPF_LINE_BYTES_MAX));
    refused(line(MPF_LINE_BYTES_MAX + 1).as_bytes(), None, GuardRule::LineLength, "65537 bytes");
    refused(b"trigger?name=caf\xe9", None, GuardRule::Utf8, "caf\\xE9 is not UTF-8");
    passes("trigger?name=%FF");
}

#[test]
fn payload_is_announced_once_and_exactly() {
    let four = Some(&b"ABCD"[..]);
    assert_eq!(check_line(b"nosuch&bytes=4", four), Ok(()));
    assert_eq!(check_line(b"dmd_frame?name=a&bytes=4", four), Ok(()));
    assert_eq!(check_line(b"trigger?name=a&bytes=004", four), Ok(()));
    assert_eq!(check_line(b"nosuch&bytes=4\r", four), Ok(()));
    assert_eq!(check_line(b"goodbye&bytes=0", Some(b"")), Ok(()));
    assert_eq!(check_line(b"goodbye&bytes=0", None), Ok(()));
    for line in ["f&bytes=", "f&bytes=abc", "f&bytes=-1", "f&bytes=4&x=1", "f&bytes=4&bytes=4", "f&bytes=1_0"] {
        refused(line.as_bytes(), None, GuardRule::Marker, "would end MPF 0.81: &bytes= must be the end");
    }
    refused(br#"trigger?json={"name":"a&bytes=4"}"#, None, GuardRule::Marker, "\\u0026");
    refused(b"f&bytes=4", None, GuardRule::Marker, "0 bytes follow");
    refused(b"f&bytes=5", four, GuardRule::Marker, "4 bytes follow");
    refused(b"f&bytes=99999999999999999999", four, GuardRule::Marker, "4 bytes follow");
    refused(b"f?a=1", four, GuardRule::Marker, "would be misread by MPF 0.81: no &bytes=4");
    refused(b"nosuch?bytes=22", None, GuardRule::QueryMarker, "write &bytes=22");
    passes("nosuch?bytes=0");
    passes("nosuch?bytes=x");
}

#[test]
fn command_has_letters_digits_and_three_marks() {
    for line in ["//[", "//x", "x:trigger?name=a", "tri/gger", "a b", "#", "#x?n=1", "%74rigger?name=a", "é", "a+b"] {
        refused(line.as_bytes(), None, GuardRule::Command, "letters, digits");
    }
    refused("\u{feff}trigger?name=a".as_bytes(), None, GuardRule::Command, "URL");
    for line in ["TRIGGER?name=a", "goodbye ", "Switch?name=a&state=1", "trigger ?name=a"] {
        refused(line.as_bytes(), None, GuardRule::Spelling, "would be ignored by MPF 0.81 without a reply: write");
    }
    for line in ["", "  \t\r", "?x=1", "my-own_command.2?x", "RESET", " trigger?name=a", "\0trigger?name=a"] {
        passes(line);
    }
    passes("tri\tgger?na\rme=a");
}

#[test]
fn numbers_are_checked_under_every_command() {
    for command in ["trigger?name=a&", "nosuch?"] {
        for value in ["int:", "int:abc", "int%3Aabc", "%69nt:abc", "int:5.0", "int:--5"] {
            refused(
                format!("{command}x={value}").as_bytes(),
                None,
                GuardRule::Number,
                "MPF 0.81: x needs digits after int:",
            );
        }
        for value in ["float:", "float:abc", "float:1e+5"] {
            refused(format!("{command}x={value}").as_bytes(), None, GuardRule::Number, "x needs a number after float:");
        }
        refused(format!("{command}x=int:\u{665}").as_bytes(), None, GuardRule::Number, "rejected by other peers");
        let long = format!("{command}x=int:{}", "9".repeat(4301));
        refused(long.as_bytes(), None, GuardRule::Number, "over 4300 digits");
        for value in ["int:5", "int:1_0", "int: 5 ", "INT:abc", "float:nan", "float:1e999", "i", "%"] {
            passes(&format!("{command}x={value}"));
        }
        passes(&format!("{command}x=int:{}", "9".repeat(4300)));
        passes(&format!("{command}x=1&%78=int:abc"));
        refused(format!("{command}y=1&x=int:abc&x=1").as_bytes(), None, GuardRule::Number, "x needs");
    }
}

#[test]
fn json_is_checked_under_every_command() {
    for json in ["", "{", "{\"a\":1}x", "{'a':1}", "%7B%7D", "{\"a\":1,}", "{\"a\":[1,]}"] {
        refused(
            format!("nosuch?json={json}").as_bytes(),
            None,
            GuardRule::Json,
            "would end MPF 0.81: json= is not JSON",
        );
    }
    let nested = |count| format!("nosuch?json={{\"a\":{}{}}}", "[".repeat(count), "]".repeat(count));
    passes(&nested(127));
    refused(nested(128).as_bytes(), None, GuardRule::Json, "128 levels");
    refused(nested(1100).as_bytes(), None, GuardRule::Json, "128 levels");
    refused(br#"trigger?json={"name":"\ud800"}"#, None, GuardRule::Json, "rejected by other peers");
    passes("nosuch?json=[1]");
    refused(b"nosuch?json=[1]&bytes=4", Some(b"ABCD"), GuardRule::NotAnObject, "object");
    refused(b"trigger?json=[1]", None, GuardRule::NotAnObject, "trigger needs an object in json=");
    refused(b"hello?json=null", None, GuardRule::NotAnObject, "hello");
    passes("trigger?json={\"name\":\"a\",\"x\":NaN}\t ");
    passes("trigger?name=a&json={");
    let digits = "9".repeat(4301);
    refused(
        format!("nosuch?json={{\"a\":[\"\\\"\", -{digits}]}}").as_bytes(),
        None,
        GuardRule::Number,
        "over 4300 digits",
    );
    passes(&format!("nosuch?json={{\"{digits}\":\"\\\\\\\"{digits}\", \"b\":{digits}.0}}"));
    // In upper case, it is a parameter named json, and the name is missing.
    refused(b"trigger?JSON={\"name\":\"a\"}", None, GuardRule::Missing, "trigger needs name; write trigger name=NAME");
}

#[test]
fn parameters_of_known_commands_are_checked() {
    refused(b"trigger", None, GuardRule::Missing, "trigger needs name; write trigger name=NAME");
    refused(b"trigger?Name=x", None, GuardRule::Missing, "got \"Name\": case and spaces count");
    refused(b"trigger? name=x", None, GuardRule::Missing, "got \" name\"");
    refused(br#"trigger?json={" name":"x"}"#, None, GuardRule::Missing, "got \" name\"");
    refused(b"monitor_start?Category=modes", None, GuardRule::Missing, "got \"Category\"");
    refused(b"switch?name=x", None, GuardRule::Missing, "switch needs state");
    refused(b"goodbye?x", None, GuardRule::Unlisted, "goodbye accepts no parameters, got \"x\"");
    refused(b"monitor_start?category=modes&=", None, GuardRule::Unlisted, "only category, got \"\"");
    refused(b"set_machine_var?name=a&value=b&x=1", None, GuardRule::Unlisted, "only name, value, persist");
    refused(b"goodbye&bytes=4", Some(b"ABCD"), GuardRule::Payload, "goodbye accepts no payload");
    for line in ["hello?self=1", "error?client=1", "trigger?name=a&event=x", "service?subcommand=start&self=1"] {
        refused(line.as_bytes(), None, GuardRule::Reserved, "cannot have");
    }
    refused(b"trigger?json={\"name\":\"a\",\"callback\":[0]}", None, GuardRule::Reserved, "callback");
    for line in ["goodbye?&", "hello?client=1", "hello", "trigger?name=a&callback=int:0", "nosuch?self=1&client=2"] {
        passes(line);
    }
}

#[test]
fn commands_of_optional_configurations_are_checked() {
    refused(b"dmd_frame?name=default", None, GuardRule::Payload, "dmd_frame needs a payload");
    refused(b"rgb_dmd_frame?name=default&bytes=0", Some(b""), GuardRule::Payload, "rgb_dmd_frame needs a payload");
    refused(b"dmd_frame&bytes=4", Some(b"ABCD"), GuardRule::Missing, "dmd_frame needs name");
    refused(b"status_report", None, GuardRule::Missing, "status_report needs cpu");
    refused(b"status_report?cpu=int:1&rss=int:2&vms=int:3&more=1", None, GuardRule::Unlisted, "only cpu, rss, vms");
    refused(b"vpcom_bridge?number=5", None, GuardRule::Missing, "vpcom_bridge needs subcommand");
    refused(b"vpcom_bridge?subcommand=int:5", None, GuardRule::Value, "subcommand as a string");
    passes("status_report?cpu=float:1.5&rss=int:2&vms=int:3");
    passes("vpcom_bridge?subcommand=get_switch&number=5");
}

#[test]
fn first_duplicate_is_checked_in_a_line_and_the_last_in_json() {
    passes("switch?name=s&state=1&state=on");
    refused(b"switch?name=s&state=on&state=1", None, GuardRule::Value, "state");
    passes("switch?json={\"name\":\"s\",\"state\":\"on\",\"state\":1}");
    refused(b"switch?json={\"name\":\"s\",\"state\":1,\"state\":\"on\"}", None, GuardRule::Value, "state");
}

#[test]
fn refusal_names_the_peer_the_parameter_and_the_expected_type() {
    let refusal = check_line(b"switch?name=s_start&state=on", None).unwrap_err();
    assert_eq!(refusal.to_string(), "would end MPF 0.81: switch needs state as 0, 1 or -1, got \"on\"");
}

#[test]
fn types_of_values_are_checked() {
    for (line, expected) in [
        ("switch?name=s&state=1.0", "state as 0, 1 or -1, got \"1.0\""),
        ("switch?name=s&state=NoneType:", "got null"),
        ("switch?name=s&state=float:inf", "got the number Infinity"),
        ("trigger?json={\"name\":[\"a\"]}", "name as a string, got a list"),
        ("monitor_start?category=int:5", "category as a string, got the number 5"),
        ("set_machine_var?name=bool:true&value=1", "name as a string, got true"),
        ("register_trigger?event=a b", "space"),
        ("register_trigger?event=a{x==1}{y==2}", "a bracket closes nothing"),
        ("register_trigger?event=a{x==1}|500ms", "only one {CONDITION}"),
        ("register_trigger?event=a{x=1}", "write == to compare"),
        ("register_trigger?event=a.int", "dot"),
        ("evaluate_placeholder?placeholder=", "got \"\": it is empty"),
        ("evaluate_placeholder?placeholder=int:5", "got the number 5"),
        ("evaluate_placeholder?placeholder=foo(", "got \"foo(\": a bracket is not closed"),
        ("service?subcommand=list_coils&values=name,", "board, label, name, number"),
        ("service?subcommand=list_lights&values=int:1", "color"),
        ("service?subcommand=coil_pulse&coil=c&pulse_ms=", "pulse_ms as a whole number, 0 or more, got \"\""),
        ("service?subcommand=coil_pulse&coil=c&pulse_ms=float:0.0", "pulse_ms"),
        ("service?subcommand=coil_enable&coil=c&hold_power=2", "hold_power as a number from 0 to 1"),
        ("service?subcommand=coil_enable&coil=c&pulse_power=float:nan", "pulse_power"),
        ("service?subcommand=show_play&show=on&token=x", "token as an object, got \"x\""),
        ("service?subcommand=light_color&light=l&color=int:0", "color as a color name"),
        ("service?json={\"subcommand\":\"x\",\"coil\":{}}", "coil as a string"),
    ] {
        refused(line.as_bytes(), None, GuardRule::Value, expected);
    }
    for line in [
        "trigger?name=int:5",
        "switch?name=s&state=int:1",
        "register_trigger?event=.x",
        "register_trigger?event=a.5{x}",
        "service?subcommand=list_shows&values=nope",
        "service?subcommand=coil_pulse&coil=c&hold_power=9",
        "service?subcommand=coil_pulse&coil=c&pulse_power=1",
    ] {
        passes(line);
    }
}

/// Lines that MPF survives and the guard refuses, by rule, because MPF loses or misreads them.
const REFUSED_ALL_THE_SAME: &[(GuardRule, &[&str])] = &[
    (
        GuardRule::Command,
        &[
            // Never sent, because backbox reads them as comments.
            "# comment\n",
            "#@0.000000\n",
            "#\n",
            "#<trigger?name=my_trigger\n",
            "# see //[1] for\n",
            "# foo?json=[1]\n",
            "//\n",
            "//x\n",
            "//[::1]\n",
            "//host/trigger?name=my_trigger\n",
            "x:trigger?name=my_trigger\n",
            "http://h/trigger?name=my_trigger\n",
            "=\n",
            "&&\n",
            ":\n",
            ";\n",
            "%74rigger?name=my_trigger\n",
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:5051\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n\n",
            "x//[\n",
            "trigger:[\n",
        ],
    ),
    // Other peers reject lone surrogates and more than 128 levels.
    (GuardRule::Json, &["trigger?json={\"name\":\"\\ud800\"}\n", "trigger?json={\"name\":\"a\",\"x\":[[[["]),
    // They stop an MPF with such a display, which this one did not have.
    (GuardRule::Payload, &["dmd_frame?name=x\n", "rgb_dmd_frame?name=x\n"]),
    (GuardRule::Missing, &["dmd_frame&bytes=4\nABCD"]),
    (GuardRule::Spelling, &["TRIGGER?name=my_trigger\n", "GOODBYE\n", "goodbye \n"]),
    // MPF reads the bytes after the first as its payload, and reads 1_0 in the second as 10.
    (GuardRule::Marker, &["#&bytes=4\n", "trigger?name=my_trigger&bytes=1_0\n0123456789"]),
];

/// A truncated line without a number. `send` never sends it, because it ends each line with LF.
const HALF_A_LINE: &str = "trigger?name=a&n=int:5";

/// The cases of a data file: what was sent, and whether it stopped MPF.
fn cases(file: &str) -> Vec<(Vec<u8>, bool)> {
    let read = |line: &str| {
        let case: Value = serde_json::from_str(line).unwrap();
        let input = match case["line_b64"].as_str() {
            Some(encoded) => base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(),
            None => case["line"].as_str().unwrap().as_bytes().to_vec(),
        };
        (input, case["ends_mpf"].as_bool().unwrap())
    };
    file.lines().map(read).collect()
}

/// The first rule that an input breaks, split into lines and payloads as in MPF.
fn first_refusal(mut input: &[u8]) -> Option<GuardRule> {
    while !input.is_empty() {
        let end = input.iter().position(|&b| b == b'\n').unwrap_or(input.len());
        let line = &input[..end];
        input = input.get(end + 1..).unwrap_or_default();
        let text = String::from_utf8_lossy(line);
        let announced: usize =
            text.rsplit_once("&bytes=").map_or(0, |(_, digits)| digits.replace('_', "").parse().unwrap_or(0));
        let payload = &input[..announced.min(input.len())];
        input = &input[payload.len()..];
        if let Err(refusal) = check_line(line, Some(payload)) {
            return Some(refusal.rule);
        }
    }
    None
}

#[test]
fn only_lines_that_stop_mpf_and_listed_exceptions_are_refused() {
    let mut cases = cases(include_str!("../../tests/data/guard.jsonl"));
    assert_eq!(cases.len(), 332);
    cases.extend(self::cases(include_str!("../../tests/data/guard-more.jsonl")));
    let mut wrong = Vec::new();
    let mut listed = 0;
    for (input, ends_mpf) in &cases {
        let text = String::from_utf8_lossy(input);
        let rule = first_refusal(input);
        let is_listed = |line: &&str| text == *line || (!line.ends_with('\n') && text.starts_with(*line));
        let named = REFUSED_ALL_THE_SAME.iter().find(|(_, lines)| lines.iter().any(is_listed));
        let named = named.map(|(rule, _)| *rule);
        listed += usize::from(named.is_some());
        let right = match ends_mpf {
            true if text == HALF_A_LINE => rule.is_none(),
            true => rule.is_some() && named.is_none(),
            false => rule == named,
        };
        if !right {
            wrong.push(format!("{text:.80?} (ends MPF: {ends_mpf}): {rule:?}, listed under {named:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(listed, REFUSED_ALL_THE_SAME.iter().map(|(_, lines)| lines.len()).sum::<usize>(), "each occurs");
}
