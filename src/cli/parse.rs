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

use super::command::{Command, Program};
use super::flags::{Complete, Flag, RuleKind};
use super::{help, suggest};
use crate::exit::Failure;

/// What arguments ask for.
#[derive(Debug)]
pub enum Invocation {
    /// Run this subcommand.
    Run(&'static Command, Given),
    /// Print this text, which ends in a line feed, to standard output; headings are bold ([`super::BOLD`]).
    Print(String),
}

/// What was given to a subcommand. The names of its methods' options are long names of the table.
#[derive(Debug, Default)]
pub struct Given {
    options: Vec<GivenOption>,
    /// The positionals.
    pub words: Vec<OsString>,
}

#[derive(Debug)]
struct GivenOption {
    long: &'static str,
    /// The option as it was typed.
    spelled: String,
    /// Empty for a switch.
    value: OsString,
}

impl Given {
    fn all(&self, long: &str) -> impl DoubleEndedIterator<Item = &GivenOption> {
        self.options.iter().filter(move |option| option.long == long)
    }

    /// Whether the option was given.
    pub fn has(&self, long: &str) -> bool {
        self.all(long).next().is_some()
    }

    /// The value that counts of an option that is one of several words.
    pub fn word(&self, long: &str) -> Option<&str> {
        self.all(long).next_back()?.value.to_str()
    }

    /// Every value of an option, as `read` has it, which refuses a value with a phrase that quotes the value and not
    /// the option (`invalid number "lots"`).
    ///
    /// # Errors
    /// [`Failure::Usage`] with the option as the user spelled it before the phrase.
    pub fn values<V>(&self, long: &str, read: impl Fn(OsString) -> Result<V, String>) -> Result<Vec<V>, Failure> {
        let wrong = |option: &GivenOption, why| Failure::Usage(format!("{}: {why}", option.spelled));
        self.all(long).map(|option| read(option.value.clone()).map_err(|why| wrong(option, why))).collect()
    }

    /// The value that counts, as for [`Given::values`].
    ///
    /// # Errors
    /// As for [`Given::values`], also for a value that does not count.
    pub fn value<V>(&self, long: &str, read: impl Fn(OsString) -> Result<V, String>) -> Result<Option<V>, Failure> {
        self.values(long, read).map(|mut values| values.pop())
    }

    /// The positionals as text.
    ///
    /// # Errors
    /// [`Failure::Usage`] for one that is not UTF-8.
    pub fn text_words(&self) -> Result<Vec<String>, Failure> {
        self.words.iter().cloned().map(text).collect::<Result<_, _>>().map_err(Failure::Usage)
    }

    /// How the user typed what a rule calls `other`, if it was given; [`super::Rule`] explains the names.
    fn spelling_of(&self, other: &str) -> Option<String> {
        let reads_input = self.words.is_empty() || self.words.iter().any(|word| word == "-");
        if other == "-" {
            return reads_input.then(|| rule_name(other));
        }
        if is_positional(other) {
            return self.words.iter().any(|word| word != "-").then(|| rule_name(other));
        }
        let (long, value) = other.split_once('=').map_or((other, None), |(long, value)| (long, Some(value)));
        let last = self.all(long).next_back()?;
        match value {
            None => Some(last.spelled.clone()),
            Some(value) => (last.value == value).then(|| format!("{} {value}", last.spelled)),
        }
    }
}

/// Reads the arguments after the subcommand's name.
///
/// # Errors
/// [`Failure::Usage`] for the first thing wrong. The text names the option as the user spelled it.
pub fn parse(program: &Program, command: &'static Command, arguments: Vec<OsString>) -> Result<Invocation, Failure> {
    let reader = ArgumentReader { program, command };
    let mut given = Given::default();
    let read = reader.read(Parser::from_args(&arguments), &mut given);
    let checked = read.and_then(|printed| match printed {
        Some(text) => Ok(Invocation::Print(text)),
        None => reader.check_rules(&given).map(|()| Invocation::Run(command, given)),
    });
    checked.or_else(|why| {
        let words = arguments.iter().take_while(|word| *word != "--").filter_map(|word| word.to_str());
        let printed = words.filter_map(|word| reader.printed(word)).next();
        printed.map(Invocation::Print).ok_or(Failure::Usage(why))
    })
}

struct ArgumentReader<'a> {
    program: &'a Program,
    command: &'static Command,
}

