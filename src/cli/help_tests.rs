//! Tests of the help texts.

use super::super::toy_tests::{COUNT, PROGRAM};
use super::*;

/// The text without bold headings.
fn bare(text: &str) -> String {
    text.replace(BOLD, "").replace(PLAIN, "")
}

#[test]
fn short_help_has_a_line_for_each_common_option() {
    let expected = "\
Count what is read

Usage: toy count [OPTION]... [WORD]...
       toy count -s [STRING]...

Common options:
  -b, --bytes FILE  Read the payload from FILE
  -q, --quiet       Print no notes
  -h, --help        Print help; -h prints the common options
  -V, --version     Print the version

All options: toy count --help
";
    assert_eq!(bare(&short(&PROGRAM, &COUNT)), expected);
}

#[test]
fn long_help_has_everything_in_the_table() {
    let text = bare(&long(&PROGRAM, &COUNT));
    for part in [
        "Count what is read\n",
        "\n.profile isn't read; a \\ is itself.\n",
        "\nArguments:\n  NAME=TEXT\n        a parameter that is the text\n",
        "\nInput:\n  -b, --bytes FILE\n        Read the payload from FILE. A - is stdin. May be repeated.\n",
        "\n  --max-line BYTES\n        Refuse longer lines. The default is 10. Only with standard input.\n",
        "\n  --color WHEN\n        When to color. WHEN is one of auto, always, never.\n",
        "\n  -0, --null\n        It's NUL that ends them. Only with --string or --bytes.\n",
        "\nNotes:\nA pattern* keeps its star.\n",
        "\nExit status:\n  0      ",
        "\n  2      ",
        "\n  128+n  ended by",
        "\nExamples:\n  toy count -F '{name}\\t' -- -x\n        Counts -x.\n",
        "\nSee also: bcp(7)\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains("124"), "a status that cannot occur is not listed");
}

#[test]
fn program_lists_its_subcommands() {
    let expected = "\
Count and press things

Usage: toy SUBCOMMAND [OPTION]... [WORD]...

Subcommands:
  press  Press a button that isn't there: *
  count  Count what is read

Options:
  -h, --help               Print help; -h prints the common options
  -V, --version            Print the version
      --completions SHELL  Print a completion script

Options of a subcommand: toy SUBCOMMAND -h
";
    assert_eq!(bare(&program_short(&PROGRAM)), expected);
    let text = program_long(&PROGRAM);
    assert!(text.contains("\nA toy. Its options are read by toy count -h and by you.\n"));
    assert!(text.contains("\n  count  Count what is read\n"));
}

#[test]
fn no_line_is_wider_than_the_terminal_or_ends_in_blanks() {
    for command in PROGRAM.subcommands {
        for text in [short(&PROGRAM, command), long(&PROGRAM, command), program_long(&PROGRAM)] {
            assert!(text.ends_with('\n') && !text.contains("\n\n\n"));
            for line in bare(&text).lines() {
                assert!(line.chars().count() <= COLUMNS_MAX, "{line}");
                assert_eq!(line, line.trim_end());
            }
        }
    }
}

#[test]
fn long_terms_have_their_text_on_the_next_line() {
    let row = |term: &str, text: &str| (term.to_owned(), text.to_owned());
    let rows = [row("-a", &"word ".repeat(20)), row("--an-option-with-a-very-long-name VALUE", "text")];
    let text = columns(rows.into_iter());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("  -a  word word"), "{text}");
    assert!(lines[1].starts_with("      word"), "{text}");
    assert_eq!(lines[lines.len() - 1], "      text");
}

#[test]
fn unclosed_marks_are_printed_verbatim() {
    use Span::{Argument, Literal, Plain};
    for (text, expected) in [
        ("", vec![]),
        ("plain", vec![Plain("plain")]),
        ("`a*b*c`", vec![Literal("a*b*c")]),
        ("*NAME*=*TEXT*", vec![Argument("NAME"), Plain("="), Argument("TEXT")]),
        ("a * b `x` * é", vec![Plain("a * b "), Literal("x"), Plain(" * é")]),
        ("2*3*4", vec![Plain("2*3*4")]),
        ("*é", vec![Plain("*é")]),
        ("open ` only", vec![Plain("open ` only")]),
    ] {
        assert_eq!(spans(text), expected, "{text}");
    }
}

#[test]
fn wrapping_keeps_words_and_literals_whole() {
    let long = "a ".repeat(38);
    assert_eq!(wrapped("aa bb", 2), "  aa bb");
    assert_eq!(wrapped(&plain(&format!("{long}`b c` dd")), 0), format!("{long}b c\ndd"));
    assert_eq!(wrapped(&plain(&format!("{long}a `b c` dd")), 0), format!("{long}a\nb c dd"));
    assert_eq!(wrapped("", 4), "");
    assert_eq!(wrapped(&"x".repeat(90), 4), format!("    {}", "x".repeat(90)));
}
