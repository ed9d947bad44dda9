//! The guard, rule by rule; what a running MPF did with 332 lines is in `tests/data/guard.jsonl`.

use super::*;

#[track_caller]
fn passes(line: &str) {
    assert_eq!(judge(line.as_bytes(), None), Ok(()), "{line}");
}

#[track_caller]
fn refused(line: &[u8], payload: Option<&[u8]>, rule: Rule, says: &str) {
    let refusal = judge(line, payload).expect_err(&shown(line));
    assert_eq!(refusal.rule, rule, "{}: {refusal}", shown(line));
    assert!(refusal.to_string().contains(says), "{}: {refusal}", shown(line));
}

#[test]
fn a_line_has_a_length_and_an_encoding() {
    let line = |count: usize| format!("nosuch?x={}", "a".repeat(count - 9));
    passes(&line(MPF_LINE_BYTES_MAX));
    refused(line(MPF_LINE_BYTES_MAX + 1).as_bytes(), None, Rule::LineLength, "65537 bytes");
    refused(b"trigger?name=caf\xe9", None, Rule::Utf8, "caf\\xE9 is not UTF-8");
    passes("trigger?name=%FF");
}

#[test]
fn a_payload_is_announced_once_and_exactly() {
    let four = Some(&b"ABCD"[..]);
    assert_eq!(judge(b"dmd_frame&bytes=4", four), Ok(()));
    assert_eq!(judge(b"trigger?name=a&bytes=004", four), Ok(()));
    assert_eq!(judge(b"dmd_frame&bytes=4\r", four), Ok(()));
    assert_eq!(judge(b"goodbye&bytes=0", Some(b"")), Ok(()));
    assert_eq!(judge(b"goodbye&bytes=0", None), Ok(()));
    for line in ["f&bytes=", "f&bytes=abc", "f&bytes=-1", "f&bytes=4&x=1", "f&bytes=4&bytes=4", "f&bytes=1_0"] {
        refused(line.as_bytes(), None, Rule::Marker, "would end MPF 0.81: &bytes= has to stand once");
    }
    refused(br#"trigger?json={"name":"a&bytes=4"}"#, None, Rule::Marker, "\\u0026");
    refused(b"f&bytes=4", None, Rule::Marker, "0 bytes follow");
    refused(b"f&bytes=5", four, Rule::Marker, "4 bytes follow");
    refused(b"f&bytes=99999999999999999999", four, Rule::Marker, "4 bytes follow");
    refused(b"f?a=1", four, Rule::Marker, "would be misread by MPF 0.81: no &bytes=4");
    refused(b"nosuch?bytes=22", None, Rule::QueryMarker, "write &bytes=22");
    passes("nosuch?bytes=0");
    passes("nosuch?bytes=x");
}

#[test]
fn a_command_is_letters_digits_and_three_marks() {
    for line in ["//[", "//x", "x:trigger?name=a", "tri/gger", "a b", "#", "#x?n=1", "%74rigger?name=a", "é", "a+b"] {
        refused(line.as_bytes(), None, Rule::Command, "letters, digits");
    }
    refused("\u{feff}trigger?name=a".as_bytes(), None, Rule::Command, "URL");
    for line in ["TRIGGER?name=a", "goodbye ", "Switch?name=a&state=1", "trigger ?name=a"] {
        refused(line.as_bytes(), None, Rule::Spelling, "would be lost on MPF 0.81 without a word: it knows");
    }
    for line in ["", "  \t\r", "?x=1", "my-own_command.2?x", "RESET", " trigger?name=a", "\0trigger?name=a"] {
        passes(line);
    }
    passes("tri\tgger?na\rme=a");
}

#[test]
fn numbers_are_pythons_whatever_the_command() {
    for command in ["trigger?name=a&", "nosuch?"] {
        for value in ["int:", "int:abc", "int%3Aabc", "%69nt:abc", "int:5.0", "int:--5"] {
            refused(format!("{command}x={value}").as_bytes(), None, Rule::Number, "x needs digits behind int:");
        }
        for value in ["float:", "float:abc", "float:1e+5"] {
            refused(format!("{command}x={value}").as_bytes(), None, Rule::Number, "x needs a number behind float:");
        }
        let long = format!("{command}x=int:{}", "9".repeat(4301));
        refused(long.as_bytes(), None, Rule::Number, "over 4300 digits");
        for value in ["int:5", "int:1_0", "int: 5 ", "int:\u{665}", "INT:abc", "float:nan", "float:1e999", "i", "%"] {
            passes(&format!("{command}x={value}"));
        }
        passes(&format!("{command}x=1&%78=int:abc"));
        refused(format!("{command}y=1&x=int:abc&x=1").as_bytes(), None, Rule::Number, "x needs");
    }
}

#[test]
fn json_is_pythons_whatever_the_command() {
    for json in ["", "{", "{\"a\":1}x", "{'a':1}", "%7B%7D", "{\"a\":1,}"] {
        refused(format!("nosuch?json={json}").as_bytes(), None, Rule::Json, "json= holds no JSON");
    }
    refused(format!("nosuch?json={{\"a\":{}", "[".repeat(1100)).as_bytes(), None, Rule::Json, "too deep");
    passes("nosuch?json=[1]");
    refused(b"nosuch?json=[1]&bytes=4", Some(b"ABCD"), Rule::NotAnObject, "object");
    refused(b"trigger?json=[1]", None, Rule::NotAnObject, "trigger needs json= with an object");
    refused(b"hello?json=null", None, Rule::NotAnObject, "hello");
    passes("trigger?json={\"name\":\"\\ud800\",\"x\":NaN}\t ");
    passes("trigger?name=a&json={");
    // In any other spelling it is a parameter named json, and the name is missing.
    refused(b"trigger?JSON={\"name\":\"a\"}", None, Rule::Missing, "trigger needs name; write trigger name=NAME");
}

#[test]
fn known_commands_need_what_they_need() {
    refused(b"trigger", None, Rule::Missing, "trigger needs name; write trigger name=NAME");
    refused(b"trigger?Name=x", None, Rule::Missing, "got \"Name\": case and blanks count");
    refused(b"trigger? name=x", None, Rule::Missing, "got \" name\"");
    refused(b"monitor_start?Category=modes", None, Rule::Missing, "got \"Category\"");
    refused(b"switch?name=x", None, Rule::Missing, "switch needs state");
    refused(b"goodbye?x", None, Rule::Unlisted, "goodbye takes no parameters, got \"x\"");
    refused(b"monitor_start?category=modes&=", None, Rule::Unlisted, "only category, got \"\"");
    refused(b"set_machine_var?name=a&value=b&x=1", None, Rule::Unlisted, "only name, value, persist");
    refused(b"goodbye&bytes=4", Some(b"ABCD"), Rule::Payload, "goodbye takes no payload");
    for line in ["hello?self=1", "error?client=1", "trigger?name=a&event=x", "service?subcommand=start&self=1"] {
        refused(line.as_bytes(), None, Rule::Reserved, "cannot carry");
    }
    refused(b"trigger?json={\"name\":\"a\",\"callback\":[0]}", None, Rule::Reserved, "callback");
    for line in ["goodbye?&", "hello?client=1", "hello", "trigger?name=a&callback=int:0", "nosuch?self=1&client=2"] {
        passes(line);
    }
}

#[test]
fn of_two_values_mpf_takes_the_first_and_in_json_the_last() {
    passes("switch?name=s&state=1&state=on");
    refused(b"switch?name=s&state=on&state=1", None, Rule::Value, "state");
    passes("switch?json={\"name\":\"s\",\"state\":\"on\",\"state\":1}");
    refused(b"switch?json={\"name\":\"s\",\"state\":1,\"state\":\"on\"}", None, Rule::Value, "state");
}

#[test]
fn values_are_of_their_kind() {
    for (line, says) in [
        ("switch?name=s&state=1.0", "state as 0, 1 or -1, got \"1.0\""),
        ("switch?name=s&state=NoneType:", "got null"),
        ("switch?name=s&state=float:inf", "got the number inf"),
        ("trigger?json={\"name\":[\"a\"]}", "name as text, got a list"),
        ("monitor_start?category=int:5", "category as text, got the number 5"),
        ("set_machine_var?name=bool:true&value=1", "name as text, got true"),
        ("register_trigger?event=a b", "without blanks"),
        ("register_trigger?event=a{x==1}", "braces"),
        ("register_trigger?event=a.int", "dot"),
        ("evaluate_placeholder?placeholder=", "\"\" is empty"),
        ("evaluate_placeholder?placeholder=int:5", "got the number 5"),
        ("evaluate_placeholder?placeholder=foo(", "\"foo(\" has a bracket that does not close"),
        ("service?subcommand=list_coils&values=name,", "board, label, name, number"),
        ("service?subcommand=list_lights&values=int:1", "color"),
        ("service?subcommand=coil_pulse&coil=c&pulse_ms=", "pulse_ms as a whole number, 0 or more, got \"\""),
        ("service?subcommand=coil_pulse&coil=c&pulse_ms=float:0.0", "pulse_ms"),
        ("service?subcommand=coil_enable&coil=c&hold_power=2", "hold_power as a number from 0 to 1"),
        ("service?subcommand=coil_enable&coil=c&pulse_power=float:nan", "pulse_power"),
        ("service?subcommand=show_play&show=on&token=x", "token as an object, got \"x\""),
        ("service?subcommand=light_color&light=l&color=int:0", "color as the name"),
        ("service?subcommand=light_color&light=l&color=red%2525x", "color as the name"),
        ("service?json={\"subcommand\":\"x\",\"coil\":{}}", "coil as text"),
    ] {
        refused(line.as_bytes(), None, Rule::Value, says);
    }
    for line in [
        "trigger?name=int:5",
        "switch?name=s&state=int:1",
        "register_trigger?event=.x",
        "register_trigger?event=a.5",
        "service?subcommand=list_shows&values=nope",
        "service?subcommand=coil_pulse&coil=c&hold_power=9",
        "service?subcommand=coil_pulse&coil=c&pulse_power=1",
        "service?subcommand=light_color&light=l&color=red%252550",
    ] {
        passes(line);
    }
}
