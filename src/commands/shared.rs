//! The flags that several subcommands have. Each is written once, here; a subcommand lists those that it takes.

use std::ffi::OsString;
use std::time::Duration;

use crate::bcp::pattern::Pattern;
use crate::bcp::payload_marker;
use crate::bcp::template::Template;
use crate::bcp::{Malformed, ParseOptions};
use crate::cli::{Complete, Flag, number, text};
use crate::exit::Failure;
use crate::framing::{FramingOptions, Wire};
use crate::limits::{LINE_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::output::show::{Show, Style};
use crate::output::{Color, Console};
use crate::text::shown;
use crate::time;

/// Says where a subcommand's options have the parts that are shared, so that their options can be listed in its table:
/// `flatten!(Options { output: OutputOptions })`.
macro_rules! flatten {
    ($options:ty { $($($field:ident).+: $part:ty),+ $(,)? }) => {
        $(impl AsMut<$part> for $options {
            fn as_mut(&mut self) -> &mut $part {
                &mut self.$($field).+
            }
        })+
    };
}
pub(super) use flatten;

/// How much is said, and how it looks.
#[derive(Clone, Debug, Default)]
pub struct OutputOptions {
    /// `-q`: no notes and no summaries.
    pub quiet: bool,
    /// `--color`.
    pub color: Color,
}

impl OutputOptions {
    /// The console that these options ask for, of the subcommand of this name.
    pub fn console(&self, subcommand: &'static str) -> Console {
        Console::new(subcommand, self.quiet, self.color)
    }
}

/// How input is read: what both filters, and whoever reads messages from a file, can be told.
#[derive(Clone, Debug)]
pub struct Input {
    /// `--keep-case` and `--no-nan`.
    pub reading: ParseOptions,
    /// `--fail-fast`: the first malformed line ends the run.
    pub fail_fast: bool,
    /// `--max-line`, in bytes.
    pub line_bytes_max: usize,
    /// `--max-payload`, in bytes.
    pub payload_bytes_max: usize,
}

impl Default for Input {
    fn default() -> Input {
        Input {
            reading: ParseOptions::default(),
            fail_fast: false,
            line_bytes_max: LINE_BYTES_MAX,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
        }
    }
}

impl Input {
    /// Whether a limit of BCP's lines was given.
    pub fn limits_lines(&self) -> bool {
        self.line_bytes_max != LINE_BYTES_MAX || self.payload_bytes_max != PAYLOAD_BYTES_MAX
    }

    /// The framing with these limits.
    pub fn framing(&self) -> FramingOptions {
        FramingOptions {
            line_bytes_max: self.line_bytes_max,
            payload_bytes_max: self.payload_bytes_max,
            ..FramingOptions::default()
        }
    }
}

/// Which messages are shown, and how.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// `-m`, as given: a pattern folds its command or not, which is known when all flags are read.
    pub matching: Vec<String>,
    /// `-x`, as given.
    pub excluded: Vec<String>,
    /// `-F`.
    pub template: Option<Template>,
}

impl Selection {
    /// Reads the patterns.
    ///
    /// # Errors
    /// [`Failure::Usage`] that shows the pattern.
    pub fn patterns(&self, keep_case: bool) -> Result<(Vec<Pattern>, Vec<Pattern>), Failure> {
        Ok((patterns("-m", &self.matching, keep_case)?, patterns("-x", &self.excluded, keep_case)?))
    }

    /// What prints the messages of OBE_Socket.
    ///
    /// # Errors
    /// As for [`Selection::patterns`].
    pub fn show_obe(&self) -> Result<Show, Failure> {
        let [matching, excluded] =
            [("-m", &self.matching), ("-x", &self.excluded)].map(|(flag, texts)| patterns_on(Wire::Obe, flag, texts));
        Ok(Show::new(self.template.clone().map_or(Style::Line, Style::Template), matching?, excluded?))
    }
}

impl Selection {
    /// The patterns as typed.
    pub fn typed(&self) -> impl Iterator<Item = &String> {
        self.matching.iter().chain(&self.excluded)
    }
}

