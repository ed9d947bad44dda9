//! The filters with `--wire obe` (`obe-socket`(7)); `tests/data/cli.jsonl` has more runs.

mod common;

use backbox::framing::{Framer, FramingOptions};
use common::seed::for_each_case;
use common::{Coprocess, Workdir, backbox, backbox_in};

/// A frame with this body.
fn frame(body: &[u8]) -> Vec<u8> {
    [format!("{:010}", body.len()).as_bytes(), body].concat()
}

#[test]
fn examples_of_the_reference_class_are_encoded_and_decoded() {
    let lines = "{\"command\": \"goodset\", \"pickiness\": 4}\n{\"command\": \"done\"}\n\"OK\"\n";
    let frames =
        "0000000038{\"command\": \"goodset\", \"pickiness\": 4}0000000019{\"command\": \"done\"}0000000004\"OK\"";
    backbox(["encode", "--wire", "obe"], lines).exits(0).prints(frames).reports_nothing();
    backbox(["decode", "--wire", "obe"], frames).exits(0).prints(lines).reports_nothing();
    backbox(["encode", "--wire", "obe", "done"], "").exits(0).prints("0000000019{\"command\": \"done\"}");
    backbox(["encode", "--wire", "obe", "\"OK\""], "").exits(0).prints("0000000004\"OK\"").reports_nothing();
}

#[test]
fn json_text_is_not_changed() {
    let texts =
        ["1.50E+2", "\"\\u0041\\/é\"", "{\"b\" :1,\t\"a\":[ ],\"b\":2}", "-0", "NaN", "[-Infinity,1e400]", "\"😀\""];
    let lines = texts.map(|text| format!("{text}\n")).concat();
    let frames = backbox(["encode", "--wire", "obe"], &lines);
    let expected: Vec<u8> = texts.iter().flat_map(|text| frame(text.as_bytes())).collect();
    assert_eq!(frames.exits(0).stdout, expected);
    backbox(["decode", "--wire", "obe"], expected).exits(0).prints(&lines).reports_nothing();
    let ascii = backbox(["decode", "--wire", "obe", "--ascii"], frame("\"é😀\"".as_bytes()));
    ascii.exits(0).prints("\"\\u00e9\\ud83d\\ude00\"\n");
}

#[test]
fn length_counts_bytes() {
    backbox(["encode", "--wire", "obe"], "\"é\"\n").exits(0).prints("0000000004\"é\"");
}

/// Frames after which the input cannot be read further, and their error messages.
const BROKEN: &[(&[u8], &str)] = &[
    (b"+000000004\"OK\"", "invalid length: \"+000000004\"; write ten digits (the reference class"),
    (b"         4\"OK\"", "invalid length: \"         4\""),
    (b"00000000a4\"OK\"", "invalid length: \"00000000a4\""),
    ("00000000\u{664}\"OK\"".as_bytes(), "invalid length: \"00000000\u{664}\""),
    (b"00004\"OK\"", "invalid length: \"00004\"OK\"\""),
    (b"000000000", "invalid length: \"000000000\" at the end of the input"),
    (b"0067108865\"OK\"", "a body of 67108865 bytes is announced, and 67108864 are allowed"),
    (b"9999999999", "a body of 9999999999 bytes is announced"),
    (b"0000000004\"O", "body cut short: 2 of 4 bytes before"),
];

/// Bodies that are reported and skipped.
const BAD: &[(&[u8], &str)] = &[
    (b"", "the text is empty"),
    (b" \n", "the text is empty"),
    (b"nope", "not JSON at byte 1: unexpected nope"),
    (b"1 2", "not JSON at byte 3: unexpected 2"),
    (b"1\n2", "not JSON at byte 3"),
    (b"[1]x", "unexpected x"),
    (b"\"OK", "the text ends too soon"),
    (b"[1,]", "unexpected ]"),
    (b"\"\xff\"", "is not UTF-8"),
    (b"\"\\ud800\"", "half a surrogate pair"),
    (b"{\"a\": 01}", "unexpected 1}"),
];

#[test]
fn bad_frame_is_reported_with_its_offset_and_ends_its_input() {
    let folder = Workdir::new();
    folder.write("good", frame(b"[]"));
    for (bad, why) in BROKEN {
        folder.write("bad", [&frame(b"\"OK\""), *bad].concat());
        let outcome = backbox_in(&folder, ["decode", "--wire", "obe", "bad", "good"], "");
        outcome.exits(1).prints("\"OK\"\n[]\n").reports(&["bad: offset 14: ", why]);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    }
}

#[test]
fn bad_body_is_reported_with_its_offset_and_skipped() {
    for (bad, why) in BAD {
        let input = [frame(b"\"OK\""), frame(bad), frame(b"[]")].concat();
        let outcome = backbox(["decode", "--wire", "obe"], &input);
        outcome.exits(1).prints("\"OK\"\n[]\n").reports(&["<stdin>: offset 14: ", why]);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        backbox(["decode", "--wire", "obe", "--fail-fast"], input).exits(1).prints("\"OK\"\n");
    }
    backbox(["decode", "--wire", "obe", "--no-nan"], frame(b"NaN")).exits(1).reports(&["offset 0", "--no-nan"]);
    let finite = backbox(["encode", "--wire", "obe", "--no-nan"], "[NaN]\n1\n");
    finite.exits(1).prints("00000000011").reports(&["<stdin>:1: ", "--no-nan"]);
    backbox(["encode", "--wire", "obe", "--no-nan", "x", "a:=-Infinity"], "").exits(2).reports(&["a:=-Infinity"]);
    let lines = backbox(["encode", "--wire", "obe"], "\"OK\"\n\n1 2\n [] \r\n");
    lines.exits(1).prints("0000000004\"OK\"0000000002[]").reports(&["<stdin>:3: not JSON at byte 3"]);
}

