//! Help and man pages: each option of a subcommand is in its help and man page, examples run, and help works beside
//! invalid arguments. A unit test of `commands` checks that `man/` is up to date.

mod common;

use common::{Outcome, backbox};
#[cfg(unix)]
use common::{Workdir, shell_in};
use std::path::{Path, PathBuf};

const SUBCOMMANDS: [&str; 5] = ["encode", "decode", "send", "listen", "replay"];

fn man_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man")
}

/// Whether a program is installed; prints a note if not.
#[cfg(unix)]
fn is_here(program: &str) -> bool {
    let here = shell_in(&Workdir::new(), &format!("command -v {program}")).code == Some(0);
    if !here {
        println!("skipped: there is no {program} here");
    }
    here
}

#[cfg(unix)]
#[test]
fn mandoc_finds_nothing_wrong() {
    if !is_here("mandoc") {
        return;
    }
    let folder = Workdir::new();
    let pages: Vec<PathBuf> = std::fs::read_dir(man_folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.len() > SUBCOMMANDS.len(), "each of them is there");
    for page in pages {
        let outcome = shell_in(&folder, &format!("mandoc -Tlint -Wwarning '{}'", page.display()));
        assert_eq!((outcome.code, outcome.text()), (Some(0), ""), "{}", page.display());
    }
}

/// The options in a help text: words at the beginning of a line that is indented less than
/// a description.
fn listed(help: &str) -> Vec<String> {
    let is_item = |line: &&str| line.trim_start().starts_with('-') && !line.starts_with("        ");
    let lines = help.lines().filter(is_item);
    let words = lines.flat_map(|line| line.trim_start().split(' ').take_while(|word| word.starts_with('-')));
    words.map(|word| word.trim_end_matches(',').to_owned()).collect()
}

#[test]
fn each_option_is_in_help_and_man_page() {
    for name in SUBCOMMANDS {
        let long = backbox([name, "--help"], "");
        let short = backbox([name, "-h"], "");
        let offered = backbox(["__complete", name, "-"], "");
        assert_eq!(backbox(["help", name], "").stdout, long.stdout);
        let options = listed(long.exits(0).text());
        assert!(options.len() > 12, "{name} --help lists {options:?}");
        assert!(short.exits(0).text().contains(&format!("backbox {name} --help")), "{}", short.text());
        assert!(short.text().lines().count() <= 24, "{name} -h does not fit a screen");
        let man_page = std::fs::read_to_string(man_folder().join(format!("backbox-{name}.1"))).unwrap();
        for option in &options {
            let roff = format!("Fl {}", option[1..].replace('-', "\\-"));
            let items = man_page.lines().filter_map(|line| line.strip_prefix(".It "));
            let mut forms = items.flat_map(|line| line.split(" , "));
            assert!(
                forms.any(|form| form == roff || form.starts_with(&format!("{roff} Ar "))),
                "the man page of {name} lacks {option}"
            );
            let candidate = |line: &str| line.split('\t').next() == Some(option);
            assert!(offered.text().lines().any(candidate), "{name} {option} is not completed");
        }
        for option in listed(short.text()) {
            assert!(options.contains(&option), "{name} --help lacks {option}");
        }
    }
}

#[test]
fn program_without_subcommand_has_help() {
    for (args, words) in [
        (&["-h"][..], &["encode", "decode", "--version", "--completions"][..]),
        (&["--help"], &["encode", "decode", "--version", "--completions"]),
        (&["help"], &["encode", "decode"]),
        (&["--version"], &["backbox", env!("CARGO_PKG_VERSION"), std::env::consts::OS]),
        (&["-V"], &["backbox", env!("CARGO_PKG_VERSION")]),
        (&["decode", "--version"], &["backbox", env!("CARGO_PKG_VERSION")]),
    ] {
        let outcome = backbox(args, "");
        outcome.exits(0).reports_nothing();
        assert!(words.iter().all(|word| outcome.text().contains(word)), "{args:?}: {}", outcome.text());
        assert!(outcome.text().lines().all(|line| line.chars().count() <= 80), "{args:?} is too wide");
        assert!(!outcome.text().contains('\x1b'), "{args:?}: bold is for terminals");
    }
}

#[test]
fn help_works_beside_invalid_arguments() {
    for args in [
        &["decode", "--nope", "--help"][..],
        &["decode", "--max-line", "x", "-h"],
        &["decode", "-s", "-F", "{", "--help"],
        &["decode", "missing.bcp", "--help"],
        &["encode", "-0", "--help"],
    ] {
        let outcome: Outcome = backbox(args, "");
        outcome.exits(0).reports_nothing();
        assert!(outcome.text().contains("Usage"), "{}", outcome.text());
    }
}

/// The examples of a help text, each with its description.
#[cfg(unix)]
fn examples(help: &str) -> Vec<(String, String)> {
    let (_, after) = help.split_once("\nExamples:\n").expect("there are examples");
    let lines: Vec<&str> = after.lines().take_while(|line| !line.is_empty()).collect();
    let mut examples: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.strip_prefix("        "), examples.last_mut()) {
            (Some(text), Some((_, about))) => about.push_str(&format!(" {text}")),
            _ => examples.push((line.trim_start().to_owned(), String::new())),
        }
    }
    examples
}

#[cfg(unix)]
#[test]
fn examples_of_the_filters_run() {
    let folder = Workdir::new();
    let session = std::fs::read("tests/data/sessions/one-ball-game.bcp").unwrap();
    folder.write("game.bcp", session);
    let mut count = 0;
    // Other examples need a running peer.
    for name in ["encode", "decode"] {
        for (line, about) in examples(backbox([name, "--help"], "").text()) {
            count += 1;
            let outcome = shell_in(&folder, &line);
            assert_eq!(outcome.code, Some(0), "{line}: {}", outcome.stderr);
            assert!(!outcome.stdout.is_empty(), "{line} prints nothing");
            // If the description is a line of output, it must match.
            let named = about.strip_prefix(" Prints ").and_then(|rest| rest.strip_suffix('.'));
            let named = named.filter(|named| !named.contains(' ') || named.starts_with(char::is_uppercase));
            assert!(named.is_none_or(|named| outcome.text() == format!("{named}\n")), "{line}: {}", outcome.text());
        }
    }
    assert!(count >= 4, "only {count} examples");
}
