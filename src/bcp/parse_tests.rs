//! Tests of lines and JSON read into messages: the rules that the data files do not test separately.

use super::*;
use crate::bcp::canonical_name;

fn params(message: &Message) -> String {
    let mut out = Vec::new();
    message.write_params(&mut out);
    String::from_utf8(out).unwrap()
}

fn read(line: &str, options: &ParseOptions) -> Result<String, String> {
    let mut message = Message::new();
    message.parse_line(line.as_bytes(), options).map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    message.write_json(None, &mut out);
    Ok(String::from_utf8(out).unwrap())
}

#[track_caller]
fn check(line: &str, params: &str) {
    assert_eq!(
        read(line, &ParseOptions::default()),
        Ok(format!("{{\"command\":\"t\",\"params\":{params}}}")),
        "{line}"
    );
}

#[test]
fn plain_values_are_typed_once_decoded() {
    check("t?a=int%3A5&b=i%6et:5&c=bOOl:TRUE&d=NoneType:", r#"{"a":5,"b":5,"c":true,"d":null}"#);
    check(
        "t?a=INT:5&b=bool:maybe&c=NoneType:x&d=float&e=b&f=N",
        r#"{"a":"INT:5","b":"bool:maybe","c":"NoneType:x","d":"float","e":"b","f":"N"}"#,
    );
}

#[test]
fn first_duplicate_wins_in_a_line_and_the_last_in_json() {
    check("t?a=1&b=2&A=3", r#"{"a":"1","b":"2"}"#);
    check("t?json={\"a\":1,\"b\":[2],\"A\":{\"x\":1}}", r#"{"a":{"x":1},"b":[2]}"#);
    check("t?json={\" A\\t\":1}", r#"{"a":1}"#);
    check("t?json={\"\\u0041\":1, \"b \":2, \" c\":3, \"\u{85}D\":4}", r#"{"a":1,"b":2,"c":3,"\u0085d":4}"#);
}

#[test]
fn duplicates_are_found_among_few_and_many_names() {
    let names: Vec<String> = (0..40).map(|n| format!("n{}=int:{n}", n % 20)).collect();
    let expected: Vec<String> = (0..20).map(|n| format!("\"n{n}\":{n}")).collect();
    check(&format!("t?{}", names.join("&")), &format!("{{{}}}", expected.join(",")));
    let members: Vec<String> = (0..40).map(|n| format!("\"n{}\":{n}", n % 20)).collect();
    let expected: Vec<String> = (0..20).map(|n| format!("\"n{n}\":{}", n + 20)).collect();
    check(&format!("t?json={{{}}}", members.join(",")), &format!("{{{}}}", expected.join(",")));
}

#[test]
fn message_is_reused_for_each_line() {
    let mut message = Message::new();
    for line in ["a?x=1&y=2", "a?x=int:q", "b?json={\"x\":", "c"] {
        let _ = message.parse_line(line.as_bytes(), &ParseOptions::default());
    }
    assert_eq!((&*message.command(), params(&message).as_str()), ("c", "{}"));
    assert_eq!(message.params().count(), 0);
}

#[test]
fn error_names_the_parameter_and_shows_the_text() {
    let strict = ParseOptions { allow_nan: false, ..ParseOptions::default() };
    for (line, words) in [
        ("t?Count=int:abc", "Count: invalid integer: int:abc; write digits after int:, as in int:5"),
        ("t?x=float:fast", "x: invalid number: float:fast; write digits after float:, as in float:0.5"),
        ("t?=int:", "\"\": invalid integer: int:; write digits after int:, as in int:5"),
        ("t?x=float:nan", "x: float:nan is not a finite number, and --no-nan refuses it"),
        ("t?name=%FF", "name: %FF is not UTF-8"),
        ("t?%FF=1", "%FF: %FF is not UTF-8"),
        ("?a=1", "no command before the parameters: ?a=1"),
        ("", "no command: the text is empty"),
        ("t?json=", "json: nothing follows json=; write {\"name\": value}"),
        ("t?json=[1]", "json: not a JSON object: [1]; write {\"name\": value}"),
        ("t?json={\"a\":1}&b=2", "json: not JSON at byte 8: unexpected &b=2"),
        ("t?json={\"a\": 1,,}", "json: not JSON at byte 9: unexpected ,}"),
    ] {
        assert_eq!(read(line, &strict), Err(words.to_string()), "{line}");
    }
}

#[test]
fn string_that_would_decode_as_another_type_is_recognised() {
    for (text, json) in [
        ("int: 007", Some("7")),
        ("float:.5", Some("0.5")),
        ("NoneType:", Some("null")),
        ("bool:TRUE", Some("true")),
        ("int:x", None),
        ("x", None),
    ] {
        assert_eq!(typed_text(text).as_deref(), json, "{text}");
    }
}

#[test]
fn line_of_json_that_is_not_a_message_is_refused() {
    for (line, expected) in [
        (r#"{"command":" ","params":{}}"#, MalformedReason::MissingCommand),
        (r#"{"command":"t","params":[]}"#, MalformedReason::NotAnObject),
        (r#"{"command":"t","params":{},"params":{}}"#, MalformedReason::Twice),
        (r#"{"command":"t","params":{},"more":1}"#, MalformedReason::UnknownKey),
        (r#"{"command":"t","params":{"a":1,"A":2}}"#, MalformedReason::Twice),
    ] {
        let found =
            Message::new().parse_json(line.as_bytes(), &ParseOptions::default(), 0).map_err(|error| error.reason);
        assert_eq!(found, Err(expected), "{line}");
    }
}

#[test]
fn error_in_json_shows_the_value_alone_and_how_a_message_is_written() {
    for (line, words) in [
        ("[1]", "not a message: [1]; write {\"command\":\"NAME\",\"params\":{\"name\":value}}"),
        ("{\"command\":5,\"params\":{}}", "command: not a string: 5"),
        ("{\"command\":\"t\",\"command\":\"u\"}", "command: given twice"),
        ("{\"meta\":1,\"command\":\"t\",\"meta\":2}", "meta: given twice"),
        ("{\"params\":{}}", "no command in the message; write {\"command\":\"NAME\"}"),
        ("{\"command\":\"t\",\"Params\":{}}", "unknown key \"Params\"; a message has command, params and bytes"),
        ("{\"command\":\"t\",\"bytes\":\"AA\"}", "bytes: invalid base64: AA; use the standard alphabet with padding"),
        (
            "{\"command\":\"t\",\"bytes\":\"AAAA\"}",
            "bytes: the payload is larger than 1 bytes; --max-payload allows more",
        ),
        ("{\"command\":\"t\",\"bytes\":null}", "bytes: not a string: null"),
        ("{\"params\":[1],\"command\":\"t\"}", "params: not a JSON object: [1]; write {\"name\": value}"),
    ] {
        let read = Message::new().parse_json(line.as_bytes(), &ParseOptions::default(), 1);
        assert_eq!(read.map_err(|malformed| malformed.to_string()), Err(words.to_owned()), "{line}");
    }
}

fn read_value(text: &str) -> (String, String) {
    let mut message = Message::new();
    message.parse_value(text.as_bytes(), true).unwrap();
    message.take_command();
    (message.command().into_owned(), params(&message))
}

#[test]
fn command_of_an_object_is_read_and_other_values_are_kept() {
    for (text, command, rest) in [
        (r#"{"command": "goodset", "pickiness": 4}"#, "goodset", r#"{"pickiness":4}"#),
        (r#" {"a": 1, "command": " Done\n"} "#, " Done\n", r#"{"a":1}"#),
        (r#"{"command": "x", "command": "y", "A": 1, "A": 2}"#, "y", r#"{"A":2}"#),
        (r#"{"command": 5}"#, "", r#"{"command":5}"#),
        (r#"{"a": {"command": "x"}}"#, "", r#"{"a":{"command":"x"}}"#),
        (r#""OK""#, "", r#""OK""#),
        ("[1, 2]", "", "[1,2]"),
        ("NaN", "", "NaN"),
    ] {
        assert_eq!(read_value(text), (command.to_owned(), rest.to_owned()), "{text}");
    }
    assert_eq!(Message::new().params().count(), 0);
}

#[test]
fn text_that_is_not_one_json_value_is_refused() {
    for text in ["", " \n", "1 2", "a b", "\"O", "[1,]", "{\"a\":1}x", "\"\t\"", "nul"] {
        assert!(Message::new().parse_value(text.as_bytes(), true).is_err(), "{text:?}");
    }
    assert!(Message::new().parse_value(b"\"\xff\"", true).unwrap_err().to_string().contains("is not UTF-8"));
    assert!(Message::new().parse_value(b"NaN", false).is_err());
}

#[test]
fn names_are_found_among_few_and_many() {
    let mut message = Message::new();
    let keep_case = ParseOptions { keep_case: true, ..ParseOptions::default() };
    message.parse_line("t?Ab=1&ab=2&%0A\"N=3&=4&\u{c9}=5".as_bytes(), &keep_case).unwrap();
    for name in ["ab", "AB", "\n\"n", "", "\u{c9}", "\u{e9}", "b"] {
        let few = message.finder(crate::limits::NAMES_COMPARED_MAX)(&canonical_name(name));
        assert_eq!(message.finder(crate::limits::NAMES_COMPARED_MAX + 1)(&canonical_name(name)), few, "{name}");
    }
    assert_eq!(message.finder(100)(&canonical_name("AB")).unwrap().text(), "1");
}

#[test]
fn message_is_read_from_json_with_its_keys_in_any_order() {
    for line in [
        r#"{"command":"Trigger ","params":{"A":1}}"#,
        r#" {"params": {"A": 1}, "command": "\u0054rigger", "meta": {"x": [1]}} "#,
    ] {
        let mut message = Message::new();
        assert_eq!(message.parse_json(line.as_bytes(), &ParseOptions::default(), 0), Ok(None));
        assert_eq!((&*message.command(), params(&message).as_str()), ("trigger", r#"{"a":1}"#), "{line}");
    }
    let mut message = Message::new();
    let line = br#"{"bytes":"QUI=","command":"t","params":{"b":2}}"#;
    assert_eq!(message.parse_json(line, &ParseOptions::default(), 2), Ok(Some(b"AB".to_vec())));
    let mut out = Vec::new();
    message.write_json(Some(b"AB"), &mut out);
    assert_eq!(out, br#"{"command":"t","params":{"b":2},"bytes":"QUI="}"#);
    let trailing = message.parse_json(br#"{"command":"t","params":{"b":[2,]}}"#, &ParseOptions::default(), 2);
    assert!(matches!(trailing.unwrap_err().reason, MalformedReason::Json(_)));
}

#[test]
fn memory_of_a_huge_line_is_released() {
    let mut message = Message::new();
    let names: Vec<String> = (0..60_000).map(|n| format!("n{n}=%20")).collect();
    message.parse_line(format!("t?{}", names.join("&")).as_bytes(), &ParseOptions::default()).unwrap();
    assert_eq!(message.params().count(), 60_000);
    message.parse_line(b"t?a=1", &ParseOptions::default()).unwrap();
    assert!(message.text.capacity() < 1 << 10);
    assert!(message.members.capacity() < 100);
}
