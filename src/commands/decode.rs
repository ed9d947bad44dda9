//! `backbox decode`: a BCP stream into JSON Lines or lines of a template (design.md, section 6).

use std::ffi::OsString;
use std::path::PathBuf;

use crate::bcp::template::Template;
use crate::bcp::{Malformed, Message, is_command, push_ascii_json, unescape};
use crate::cli::{Command, Complete, Example, Flag, Help, Positionals, Section};
use crate::exit::{Exit, Failure};
use crate::framing::{BcpFramer, Frame, FramingError, FramingOptions, RawMessage, Wire};
use crate::limits::{PAYLOAD_BYTES_MAX, WRITE_BYTES};
use crate::output::show::{Show, Style};
use crate::output::{Console, Stdout, push_for_terminal, stdout_is_terminal};
use crate::text::shown;

use super::arguments::note_mistyped_patterns;
use super::lint;
use super::obe::filter::ObeDecoder;
use super::shared::{
    Input, OBE_IS_JSON, OBE_KEEPS_CASE, OBE_LIMITS, OutputOptions, Selection, flatten, refuse_with_obe,
};
use super::source::Source;
use super::strings::{self, Strings, not_utf8};
use crate::bcp::line_command;

/// What `backbox decode` was told.
#[derive(Debug, Default)]
pub struct Options {
    output: OutputOptions,
    input: Input,
    selection: Selection,
    wire: Wire,
    words: Vec<OsString>,
    strings: bool,
    null: bool,
    no_payload: bool,
    ascii: bool,
    lint: bool,
}

flatten!(Options { output: OutputOptions, input: Input, selection: Selection, wire: Wire });

/// The table of `backbox decode`.
pub const COMMAND: Command<Options> = Command {
    help: Help {
        name: "decode",
        summary: "turn BCP into JSON Lines",
        synopsis: &["[*OPTION*]... [*FILE*]...", "[*OPTION*]... `-s` [*STRING*]..."],
        description: &[
            "Prints one line of JSON for each message of a BCP stream, read from the *FILE*s or from standard input: \
             `{\"command\":\"trigger\",\"params\":{\"name\":\"multiball\"}}`. A payload becomes `\"bytes\"`, in \
             base64. Blank lines and lines that begin with `#` are ignored, so a recorded session reads as what its \
             dialler sent, which is the side that opened the connection: MPF, when its media controller recorded.",
            "With `--wire obe` the stream is of OBE_Socket's frames, and the text of each is printed as it stands, on \
             one line. What is wrong is reported with the offset of its frame.",
            "A malformed line is reported on standard error as *FILE*`:`*LINE*`: `*REASON*, the rest is still decoded, \
             and the exit status is 1.",
        ],
        arguments: &[("*FILE*", "a stream of its own, with line numbers from 1; `-` is standard input")],
        sections: &[Section {
            title: "Patterns",
            paragraphs: &[
                "A *PATTERN* is a line of BCP whose command, names and plain values may hold `*`, any run of \
                 characters; `%2A` is a literal star. The command has to match, and each parameter that it names has \
                 to be there and match; others do not matter.",
                "`name` is any value; `name=text` a value whose text matches (`state=1` matches the number 1, `x=null` \
                 null); `name=int:5` that type and value; `name=int:*` that type; `json={...}` each member by type and \
                 value, without stars; `bytes=`*N* also the length of the payload.",
            ],
        }],
        exits: &[Exit::Success, Exit::Failed, Exit::Usage, Exit::Io],
        examples: &[
            Example { line: "backbox decode game.bcp", text: "Prints what the dialler of a recorded session sent." },
            Example {
                line: "backbox decode -m 'switch?state=1' -F '{name}' game.bcp",
                text: "Prints the name of each switch that closed.",
            },
            Example {
                line: "backbox encode trigger name=multiball | backbox decode --lint && echo clean",
                text: "Prints `clean`.",
            },
            Example { line: "backbox decode -s 'Foo%20Bar'", text: "Prints `Foo Bar`." },
        ],
        see_also: &[("backbox", 1), ("backbox-encode", 1), ("backbox-session", 5), ("bcp", 7), ("obe-socket", 7)],
    },
    flags: &[
        Flag::MATCH,
        Flag::EXCLUDE,
        Flag::FORMAT,
        Flag::switch("ascii", "Write everything beyond ASCII as `\\uXXXX`", |o: &mut Options| o.ascii = true)
            .group("Output"),
        Flag::switch("string", "Decode bare strings instead of messages", |o: &mut Options| o.strings = true)
            .short('s')
            .more("The arguments, or each line of standard input. Escapes are decoded once.")
            .group("Output"),
        Flag::switch("null", "Strings on output end in NUL", |o: &mut Options| o.null = true)
            .short('0')
            .more("With `-s`; otherwise they end in LF.")
            .group("Output"),
        Flag::switch("lint", "Print what peers trip over, not messages", |o: &mut Options| o.lint = true)
            .more(
                "One finding a line: *FILE*`:`*LINE*`: stop: `... where it would end a peer, *FILE*`:`*LINE*`: \
                     trap: `... where some peer misreads it, with which one and what it would read. A line that does \
                     not parse is a finding like any other, comments are none. The exit status is 1 if there is one.",
            )
            .group("Lint"),
        Flag::WIRE.group("Input"),
        Flag::switch("no-payload", "No payload follows its line", |o: &mut Options| o.no_payload = true)
            .more("For a log that lost its payloads: their length becomes the parameter `bytes`, a string.")
            .group("Input"),
        Flag::KEEP_CASE,
        Flag::NO_NAN,
        Flag::FAIL_FAST,
        Flag::MAX_LINE.group("Input"),
        Flag::MAX_PAYLOAD.group("Input"),
        Flag::QUIET,
        Flag::COLOR,
    ],
    positionals: Some(Positionals {
        complete: Complete::File,
        set: |o, word| {
            o.words.push(word);
            Ok(())
        },
    }),
    run,
};

