//! A subcommand's whole table, [`Command`], and the program's list of subcommands, [`Program`].

use std::ffi::{OsStr, OsString};

use super::complete::{self, SHELLS};
use super::flags::{Complete, Flag};
use super::help::{self, BOLD, PLAIN};
use super::parse::{Invocation, not_among, parse, shown};
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
    /// Paragraphs.
    pub description: &'static [&'static str],
    /// The positionals, each with what it means.
    pub arguments: &'static [(&'static str, &'static str)],
    /// Further sections of the long help and the man page, after the options.
    pub sections: &'static [Section],
    /// The exit statuses that it can end with; their texts are those of [`Exit::MEANINGS`].
    pub exits: &'static [Exit],
    /// Command lines that work as they stand.
    pub examples: &'static [Example],
    /// Man pages to read next, each with its section.
    pub see_also: &'static [(&'static str, u8)],
}

/// A section of prose under a heading of its own.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// Paragraphs; may hold markup.
    pub paragraphs: &'static [&'static str],
}

/// A command line, and what it does.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// What to type into a shell, as it stands.
    pub line: &'static str,
    /// A sentence; may hold markup.
    pub text: &'static str,
}

/// What happens to the arguments that are no options.
#[derive(Clone, Copy, Debug)]
pub struct Positionals<T: 'static> {
    /// What they are completed to.
    pub complete: Complete,
    /// Takes the next one. Its complaint is shown as it stands, so it names the argument and says what to write.
    pub set: fn(&mut T, OsString) -> Result<(), String>,
}

/// A subcommand whose options' struct is `T`: everything that parser, help, man page and completions know about it.
#[derive(Debug)]
pub struct Command<T: 'static> {
    /// The prose.
    pub help: Help,
    /// The options, those of one group together. `-h`, `--help` and `--version` are there without being listed.
    pub flags: &'static [Flag<T>],
    /// The positionals; none means that every positional is refused.
    pub positionals: Option<Positionals<T>>,
    /// Runs it with what was parsed.
    pub run: fn(T) -> Result<Exit, Failure>,
}

/// What is left to do when a command line is parsed.
pub type Job = Box<dyn FnOnce() -> Result<Exit, Failure>>;

/// A subcommand, whatever its options are.
pub trait Subcommand: Sync {
    /// The prose.
    fn help(&self) -> &Help;
    /// All options in the order of the table, `--help` and `--version` last.
    fn flags(&self) -> Vec<Flag>;
    /// What the positionals are completed to.
    fn complete(&self) -> Complete;
    /// Reads its arguments.
    ///
    /// # Errors
    /// As for [`parse()`].
    fn parse(&self, program: &Program, arguments: Vec<OsString>) -> Result<Invocation<Job>, Failure>;
}

impl<T: Default + 'static> Subcommand for Command<T> {
    fn help(&self) -> &Help {
        &self.help
    }

    fn flags(&self) -> Vec<Flag> {
        self.flags.iter().map(Flag::bare).chain([HELP, VERSION]).collect()
    }

    fn complete(&self) -> Complete {
        self.positionals.as_ref().map_or(Complete::Nothing, |positionals| positionals.complete)
    }

    fn parse(&self, program: &Program, arguments: Vec<OsString>) -> Result<Invocation<Job>, Failure> {
        let run = self.run;
        Ok(match parse(program, self, arguments)? {
            Invocation::Print(text) => Invocation::Print(text),
            Invocation::Run(options) => Invocation::Run(Box::new(move || run(options))),
        })
    }
}

/// The options that every subcommand and the program itself have.
pub(super) const HELP: Flag =
    Flag::switch("help", "Print help; `-h` prints the common options", |()| {}).short('h').group("General").common();

/// See [`HELP`].
pub(super) const VERSION: Flag =
    Flag::switch("version", "Print the version", |()| {}).short('V').group("General").common();

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
    pub subcommands: &'static [&'static dyn Subcommand],
    /// What may be meant by a word that is near to no subcommand.
    pub alias_hint: fn(&str) -> Option<String>,
}

/// What only the program itself has, before any subcommand.
const COMPLETIONS: Flag = Flag::choice("completions", "SHELL", &SHELLS, "Print a completion script", |(), _| {});

impl Program {
    /// What the arguments after the program's name ask for, and who says so in error messages: `backbox send`. The
    /// subcommand comes first; its options follow it.
    pub fn parse(&self, arguments: impl IntoIterator<Item = OsString>) -> (String, Result<Invocation<Job>, Failure>) {
        let mut arguments = arguments.into_iter();
        let name = self.help.name;
        let Some(first) = arguments.next() else {
            let usage = help::program_short(self).replace(BOLD, "").replace(PLAIN, "");
            return (name.to_owned(), Err(Failure::Usage(format!("subcommand missing\n\n{usage}"))));
        };
        let rest: Vec<OsString> = arguments.collect();
        match self.find(&first) {
            Some(command) => (format!("{name} {}", command.help().name), command.parse(self, rest)),
            None => (name.to_owned(), self.print(&first, &rest).map(Invocation::Print)),
        }
    }

    fn find(&self, name: &OsStr) -> Option<&'static dyn Subcommand> {
        self.subcommands.iter().copied().find(|command| name == command.help().name)
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

    /// The program's own options.
    pub(crate) fn flags(&self) -> [Flag; 3] {
        [HELP, VERSION, COMPLETIONS]
    }

    fn unknown(&self, word: &OsStr) -> Failure {
        let name = self.help.name;
        let word = shown(word);
        let option = |long: &str| suggest(long, self.flags().map(|flag| flag.long)).map(|long| format!("--{long}"));
        if word.starts_with('-') {
            return Failure::Usage(match word.strip_prefix("--").and_then(option) {
                Some(near) => format!("unknown option {word} before the subcommand; did you mean {near}?"),
                None => format!("unknown option {word} before the subcommand; write {name} SUBCOMMAND {word}"),
            });
        }
        let near = suggest(&word, self.subcommands.iter().map(|command| command.help().name)).map(str::to_owned);
        Failure::Usage(match near.or_else(|| option(&word)).or_else(|| (self.alias_hint)(&word)) {
            Some(near) => format!("unknown subcommand \"{word}\"; did you mean {near}?"),
            None => format!("unknown subcommand \"{word}\"; see {name} --help"),
        })
    }
}

fn completions(shell: Option<&OsStr>) -> Result<String, Failure> {
    let word = shell.map(shown).unwrap_or_default();
    let wrong = || match shell {
        None => Failure::Usage(format!("--completions needs a value: write one of {}", SHELLS.join(", "))),
        Some(_) => Failure::Usage(format!("--completions: {}", not_among(&word, &SHELLS))),
    };
    complete::script(&word).map(str::to_owned).ok_or_else(wrong)
}

/// The options under their headings; those of one heading stand together, in the order of the table.
pub(crate) fn groups(flags: &[Flag]) -> Vec<(&'static str, Vec<Flag>)> {
    let mut groups: Vec<(&str, Vec<Flag>)> = Vec::new();
    for flag in flags {
        match groups.iter_mut().find(|(group, _)| *group == flag.group) {
            Some((_, members)) => members.push(*flag),
            None => groups.push((flag.group, vec![*flag])),
        }
    }
    groups
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