/// Reads the patterns of one flag.
///
/// # Errors
/// [`Failure::Usage`] that shows the flag and the pattern.
pub fn patterns(flag: &str, texts: &[String], keep_case: bool) -> Result<Vec<Pattern>, Failure> {
    // `COMMAND&bytes=N` has no ? either: its end is the marker of a payload and no parameter.
    let lacks_mark =
        |text: &&String| text.contains('=') && !text.contains('?') && payload_marker(text.as_bytes()).is_none();
    if let Some(text) = texts.iter().find(lacks_mark) {
        let shown = shown(text.as_bytes());
        return Err(Failure::Usage(format!(
            "{flag}: {shown}: no ? stands behind the command; write COMMAND?NAME=TEXT"
        )));
    }
    read_patterns(flag, texts, |text| Pattern::parse(text, keep_case))
}

/// Reads the patterns of one flag as this wire has them.
///
/// # Errors
/// As for [`patterns`].
pub fn patterns_on(wire: Wire, flag: &str, texts: &[String]) -> Result<Vec<Pattern>, Failure> {
    match wire {
        Wire::Bcp => patterns(flag, texts, false),
        Wire::Obe => read_patterns(flag, texts, Pattern::parse_value),
    }
}

fn read_patterns(
    flag: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<Pattern, Malformed>,
) -> Result<Vec<Pattern>, Failure> {
    let complaint =
        |error: Malformed| Failure::Usage(format!("{flag}: {error}; a pattern is written COMMAND?NAME=TEXT"));
    texts.iter().map(|text| parse(text).map_err(complaint)).collect()
}

/// An address as typed. A flag in its place, as in `-c -W 1`, is one that was left out; the rest is judged where the
/// address is used.
///
/// # Errors
/// A complaint that goes behind the flag's spelling.
pub fn address(value: OsString) -> Result<String, String> {
    let text = text(value)?;
    match text.starts_with('-') {
        true => Err(format!("no ADDRESS behind it, but {}; write HOST:PORT", shown(text.as_bytes()))),
        false => Ok(text),
    }
}

/// How messages of a live connection are shown: [`Selection`], and JSON.
#[derive(Clone, Debug, Default)]
pub struct Display {
    /// `-m`, `-x` and `-F`.
    pub selection: Selection,
    /// `--json`.
    pub json: bool,
    /// `--meta`, which stands in JSON.
    pub meta: bool,
}

impl Display {
    /// What prints the messages; `marked` says whether a terminal is shown who said each.
    ///
    /// # Errors
    /// [`Failure::Usage`] for flags that make no sense together, or a pattern that does not parse.
    pub fn show(&self, color: Color, marked: bool) -> Result<Show, Failure> {
        let refuse = |why: &str| Err(Failure::Usage(why.to_owned()));
        if self.meta && !self.json {
            return refuse("--meta adds a member to JSON: add --json, or name {@time} and the like in -F");
        }
        let template = self.selection.template.clone();
        let style = match (self.json, template) {
            (true, Some(_)) => return refuse("--json and -F are two forms of the same message: use one of them"),
            (true, None) => Style::Json { meta: self.meta },
            (false, Some(template)) => Style::Template(template),
            (false, None) => Style::Raw,
        };
        let (matching, excluded) = self.selection.patterns(false)?;
        Ok(Show::new(style, matching, excluded).for_stdout(color, marked))
    }
}