impl ArgumentReader<'_> {
    /// Reads all arguments; gives the text when an option prints one.
    fn read(&self, mut parser: Parser, given: &mut Given) -> Result<Option<String>, String> {
        loop {
            let spelled = match parser.next() {
                Ok(None) => return Ok(None),
                Ok(Some(Arg::Value(word))) if self.command.words.is_none() => {
                    return Err(format!("unexpected argument \"{}\": {} takes options only", shown(word), self.name()));
                }
                Ok(Some(Arg::Value(word))) => {
                    given.words.push(word);
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
            let flag = self.command.flags().find(|flag| flag.is_spelled(&spelled));
            let flag = flag.ok_or_else(|| self.unknown(&spelled))?;
            let value = self.value(flag, &spelled, &mut parser)?;
            given.options.push(GivenOption { long: flag.long, spelled, value });
        }
    }

    /// The value of an option; one that was forgotten is followed by the next option.
    fn value(&self, flag: &Flag, spelled: &str, parser: &mut Parser) -> Result<OsString, String> {
        let Some(metavar) = flag.value else { return Ok(OsString::new()) };
        let value = match parser.optional_value() {
            Some(attached) => attached,
            None => {
                let missing = format!("{spelled} needs a value: write {spelled} {metavar}");
                let value = parser.value().map_err(|_| missing.clone())?;
                let is_option = |word: &&str| self.command.flags().any(|flag| flag.is_spelled(word));
                if let Some(word) = value.to_str().filter(is_option) {
                    return Err(format!("{missing}, or {spelled}={word} if that is the value"));
                }
                value
            }
        };
        match flag.complete {
            Complete::Words(words) if !words.iter().any(|word| value == *word) => {
                Err(format!("{spelled}: {}", not_among(&shown(&value), words)))
            }
            _ => Ok(value),
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

    /// Refuses what cannot be used together or alone.
    fn check_rules(&self, given: &Given) -> Result<(), String> {
        for rule in self.command.rules {
            let Some(typed) = rule.flags.iter().find_map(|long| given.all(long).next()) else { continue };
            let other = rule.others.iter().find_map(|other| given.spelling_of(other));
            let (this, why) = (&typed.spelled, rule.why);
            match (rule.kind, other) {
                (RuleKind::Conflicts, Some(other)) => {
                    return Err(format!("{this} and {other} cannot be used together: {why}"));
                }
                (RuleKind::Needs, None) => {
                    let others: Vec<String> = rule.others.iter().map(|other| rule_name(other)).collect();
                    return Err(format!("{this} needs {}: {why}", any_of(&others)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn unknown(&self, spelled: &str) -> String {
        let mut flags = self.command.flags();
        let near = match spelled.strip_prefix("--") {
            Some(long) => suggest(long, flags.map(|flag| flag.long)).map(|long| format!("--{long}")),
            None => flags.find_map(|flag| flag.spellings().find(|short| short.eq_ignore_ascii_case(spelled))),
        };
        let (spelled, name) = (shown(spelled), self.name());
        match near {
            Some(near) => format!("unknown option {spelled}; did you mean {near}?"),
            None => format!("unknown option {spelled}; see {name} --help, or write -- before an argument with a dash"),
        }
    }

    fn name(&self) -> String {
        format!("{} {}", self.program.help.name, self.command.help.name)
    }
}

/// Whether a rule's name stands for a positional.
pub(crate) fn is_positional(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_uppercase())
}

/// What a rule calls `other`, as it is typed.
pub(super) fn rule_name(other: &str) -> String {
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

/// A value that has to be text.
///
/// # Errors
/// A phrase for [`Given::values`].
pub fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("\"{}\" is not UTF-8", shown(value)))
}

/// A value that has to be a whole number without a sign.
///
/// # Errors
/// As for [`text`], also for a number that is too large for `N`.
pub fn number<N: FromStr>(value: OsString) -> Result<N, String> {
    let digits = value.to_str().unwrap_or("");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("invalid number \"{}\"", shown(&value)));
    }
    digits.parse().map_err(|_| format!("number \"{}\" is too large", shown(&value)))
}

/// A value that is a duration: `250ms`, `1.5s`, `2m`; a bare number is seconds.
///
/// # Errors
/// As for [`text`].
pub fn duration(value: OsString) -> Result<Duration, String> {
    crate::time::parse_duration(&text(value)?)
}

/// A value that is the name of a file, or `-`; never refused.
pub fn path(value: OsString) -> Result<PathBuf, String> {
    Ok(value.into())
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
