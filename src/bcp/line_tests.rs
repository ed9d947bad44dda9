//! Lines into JSON: the rules of section 1 that the data files do not single out.

use super::*;

fn read(line: &str, reading: &ParseOptions) -> Result<String, String> {
    let mut parts = Message::new();
    parts.parse_line(line.as_bytes(), reading).map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    parts.write_json(None, &mut out);
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
fn a_name_twice_the_first_wins_and_in_json_the_last() {
    check("t?a=1&b=2&A=3", r#"{"a":"1","b":"2"}"#);
    check("t?json={\"a\":1,\"b\":[2],\"A\":{\"x\":1}}", r#"{"a":{"x":1},"b":[2]}"#);
    check("t?json={\" A\\t\":1}", r#"{"a":1}"#);
}

#[test]
fn many_names_are_settled_like_few() {
    let names: Vec<String> = (0..40).map(|n| format!("n{}=int:{n}", n % 20)).collect();
    let expected: Vec<String> = (0..20).map(|n| format!("\"n{n}\":{n}")).collect();
    check(&format!("t?{}", names.join("&")), &format!("{{{}}}", expected.join(",")));
    let members: Vec<String> = (0..40).map(|n| format!("\"n{}\":{n}", n % 20)).collect();
    let expected: Vec<String> = (0..20).map(|n| format!("\"n{n}\":{}", n + 20)).collect();
    check(&format!("t?json={{{}}}", members.join(",")), &format!("{{{}}}", expected.join(",")));
}

#[test]
fn the_same_parts_serve_message_after_message() {
    let mut parts = Message::new();
    for line in ["a?x=1&y=2", "a?x=int:q", "b?json={\"x\":", "c"] {
        let _ = parts.parse_line(line.as_bytes(), &ParseOptions::default());
    }
    assert_eq!((parts.command_json(), parts.object()), (&b"c"[..], &b"{}"[..]));
    assert_eq!(parts.params().count(), 0);
}

#[test]
fn the_complaint_names_the_parameter_and_shows_the_text() {
    let strict = ParseOptions { allow_nan: false, ..ParseOptions::default() };
    for (line, words) in [
        ("t?Count=int:abc", "Count: int:abc is no integer; digits follow int:, as in int:5"),
        ("t?x=float:fast", "x: float:fast is no number; digits follow float:, as in float:0.5"),
        ("t?=int:", "\"\": int: is no integer; digits follow int:, as in int:5"),
        ("t?x=float:nan", "x: float:nan is no finite number, which --no-nan asks for"),
        ("t?name=%FF", "name: %FF is not UTF-8"),
        ("t?%FF=1", "%FF: %FF is not UTF-8"),
        ("?a=1", "no command before the parameters: ?a=1"),
        ("", "no command in an empty text"),
        ("t?json=", "json: nothing follows json=; the parameters are written {\"name\": value}"),
        ("t?json=[1]", "json: [1] is no JSON object; the parameters are written {\"name\": value}"),
        ("t?json={\"a\":1}&b=2", "json: not JSON at byte 8: text behind the value: &b=2"),
        ("t?json={\"a\": 1,}", "json: not JSON at byte 9: a comma with nothing behind it, at }"),
    ] {
        assert_eq!(read(line, &strict), Err(words.to_string()), "{line}");
    }
}

#[test]
fn text_that_reads_as_typed_is_told() {
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