impl<T: AsMut<Display> + 'static> Flag<T> {
    /// `--json`.
    pub const JSON: Flag<T> = Flag::switch("json", "Print messages as JSON Lines", |o: &mut T| o.as_mut().json = true)
        .more("As `decode` does. What is no message is reported and not printed, as with `-F`.")
        .group("Output")
        .common();
    /// `--meta`.
    pub const META: Flag<T> = Flag::switch("meta", "Add time, connection and sender to the JSON", |o: &mut T| {
        o.as_mut().meta = true
    })
    .more(
        "One more member, `meta`: `time` (seconds since 1970), `conn` (its number), `peer` (its address) and `from` \
             (`dialler` or `acceptor`).",
    )
    .group("Output");
    /// `-F` with the words of a live connection.
    pub const LIVE_FORMAT: Flag<T> = Flag::value(
        "format",
        "TEMPLATE",
        "Print a line of this form for each message",
        |o: &mut T, value| {
            let template = Template::parse_live(&text(value)?).map_err(|error| error.to_string())?;
            o.as_mut().selection.template = Some(template);
            Ok(())
        },
    )
    .short('F')
    .more(
        "As in `decode`: `{NAME}`, `{@command}`, `{@line}`, `{@json}`; here also `{@time}`, `{@conn}`, `{@peer}` and \
             `{@from}`, which are what `--meta` says.",
    )
    .complete(Complete::Nothing)
    .group("Output")
    .common();
}

/// Where to dial, and how patiently.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// `-a`, as given.
    pub address: Option<String>,
    /// `--retry`.
    pub retry: Duration,
}

impl<T: AsMut<ConnectOptions> + 'static> Flag<T> {
    /// `-a`, where to dial; what stands for it when it is not given differs, and each subcommand says that.
    pub const ADDR: Flag<T> = Flag::value("addr", "ADDRESS", "Where to dial", |o: &mut T, value| {
        o.as_mut().address = Some(address(value)?);
        Ok(())
    })
    .short('a')
    .group("Connection")
    .common();
    /// `--retry`.
    pub const RETRY: Flag<T> = Flag::value("retry", "DURATION", "Keep dialling for so long", |o: &mut T, value| {
        o.as_mut().retry = time::parse_duration(&text(value)?)?;
        Ok(())
    })
    .more("Every 100 ms, whatever failed. A *DURATION* is written `250ms`, `1.5s` or `2m`; a bare number is seconds.")
    .group("Connection")
    .common();
}

/// `-v`: whether the traffic is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verbose(pub bool);

impl<T: AsMut<Verbose> + 'static> Flag<T> {
    /// `-v`.
    pub const VERBOSE: Flag<T> =
        Flag::switch("verbose", "Show the traffic on standard error", |o: &mut T| o.as_mut().0 = true)
            .short('v')
            .more("A line that goes out has `>` before it, one that comes has `<`.")
            .group("General")
            .common();
}

impl<T: AsMut<Wire> + 'static> Flag<T> {
    /// `--wire`.
    pub const WIRE: Flag<T> =
        Flag::choice("wire", "WIRE", &Wire::NAMES, "Which protocol to speak", |o: &mut T, name| {
            *o.as_mut() = Wire::named(name.as_bytes()).unwrap_or_default();
        })
        .more("`bcp`, the default, or `obe`: the frames of `optbayesexpt`'s OBE_Socket, described in `obe-socket`(7).")
        .group("Connection");
}

/// Refuses the first of the flags that was given although `--wire obe` leaves it nothing to do; each comes with the
/// sentence that says why.
///
/// # Errors
/// [`Failure::Usage`].
pub fn refuse_with_obe(given: &[(bool, &str)]) -> Result<(), Failure> {
    match given.iter().find(|(is_given, _)| *is_given) {
        Some((_, why)) => Err(Failure::Usage(format!("{why}; leave it out with --wire obe"))),
        None => Ok(()),
    }
}

/// The sentence about flags that only BCP's names need.
pub const OBE_KEEPS_CASE: &str = "--keep-case is about BCP's names, and OBE_Socket's keep their case anyway";

/// The sentence about the limits of BCP's lines.
pub const OBE_LIMITS: &str =
    "--max-line and --max-payload limit BCP's lines, and a body of OBE_Socket may have 64 MiB and no more";

/// The sentence about recordings.
pub const OBE_IS_NOT_RECORDED: &str =
    "--record writes a session file, and a session is BCP's; the replies on standard output can be kept in a file";

/// The sentence about templates that ask for the JSON form.
pub const OBE_IS_JSON: &str =
    "{@json} is the JSON form of BCP's messages, and OBE_Socket's are JSON: {@line} is the text";