#[test]
fn frames_in_single_bytes_are_read() {
    let mut filter = Coprocess::start(&["decode", "--wire", "obe"]);
    for n in 0..20 {
        let body = format!("{{\"command\": \"c\",\r\n \"n\": {n}}}");
        frame(body.as_bytes()).iter().for_each(|byte| filter.write(&[*byte]));
        let line = String::from_utf8(filter.read_until(b'\n')).unwrap();
        assert_eq!(line, format!("{{\"command\": \"c\", \"n\": {n}}}\n"));
    }
    assert_eq!(filter.close().code(), Some(0));
}

#[test]
fn patterns_and_templates_see_commands_and_members() {
    let bodies =
        ["{\"command\": \"Goodset\", \"A\": [1, 2], \"b\": \"x\"}", "\"OK\"", "{\"b\": 1}", "{\"command\": 5}"];
    let input: Vec<u8> = bodies.iter().flat_map(|body| frame(body.as_bytes())).collect();
    for (args, expected) in [
        (&["-m", "Goodset?a=[1,*"][..], "{\"command\": \"Goodset\", \"A\": [1, 2], \"b\": \"x\"}\n"),
        (&["-m", "goodset"], ""),
        (&["-m", "*?b=int:1", "-m", "*?command=5"], "{\"b\": 1}\n{\"command\": 5}\n"),
        (&["-x", "*?b", "-x", "*?command"], "\"OK\"\n"),
        (&["-F", "{@command}|{a}|{b}|{command}"], "Goodset|[1,2]|x|\n|||\n||1|\n|||5\n"),
        (&["-F", "{{{@line}", "-m", "*?b=x"], "{{\"command\": \"Goodset\", \"A\": [1, 2], \"b\": \"x\"}\n"),
    ] {
        let outcome = backbox(["decode", "--wire", "obe"].iter().chain(args), &input);
        outcome.exits(0).prints(expected).reports_nothing();
    }
}

#[test]
fn options_of_bcp_are_refused_with_a_reason() {
    for (args, flag) in [
        (&["decode", "-s"][..], "-s"),
        (&["decode", "--lint"], "--lint"),
        (&["decode", "--no-payload"], "--no-payload"),
        (&["decode", "--keep-case"], "--keep-case"),
        (&["decode", "--max-line=5"], "64 MiB"),
        (&["decode", "--max-payload=5"], "64 MiB"),
        (&["decode", "-F", "{@json}"], "{@json}"),
        (&["encode", "-s"], "-s"),
        (&["encode", "-b", "x", "t"], "no payload"),
        (&["encode", "--sort-keys"], "--sort-keys"),
        (&["encode", "--compact", "t"], "--compact"),
        (&["encode", "--keep-case", "t"], "--keep-case"),
        (&["encode", "--max-line=5"], "64 MiB"),
    ] {
        let outcome = backbox(args.iter().chain(&["--wire=obe"]), "");
        outcome.exits(2).prints("").reports(&[flag, "--wire obe"]);
    }
    backbox(["decode", "--wire", "osc"], "").exits(2).reports(&["osc", "bcp", "obe"]);
}

/// The frames of a stream read in pieces of these sizes, as text.
fn frames(stream: &[u8], pieces: &mut dyn FnMut() -> usize) -> Vec<String> {
    let mut framer = Framer::new(FramingOptions { payload_bytes_max: 12, read_bytes: 7, ..FramingOptions::obe() });
    let mut seen = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let space = framer.space();
        let (piece, remaining) = rest.split_at(pieces().min(space.len()).min(rest.len()));
        space[..piece.len()].copy_from_slice(piece);
        framer.filled(piece.len());
        rest = remaining;
        while let Some(frame) = framer.next_frame() {
            seen.push(format!("{frame:?}"));
        }
    }
    seen.extend(framer.end().map(|frame| format!("{frame:?}")));
    seen
}

#[test]
fn any_split_of_the_input_gives_the_same_frames() {
    const PIECES: &[&str] = &[
        "0000000002[]",
        "0000000004\"OK\"",
        "0000000000",
        "0000000005[1\r\n]",
        "000000001",
        "3",
        "00000",
        "\n",
        "x",
        "-",
    ];
    for_each_case(2_000, |random| {
        let stream: String = (0..random.below(9)).map(|_| *random.pick(PIECES)).collect();
        let whole = frames(stream.as_bytes(), &mut || usize::MAX);
        let bytes = frames(stream.as_bytes(), &mut || 1);
        let pieces = frames(stream.as_bytes(), &mut || 1 + random.below(9));
        match whole == bytes && whole == pieces {
            true => Ok(()),
            false => Err(format!("{stream:?}\n{whole:?}\n{bytes:?}\n{pieces:?}")),
        }
    });
}
