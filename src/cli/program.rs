//! The program's own command line: which subcommand is meant, or what to print instead.

use std::ffi::OsString;

use super::command::{HELP, Job, Program, VERSION};
use super::completions::Shell;
use super::flags::Flag;
use super::parse::Parsed;
use super::values::shown;
use super::{completions, help, suggest};
use crate::exit::Failure;

/// `--completions`, which only the program itself has.
pub(super) const COMPLETIONS: Flag =
    Flag::choice("completions", "SHELL", &Shell::WORDS, "Print the completions for a shell", |(), _| {});

/// The program's own options.
pub(super) const FLAGS: [Flag; 3] = [HELP, VERSION, COMPLETIONS];

impl Program {
    /// What the arguments after the program's name ask for, and who says so in error messages: `backbox send`. The
    /// subcommand comes first; its options follow it.
    pub fn parse(&self, args: impl IntoIterator<Item = OsString>) -> (String, Result<Parsed<Job>, Failure>) {
        let mut args = args.into_iter();
        let name = self.help.name;
        let Some(first) = args.next() else {
            let usage = help::program_short(self);
            return (name.to_owned(), Err(Failure::Usage(format!("which subcommand?\n\n{usage}"))));
        };
        let rest: Vec<OsString> = args.collect();
        match self.subcommands.iter().find(|subcommand| first == subcommand.help().name) {
            Some(subcommand) => (format!("{name} {}", subcommand.help().name), subcommand.parse(self, rest)),
            None => (name.to_owned(), self.print(&first, rest).map(Parsed::Print)),
        }
    }

    fn print(&self, first: &OsString, rest: Vec<OsString>) -> Result<String, Failure> {
        let word = first.to_str().unwrap_or("");
        if let Some(shell) = word.strip_prefix("--completions=") {
            return self.completions(Some(shell.into()));
        }
        match word {
            "-h" => Ok(help::program_short(self)),
            "--help" => Ok(help::program_long(self)),
            "help" => self.help(rest.into_iter().next()),
            "-V" | "--version" => Ok(self.version_line()),
            "--completions" => self.completions(rest.into_iter().next()),
            _ => Err(self.unknown(first)),
        }
    }

    /// What `--version` prints.
    pub(super) fn version_line(&self) -> String {
        format!("{} {}\n", self.help.name, self.version)
    }

    fn help(&self, subject: Option<OsString>) -> Result<String, Failure> {
        let Some(subject) = subject else { return Ok(help::program_long(self)) };
        match self.subcommands.iter().find(|subcommand| subject == subcommand.help().name) {
            Some(subcommand) => Ok(help::long(self, *subcommand)),
            None => Err(self.unknown(&subject)),
        }
    }

    fn completions(&self, shell: Option<OsString>) -> Result<String, Failure> {
        let Some(word) = shell else {
            let words = Shell::WORDS.join(", ");
            let text = format!("--completions: which SHELL? one of {words}");
            return Err(Failure::Usage(text));
        };
        match Shell::named(&word.to_string_lossy()) {
            Some(shell) => Ok(completions::render(self, shell)),
            None => Err(Failure::Usage(format!("--completions: {}", not_among(&shown(&word), &Shell::WORDS)))),
        }
    }

    fn unknown(&self, word: &OsString) -> Failure {
        let name = self.help.name;
        let word = shown(word);
        let kind = if word.starts_with('-') { "flag" } else { "subcommand" };
        let flag = |long: &str| suggest(long, FLAGS.iter().map(|flag| flag.long)).map(|flag| format!("--{flag}"));
        let near = match word.strip_prefix("--") {
            Some(long) => flag(long),
            None if kind == "flag" => None,
            None => suggest(&word, self.subcommands.iter().map(|page| page.help().name))
                .map(str::to_owned)
                .or_else(|| flag(&word))
                .or_else(|| (self.alias_hint)(&word)),
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

    /// What is printed for these words, or the complaint.
    fn top(words: &[&str]) -> Result<String, String> {
        match PROGRAM.parse(words.iter().map(OsString::from)).1 {
            Ok(Parsed::Print(text)) => Ok(text),
            Ok(Parsed::Run(_)) => Ok("run".to_owned()),
            Err(failure) => {
                assert!(matches!(failure, Failure::Usage(_)));
                Err(failure.message().unwrap_or("").to_owned())
            }
        }
    }

    #[test]
    fn a_subcommand_reads_the_rest() {
        assert_eq!(top(&["press"]).as_deref(), Ok("run"));
        assert_eq!(top(&["count", "-V"]).as_deref(), Ok("toy 1.2.3\n"));
        assert_eq!(PROGRAM.parse(["count".into(), "--nope".into()]).0, "toy count");
    }

    #[test]
    fn what_is_printed_is_printed_whatever_follows() {
        let long = help::program_long(&PROGRAM);
        assert_eq!(top(&["--help", "--nope"]).as_ref(), Ok(&long));
        assert_eq!(top(&["help"]).as_ref(), Ok(&long));
        assert_eq!(top(&["-h"]), Ok(help::program_short(&PROGRAM)));
        assert_eq!(top(&["--version"]).as_deref(), Ok("toy 1.2.3\n"));
        assert_eq!(top(&["help", "count"]), Ok(help::long(&PROGRAM, PROGRAM.subcommands[1])));
    }

    #[test]
    fn completions_are_printed_for_the_shells_that_are_known() {
        for shell in Shell::WORDS {
            let text = top(&["--completions", shell]).unwrap();
            assert!(text.contains("count"), "{shell}");
            let joined = format!("--completions={shell}");
            assert_eq!(top(&[&joined]), Ok(text));
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
            assert_eq!(top(words).unwrap_err(), text);
        }
    }

    #[test]
    fn no_argument_at_all_is_answered_with_the_usage() {
        let text = top(&[]).unwrap_err();
        assert!(text.starts_with("which subcommand?\n"), "{text}");
        assert!(text.contains("count") && text.contains("press"), "{text}");
    }
}
