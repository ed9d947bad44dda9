//! Tests of the program's own command line.

use super::super::toy_tests::PROGRAM;
use super::*;

/// The printed text for these arguments, or the error.
fn top(words: &[&str]) -> Result<String, String> {
    match PROGRAM.parse(words.iter().map(OsString::from)).1 {
        Ok(Invocation::Print(text)) => Ok(text),
        Ok(Invocation::Run(..)) => Ok("run".to_owned()),
        Err(failure) => {
            assert!(matches!(failure, Failure::Usage(_)));
            Err(failure.message().unwrap_or("").to_owned())
        }
    }
}

#[test]
fn subcommand_reads_the_rest() {
    assert_eq!(top(&["press"]).as_deref(), Ok("run"));
    assert_eq!(top(&["count", "-V"]).as_deref(), Ok("toy 1.2.3 (anywhere)\n"));
    assert_eq!(PROGRAM.parse(["count".into(), "--nope".into()]).0, "toy count");
}

#[test]
fn help_and_version_are_printed_whatever_follows() {
    let long = help::program_long(&PROGRAM);
    assert_eq!(top(&["--help", "--nope"]).as_ref(), Ok(&long));
    assert_eq!(top(&["help"]).as_ref(), Ok(&long));
    assert_eq!(top(&["-h"]), Ok(help::program_short(&PROGRAM)));
    for version in ["-V", "--version"] {
        assert_eq!(top(&[version]).as_deref(), Ok("toy 1.2.3 (anywhere)\n"));
    }
    assert_eq!(top(&["help", "count"]), Ok(help::long(&PROGRAM, PROGRAM.subcommands[1])));
}

#[test]
fn completion_script_is_printed_for_a_known_shell() {
    for shell in SHELLS {
        let text = top(&["--completions", shell]).unwrap();
        assert!(text.contains("__complete"), "{shell}");
        assert_eq!(top(&[&format!("--completions={shell}")]), Ok(text));
    }
    assert_eq!(
        top(&["--completions", "bsah"]).unwrap_err(),
        "--completions: invalid value \"bsah\"; did you mean bash? (one of bash, zsh, fish)"
    );
    assert_eq!(top(&["--completions"]).unwrap_err(), "--completions needs a value: write one of bash, zsh, fish");
}

#[test]
fn mistyped_subcommand_suggests_a_similar_one_or_the_help() {
    for (words, text) in [
        (&["cuont"][..], "unknown subcommand \"cuont\"; did you mean count?"),
        (&["help", "pres"], "unknown subcommand \"pres\"; did you mean press?"),
        (&["frobnicate"], "unknown subcommand \"frobnicate\"; see toy --help"),
        (&["--verison"], "unknown option --verison before the subcommand; did you mean --version?"),
        (&["-q", "count"], "unknown option -q before the subcommand; write toy SUBCOMMAND -q"),
        (&["version"], "unknown subcommand \"version\"; did you mean --version?"),
        (&["squeeze"], "unknown subcommand \"squeeze\"; did you mean toy press?"),
        (&[""], "unknown subcommand \"\"; see toy --help"),
    ] {
        assert_eq!(top(words).unwrap_err(), text);
    }
}

#[test]
fn missing_subcommand_is_reported_with_the_usage() {
    let text = top(&[]).unwrap_err();
    assert!(text.starts_with("subcommand missing\n"), "{text}");
    assert!(text.contains("count") && text.contains("press") && !text.contains(BOLD), "{text}");
}
