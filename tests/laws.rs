//! Properties of the codec, tested with random messages and lines: the output of `encode` decodes to the same message,
//! and a decoded line is encoded to a fixed form.
//!
//! `BACKBOX_TEST_COUNT=1000000 cargo test --release --test laws` tests more cases; `BACKBOX_TEST_SEED` selects others.

mod common;

use backbox::bcp::pattern::Pattern;
use backbox::bcp::{Malformed, MalformedReason, Message, ParseOptions, WriteOptions, is_command, unescape, write_line};
use backbox::framing::{Frame, Framer, FramingOptions};
use common::random::{RandomMessage, text};
use common::seed::{Random, for_each_case};

/// The default number of random messages or lines for each property.
const CASES: u64 = 20_000;

/// The longest line and the largest payload by default, in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;
const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// A message with its payload, or the error.
type Read = Result<(Message, Option<Vec<u8>>), String>;

fn from_json(json: &str) -> Read {
    let mut message = Message::new();
    let payload = message.parse_json(json.as_bytes(), &ParseOptions::default(), PAYLOAD_BYTES_MAX);
    payload.map(|payload| (message, payload)).map_err(|error| format!("{json} is refused: {error}"))
}

/// The output of `encode` for a message, including its payload.
fn encoded(message: &Message, payload: Option<&[u8]>) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::new();
    write_line(message, payload.map(<[u8]>::len), &WriteOptions::default(), &mut out)?;
    out.push(b'\n');
    out.extend_from_slice(payload.unwrap_or_default());
    Ok(out)
}

/// Decodes the messages of a stream.
fn decoded(stream: &[u8]) -> Vec<Read> {
    let mut framer = Framer::new(FramingOptions { read_bytes: stream.len(), ..FramingOptions::default() });
    framer.space()[..stream.len()].copy_from_slice(stream);
    framer.filled(stream.len());
    let mut messages = Vec::new();
    let mut take = |frame: Frame<'_>| match frame {
        Frame::Message(raw) => {
            let mut message = Message::new();
            let read = message.parse_line(raw.text(), &ParseOptions::default());
            let payload = raw.payload.map(<[u8]>::to_vec);
            messages.push(read.map(|()| (message, payload)).map_err(|error| error.to_string()));
        }
        Frame::Ignored { .. } => {}
        Frame::Bad { fault, .. } => messages.push(Err(fault.to_string())),
    };
    while let Some(frame) = framer.next_frame() {
        take(frame);
    }
    if let Some(frame) = framer.end() {
        take(frame);
    }
    messages
}

fn json_of(message: &Message, payload: Option<&[u8]>) -> String {
    let mut out = Vec::new();
    message.write_json(payload, &mut out);
    String::from_utf8(out).expect("the JSON form is UTF-8")
}