/// Runs `backbox decode`.
///
/// # Errors
/// What ends the run at once; neither a malformed line nor a file that cannot be read does.
pub fn run(options: Options) -> Result<Exit, Failure> {
    check(&options)?;
    let mut console = options.output.console(COMMAND.help.name);
    let outcome = if options.strings {
        run_strings(&options, &mut console)
    } else if options.lint {
        lint::run(&options.words, &options.input, !options.no_payload, &mut console)
    } else {
        let mut decoder = Decoder::new(&options)?;
        if options.wire == Wire::Bcp {
            note_mistyped_patterns(options.selection.typed(), &console);
        }
        decoder.run(&options, &mut console)
    };
    match outcome {
        Err(Failure::OutputClosed) => Ok(console.worst()),
        outcome => outcome,
    }
}

/// Refuses what makes no sense together, with a sentence that says why (section 8).
fn check(options: &Options) -> Result<(), Failure> {
    let refuse = |text: &str| Err(Failure::Usage(text.to_string()));
    let selection = &options.selection;
    let selects = !selection.matching.is_empty() || !selection.excluded.is_empty();
    let limits_payloads = options.input.payload_bytes_max != PAYLOAD_BYTES_MAX;
    if options.wire == Wire::Obe {
        check_obe(options)?;
    }
    if options.lint {
        if selection.template.is_some() || selects || options.ascii || options.strings || options.null {
            return refuse(
                "--lint prints findings and no messages: -F, -m, -x, --ascii, -s and -0 have nothing to act on",
            );
        }
        if options.input.reading.keep_case {
            return refuse("--lint reads a line as each peer does, so --keep-case has nothing to act on");
        }
    }
    if options.strings {
        if selection.template.is_some() || selects {
            return refuse("-s decodes bare strings: -F, -m and -x are about messages");
        }
        let reads = options.no_payload || limits_payloads || options.input.reading != Default::default();
        if options.ascii || reads {
            return refuse(
                "-s decodes bare strings: --ascii, --no-payload, --max-payload, --keep-case and --no-nan are about \
                 messages",
            );
        }
        return strings::check(&options.words, options.input.fail_fast);
    }
    if options.null {
        return refuse("-0 says how bare strings end: it goes with -s");
    }
    if options.no_payload && limits_payloads {
        return refuse("--no-payload reads a log without payloads, so --max-payload has nothing to limit");
    }
    if options.ascii && selection.template.is_some() {
        return refuse("--ascii is about JSON, and -F prints text: use one of them");
    }
    Ok(())
}

