//! A subcommand's whole table, [`Command`], and the program's list of subcommands, [`Program`].

use std::ffi::{OsStr, OsString};

use super::complete::{self, SHELLS};
use super::flags::{Complete, Flag, Group, Rule};
use super::help::{self, BOLD, PLAIN};
use super::parse::{Given, Invocation, not_among, parse, shown};
use super::suggest;
use crate::exit::{Exit, Failure};

/// The prose about a subcommand. Texts may hold markup: `` `literal` `` and `*ARGUMENT*`.
#[derive(Clone, Copy, Debug)]
pub struct Help {
    /// What is typed after the program's name.
    pub name: &'static str,
    /// What it does in one line, without a full stop.
    pub summary: &'static str,
    /// What may follow the name, one line a way of use: `[*OPTION*]... [*FILE*]...`. May hold markup.
    pub synopsis: &'static [&'static str],
    /// The rest, as text with paragraphs between blank lines: the description, and after it sections that each begin
    /// with `# TITLE`. In the sections `Arguments`, `Examples` and `Options` the first line of a paragraph is a
    /// positional, a command line that works as it stands, or an option, and the rest is about it. Of two paragraphs
    /// about an option the first counts. May hold markup.
    pub prose: &'static str,
    /// The exit statuses that it can end with; their texts are those of [`Exit::MEANINGS`].
    pub exits: &'static [Exit],
    /// Man pages to read next, each with its section.
    pub see_also: &'static [(&'static str, u8)],
}

impl Help {
    /// The description, under an empty title, and the sections, each with its paragraphs.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> + use<> {
        let parts = self.prose.split("\n# ").enumerate();
        parts.map(|(at, part)| {
            let (title, text) = if at == 0 { ("", part) } else { part.split_once('\n').unwrap_or((part, "")) };
            (title, text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()).collect())
        })
    }

    /// The paragraphs of the sections of this title.
    pub(crate) fn section(&self, title: &str) -> Vec<&'static str> {
        self.sections().filter(|(found, _)| *found == title).flat_map(|(_, paragraphs)| paragraphs).collect()
    }

    /// The paragraphs of a section, each split after its first line.
    pub(crate) fn entries(&self, title: &str) -> Vec<(&'static str, &'static str)> {
        self.section(title).into_iter().map(|entry| entry.split_once('\n').unwrap_or((entry, ""))).collect()
    }

    /// The sections that have a place of their own only after the options.
    pub(crate) fn further_sections(&self) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> + use<> {
        self.sections().filter(|(title, _)| !matches!(*title, "" | "Arguments" | "Examples" | "Options"))
    }
}

/// A subcommand: everything that parser, help, man page and completions know about it.
#[derive(Debug)]
pub struct Command {
    /// The prose.
    pub help: Help,
    /// The options under their headings.
    pub groups: &'static [Group],
    /// Which options need or exclude others.
    pub rules: &'static [Rule],
    /// What the positionals are completed to; none means that every positional is refused.
    pub words: Option<Complete>,
    /// Runs it with what was given.
    pub run: fn(&Given) -> Result<Exit, Failure>,
}

impl Command {
    /// All options in the order of the table.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static Flag> + Clone {
        self.groups.iter().flat_map(|group| group.flags)
    }
}

/// An option that every subcommand and the program itself have.
pub const HELP: Flag = Flag::switch("help", "Print help; `-h` prints the common options").short('h').common();

/// See [`HELP`].
pub const VERSION: Flag = Flag::switch("version", "Print the version").short('V').common();

/// What only the program itself has, before any subcommand.
const COMPLETIONS: Flag = Flag::value("completions", "SHELL", "Print a completion script").one_of(&SHELLS);

/// The whole program, as its own help, man page and completions see it.
#[derive(Clone, Copy)]
pub struct Program {
    /// The prose; its name is the program's.
    pub help: Help,
    /// The version, which `--version` prints after the name.
    pub version: &'static str,
    /// What it was built for and from, which follows the version in parentheses.
    pub build: fn() -> String,
    /// The subcommands, in the order in which they are shown.
    pub subcommands: &'static [&'static Command],
    /// What may be meant by a word that is near to no subcommand.
    pub alias_hint: fn(&str) -> Option<String>,
}

