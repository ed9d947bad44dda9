//! The pages that are rendered from the flag tables: man pages in `man/`, help and completions. A stale man page is
//! rewritten and fails this test, so that running it a second time and committing is all there is to do; where `CI` is
//! set it only fails.

mod common;

use backbox::cli::man;
use backbox::commands::PROGRAM;
use common::{Outcome, Workdir, backbox, shell_in};
use std::path::{Path, PathBuf};

/// Every rendered man page: its file's name and its text.
fn rendered() -> Vec<(String, String)> {
    let name = PROGRAM.help.name;
    let mut pages = vec![(format!("{name}.1"), man::program(&PROGRAM))];
    for page in PROGRAM.subcommands {
        pages.push((format!("{name}-{}.1", page.help().name), man::page(&PROGRAM, *page)));
    }
    pages
}

fn man_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man")
}

#[test]
fn the_man_pages_are_those_of_the_tables() {
    let mut stale = Vec::new();
    for (name, text) in rendered() {
        let path = man_folder().join(&name);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if std::env::var_os("CI").is_none() {
            std::fs::write(&path, text).unwrap();
        }
        stale.push(name);
    }
    assert!(stale.is_empty(), "stale, and rewritten unless CI is set: {}; run again and commit", stale.join(", "));
}

#[test]
fn no_man_page_is_left_of_a_subcommand_that_is_gone() {
    let known: Vec<String> = rendered().into_iter().map(|(name, _)| name).collect();
    for entry in std::fs::read_dir(man_folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".1") || known.contains(&name), "{name} belongs to no subcommand");
    }
}

/// Whether a program is installed; said aloud when it is not.
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
    assert!(pages.len() >= rendered().len(), "each of them is there");
    for page in pages {
        let outcome = shell_in(&folder, &format!("mandoc -Tlint -Wwarning '{}'", page.display()));
        assert_eq!((outcome.code, outcome.text()), (Some(0), ""), "{}", page.display());
    }
}

/// Whether `text` has this word, with anything around it that is no part of a flag.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|found| found == word)
}

#[test]
fn every_flag_is_on_every_page() {
    let mut count = 0;
    for page in PROGRAM.subcommands {
        let name = page.help().name;
        let short = backbox([name, "-h"], "");
        let long = backbox([name, "--help"], "");
        let man_page = man::page(&PROGRAM, *page);
        assert_eq!(backbox(["help", name], "").stdout, long.stdout);
        for flag in page.flags() {
            for spelled in flag.spellings() {
                count += 1;
                assert!(has_word(short.exits(0).text(), &spelled), "{name} -h lacks {spelled}");
                assert!(has_word(long.exits(0).text(), &spelled), "{name} --help lacks {spelled}");
                let roff = format!("Fl {}", spelled[1..].replace('-', "\\-"));
                let listed = man_page
                    .lines()
                    .any(|line| line.starts_with(".It Fl ") && line.split(" , ").any(|form| has_flag(form, &roff)));
                assert!(listed, "the man page of {name} lacks {spelled}");
            }
        }
    }
    assert!(count > 40, "only {count} spellings");
}

/// Whether one form of an `.It` line is this flag, with or without a value behind it.
fn has_flag(form: &str, roff: &str) -> bool {
    let form = form.trim_start_matches(".It ");
    form == roff || form.strip_prefix(roff).is_some_and(|rest| rest.starts_with(" Ar "))
}

#[test]
fn the_program_itself_has_help() {
    for (args, words) in [
        (&["-h"][..], &["encode", "decode", "--version", "--completions"][..]),
        (&["--help"], &["encode", "decode", "--version", "--completions"]),
        (&["help"], &["encode", "decode"]),
        (&["--version"], &["backbox", env!("CARGO_PKG_VERSION")]),
        (&["decode", "--version"], &["backbox", env!("CARGO_PKG_VERSION")]),
    ] {
        let outcome = backbox(args, "");
        outcome.exits(0).says_nothing();
        assert!(words.iter().all(|word| outcome.text().contains(word)), "{args:?}: {}", outcome.text());
        assert!(outcome.text().lines().all(|line| line.chars().count() <= 80), "{args:?} is too wide");
    }
}

#[test]
fn help_works_when_everything_else_is_wrong() {
    for args in [
        &["decode", "--nope", "--help"][..],
        &["decode", "--max-line", "x", "-h"],
        &["decode", "-s", "-F", "{", "--help"],
        &["decode", "missing.bcp", "--help"],
        &["encode", "-0", "--help"],
    ] {
        let outcome: Outcome = backbox(args, "");
        outcome.exits(0).says_nothing();
        assert!(outcome.text().contains("Usage") || outcome.text().contains("--help"), "{}", outcome.text());
    }
}

/// Loads the completions into a shell and asks whether it knows them.
#[cfg(unix)]
fn check_loads(shell: &str, file: &str, ask: &str) {
    if !is_here(shell) {
        return;
    }
    let folder = Workdir::new();
    let script = backbox(["--completions", shell], "");
    folder.write(file, &script.exits(0).stdout);
    let outcome = shell_in(&folder, &format!("HOME=. XDG_CONFIG_HOME=. XDG_DATA_HOME=. {ask}"));
    outcome.exits(0).says_nothing();
    assert!(outcome.text().contains("backbox"), "{shell} does not know it: {}", outcome.text());
}

#[cfg(unix)]
#[test]
fn the_completions_load_in_their_shells() {
    check_loads("bash", "backbox.bash", "bash --norc --noprofile -c 'set -eu; . ./backbox.bash; complete -p backbox'");
    check_loads("fish", "backbox.fish", "fish --no-config -c 'source backbox.fish; complete -c backbox'");
    // zsh finds the file by its name, reads its first line, and loads the rest when it is needed.
    check_loads(
        "zsh",
        "_backbox",
        "zsh -f -c 'fpath=($PWD $fpath); autoload -Uz compinit; compinit -D -u; \
         print ${_comps[backbox]}; autoload +X _backbox'",
    );
}

#[cfg(unix)]
#[test]
fn the_examples_of_the_pages_run() {
    let folder = Workdir::new();
    let session = std::fs::read("tests/data/sessions/one-ball-game.bcp").unwrap();
    folder.write("game.bcp", session);
    let mut count = 0;
    // Others wait for a machine, and are shown to work where there is one.
    let filters = ["encode", "decode"];
    let abouts = PROGRAM.subcommands.iter().map(|page| page.help());
    for about in abouts.filter(|about| filters.contains(&about.name)) {
        for example in about.examples {
            count += 1;
            let outcome = shell_in(&folder, example.line);
            assert_eq!(outcome.code, Some(0), "{}: {}", example.line, outcome.stderr);
            assert!(!outcome.stdout.is_empty(), "{} prints nothing", example.line);
            // An example that names its one line of output has to be right about it.
            let named = example.text.strip_prefix("Prints `").and_then(|rest| rest.strip_suffix("`."));
            assert!(
                named.is_none_or(|named| outcome.text() == format!("{named}\n")),
                "{}: {}",
                example.line,
                outcome.text()
            );
        }
    }
    assert!(count >= 4, "only {count} examples");
}
