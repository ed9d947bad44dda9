//! The parser: arguments against a subcommand's table, cut by lexopt.
//!
//! `-` is a positional, `--` ends the options, and `--opt=value`, `--opt value`, `-oVALUE`, `-o=VALUE`, `-o VALUE` and
//! `-sq` are read. Options and positionals may be mixed. An option that does not repeat counts as given last. A value
//! that is spelled like an option of the same table is a forgotten value, unless it is attached with `=`. `--help` and
//! the like work even if the rest of the line is wrong.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::{Arg, Parser};

use super::command::{Command, HELP, Program, VERSION};
use super::flags::{ConstraintKind, Flag, Set};
use super::{help, suggest};
use crate::exit::Failure;

/// What arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation<R> {
    /// Run this.
    Run(R),
    /// Print this text, which ends in a line feed, to standard output; headings are bold ([`super::BOLD`]).
    Print(String),
}

/// Reads the arguments after the subcommand's name into its options, beginning with their defaults.
///
/// # Errors
/// [`Failure::Usage`] for the first thing wrong. The text names the option as the user spelled it. Setters run in the
/// order of the arguments, and none runs after the first error.
pub fn parse<T: Default + 'static>(
    program: &Program,
    command: &Command<T>,
    arguments: Vec<OsString>,
) -> Result<Invocation<T>, Failure> {
    let mut reader = ArgumentReader { program, command, given: Vec::new() };
    let mut options = T::default();
    let read = reader.read(Parser::from_args(&arguments), &mut options);
    match read
        .and_then(|printed| if printed.is_none() { reader.check_constraints().map(|()| None) } else { Ok(printed) })
    {
        Ok(None) => Ok(Invocation::Run(options)),
        Ok(Some(text)) => Ok(Invocation::Print(text)),
        Err(why) => {
            let words = arguments.iter().take_while(|word| *word != "--").filter_map(|word| word.to_str());
            let printed = words.filter_map(|word| reader.printed(word)).next();
            printed.map(Invocation::Print).ok_or(Failure::Usage(why))
        }
    }
}

struct ArgumentReader<'a, T: 'static> {
    program: &'a Program,
    command: &'a Command<T>,
    /// What was read so far, for the constraints.
    given: Vec<Given>,
}

/// An argument that was read.
struct Given {
    /// The option's long name; empty for a positional.
    long: &'static str,
    /// The option as it was typed, or the positional.
    spelled: String,
    value: Option<String>,
}

impl<T: Default + 'static> ArgumentReader<'_, T> {
    /// Reads all arguments; gives the text when an option prints one.
    fn read(&mut self, mut parser: Parser, options: &mut T) -> Result<Option<String>, String> {
        loop {
            let spelled = match parser.next() {
                Ok(None) => return Ok(None),
                Ok(Some(Arg::Value(word))) => {
                    self.positional(word, options)?;
                    continue;
                }
                Ok(Some(Arg::Long(name))) => format!("--{name}"),
                Ok(Some(Arg::Short(letter))) => format!("-{letter}"),
                Err(lexopt::Error::UnexpectedValue { option, value }) => {
                    return Err(format!("{} takes no value: \"{}\"", shown(option), shown(value)));
                }
                Err(error) => return Err(shown(error.to_string())),
            };
            if let Some(text) = self.printed(&spelled) {
                return Ok(Some(text));
            }
            let command = self.command;
            match command.flags.iter().find(|flag| flag.is_spelled(&spelled)) {
                Some(flag) => self.option(flag, spelled, &mut parser, options)?,
                None => return Err(self.unknown(&spelled)),
            }
        }
    }

    fn positional(&mut self, word: OsString, options: &mut T) -> Result<(), String> {
        let Some(positionals) = &self.command.positionals else {
            return Err(format!("unexpected argument \"{}\": {} takes options only", shown(word), self.name()));
        };
        self.given.push(Given { long: "", spelled: shown(&word), value: None });
        (positionals.set)(options, word)
    }

    /// Applies an option; a complaint about its value gets its spelling here and nowhere else.
    fn option(&mut self, flag: &Flag<T>, spelled: String, parser: &mut Parser, options: &mut T) -> Result<(), String> {
        let value = match flag.value {
            None => None,
            Some(metavar) => Some(self.value(metavar, &spelled, parser)?),
        };
        let text = value.as_ref().and_then(|value| value.to_str()).map(str::to_owned);
        self.given.push(Given { long: flag.long, spelled: spelled.clone(), value: text });
        let value = value.unwrap_or_default();
        let outcome = match flag.set {
            Set::Switch(set) => {
                set(options);
                Ok(())
            }
            Set::Value(set) => set(options, value),
            Set::Choice(words, set) => match words.iter().find(|word| value == **word) {
                Some(word) => {
                    set(options, word);
                    Ok(())
                }
                None => Err(not_among(&shown(&value), words)),
            },
        };
        outcome.map_err(|why| format!("{spelled}: {why}"))
    }

    /// The value of an option; one that was forgotten is followed by the next option.
    fn value(&self, metavar: &str, spelled: &str, parser: &mut Parser) -> Result<OsString, String> {
        if let Some(attached) = parser.optional_value() {
            return Ok(attached);
        }
        let missing = format!("{spelled} needs a value: write {spelled} {metavar}");
        let value = parser.value().map_err(|_| missing.clone())?;
        let looks = value.to_str().filter(|word| self.infos().iter().any(|flag| flag.is_spelled(word)));
        match looks {
            Some(word) => Err(format!("{missing}, or {spelled}={word} if that is the value")),
            None => Ok(value),
        }
    }

