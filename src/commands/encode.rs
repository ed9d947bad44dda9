//! `backbox encode`: arguments or JSON Lines into BCP (design.md, section 5).

use std::ffi::OsString;
use std::path::PathBuf;

use crate::bcp::{Message, WriteOptions, escape, write_line};
use crate::catalogue;
use crate::cli::{Command, Complete, Example, Flag, Help, Positionals, Section, path, set, text};
use crate::exit::{Exit, Failure};
use crate::framing::{LineFramer, TextLine, Wire};
use crate::limits::{PAYLOAD_BYTES_MAX, json_line_bytes_max};
use crate::output::{Console, Stdout};
use crate::text::trim;

use super::arguments::{mistyped, read_message};
use super::obe;
use super::shared::{Input, OBE_KEEPS_CASE, OBE_LIMITS, OutputOptions, flatten, refuse_with_obe};
use super::source::Source;
use super::strings::{self, Strings, not_utf8};

/// What `backbox encode` was told.
#[derive(Debug, Default)]
pub struct Options {
    output: OutputOptions,
    input: Input,
    wire: Wire,
    words: Vec<String>,
    file: Option<PathBuf>,
    payload: Option<PathBuf>,
    strings: bool,
    null: bool,
    sort_keys: bool,
    compact: bool,
    no_ensure_ascii: bool,
}

flatten!(Options { output: OutputOptions, input: Input, wire: Wire });

/// The table of `backbox encode`.
pub const COMMAND: Command<Options> = Command {
    help: Help {
        name: "encode",
        summary: "turn arguments or JSON Lines into BCP",
        synopsis: &[
            "[*OPTION*]... *COMMAND* [*NAME*=*TEXT* | *NAME*:=*JSON*]...",
            "[*OPTION*]... [`-i` *FILE*]",
            "[*OPTION*]... `-s` [*STRING*]...",
        ],
        description: &[
            "Prints one line of BCP for each message, in the one form that every known peer reads alike: plain \
             (`name=value`) where that is safe, else `json={...}` with every character escaped that some decoder trips \
             over. The output is printable ASCII.",
            "With a *COMMAND* it writes that one message. Without, or with `-`, it reads messages as JSON Lines from \
             standard input: `{\"command\":\"trigger\",\"params\":{\"name\":\"multiball\"}}`. A malformed line is \
             reported with its number and passed over.",
            "With `--wire obe` it writes frames of OBE_Socket: each line of JSON Lines as it stands, or one object of \
             the arguments, with command and names as given. One argument that is JSON is the whole message.",
            "Command and names are trimmed and become lower case. A command holds letters, digits, `_`, `-` and `.`; \
             anything else ends some peer.",
        ],
        arguments: &[
            ("*COMMAND*", "the command, such as `trigger`"),
            ("*NAME*=*TEXT*", "a parameter that is a text, whatever it looks like"),
            ("*NAME*:=*JSON*", "a parameter that is any JSON value: `count:=5`, `on:=true`, `list:='[1,2]'`"),
        ],
        sections: &[Section {
            title: "Options of the reference encoder",
            paragraphs: &[
                "`--sort-keys`, `--no-ensure-ascii`, `--no-nan` and `--compact` are those of Python's JSON encoder, \
                 which the protocol's reference implementation uses. Its `skipkeys` and `check_circular` have no \
                 counterpart, since JSON text has only strings for keys and no cycles; nor has `indent`, since a line \
                 holds no line break, nor `default` and `iterencode`, since everything here is JSON already and is \
                 written as it comes.",
            ],
        }],
        exits: &[Exit::Success, Exit::Failed, Exit::Usage, Exit::Io],
        examples: &[
            Example {
                line: "backbox encode trigger name=multiball count:=5",
                text: "Prints `trigger?name=multiball&count=int:5`.",
            },
            Example { line: "backbox encode -s 'Foo Bar'", text: "Prints `Foo%20Bar`." },
        ],
        see_also: &[("backbox", 1), ("backbox-decode", 1), ("bcp", 7), ("obe-socket", 7)],
    },
    flags: &[
        Flag::value("input", "FILE", "Read JSON Lines, or strings, from *FILE*", |o: &mut Options, file| {
            set(&mut o.file, path(file))
        })
        .short('i')
        .more("`-` is standard input.")
        .complete(Complete::File)
        .group("Input"),
        Flag::value("bytes", "FILE", "Append the bytes of *FILE* as the payload", |o: &mut Options, file| {
            set(&mut o.payload, path(file))
        })
        .short('b')
        .more("`-` is standard input. Only with a *COMMAND*; in JSON Lines a payload is `\"bytes\"`, in base64.")
        .complete(Complete::File)
        .group("Input"),
        Flag::switch("string", "Escape bare strings instead of messages", |o: &mut Options| o.strings = true)
            .short('s')
            .more("The arguments, or each line of the input, also an empty one and one that begins with `#`.")
            .group("Input"),
        Flag::switch("null", "Strings on input end in NUL", |o: &mut Options| o.null = true)
            .short('0')
            .more("With `-s`; otherwise they end in LF or CR LF.")
            .group("Input"),
        Flag::WIRE.group("Input"),
        Flag::FAIL_FAST,
        Flag::MAX_LINE.group("Input"),
        Flag::MAX_PAYLOAD.group("Input"),
        Flag::KEEP_CASE.group("Form"),
        Flag::switch("sort-keys", "Sort parameters by name, nested ones too", |o: &mut Options| o.sort_keys = true)
            .more("By code point.")
            .group("Form"),
        Flag::switch("compact", "No blanks behind `,` and `:` in the JSON form", |o: &mut Options| o.compact = true)
            .group("Form"),
        Flag::switch("no-ensure-ascii", "Leave text beyond ASCII unescaped in the JSON form", |o: &mut Options| {
            o.no_ensure_ascii = true;
        })
        .more("Some peers cannot read it then.")
        .group("Form"),
        Flag::NO_NAN.group("Form"),
        Flag::QUIET,
        Flag::COLOR,
    ],
    positionals: Some(Positionals { complete: Complete::Keyed(catalogue::completions), set: take_word }),
    run,
};

