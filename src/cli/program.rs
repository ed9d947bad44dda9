//! The program's own command line: which subcommand is meant, or what to print instead.

use std::ffi::OsString;

use super::completions::Shell;
use super::flags::{Complete, FlagInfo};
use super::page::{About, HELP, Page, VERSION};
use super::values::shown;
use super::{completions, help, suggest};
use crate::exit::Failure;

/// The whole program, as its own help, man page and completions see it.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The prose; its name is the program's.
    pub about: About,
    /// The version, as `--version` prints it behind the name.
    pub version: &'static str,
    /// The date on the man pages, in the form `January 31, 2026`: that of the release, so that a page never changes by
    /// itself.
    pub date: &'static str,
    /// The subcommands' pages, in the order in which they are shown and in which [`Top::Subcommand`] counts them.
    pub pages: fn() -> Vec<Page>,
    /// Their names in the same order, for which no page has to be made.
    pub names: &'static [&'static str],
    /// What may have been meant by a word that is near to none of these names.
    pub other: fn(&str) -> Option<String>,
}

/// What the program's arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Top {
    /// Run the subcommand at this place of [`Program::pages`] with these arguments.
    Subcommand(usize, Vec<OsString>),
    /// Print this text, which ends in a line feed, to standard output, and end well.
    Print(String),
}

/// `--completions`, which only the program itself has.
pub(super) const COMPLETIONS: FlagInfo = FlagInfo {
    long: "completions",
    short: None,
    help: "print the completions for a shell",
    more: "",
    metavar: Some("SHELL"),
    complete: Complete::Words(&Shell::WORDS),
    repeats: false,
};

/// The program's own flags.
pub(super) const FLAGS: [FlagInfo; 3] = [HELP, VERSION, COMPLETIONS];

impl Program {
    /// What the arguments behind the program's name ask for. A subcommand comes first; its flags stand behind it.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] when there is no argument, or when the first is no subcommand and no flag of the program.
    pub fn top(&self, args: impl IntoIterator<Item = OsString>) -> Result<Top, Failure> {
        let mut args = args.into_iter();
        let Some(first) = args.next() else {
            let usage = help::program_short(self);
            return Err(Failure::Usage(format!("which subcommand?\n\n{usage}")));
        };
        let rest: Vec<OsString> = args.collect();
        let word = first.to_str().unwrap_or("");
        if let Some(index) = self.names.iter().position(|name| *name == word) {
            return Ok(Top::Subcommand(index, rest));
        }
        let pages = (self.pages)();
        if let Some(shell) = word.strip_prefix("--completions=") {
            return self.completions(Some(shell.into()));
        }
        match word {
            "-h" => Ok(Top::Print(help::program_short(self))),
            "--help" => Ok(Top::Print(help::program_long(self))),
            "help" => self.help(&pages, rest.into_iter().next()),
            "--version" => Ok(Top::Print(self.version_line())),
            "--completions" => self.completions(rest.into_iter().next()),
            _ => Err(self.unknown(&first, &pages)),
        }
    }

    /// What `--version` prints.
    pub(super) fn version_line(&self) -> String {
        format!("{} {}\n", self.about.name, self.version)
    }

    fn help(&self, pages: &[Page], subject: Option<OsString>) -> Result<Top, Failure> {
        let Some(subject) = subject else {
            return Ok(Top::Print(help::program_long(self)));
        };
        let mut pages_named = pages.iter().filter(|page| subject == page.about.name);
        match pages_named.next() {
            Some(page) => Ok(Top::Print(help::long(self, page))),
            None => Err(self.unknown(&subject, pages)),
        }
    }

    fn completions(&self, shell: Option<OsString>) -> Result<Top, Failure> {
        let Some(word) = shell else {
            let words = Shell::WORDS.join(", ");
            let text = format!("--completions: which SHELL? one of {words}");
            return Err(Failure::Usage(text));
        };
        match Shell::named(&word.to_string_lossy()) {
            Some(shell) => Ok(Top::Print(completions::render(self, shell))),
            None => Err(Failure::Usage(format!("--completions: {}", not_among(&shown(&word), &Shell::WORDS)))),
        }
    }

