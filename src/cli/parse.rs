//! The parser: arguments against a subcommand's table, with lexopt doing the cutting.
//!
//! Rules: `-` is a positional, `--` ends the flags, and `--opt=value`, `--opt value`, `-oVALUE`, `-o=VALUE`, `-o VALUE`
//! and `-sq` are read. A flag's value is what follows, whatever it looks like. A flag that does not add up and is given
//! twice counts as given last. `-h`, `--help` and `--version` work when the rest of the line is wrong, before or behind
//! them (design.md, section 8); the first of them wins. Positionals and flags may be mixed.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;

use lexopt::{Arg, Parser};

use super::command::{Command, HELP, Program, VERSION};
use super::flags::{Flag, RuleKind, Set};
use super::help;
use super::program::not_among;
use super::suggest;
use super::values::shown;
use crate::exit::Failure;

/// What a subcommand's arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// Run with these options.
    Run(T),
    /// Print this text, which ends in a line feed, to standard output, and end well.
    Print(String),
}

/// What one argument came to.
enum Step {
    Taken,
    Print(String),
}

/// Reads the arguments behind the subcommand's name into its options, beginning with their defaults.
///
/// # Errors
///
/// [`Failure::Usage`] for the first thing wrong: an unknown flag, a missing, unexpected or refused value, a refused
/// positional. The text names the flag as the user spelled it. Setters run in the order of the arguments, and none
/// runs behind the first error.
pub fn parse<T: Default>(
    program: &Program,
    command: &Command<T>,
    args: impl IntoIterator<Item = OsString>,
) -> Result<Parsed<T>, Failure> {
    let line = Line { program, command, swallowed: Cell::new(None), given: RefCell::new(Vec::new()) };
    let mut parser = Parser::from_args(args);
    let mut options = T::default();
    loop {
        match line.step(&mut parser, &mut options) {
            Ok(Some(Step::Taken)) => {}
            Ok(Some(Step::Print(text))) => return Ok(Parsed::Print(text)),
            Ok(None) => {
                line.check_rules().map_err(Failure::Usage)?;
                return Ok(Parsed::Run(options));
            }
            Err(complaint) => {
                return match line.printed_behind(&mut parser) {
                    Some(text) => Ok(Parsed::Print(text)),
                    None => Err(Failure::Usage(complaint)),
                };
            }
        }
    }
}

/// The line that is read: whose table, of which program.
struct Line<'a, T: 'static> {
    program: &'a Program,
    command: &'a Command<T>,
    /// What the last flag whose value looks like a flag has to say of it; a word behind it was meant for that one.
    swallowed: Cell<Option<String>>,
    given: RefCell<Vec<Given>>,
}

/// An argument that was read.
struct Given {
    /// The option's long name; empty for a positional.
    long: &'static str,
    /// The option as it was typed, or the positional.
    spelled: String,
    value: Option<String>,
}

impl<T: Default + 'static> Line<'_, T> {
    /// Takes one flag or positional; nothing when there is none left.
    fn step(&self, parser: &mut Parser, options: &mut T) -> Result<Option<Step>, String> {
        let spelled = match parser.next() {
            Ok(None) => return Ok(None),
            Ok(Some(Arg::Value(word))) => return self.operand(word, options).map(Some),
            Ok(Some(Arg::Long(name))) => format!("--{name}"),
            Ok(Some(Arg::Short(letter))) => format!("-{letter}"),
            Err(error) => return Err(in_words(error)),
        };
        if let Some(text) = self.printed(&spelled) {
            return Ok(Some(Step::Print(text)));
        }
        let Some(flag) = self.flags().find(|flag| is_spelled(flag, &spelled)) else {
            return Err(self.unknown(&spelled));
        };
        self.flag(flag, &spelled, parser, options).map(Some)
    }