/// An error that shows both texts if they differ.
fn equal(what: &str, got: &str, wanted: &str) -> Result<(), String> {
    if got == wanted { Ok(()) } else { Err(format!("{what}\n   got {got}\nwanted {wanted}")) }
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[test]
fn encode_then_decode_returns_the_same_bytes() {
    for_each_case(CASES, |random| {
        let json = RandomMessage::new(random).json();
        let (message, payload) = from_json(&json)?;
        equal("the JSON is written in another way", &json_of(&message, payload.as_deref()), &json)?;
        let mut stream = encoded(&message, payload.as_deref()).map_err(|error| format!("{json}: {error}"))?;
        let line = shown(&stream);
        // A second message shows that the payload ends at the right place.
        stream.extend_from_slice(b"next\n");
        match decoded(&stream).as_slice() {
            [Ok((message, payload)), Ok((next, None))] if next.command() == "next" => {
                equal(&line, &json_of(message, payload.as_deref()), &json)
            }
            other => Err(format!("{json} is written {line}, which reads as {other:?}")),
        }
    });
}

#[test]
fn line_is_printable_ascii() {
    for_each_case(CASES, |random| {
        let json = RandomMessage::new(random).json();
        let (message, payload) = from_json(&json)?;
        let mut line = encoded(&message, payload.as_deref()).map_err(|error| format!("{json}: {error}"))?;
        line.truncate(line.len() - payload.map_or(0, |payload| payload.len()));
        let rest = line.strip_suffix(b"\n").ok_or("no LF")?;
        let printable = rest.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if printable { Ok(()) } else { Err(format!("{json} is written {}", shown(rest))) }
    });
}

#[test]
fn encoding_of_what_was_decoded_is_a_fixed_point() {
    let real = std::fs::read("tests/data/sessions/one-ball-game.bcp").unwrap();
    let real: Vec<&[u8]> = real.split(|&byte| byte == b'\n').filter(|line| !line.starts_with(b"#")).collect();
    for_each_case(CASES, |random| {
        let stream = line(random, &real);
        for message in decoded(&stream) {
            let Ok((message, payload)) = message else { continue };
            if is_command(message.command().as_bytes()) {
                fixed_point(&stream, &message, payload.as_deref())?;
            }
        }
        Ok(())
    });
}

fn fixed_point(stream: &[u8], message: &Message, payload: Option<&[u8]>) -> Result<(), String> {
    let line = shown(stream);
    let first = match encoded(message, payload) {
        Ok(first) => first,
        Err(Malformed { reason: MalformedReason::LineTooLong(_), .. }) if stream.len() > LINE_BYTES_MAX / 6 => {
            return Ok(());
        }
        Err(error) => return Err(format!("{line} cannot be encoded: {error}")),
    };
    let again = decoded(&first);
    let [Ok((again, again_payload))] = again.as_slice() else {
        return Err(format!("{line} is encoded as {}, which reads as {again:?}", shown(&first)));
    };
    equal(&line, &json_of(again, again_payload.as_deref()), &json_of(message, payload))?;
    let second = encoded(again, again_payload.as_deref()).map_err(|error| format!("{line}: {error}"))?;
    equal(&line, &shown(&second), &shown(&first))
}

/// A random line: difficult pieces, a real line or an encoded message, usually with changed bytes.
fn line(random: &mut Random, real: &[&[u8]]) -> Vec<u8> {
    let mut line = match random.below(4) {
        0 => format!("t?{}={}&{}", text(random), text(random), text(random)).into_bytes(),
        1 => (text(random) + &text(random) + &text(random)).into_bytes(),
        2 => random.pick(real).to_vec(),
        _ => {
            let json = RandomMessage::new(random).json();
            let (message, payload) = from_json(&json).unwrap();
            encoded(&message, payload.as_deref()).unwrap()
        }
    };
    for _ in 0..random.below(6) {
        mutate(random, &mut line);
    }
    line
}

fn mutate(random: &mut Random, line: &mut Vec<u8>) {
    if line.is_empty() {
        return;
    }
    let at = random.below(line.len());
    match random.below(5) {
        0 => line[at] = random.next() as u8,
        1 => drop(line.remove(at)),
        2 => line.truncate(at),
        3 => {
            let end = at + random.below(line.len() - at);
            let again = line[at..end].to_vec();
            line.splice(at..at, again);
        }
        _ => drop(line.splice(at..at, text(random).into_bytes())),
    }
}

#[test]
fn line_is_a_pattern_that_matches_itself() {
    for_each_case(CASES, |random| {
        let json = RandomMessage::new(random).json();
        let (message, payload) = from_json(&json)?;
        let length = payload.as_ref().map(Vec::len);
        let mut line = Vec::new();
        write_line(&message, length, &WriteOptions::default(), &mut line)
            .map_err(|error| format!("{json}: {error}"))?;
        let line = String::from_utf8(line).map_err(|error| error.to_string())?;
        let pattern = Pattern::parse(&line, false).map_err(|error| format!("{line}: {error}"))?;
        if pattern.matches(&message, length) { Ok(()) } else { Err(format!("{line} does not match {json}")) }
    });
}

/// The result of another program's decoder: the parameters as names and strings, or one JSON text.
type Foreign = Vec<(String, String)>;

/// A decoder that splits at every separator, expects one `=` in each piece, then unescapes, as many in .NET and Node
/// do.
fn splits_at_every_mark(line: &str) -> Option<Foreign> {
    let mut halves = line.split('?');
    let (_, query) = (halves.next()?, halves.next().unwrap_or_default());
    let parameter = |piece: &str| {
        let mut halves = piece.split('=');
        let pair = (percent_decoded(halves.next()?), percent_decoded(halves.next()?));
        halves.next().is_none().then_some(pair)
    };
    if halves.next().is_some() {
        return None;
    }
    query.split('&').filter(|piece| !piece.is_empty()).map(parameter).collect()
}

/// A decoder that unescapes the whole line before it splits it: the Unity and Godot ones.
fn unescapes_first(line: &str) -> Option<Foreign> {
    let line = percent_decoded(line);
    let query = line.split_once('?').map_or("", |(_, query)| query);
    let parameter = |piece: &str| piece.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    query.split('&').filter(|piece| !piece.is_empty()).map(parameter).collect()
}

/// A decoder that treats a line as a URL: it ends at `#`, also splits at `;`, and unescapes twice, as old MPF does.
fn reads_it_as_a_url(line: &str) -> Option<Foreign> {
    let line = line.split('#').next()?;
    let query = line.split_once('?').map_or("", |(_, query)| query);
    let parameter = |piece: &str| {
        let (name, value) = piece.split_once('=')?;
        Some((name.to_owned(), percent_decoded(&percent_decoded(value))))
    };
    query.split(['&', ';']).filter(|piece| !piece.is_empty()).map(parameter).collect()
}

/// Decodes `%XX` and `+`, as URL libraries do.
fn percent_decoded(text: &str) -> String {
    String::from_utf8_lossy(&unescape(text.as_bytes())).into_owned()
}

#[test]
fn every_kind_of_decoder_reads_the_same_message() {
    for_each_case(CASES, |random| {
        let message = RandomMessage { payload: None, ..RandomMessage::new(random) };
        let json = message.json();
        let (message, _) = from_json(&json)?;
        let line = encoded(&message, None).map_err(|error| format!("{json}: {error}"))?;
        let line = String::from_utf8(line).map_err(|error| error.to_string())?;
        let line = line.trim_end_matches('\n');
        if line.contains("?json=") {
            let decoders = [splits_at_every_mark, unescapes_first, reads_it_as_a_url];
            decoders.iter().try_for_each(|decoder| reads_json(*decoder, line, &message))
        } else {
            // Doubly escaped text has no plain form, so the decoder that unescapes twice is skipped.
            [splits_at_every_mark, unescapes_first].iter().try_for_each(|decoder| reads_plain(*decoder, line, &message))
        }
    });
}

fn reads_json(decoder: fn(&str) -> Option<Foreign>, line: &str, message: &Message) -> Result<(), String> {
    let foreign = decoder(line);
    let Some([(name, json)]) = foreign.as_deref() else {
        return Err(format!("{line} falls apart into {foreign:?}"));
    };
    equal(line, name, "json")?;
    let (read, _) = from_json(&format!("{{\"command\":\"t\",\"params\":{json}}}"))?;
    let [read, written] = [&read, message].map(|message| {
        let mut json = Vec::new();
        message.write_params(&mut json);
        String::from_utf8_lossy(&json).into_owned()
    });
    equal(line, &read, &written)
}

fn reads_plain(decoder: fn(&str) -> Option<Foreign>, line: &str, message: &Message) -> Result<(), String> {
    let foreign = decoder(line).ok_or_else(|| format!("{line} falls apart"))?;
    let wanted: Foreign = message.params().map(|param| (param.name().into_owned(), plain_text(&param))).collect();
    equal(line, &format!("{foreign:?}"), &format!("{wanted:?}"))
}

/// The text of a value in a plain query after its escapes are decoded.
fn plain_text(param: &backbox::bcp::Param<'_>) -> String {
    use backbox::bcp::ValueKind;
    let text = param.value.text();
    match (param.value.kind(), &*text) {
        (ValueKind::Text, text) => text.to_owned(),
        (ValueKind::Integer, digits) => format!("int:{digits}"),
        (ValueKind::Null, _) => "NoneType:".to_owned(),
        (ValueKind::Bool, "true") => "bool:True".to_owned(),
        (ValueKind::Bool, _) => "bool:False".to_owned(),
        (ValueKind::Float, "NaN") => "float:nan".to_owned(),
        (ValueKind::Float, "Infinity") => "float:inf".to_owned(),
        (ValueKind::Float, "-Infinity") => "float:-inf".to_owned(),
        (ValueKind::Float, digits) => format!("float:{digits}"),
        (ValueKind::List | ValueKind::Object, json) => panic!("{json} has no plain form"),
    }
}

/// The frames of a stream read in pieces of these sizes, as text, without ignored lines.
fn frames(framing: &FramingOptions, stream: &[u8], pieces: &mut dyn FnMut() -> usize) -> Vec<String> {
    let mut framer = Framer::new(framing.clone());
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
    while let Some(frame) = framer.end() {
        seen.push(format!("{frame:?}"));
    }
    seen.retain(|frame| !frame.starts_with("Ignored"));
    seen
}

/// A stream of short lines, blanks, comments, line ends, payloads and their markers.
fn stream(random: &mut Random) -> Vec<u8> {
    const PIECES: &[&str] = &[
        "a",
        "t?a=1",
        "\n",
        "\n",
        "\n",
        "\r\n",
        "\r",
        " ",
        "        ",
        "\t",
        "#",
        "# comment",
        "\0",
        "\u{feff}",
        "é",
        "&bytes=0\n",
        "&bytes=3\n",
        "?bytes=2\n",
        "&bytes=3",
        "&bytes=9\n",
        "&bytes=99999999999999999999\n",
        "long line",
    ];
    (0..random.below(20)).map(|_| *random.pick(PIECES)).collect::<String>().into_bytes()
}

#[test]
fn any_split_of_the_input_gives_the_same_frames() {
    for_each_case(CASES, |random| {
        let stream = stream(random);
        let framing = FramingOptions {
            line_bytes_max: [8, 12, LINE_BYTES_MAX][random.below(3)],
            payload_bytes_max: [4, PAYLOAD_BYTES_MAX][random.below(2)],
            payloads: !random.once_in(5),
            read_bytes: 1 + random.below(50),
            ..FramingOptions::default()
        };
        let whole =
            frames(&FramingOptions { read_bytes: stream.len(), ..framing.clone() }, &stream, &mut || usize::MAX);
        let bytes = frames(&framing, &stream, &mut || 1);
        let pieces = frames(&framing, &stream, &mut || 1 + random.below(9));
        let what = format!("{} with {framing:?}", shown(&stream));
        equal(&what, &bytes.join("\n"), &whole.join("\n"))?;
        equal(&what, &pieces.join("\n"), &whole.join("\n"))
    });
}

/// The lines of a stream read in pieces of these sizes, as text.
fn bare_lines(end: u8, limit: usize, stream: &[u8], pieces: &mut dyn FnMut() -> usize) -> Vec<String> {
    let mut framer = Framer::bare_lines(end, limit);
    let mut seen = Vec::new();
    let mut show = |line: Frame<'_>| seen.push(format!("{line:?}"));
    let mut rest = stream;
    while !rest.is_empty() {
        let space = framer.space();
        let (piece, remaining) = rest.split_at(pieces().min(space.len()).min(rest.len()));
        space[..piece.len()].copy_from_slice(piece);
        framer.filled(piece.len());
        rest = remaining;
        while let Some(line) = framer.next_frame() {
            show(line);
        }
    }
    while let Some(line) = framer.end() {
        show(line);
    }
    seen
}

#[test]
fn any_split_of_the_input_gives_the_same_lines() {
    // Fewer cases, because each framer allocates a buffer of 64 KiB.
    for_each_case(CASES / 20, |random| {
        let stream = stream(random);
        let (end, limit) = (*random.pick(b"\n\0"), *random.pick(&[6, 12, LINE_BYTES_MAX]));
        let whole = bare_lines(end, limit, &stream, &mut || usize::MAX);
        let bytes = bare_lines(end, limit, &stream, &mut || 1);
        let pieces = bare_lines(end, limit, &stream, &mut || 1 + random.below(9));
        let what = format!("{} ended by {end}, at most {limit}", shown(&stream));
        equal(&what, &bytes.join("\n"), &whole.join("\n"))?;
        equal(&what, &pieces.join("\n"), &whole.join("\n"))
    });
}
