//! The small markup of the tables' texts, read in one place and written for each medium.
//!
//! `` `literal` `` is something typed or shown as it stands, `*ARGUMENT*` stands for something. A star or backtick that
//! opens nothing is itself: a star opens an argument only when a letter follows it and another star ends the word.

/// A literal longer than this, in characters, may be broken across lines: kept whole it would leave a ragged hole.
const UNBROKEN_CHARS_MAX: usize = 40;

/// Stands for a space at which no line is broken, until the text is laid out.
const GLUE: char = '\u{a0}';

/// A stretch of text of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span<'a> {
    Plain(&'a str),
    Literal(&'a str),
    Argument(&'a str),
}

/// The text for a terminal or a file, without marks; [`wrapped`] lays it out.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::new();
    for span in spans(text) {
        match span {
            Span::Plain(text) | Span::Argument(text) => out.push_str(text),
            Span::Literal(text) => out.push_str(&glued(text, GLUE)),
        }
    }
    out
}

/// The text with breakable literals back to plain spaces, for what is not laid out.
pub(super) fn line(text: &str) -> String {
    plain(text).replace(GLUE, " ")
}

/// The text as roff, fonts and escapes included, in one line; [`roff_lines`] breaks it.
pub(super) fn roff(text: &str) -> String {
    let mut out = String::new();
    for span in spans(text) {
        match span {
            Span::Plain(text) => escape(text, false, &mut out),
            Span::Literal(text) => {
                out.push_str("\\fB");
                escape(&glued(text, GLUE), true, &mut out);
                out.push_str("\\fR");
            }
            Span::Argument(text) => {
                out.push_str("\\fI");
                escape(text, true, &mut out);
                out.push_str("\\fR");
            }
        }
    }
    out
}

/// Something typed, as roff: no character of it is changed by the formatter, so that it can be copied from the page.
pub(super) fn roff_literal(text: &str) -> String {
    let mut out = String::new();
    escape(text, true, &mut out);
    out
}

/// A paragraph as source lines of a man page: a sentence begins a line, and no line begins with what roff would obey.
pub(super) fn roff_lines(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in roff(text).split(' ').filter(|word| !word.is_empty()) {
        let line = lines.last_mut().map_or("", |line| line.as_str());
        if !line.is_empty() && (ends_sentence(line) || line.len() + word.len() > 78) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            } else if word.starts_with(['.', '\'']) {
                line.push_str("\\&");
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

/// A text without marks broken into lines of at most `width` characters, where words allow it, each after `indent` spaces.
pub(super) fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column > 0 && column + 1 + length <= width {
            out.push(' ');
            column += 1 + length;
        } else {
            if column > 0 {
                out.push('\n');
            }
            out.push_str(&" ".repeat(indent));
            column = indent + length;
        }
        out.push_str(word);
    }
    out.replace(GLUE, " ")
}

fn glued(literal: &str, glue: char) -> String {
    if literal.chars().count() > UNBROKEN_CHARS_MAX {
        return literal.to_owned();
    }
    literal.replace(' ', &glue.to_string())
}

fn ends_sentence(line: &str) -> bool {
    let bare = line.trim_end_matches("\\fR").trim_end_matches([')', '"', '\'']);
    bare.ends_with(['.', '!', '?']) && !bare.ends_with("..")
}

/// Escapes for roff. A dash of something typed has to stay the dash that shells know, which is `\-`; so has one that
/// begins a word, since that is a flag whether it was marked or not.
fn escape(text: &str, literal: bool, out: &mut String) {
    let mut begins = out.is_empty() || out.ends_with([' ', '-']);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\e"),
            '-' if literal || begins => out.push_str("\\-"),
            '\'' if literal => out.push_str("\\(aq"),
            '"' => out.push_str("\\(dq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            GLUE => out.push_str("\\ "),
            '\n' => out.push(' '),
            _ if letter.is_ascii() => out.push(letter),
            _ => out.push_str(&format!("\\[u{:04X}]", u32::from(letter))),
        }
        begins = matches!(letter, ' ' | '\n' | '(' | '[') || (begins && letter == '-');
    }
}

fn spans(text: &str) -> Vec<Span<'_>> {
    let mut spans = Vec::new();
    let mut rest = text;
    let mut searched = 0;
    while let Some(found) = rest.get(searched..).and_then(|tail| tail.find(['`', '*'])).map(|place| place + searched) {
        let (before, marked) = rest.split_at(found);
        match opened(marked) {
            Some((span, after)) => {
                if !before.is_empty() {
                    spans.push(Span::Plain(before));
                }
                spans.push(span);
                rest = after;
                searched = 0;
            }
            None => searched = found + 1,
        }
    }
    if !rest.is_empty() {
        spans.push(Span::Plain(rest));
    }
    spans
}

/// The span that begins at the mark which begins `marked`, and what comes after it.
fn opened(marked: &str) -> Option<(Span<'_>, &str)> {
    if let Some(inner) = marked.strip_prefix('`') {
        let (literal, after) = inner.split_once('`')?;
        return Some((Span::Literal(literal), after));
    }
    let (argument, after) = marked.strip_prefix('*')?.split_once('*')?;
    let word = argument.starts_with(|letter: char| letter.is_alphabetic()) && !argument.contains([' ', '\n', '`']);
    word.then_some((Span::Argument(argument), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_open_only_what_they_close() {
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
    fn a_terminal_sees_no_marks() {
        assert_eq!(line("write `a b` or *X*"), "write a b or X");
    }

    #[test]
    fn roff_keeps_what_is_typed() {
        assert_eq!(roff("`--max-line` of read-only *MAX-N*"), "\\fB\\-\\-max\\-line\\fR of read-only \\fIMAX\\-N\\fR");
        assert_eq!(roff("say --quiet (-q): \\ \"é\""), "say \\-\\-quiet (\\-q): \\e \\(dq\\[u00E9]\\(dq");
        assert_eq!(roff_literal("$'\\t' ~^`"), "$\\(aq\\et\\(aq \\(ti\\(ha\\(ga");
    }

    #[test]
    fn roff_lines_begin_with_sentences_and_never_with_a_request() {
        assert_eq!(
            roff_lines(".bcp files. 'Tis one. See `a b`."),
            "\\&.bcp files.\n\\&'Tis one.\nSee \\fBa\\ b\\fR.\n"
        );
        for line in roff_lines(&"a .b 'c ".repeat(60)).lines() {
            assert!(!line.starts_with(['.', '\'']), "{line}");
        }
    }

    #[test]
    fn wrapping_keeps_words_and_literals_whole() {
        assert_eq!(wrapped("aa bb cc", 2, 7), "  aa bb\n  cc");
        assert_eq!(wrapped(&plain("aa `b c` dd"), 0, 6), "aa b c\ndd", "a literal fits");
        assert_eq!(wrapped(&plain("aaaa `b c` dd"), 0, 6), "aaaa\nb c dd");
        assert_eq!(wrapped("", 4, 80), "");
        assert_eq!(wrapped("muchtoolong", 4, 6), "    muchtoolong");
    }
}