fn take_word(options: &mut Options, word: OsString) -> Result<(), String> {
    options.words.push(text(word)?);
    Ok(())
}

/// Runs `backbox encode`.
///
/// # Errors
/// What ends the run at once; a malformed line does not.
pub fn run(options: Options) -> Result<Exit, Failure> {
    check(&options)?;
    let mut console = options.output.console(COMMAND.help.name);
    let outcome = match options.words.as_slice() {
        words if options.wire == Wire::Obe => match reads_lines(words) {
            true => obe::filter::encode_lines(options.source()?, &options.input, &mut console),
            false => obe::filter::encode_words(words, &options.input),
        },
        _ if options.strings => run_strings(&options, &mut console),
        words if reads_lines(words) => run_lines(&options, &mut console),
        words => run_message(&options, words, &console),
    };
    match outcome {
        Err(Failure::OutputClosed) => Ok(console.worst()),
        outcome => outcome,
    }
}

/// Whether messages come from the input instead of the arguments.
fn reads_lines(words: &[String]) -> bool {
    words.first().is_none_or(|word| word == "-")
}

/// Refuses what makes no sense together, with a sentence that says why (section 8).
fn check(options: &Options) -> Result<(), Failure> {
    let refuse = |text: &str| Err(Failure::Usage(text.to_string()));
    let from_stdin = reads_lines(&options.words);
    if options.wire == Wire::Obe {
        check_obe(options)?;
    }
    let form = options.sort_keys || options.compact || options.no_ensure_ascii;
    let limits_payloads = options.input.payload_bytes_max != PAYLOAD_BYTES_MAX;
    if options.strings {
        if options.payload.is_some() {
            return refuse("-b is the payload of a message, and -s writes bare strings");
        }
        if form || limits_payloads || options.input.reading != Default::default() {
            return refuse(
                "-s writes bare strings: --keep-case, --no-nan, --sort-keys, --compact, --no-ensure-ascii and \
                 --max-payload are about messages",
            );
        }
        if options.file.is_some() && !options.words.is_empty() {
            return refuse("-i reads the strings from a file, so none can be arguments");
        }
        return strings::check(&options.words, options.input.fail_fast);
    }
    if options.null {
        return refuse("-0 says how bare strings end: it goes with -s");
    }
    if from_stdin && options.words.len() > 1 {
        return refuse("- reads messages from standard input, so no NAME=TEXT can follow it");
    }
    if options.file.is_some() && !options.words.is_empty() {
        return refuse("-i reads messages from a file, so there can be no COMMAND");
    }
    if options.payload.is_some() && from_stdin {
        return refuse("-b is the payload of one message: write a COMMAND; in JSON Lines write \"bytes\" in base64");
    }
    if options.input.fail_fast && !from_stdin {
        return refuse("--fail-fast is about the lines of an input, and a COMMAND is one message");
    }
    if limits_payloads && !from_stdin && options.payload.is_none() {
        return refuse("--max-payload limits the payload that -b appends, and there is no -b");
    }
    Ok(())
}