/// Refuses what is BCP's alone.
fn check_obe(options: &Options) -> Result<(), Failure> {
    let shows_json = options.selection.template.as_ref().is_some_and(Template::shows_json);
    refuse_with_obe(&[
        (options.strings || options.null, "-s and -0 are about BCP's escapes, and OBE_Socket has none"),
        (options.lint, "--lint knows what BCP's peers trip over"),
        (options.no_payload, "--no-payload is about BCP's payloads, and OBE_Socket has none"),
        (options.input.reading.keep_case, OBE_KEEPS_CASE),
        (options.input.limits_lines(), OBE_LIMITS),
        (shows_json, OBE_IS_JSON),
    ])
}

/// What a first line says that is BCP in name only, since BCP takes any text for a command.
fn mistaken(line: &[u8]) -> Option<&'static str> {
    let command = line_command(line);
    let command = command.as_bytes();
    let digits = command.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match command.get(digits..) {
        _ if command.is_empty() || is_command(command) => None,
        Some([b'{', ..]) if digits > 0 => Some("this is a frame of OBE_Socket and no BCP; --wire obe reads it"),
        Some([b'{', ..]) => Some("this is JSON and no BCP; backbox encode makes BCP of it"),
        _ => Some("no command of BCP looks like this; if it is a log, backbox replay --dry-run makes a session of it"),
    }
}

fn run_strings(options: &Options, console: &mut Console) -> Result<Exit, Failure> {
    let plain = |text: &[u8], out: &mut Vec<u8>| decode_string(text, out, |text, out| out.extend_from_slice(text));
    let safe = |text: &[u8], out: &mut Vec<u8>| decode_string(text, out, push_for_terminal);
    let strings = Strings {
        convert: if stdout_is_terminal() && !options.null { safe } else { plain },
        end_in: b'\n',
        end_out: if options.null { 0 } else { b'\n' },
        fail_fast: options.input.fail_fast,
        bytes_max: options.input.line_bytes_max,
    };
    if strings::from_input(&options.words) {
        return strings.run_source(Source::stdin(), console);
    }
    let mut words = Vec::with_capacity(options.words.len());
    for word in &options.words {
        let text = word
            .to_str()
            .ok_or_else(|| Failure::Usage(format!("the string {} is not UTF-8", shown(word.as_encoded_bytes()))))?;
        words.push(text.to_string());
    }
    strings.run_arguments(&words)
}

fn decode_string(text: &[u8], out: &mut Vec<u8>, push: fn(&[u8], &mut Vec<u8>)) -> Result<(), Malformed> {
    let decoded = unescape(text);
    if std::str::from_utf8(&decoded).is_err() {
        return Err(not_utf8(text));
    }
    push(&decoded, out);
    Ok(())
}

/// The work on one run's messages.
struct Decoder {
    framing: FramingOptions,
    show: Show,
    parts: Message,
    line: Vec<u8>,
    output: Stdout,
}

/// Whether a run goes on.
#[derive(PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    Stop,
}