impl<T: AsMut<OutputOptions> + 'static> Flag<T> {
    /// `-q`.
    pub const QUIET: Flag<T> =
        Flag::switch("quiet", "Print no notes and no summaries", |o: &mut T| o.as_mut().quiet = true)
            .short('q')
            .more("Errors are printed all the same.")
            .group("General")
            .common();
    /// `--color`.
    pub const COLOR: Flag<T> = Flag::choice(
        "color",
        "WHEN",
        &["auto", "always", "never"],
        "Colour what is meant for a person",
        |o: &mut T, when| {
            o.as_mut().color = match when {
                "always" => Color::Always,
                "never" => Color::Never,
                _ => Color::Auto,
            }
        },
    )
    .more(
        "`auto`, the default, colours on a terminal unless the environment variable `NO_COLOR` is set. With `always` \
         messages are printed as on a terminal, whatever reads them.",
    )
    .group("General");
}

impl<T: AsMut<Input> + 'static> Flag<T> {
    /// `--keep-case`.
    pub const KEEP_CASE: Flag<T> = Flag::switch("keep-case", "Keep the case of commands and names", |o: &mut T| {
        o.as_mut().reading.keep_case = true
    })
    .more("Otherwise they become lower case, since the protocol says that their case does not matter.")
    .group("Input");
    /// `--no-nan`.
    pub const NO_NAN: Flag<T> = Flag::switch("no-nan", "Refuse NaN and the infinities", |o: &mut T| {
        o.as_mut().reading.allow_nan = false
    })
    .more(
        "Otherwise they are written and read as `NaN`, `Infinity` and `-Infinity`, which is Python's JSON and not \
             the standard's.",
    )
    .group("Input");
    /// `--fail-fast`.
    pub const FAIL_FAST: Flag<T> =
        Flag::switch("fail-fast", "Stop at the first malformed line", |o: &mut T| o.as_mut().fail_fast = true)
            .more("Otherwise it is reported and passed over, and the exit status is 1 at the end.")
            .group("Input")
            .common();
    /// `--max-line`.
    pub const MAX_LINE: Flag<T> =
        Flag::value("max-line", "BYTES", "Longest line, without its end", |o: &mut T, value| {
            o.as_mut().line_bytes_max = number(&value)?;
            Ok(())
        })
        .more("1048576 unless given. A longer line is an error and costs nothing but itself.")
        .group("Limits");
    /// `--max-payload`.
    pub const MAX_PAYLOAD: Flag<T> = Flag::value("max-payload", "BYTES", "Largest payload", |o: &mut T, value| {
        o.as_mut().payload_bytes_max = number(&value)?;
        Ok(())
    })
    .more("16777216 unless given. Nothing behind a larger payload can be read.")
    .group("Limits");
}

impl<T: AsMut<Selection> + 'static> Flag<T> {
    /// `-m`.
    pub const MATCH: Flag<T> = Flag::value("match", "PATTERN", "Show only messages that match", |o: &mut T, value| {
        o.as_mut().matching.push(text(value)?);
        Ok(())
    })
    .short('m')
    .more("One match of several is enough.")
    .repeats()
    .group("Output")
    .common();
    /// `-x`.
    pub const EXCLUDE: Flag<T> =
        Flag::value("exclude", "PATTERN", "Leave out messages that match", |o: &mut T, value| {
            o.as_mut().excluded.push(text(value)?);
            Ok(())
        })
        .short('x')
        .repeats()
        .group("Output")
        .common();
    /// `-F`.
    pub const FORMAT: Flag<T> =
        Flag::value("format", "TEMPLATE", "Print a line of this form for each message", |o: &mut T, value| {
            o.as_mut().template = Some(Template::parse(&text(value)?).map_err(|error| error.to_string())?);
            Ok(())
        })
        .short('F')
        .more(
            "`{NAME}` is the text of a parameter, nothing when there is none; `{@command}`, `{@line}` (without its \
             payload) and `{@json}` are the command, the line and the JSON form; `{{` and `}}` are braces. A backslash \
             is itself: shells write a tab as `$'\\t'`.",
        )
        .complete(Complete::Nothing)
        .group("Output")
        .common();
}
