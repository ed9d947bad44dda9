//! Tests of the completer; `tests/completions.rs` runs it from real shells.

use super::super::toy_tests::PROGRAM;
use super::*;

/// The candidates, and `files` if file names are completed too.
fn offers(words: &[&str]) -> Vec<String> {
    let reply = complete(&PROGRAM, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    let lines = reply.lines().map(|line| line.split('\t').next().unwrap_or("").to_owned());
    lines.filter(|word| word != "words").collect()
}

#[test]
fn completion_candidates_depend_on_the_position() {
    for (words, expected) in [
        (&["co"][..], &["count"][..]),
        (&[""], &["press", "count", "help", "-h", "--help", "-V", "--version", "--completions"]),
        (&[], &["press", "count", "help", "-h", "--help", "-V", "--version", "--completions"]),
        (&["--completions", "z"], &["zsh"]),
        (&["help", "p"], &["press"]),
        (&["help", "press", ""], &[]),
        (&["count", "--m"], &["--max-line"]),
        (&["press", "-"], &["-q", "--quiet", "--color", "-h", "--help", "-V", "--version"]),
        (&["count", "--color", "a"], &["auto", "always"]),
        (&["count", "--color=ne"], &["--color=never"]),
        (&["count", "--color", "=", "ne"], &["never"]),
        (&["count", "--color", "="], &["auto", "always", "never"]),
        (&["count", "--max-line", ""], &[]),
        (&["count", "-b", ""], &["files"]),
        (&["count", "--bytes=x"], &["files"]),
        (&["count", "-q", ""], &["files"]),
        (&["count", "--", "--c"], &["files"]),
        (&["press", "st"], &["start", "stop"]),
        (&["press", "-q", "start", "p"], &["player="]),
        (&["press", "--color", "stop", ""], &["start", "stop"]),
        (&["press", "stop", ""], &["hard="]),
        (&["press", "start", "player=s"], &[]),
        (&["press", "start", "player", "=", "s"], &[]),
        (&["press", "start", "player", "="], &[]),
        (&["nope", ""], &[]),
    ] {
        assert_eq!(offers(words), expected, "{words:?}");
    }
}

#[test]
fn completion_candidate_is_followed_by_a_tab_and_its_description() {
    let words = ["press".to_owned(), "--q".to_owned()];
    assert_eq!(complete(&PROGRAM, &words), "words\n--quiet\tPrint no notes\n");
}