/// Refuses what is BCP's alone.
fn check_obe(options: &Options) -> Result<(), Failure> {
    let form = options.sort_keys || options.compact || options.no_ensure_ascii;
    refuse_with_obe(&[
        (options.strings || options.null, "-s and -0 are about BCP's escapes, and OBE_Socket has none"),
        (options.payload.is_some(), "-b is the payload of a message, and OBE_Socket has none"),
        (
            form,
            "--sort-keys, --compact and --no-ensure-ascii choose among BCP's forms, and JSON goes through unchanged",
        ),
        (options.input.reading.keep_case, OBE_KEEPS_CASE),
        (options.input.limits_lines(), OBE_LIMITS),
    ])
}

impl Options {
    fn form(&self) -> WriteOptions {
        WriteOptions {
            compact: self.compact,
            ensure_ascii: !self.no_ensure_ascii,
            line_bytes_max: self.input.line_bytes_max,
        }
    }

    fn source(&self) -> Result<Source, Failure> {
        match &self.file {
            Some(path) => Source::open(path),
            None => Ok(Source::stdin()),
        }
    }
}

fn run_strings(options: &Options, console: &mut Console) -> Result<Exit, Failure> {
    let strings = Strings {
        convert: |text, out| match std::str::from_utf8(text) {
            Ok(_) => {
                escape(text, out);
                Ok(())
            }
            Err(_) => Err(not_utf8(text)),
        },
        end_in: if options.null { 0 } else { b'\n' },
        end_out: b'\n',
        fail_fast: options.input.fail_fast,
        bytes_max: options.input.line_bytes_max,
    };
    if strings::from_input(&options.words) {
        strings.run_source(options.source()?, console)
    } else {
        strings.run_arguments(&options.words)
    }
}

/// One message from the arguments.
fn run_message(options: &Options, words: &[String], console: &Console) -> Result<Exit, Failure> {
    let mut parts = Message::new();
    let notes = read_message(words, &options.input.reading, &mut parts)?;
    let payload = match &options.payload {
        Some(path) => Some(Source::payload(path, options.input.payload_bytes_max)?),
        None => None,
    };
    let mut output = Stdout::new();
    push_message(&mut parts, payload.as_deref(), options, output.buffer())
        .map_err(|error| Failure::Refused(error.to_string()))?;
    for note in notes.into_iter().chain(mistyped(&parts.command())) {
        console.note(note);
    }
    output.flush()?;
    Ok(Exit::Success)
}

/// Messages from JSON Lines, one line of BCP for each.
fn run_lines(options: &Options, console: &mut Console) -> Result<Exit, Failure> {
    let limit = json_line_bytes_max(options.input.line_bytes_max, options.input.payload_bytes_max);
    let lines = LineFramer::new(b'\n', limit);
    let mut parts = Message::new();
    options.source()?.convert_lines(lines, options.input.fail_fast, console, |line, out| {
        encode_line(line, limit, options, &mut parts, out)
    })
}

fn encode_line(
    line: TextLine<'_>,
    limit: usize,
    options: &Options,
    parts: &mut Message,
    out: &mut Vec<u8>,
) -> Result<(), (u64, String)> {
    let (number, text) = match line {
        TextLine::Whole { number, text } => (number, text),
        TextLine::TooLong { number } => {
            return Err((
                number,
                format!("the line is longer than {limit} bytes; --max-line and --max-payload allow more"),
            ));
        }
    };
    if text.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r')) {
        return Ok(());
    }
    parts
        .parse_json(text, &options.input.reading, options.input.payload_bytes_max)
        .and_then(|payload| push_message(parts, payload.as_deref(), options, out))
        .map_err(|error| (number, format!("{error}{}", advice(number, text))))
}

/// What to do about an input that begins with something else than a message in JSON; it is said once.
fn advice(number: u64, text: &[u8]) -> &'static str {
    match trim(text) {
        _ if number != 1 => "",
        b"{" | b"[" => "; a message has to be one line, which jq -c . makes of it",
        [b'{', ..] => "",
        [b'[', ..] => "; messages come one a line and not as a list, of which jq -c '.[]' makes lines",
        _ => "; messages are JSON here, one a line; decode reads BCP",
    }
}

/// Appends a message's line, its LF and its payload.
fn push_message(
    parts: &mut Message,
    payload: Option<&[u8]>,
    options: &Options,
    out: &mut Vec<u8>,
) -> Result<(), crate::bcp::Malformed> {
    if options.sort_keys {
        parts.sort_names();
    }
    write_line(parts, payload.map(<[u8]>::len), &options.form(), out)?;
    out.push(b'\n');
    out.extend_from_slice(payload.unwrap_or_default());
    Ok(())
}