    fn unknown(&self, word: &OsString, pages: &[Page]) -> Failure {
        let name = self.about.name;
        let word = shown(word);
        let kind = if word.starts_with('-') { "flag" } else { "subcommand" };
        let flag = |long: &str| suggest(long, FLAGS.iter().map(|flag| flag.long)).map(|flag| format!("--{flag}"));
        let near = match word.strip_prefix("--") {
            Some(long) => flag(long),
            None if kind == "flag" => None,
            None => suggest(&word, pages.iter().map(|page| page.about.name))
                .map(str::to_owned)
                .or_else(|| flag(&word))
                .or_else(|| (self.other)(&word)),
        };
        let advice = match near {
            Some(near) => format!("did you mean {near}?"),
            None if kind == "flag" => format!("{name} SUBCOMMAND --help lists those that go behind it"),
            None => format!("{name} --help lists what there is"),
        };
        let place = if kind == "flag" { format!(" before the subcommand; {advice}") } else { format!("; {advice}") };
        Failure::Usage(format!("\"{word}\": no such {kind}{place}"))
    }
}

/// The complaint about a word that is none of `words`, with the near one.
pub(super) fn not_among(word: &str, words: &[&'static str]) -> String {
    let list = words.join(", ");
    match suggest(word, words.iter().copied()) {
        Some(near) => format!("\"{word}\" is none of {list}; did you mean {near}?"),
        None => format!("\"{word}\" is none of {list}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::toy::PROGRAM;
    use super::*;

    fn top(words: &[&str]) -> Result<Top, String> {
        PROGRAM.top(words.iter().map(OsString::from)).map_err(|failure| {
            assert!(matches!(failure, Failure::Usage(_)));
            failure.message().unwrap_or("").to_owned()
        })
    }

    #[test]
    fn a_subcommand_takes_the_rest_as_it_stands() {
        let rest = ["--help", "--", "-h"].map(OsString::from).to_vec();
        assert_eq!(top(&["count", "--help", "--", "-h"]), Ok(Top::Subcommand(1, rest)));
        assert_eq!(top(&["press"]), Ok(Top::Subcommand(0, vec![])));
    }

    #[test]
    fn what_is_printed_is_printed_whatever_follows() {
        let long = Top::Print(help::program_long(&PROGRAM));
        assert_eq!(top(&["--help", "--nope"]).as_ref(), Ok(&long));
        assert_eq!(top(&["help"]).as_ref(), Ok(&long));
        assert_eq!(top(&["-h"]), Ok(Top::Print(help::program_short(&PROGRAM))));
        assert_eq!(top(&["--version"]), Ok(Top::Print("toy 1.2.3\n".to_owned())));
        let page = &(PROGRAM.pages)()[1];
        assert_eq!(top(&["help", "count"]), Ok(Top::Print(help::long(&PROGRAM, page))));
    }

    #[test]
    fn completions_are_printed_for_the_shells_that_are_known() {
        for shell in Shell::WORDS {
            let text = match top(&["--completions", shell]) {
                Ok(Top::Print(text)) => text,
                other => panic!("{shell}: {other:?}"),
            };
            assert!(text.contains("count"), "{shell}");
            let joined = format!("--completions={shell}");
            assert_eq!(top(&[&joined]), Ok(Top::Print(text)));
        }
        assert_eq!(
            top(&["--completions", "bsah"]).unwrap_err(),
            "--completions: \"bsah\" is none of bash, zsh, fish; did you mean bash?"
        );
        assert_eq!(top(&["--completions"]).unwrap_err(), "--completions: which SHELL? one of bash, zsh, fish");
    }

    #[test]
    fn a_mistyped_word_gets_the_near_one_or_the_way_to_the_list() {
        for (words, text) in [
            (&["cuont"][..], "\"cuont\": no such subcommand; did you mean count?"),
            (&["help", "pres"], "\"pres\": no such subcommand; did you mean press?"),
            (&["frobnicate"], "\"frobnicate\": no such subcommand; toy --help lists what there is"),
            (&["--verison"], "\"--verison\": no such flag before the subcommand; did you mean --version?"),
            (
                &["-q", "count"],
                "\"-q\": no such flag before the subcommand; toy SUBCOMMAND --help lists those that go behind it",
            ),
            (&["version"], "\"version\": no such subcommand; did you mean --version?"),
            (&["squeeze"], "\"squeeze\": no such subcommand; did you mean toy press?"),
            (&[""], "\"\": no such subcommand; toy --help lists what there is"),
        ] {
            assert_eq!(top(words), Err(text.to_owned()));
        }
    }

    #[test]
    fn no_argument_at_all_is_answered_with_the_usage() {
        let text = top(&[]).unwrap_err();
        assert!(text.starts_with("which subcommand?\n"), "{text}");
        assert!(text.contains("count") && text.contains("press"), "{text}");
    }
}
