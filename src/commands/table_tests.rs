//! Rules of the option tables that the types do not enforce.

use std::collections::HashMap;

use super::PROGRAM;
use crate::cli::{Flag, Help, is_positional};

#[test]
fn letter_means_the_same_in_every_subcommand() {
    let mut letters: HashMap<char, &str> = HashMap::new();
    for command in PROGRAM.subcommands {
        for flag in command.flags() {
            let Some(letter) = flag.short else { continue };
            let name = command.help().name;
            assert_eq!(*letters.entry(letter).or_insert(flag.long), flag.long, "{name}: -{letter}");
        }
    }
}

#[test]
fn option_is_listed_once_and_described() {
    for command in PROGRAM.subcommands {
        let (name, flags) = (command.help().name, command.flags());
        for flag in &flags {
            let twice = flags.iter().filter(|other| other.long == flag.long || other.short == flag.short.or(Some(' ')));
            assert_eq!(twice.count(), 1, "{name} --{}", flag.long);
            check_words(&format!("{name} --{}", flag.long), flag);
        }
        assert!(flags.iter().filter(|flag| flag.common).count() <= 16, "{name} -h fits a screen");
    }
}

fn check_words(place: &str, flag: &Flag) {
    assert!(flag.help.starts_with(|c: char| c.is_uppercase()) && !flag.help.ends_with('.'), "{place}: {}", flag.help);
    assert!(flag.more.is_empty() || flag.more.ends_with('.'), "{place}: {}", flag.more);
    check_marks(place, [flag.help, flag.more]);
}

fn check_marks<'a>(place: &str, texts: impl IntoIterator<Item = &'a str>) {
    for text in texts {
        assert!(text.matches('`').count() % 2 == 0, "{place}: an open backtick in: {text}");
    }
}

#[test]
fn constraint_names_options_of_its_subcommand() {
    for command in PROGRAM.subcommands {
        let flags = command.flags();
        for flag in &flags {
            for other in flag.constraints().flat_map(|constraint| constraint.others) {
                let long = other.split('=').next();
                let known = *other == "-" || is_positional(other) || flags.iter().any(|flag| Some(flag.long) == long);
                assert!(known, "{} --{}: {other}", command.help().name, flag.long);
            }
            assert!(
                flag.constraints().all(|constraint| !constraint.why.ends_with('.')),
                "{}: a reason is a clause",
                flag.long
            );
        }
    }
}

#[test]
fn prose_has_closed_marks_and_examples_that_run_the_program() {
    let prose = |help: &Help| {
        check_marks(help.name, [help.summary]);
        check_marks(help.name, help.synopsis.iter().chain(help.description).copied());
        check_marks(help.name, help.arguments.iter().flat_map(|(term, text)| [*term, *text]));
        check_marks(help.name, help.sections.iter().flat_map(|section| section.paragraphs).copied());
        check_marks(help.name, help.examples.iter().map(|example| example.text));
        assert!(help.examples.iter().all(|example| example.line.contains("backbox ")), "{}", help.name);
    };
    prose(&PROGRAM.help);
    PROGRAM.subcommands.iter().for_each(|command| prose(command.help()));
}