    fn flags(&self) -> impl Iterator<Item = &'static Flag<T>> {
        self.command.flags.iter()
    }

    fn operand(&self, word: OsString, options: &mut T) -> Result<Step, String> {
        let Some(operands) = &self.command.positionals else {
            let (name, sub) = self.names();
            let word = shown(&word);
            let advice = self.swallowed.take().unwrap_or_else(|| format!("{name} {sub} --help lists them"));
            return Err(format!("\"{word}\": {name} {sub} takes flags only; {advice}"));
        };
        self.note("", &shown(&word), None);
        (operands.set)(options, word).map(|()| Step::Taken)
    }

    /// Applies a flag; a complaint gets the flag's spelling before it, here and nowhere else. A switch that was given a
    /// value is found by lexopt at the next step.
    fn flag(&self, flag: &Flag<T>, spelled: &str, parser: &mut Parser, options: &mut T) -> Result<Step, String> {
        if let Set::Switch(set) = flag.set {
            self.note(flag.long, spelled, None);
            set(options);
            return Ok(Step::Taken);
        }
        let Ok(value) = parser.value() else {
            let metavar = flag.value.unwrap_or("VALUE");
            return Err(format!("{spelled}: no {metavar} behind it"));
        };
        if let Some(taken) = value.to_str().filter(|word| self.flags().any(|flag| is_spelled(flag, word))) {
            let metavar = flag.value.unwrap_or("VALUE");
            self.swallowed.set(Some(format!("{spelled} has taken {taken} for its {metavar}")));
        }
        self.note(flag.long, spelled, value.to_str().map(str::to_owned));
        // Whoever writes `--max-line --help` asks what to write there.
        let asked = value.to_str().and_then(|word| self.printed(word));
        match (flag.set.take(options, value), asked) {
            (Ok(()), _) => Ok(Step::Taken),
            (Err(_), Some(text)) => Ok(Step::Print(text)),
            (Err(complaint), None) => Err(format!("{spelled}: {complaint}")),
        }
    }

    fn note(&self, long: &'static str, spelled: &str, value: Option<String>) {
        self.given.borrow_mut().push(Given { long, spelled: spelled.to_owned(), value });
    }

    /// Refuses what cannot be used together or alone, by the rules of the options that were given.
    fn check_rules(&self) -> Result<(), String> {
        let given = self.given.borrow();
        for flag in self.flags() {
            let Some(typed) = given.iter().find(|given| given.long == flag.long) else { continue };
            for rule in flag.rules() {
                let met = rule.others.iter().find_map(|other| spelled_as(other, &given));
                let (this, why) = (&typed.spelled, rule.why);
                match (rule.kind, met) {
                    (RuleKind::Conflicts, Some(other)) => {
                        return Err(format!("{this} and {other} cannot be used together: {why}"));
                    }
                    (RuleKind::Needs, None) => {
                        let others: Vec<String> = rule.others.iter().map(|other| rule_name(other)).collect();
                        return Err(format!("{this} needs {}: {why}", others.join(" or ")));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// What `spelled` prints, when it is one of the flags that print and end the run.
    fn printed(&self, spelled: &str) -> Option<String> {
        match spelled {
            "-h" => Some(help::short(self.program, self.command)),
            "--help" => Some(help::long(self.program, self.command)),
            "-V" | "--version" => Some(self.program.version_line()),
            _ => None,
        }
    }

    /// What a flag behind the first error prints. What was attached to the wrong flag goes with it.
    fn printed_behind(&self, parser: &mut Parser) -> Option<String> {
        let _ = parser.optional_value();
        loop {
            let spelled = match parser.next() {
                Ok(None) => return None,
                Ok(Some(Arg::Value(_))) | Err(_) => continue,
                Ok(Some(Arg::Long(name))) => format!("--{name}"),
                Ok(Some(Arg::Short(letter))) => format!("-{letter}"),
            };
            if let Some(text) = self.printed(&spelled) {
                return Some(text);
            }
            match self.flags().find(|flag| is_spelled(flag, &spelled)) {
                Some(flag) if flag.value.is_some() => drop(parser.value()),
                Some(_) => {}
                None => drop(parser.optional_value()),
            }
        }
    }

    fn unknown(&self, spelled: &str) -> String {
        let (name, sub) = self.names();
        let infos = || self.flags().map(Flag::bare).chain([HELP, VERSION]);
        let near = match spelled.strip_prefix("--") {
            Some(long) => suggest(long, infos().map(|info| info.long)).map(|long| format!("--{long}")),
            None => infos()
                .filter_map(|info| info.short.map(|letter| format!("-{letter}")))
                .find(|short| short.eq_ignore_ascii_case(spelled)),
        };
        let spelled = shown(spelled);
        match near {
            Some(near) => format!("{spelled}: no such flag; did you mean {near}?"),
            None => format!(
                "{spelled}: no such flag; {name} {sub} --help lists them, and a word that begins with - but is none \
                 goes behind --"
            ),
        }
    }

    fn names(&self) -> (&'static str, &'static str) {
        (self.program.help.name, self.command.help.name)
    }
}

impl<T> Set<T> {
    /// Gives a value to the setter. A switch has none to take.
    fn take(&self, options: &mut T, value: OsString) -> Result<(), String> {
        match self {
            Set::Switch(set) => set(options),
            Set::Value(set) => return set(options, value),
            Set::Choice(words, set) => match words.iter().find(|word| value == **word) {
                Some(word) => set(options, word),
                None => return Err(not_among(&shown(&value), words)),
            },
        }
        Ok(())
    }
}

/// How the user typed what a rule calls `other`, if it was given; [`Flag::needs`] explains the spelling.
fn spelled_as(other: &str, given: &[Given]) -> Option<String> {
    let mut positionals = given.iter().filter(|given| given.long.is_empty());
    if other == "-" {
        let is_read = positionals.clone().next().is_none() || positionals.any(|given| given.spelled == "-");
        return is_read.then(|| rule_name(other));
    }
    if other.starts_with(|letter: char| letter.is_ascii_uppercase()) {
        return positionals.any(|given| given.spelled != "-").then(|| rule_name(other));
    }
    let (long, value) = other.split_once('=').map_or((other, None), |(long, value)| (long, Some(value)));
    let last = given.iter().rev().find(|given| given.long == long)?;
    match value {
        None => Some(last.spelled.clone()),
        Some(value) => (last.value.as_deref() == Some(value)).then(|| format!("{} {value}", last.spelled)),
    }
}

/// What a rule calls `other`, as it is typed.
fn rule_name(other: &str) -> String {
    match other {
        "-" => "standard input".to_owned(),
        _ if other.starts_with(|letter: char| letter.is_ascii_uppercase()) => other.to_owned(),
        _ => format!("--{}", other.replace('=', " ")),
    }
}

fn is_spelled<T>(info: &Flag<T>, spelled: &str) -> bool {
    info.spellings().any(|spelling| spelling == spelled)
}

/// An error of lexopt's as a complaint. Only a switch with a value comes here; a missing value is said with its name.
fn in_words(error: lexopt::Error) -> String {
    match error {
        lexopt::Error::UnexpectedValue { option, value } => {
            let (option, value) = (shown(option), shown(value));
            format!("{option}: takes no value, but has \"{value}\"")
        }
        other => shown(other.to_string()),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