    /// What `spelled` prints, if it is one of the options that print and end the run.
    fn printed(&self, spelled: &str) -> Option<String> {
        match spelled {
            "-h" => Some(help::short(self.program, self.command)),
            "--help" => Some(help::long(self.program, self.command)),
            "-V" | "--version" => Some(self.program.version_line()),
            _ => None,
        }
    }

    /// Refuses what cannot be used together or alone, by the constraints of the options that were given.
    fn check_constraints(&self) -> Result<(), String> {
        for flag in self.command.flags {
            let Some(typed) = self.given.iter().find(|given| given.long == flag.long) else { continue };
            for constraint in flag.constraints() {
                let met = constraint.others.iter().find_map(|other| self.spelling_of(other));
                let (this, why) = (&typed.spelled, constraint.why);
                match (constraint.kind, met) {
                    (ConstraintKind::Conflicts, Some(other)) => {
                        return Err(format!("{this} and {other} cannot be used together: {why}"));
                    }
                    (ConstraintKind::Needs, None) => {
                        let others: Vec<String> =
                            constraint.others.iter().map(|other| constraint_name(other)).collect();
                        return Err(format!("{this} needs {}: {why}", any_of(&others)));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// How the user typed what a constraint calls `other`, if it was given; [`Flag::needs`] explains the names.
    fn spelling_of(&self, other: &str) -> Option<String> {
        let mut positionals = self.given.iter().filter(|given| given.long.is_empty());
        if other == "-" {
            let is_read = positionals.clone().next().is_none() || positionals.any(|given| given.spelled == "-");
            return is_read.then(|| constraint_name(other));
        }
        if is_positional(other) {
            return positionals.any(|given| given.spelled != "-").then(|| constraint_name(other));
        }
        let (long, value) = other.split_once('=').map_or((other, None), |(long, value)| (long, Some(value)));
        let last = self.given.iter().rev().find(|given| given.long == long)?;
        match value {
            None => Some(last.spelled.clone()),
            Some(value) => (last.value.as_deref() == Some(value)).then(|| format!("{} {value}", last.spelled)),
        }
    }

    fn unknown(&self, spelled: &str) -> String {
        let infos = self.infos();
        let near = match spelled.strip_prefix("--") {
            Some(long) => suggest(long, infos.iter().map(|flag| flag.long)).map(|long| format!("--{long}")),
            None => {
                let mut letters = infos.iter().filter_map(|flag| flag.short).map(|letter| format!("-{letter}"));
                letters.find(|short| short.eq_ignore_ascii_case(spelled))
            }
        };
        let (spelled, name) = (shown(spelled), self.name());
        match near {
            Some(near) => format!("unknown option {spelled}; did you mean {near}?"),
            None => format!("unknown option {spelled}; see {name} --help, or write -- before an argument with a dash"),
        }
    }

    fn infos(&self) -> Vec<Flag> {
        self.command.flags.iter().map(Flag::bare).chain([HELP, VERSION]).collect()
    }

    fn name(&self) -> String {
        format!("{} {}", self.program.help.name, self.command.help.name)
    }
}

/// Whether a constraint's name stands for a positional.
pub(crate) fn is_positional(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_uppercase())
}

/// What a constraint calls `other`, as it is typed.
pub(super) fn constraint_name(other: &str) -> String {
    match other {
        "-" => "standard input".to_owned(),
        _ if is_positional(other) => other.to_owned(),
        _ => format!("--{}", other.replace('=', " ")),
    }
}

/// `a, b or c`.
pub(super) fn any_of(names: &[String]) -> String {
    match names.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => names.concat(),
    }
}

/// The complaint about a word that is none of `words`, with the near one.
pub(super) fn not_among(word: &str, words: &[&'static str]) -> String {
    let list = words.join(", ");
    match suggest(word, words.iter().copied()) {
        Some(near) => format!("invalid value \"{word}\"; did you mean {near}? (one of {list})"),
        None => format!("invalid value \"{word}\"; write one of {list}"),
    }
}

/// An argument as an error message may show it: safe for a terminal, and cut when it is long.
pub fn shown(word: impl AsRef<OsStr>) -> String {
    crate::text::shown(word.as_ref().as_encoded_bytes())
}

/// A value that has to be text, for an option's setter.
///
/// # Errors
/// A phrase for the setter to return.
pub fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("\"{}\" is not UTF-8", shown(value)))
}

/// A value that has to be a whole number without a sign, for an option's setter.
///
/// # Errors
/// A phrase for the setter to return, also for a number that is too large for `N`.
pub fn number<N: FromStr>(value: impl AsRef<OsStr>) -> Result<N, String> {
    let value = value.as_ref();
    let digits = value.to_str().unwrap_or("");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("invalid number \"{}\"", shown(value)));
    }
    digits.parse().map_err(|_| format!("number \"{}\" is too large", shown(value)))
}

/// A value that is a duration: `250ms`, `1.5s`, `2m`; a bare number is seconds.
///
/// # Errors
/// A phrase for the setter to return.
pub fn duration(value: OsString) -> Result<Duration, String> {
    crate::time::parse_duration(&text(value)?)
}

/// A value that is the name of a file, or `-`; never refused.
pub fn path(value: OsString) -> Result<PathBuf, String> {
    Ok(value.into())
}

/// Stores what a setter has read.
///
/// # Errors
/// The complaint of the reading.
pub fn set<V>(place: &mut Option<V>, value: Result<V, String>) -> Result<(), String> {
    *place = Some(value?);
    Ok(())
}

/// Adds what the setter of an option that repeats has read.
///
/// # Errors
/// The complaint of the reading.
pub fn push<V>(list: &mut Vec<V>, value: Result<V, String>) -> Result<(), String> {
    list.push(value?);
    Ok(())
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
