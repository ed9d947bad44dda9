//! An example program with subcommands that share options, for the tests of this module.

use std::ffi::OsString;

use super::{Command, Complete, Flag, Given, Group, HELP, Help, Program, Rule, VERSION, number, text};
use crate::exit::{Exit, Failure};

pub const PROGRAM: Program = Program {
    help: Help {
        name: "toy",
        summary: "count and press things",
        synopsis: &["*SUBCOMMAND* [*OPTION*]... [*WORD*]..."],
        prose: "A toy. Its options are read by `toy count -h` and by *you*.",
        exits: &[Exit::Success, Exit::Usage],
        ..EMPTY
    },
    version: "1.2.3",
    build: || "anywhere".to_owned(),
    subcommands: &[&PRESS, &COUNT],
    alias_hint: |word| (word == "squeeze").then(|| "toy press".to_owned()),
};

const EMPTY: Help = Help {
    name: "",
    summary: "",
    synopsis: &[],
    prose: "",
    exits: &[Exit::Success, Exit::Failed, Exit::Usage],
    see_also: &[],
};

const QUIET: Flag = Flag::switch("quiet", "Print no notes").short('q').common();
const COLOR: Flag = Flag::value("color", "WHEN", "When to color").one_of(&["auto", "always", "never"]);

/// What `toy count` reads from its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub quiet: bool,
    pub color: Option<String>,
    pub string: bool,
    pub null: bool,
    /// `-b`, which adds up.
    pub bytes: Vec<OsString>,
    pub format: Option<String>,
    pub line_bytes_max: Option<u64>,
    pub fail_fast: bool,
    /// The positionals.
    pub words: Vec<OsString>,
}

impl Count {
    pub fn read(given: &Given) -> Result<Count, Failure> {
        Ok(Count {
            quiet: given.has("quiet"),
            color: given.word("color").map(str::to_owned),
            string: given.has("string"),
            null: given.has("null"),
            bytes: given.values("bytes", Ok)?,
            format: given.value("format", text)?,
            line_bytes_max: given.value("max-line", number)?,
            fail_fast: given.has("fail-fast"),
            words: given.words.clone(),
        })
    }
}

/// `toy count`.
pub const COUNT: Command = Command {
    help: Help {
        name: "count",
        summary: "count what is read",
        synopsis: &["[*OPTION*]... [*WORD*]...", "`-s` [*STRING*]..."],
        prose: r"It counts.

.profile isn't read; a \ is itself.

# Arguments

*NAME*=*TEXT*
a parameter that is the text

# Examples

toy count -F '{name}\t' -- -x
Counts `-x`.

# Notes

A `pattern*` keeps its star.

# Options

--bytes
A `-` is stdin.",
        see_also: &[("bcp", 7)],
        ..EMPTY
    },
    groups: &[
        Group::new("Input").flags(&[
            Flag::value("bytes", "FILE", "Read the payload from *FILE*")
                .short('b')
                .repeats()
                .complete(Complete::File)
                .common(),
            Flag::value("max-line", "BYTES", "Refuse longer lines").default("10"),
            Flag::switch("fail-fast", "Stop at the first error"),
        ]),
        Group::new("Output").flags(&[
            Flag::switch("string", "Count strings [not lines]").short('s'),
            Flag::switch("null", "It's NUL that ends them").short('0'),
            Flag::value("format", "TEMPLATE", "Print it like this: *x*").short('F'),
            QUIET,
            COLOR,
            HELP,
            VERSION,
        ]),
    ],
    rules: &[
        Rule::needs(&["max-line"], &["-"], "arguments are short"),
        Rule::conflicts(&["fail-fast"], &["color=never"], "why"),
        Rule::conflicts(&["fail-fast"], &["WORD"], "nothing is read"),
        Rule::needs(&["null"], &["string", "bytes"], "only strings have an end"),
        Rule::conflicts(&["format"], &["string"], "a string has no parts"),
    ],
    words: Some(Complete::File),
    run: |_| Ok(Exit::Success),
};

/// `toy press`.
pub const PRESS: Command = Command {
    help: Help {
        name: "press",
        summary: "press a button that isn't there: `*`",
        synopsis: &["*BUTTON* [*NAME*=*TEXT*]..."],
        ..EMPTY
    },
    groups: &[Group::new("Output").flags(&[QUIET, COLOR, HELP, VERSION])],
    rules: &[],
    words: Some(Complete::Keyed(buttons)),
    run: |_| Ok(Exit::Success),
};

fn buttons() -> Vec<(String, Vec<String>)> {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    vec![("start".to_owned(), words(&["player=", "when="])), ("stop".to_owned(), words(&["hard="]))]
}

/// `toy wait`, which has no positionals.
pub const WAIT: Command =
    Command { help: Help { name: "wait", ..EMPTY }, groups: &[], rules: &[], words: None, run: |_| Ok(Exit::Success) };