/// The program's own options.
pub(crate) const PROGRAM_FLAGS: [Flag; 3] = [HELP, VERSION, COMPLETIONS];

impl Program {
    /// What the arguments after the program's name ask for, and who says so in error messages: `backbox send`. The
    /// subcommand comes first; its options follow it.
    pub fn parse(&self, arguments: impl IntoIterator<Item = OsString>) -> (String, Result<Invocation, Failure>) {
        let mut arguments = arguments.into_iter();
        let name = self.help.name;
        let Some(first) = arguments.next() else {
            let usage = help::program_short(self).replace(BOLD, "").replace(PLAIN, "");
            return (name.to_owned(), Err(Failure::Usage(format!("subcommand missing\n\n{usage}"))));
        };
        let rest: Vec<OsString> = arguments.collect();
        match self.find(&first) {
            Some(command) => (format!("{name} {}", command.help.name), parse(self, command, rest)),
            None => (name.to_owned(), self.print(&first, &rest).map(Invocation::Print)),
        }
    }

    fn find(&self, name: &OsStr) -> Option<&'static Command> {
        self.subcommands.iter().copied().find(|command| name == command.help.name)
    }

    fn print(&self, first: &OsStr, rest: &[OsString]) -> Result<String, Failure> {
        let word = first.to_str().unwrap_or("");
        match (word, rest.first()) {
            ("-h", _) => Ok(help::program_short(self)),
            ("--help", _) | ("help", None) => Ok(help::program_long(self)),
            ("help", Some(subject)) => match self.find(subject) {
                Some(command) => Ok(help::long(self, command)),
                None => Err(self.unknown(subject)),
            },
            ("-V" | "--version", _) => Ok(self.version_line()),
            ("__complete", _) => {
                let words: Vec<String> = rest.iter().map(|word| word.to_string_lossy().into_owned()).collect();
                Ok(complete::complete(self, &words))
            }
            ("--completions", shell) => completions(shell.map(OsString::as_os_str)),
            _ => match word.strip_prefix("--completions=") {
                Some(shell) => completions(Some(shell.as_ref())),
                None => Err(self.unknown(first)),
            },
        }
    }

    /// What `--version` prints.
    pub(super) fn version_line(&self) -> String {
        format!("{} {} ({})\n", self.help.name, self.version, (self.build)())
    }

    fn unknown(&self, word: &OsStr) -> Failure {
        let name = self.help.name;
        let word = shown(word);
        let option = |long: &str| suggest(long, PROGRAM_FLAGS.map(|flag| flag.long)).map(|long| format!("--{long}"));
        if word.starts_with('-') {
            return Failure::Usage(match word.strip_prefix("--").and_then(option) {
                Some(near) => format!("unknown option {word} before the subcommand; did you mean {near}?"),
                None => format!("unknown option {word} before the subcommand; write {name} SUBCOMMAND {word}"),
            });
        }
        let near = suggest(&word, self.subcommands.iter().map(|command| command.help.name)).map(str::to_owned);
        Failure::Usage(match near.or_else(|| option(&word)).or_else(|| (self.alias_hint)(&word)) {
            Some(near) => format!("unknown subcommand \"{word}\"; did you mean {near}?"),
            None => format!("unknown subcommand \"{word}\"; see {name} --help"),
        })
    }
}

fn completions(shell: Option<&OsStr>) -> Result<String, Failure> {
    let Some(shell) = shell else {
        return Err(Failure::Usage(format!("--completions needs a value: write one of {}", SHELLS.join(", "))));
    };
    let script = shell.to_str().and_then(complete::script);
    let wrong = || Failure::Usage(format!("--completions: {}", not_among(&shown(shell), &SHELLS)));
    script.map(str::to_owned).ok_or_else(wrong)
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