impl Decoder {
    fn new(options: &Options) -> Result<Decoder, Failure> {
        let show = match options.wire {
            Wire::Obe => options.selection.show_obe()?,
            Wire::Bcp => {
                let (matching, excluded) = options.selection.patterns(options.input.reading.keep_case)?;
                let style = options.selection.template.clone().map_or(Style::Json { meta: false }, Style::Template);
                Show::new(style, matching, excluded)
            }
        };
        Ok(Decoder {
            framing: FramingOptions { payloads: !options.no_payload, ..options.input.framing() },
            show: show.for_stdout(options.output.color, false),
            parts: Message::new(),
            line: Vec::new(),
            output: Stdout::new(),
        })
    }

    fn run(&mut self, options: &Options, console: &mut Console) -> Result<Exit, Failure> {
        let stdin = [OsString::from("-")];
        let files = if options.words.is_empty() { &stdin[..] } else { &options.words };
        for file in files {
            let done = Source::open(&PathBuf::from(file)).and_then(|source| self.source(source, options, console));
            match done {
                Ok(Next::GoOn) => {}
                Ok(Next::Stop) => break,
                Err(failure @ Failure::Io(_)) if !self.output.has_failed() => {
                    console.report_failure(&failure);
                    if file.as_encoded_bytes().contains(&b'?') {
                        console.note("decode reads files; a line itself comes from echo 'LINE' | backbox decode");
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(console.worst())
    }

    /// Decodes one input to its end; what came whole is written after each read.
    fn source(&mut self, mut source: Source, options: &Options, console: &mut Console) -> Result<Next, Failure> {
        if options.wire == Wire::Obe {
            let Decoder { show, parts, output, .. } = self;
            let mut work = ObeDecoder { show, parts, output, input: &options.input, ascii: options.ascii };
            return work.source(source, console);
        }
        let mut framer = BcpFramer::new(self.framing.clone());
        let mut is_first = true;
        loop {
            let count = source.read(framer.space())?;
            framer.filled(count);
            loop {
                let frame = if count == 0 { framer.end() } else { framer.next_frame() };
                let Some(frame) = &frame else { break };
                if let (true, Frame::Message(message)) = (is_first, frame) {
                    is_first = false;
                    if let Some(what) = mistaken(message.text()) {
                        console.note(format_args!("{}:{}: {what}", source.name, message.number));
                    }
                }
                let Err((number, reason)) = self.frame(frame, options) else {
                    if self.output.buffer().len() >= WRITE_BYTES {
                        self.output.flush()?;
                    }
                    continue;
                };
                self.output.flush()?;
                console.report(Exit::Failed, format_args!("{}:{number}", source.name), reason);
                if options.input.fail_fast {
                    return Ok(Next::Stop);
                }
            }
            self.output.flush()?;
            if count == 0 || framer.has_ended() {
                return Ok(Next::GoOn);
            }
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, options: &Options) -> Result<(), (u64, String)> {
        match frame {
            Frame::Message(message) => {
                self.message(message, options).map_err(|error| (message.number, error.to_string()))
            }
            Frame::Ignored { .. } => Ok(()),
            Frame::Bad { number, fault: fault @ FramingError::LineTooLong { .. } } => Err((*number, fault.to_string())),
            // Most streams that end like this never held a payload.
            Frame::Bad { number, fault } => {
                Err((*number, format!("{fault}; --no-payload reads a log without payloads")))
            }
        }
    }

    fn message(&mut self, message: &RawMessage<'_>, options: &Options) -> Result<(), Malformed> {
        self.parts.parse_line(message.text(), &options.input.reading)?;
        if let Some(digits) = message.marker_as_parameter() {
            self.parts.push_text_if_absent("bytes", digits);
        }
        if options.ascii {
            self.line.clear();
            self.show.show(message, Some(&self.parts), None, &mut self.line);
            push_ascii_json(&self.line, self.output.buffer());
        } else {
            self.show.show(message, Some(&self.parts), None, self.output.buffer());
        }
        Ok(())
    }
}
