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
            let name = command.help.name;
            assert_eq!(*letters.entry(letter).or_insert(flag.long), flag.long, "{name}: -{letter}");
        }
    }
}

#[test]
fn option_is_listed_once_and_described() {
    for command in PROGRAM.subcommands {
        let (name, flags) = (command.help.name, command.flags().collect::<Vec<_>>());
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
    check_marks(place, [flag.help]);
}

fn check_marks<'a>(place: &str, texts: impl IntoIterator<Item = &'a str>) {
    for text in texts {
        assert!(text.matches('`').count() % 2 == 0, "{place}: an open backtick in: {text}");
    }
}

#[test]
fn rule_names_options_of_its_subcommand() {
    for command in PROGRAM.subcommands {
        let is_option = |long: &str| command.flags().any(|flag| flag.long == long);
        for rule in command.rules {
            for name in rule.flags.iter().chain(rule.others) {
                let long = name.split('=').next().unwrap_or_default();
                let known = *name == "-" || is_positional(name) || is_option(long);
                assert!(known, "{}: {name}", command.help.name);
            }
            assert!(!rule.why.ends_with('.'), "{}: a reason is a clause: {}", command.help.name, rule.why);
        }
    }
}

#[test]
fn option_is_read_by_its_subcommand() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands");
    let mut sources = String::new();
    for folder in ["", "send", "listen", "replay"].map(|name| folder.join(name)) {
        for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if file.extension().is_some_and(|extension| extension == "rs") {
                sources += &std::fs::read_to_string(file).unwrap();
            }
        }
    }
    for flag in PROGRAM.subcommands.iter().flat_map(|command| command.flags()) {
        let long = flag.long;
        let reads = ["has", "word", "value", "values"].map(|method| format!("given.{method}(\"{long}\""));
        let is_address = ["addr", "connect"].contains(&long);
        let is_read =
            is_address || ["help", "version"].contains(&long) || reads.iter().any(|read| sources.contains(read));
        assert!(is_read, "--{long} is in a table and never read");
    }
}

#[test]
fn text_about_an_option_names_one() {
    let flags = || PROGRAM.subcommands.iter().flat_map(|command| command.flags());
    for (name, _) in PROGRAM.subcommands.iter().flat_map(|command| command.help.entries("Options")) {
        assert!(flags().any(|flag| name == format!("--{}", flag.long)), "{name} is no option");
    }
}

#[test]
fn prose_has_closed_marks_and_examples_that_run_the_program() {
    let prose = |help: &Help| {
        check_marks(help.name, [help.summary]);
        check_marks(help.name, help.synopsis.iter().copied());
        check_marks(help.name, help.sections().flat_map(|(_, paragraphs)| paragraphs));
        let examples = help.entries("Examples");
        assert!(examples.iter().all(|(line, text)| line.contains("backbox ") && text.ends_with('.')), "{}", help.name);
        assert!(help.entries("Options").iter().all(|(_, text)| text.ends_with('.')), "{}", help.name);
        assert!(help.entries("Arguments").iter().all(|(_, text)| !text.is_empty()), "{}", help.name);
    };
    prose(&PROGRAM.help);
    PROGRAM.subcommands.iter().for_each(|command| prose(&command.help));
}
