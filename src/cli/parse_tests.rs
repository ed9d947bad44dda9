//! Tests of the parser: each rule, then every short combination of unusual arguments.

use super::super::toy_tests::{COUNT, Count, PRESS, PROGRAM, WAIT};
use super::*;

/// What a command line of `toy count` is.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Run(Count),
    Print(String),
}

fn run(words: &[&str]) -> Result<Count, String> {
    match parse_count(words.iter().map(OsString::from).collect()) {
        Ok(Parsed::Run(options)) => Ok(options),
        Ok(Parsed::Print(text)) => panic!("{words:?} printed {text}"),
        Err(text) => Err(text),
    }
}

fn parse_count(words: Vec<OsString>) -> Result<Parsed, String> {
    let parsed = parse(&PROGRAM, &COUNT, words).and_then(|invocation| match invocation {
        Invocation::Print(text) => Ok(Parsed::Print(text)),
        Invocation::Run(_, given) => Count::read(&given).map(Parsed::Run),
    });
    parsed.map_err(usage)
}

fn usage(failure: Failure) -> String {
    match failure {
        Failure::Usage(text) => text,
        other => panic!("not usage: {other:?}"),
    }
}

fn count(change: impl FnOnce(&mut Count)) -> Result<Count, String> {
    let mut options = Count::default();
    change(&mut options);
    Ok(options)
}

#[test]
fn option_value_is_accepted_attached_and_separate() {
    for words in [&["-F", "{name}"][..], &["-F{name}"], &["-F={name}"], &["--format", "{name}"], &["--format={name}"]] {
        let expected = count(|o| o.format = Some("{name}".to_owned()));
        assert_eq!(run(words), expected, "{words:?}");
    }
    assert_eq!(run(&["--format="]), count(|o| o.format = Some(String::new())));
    assert_eq!(run(&["--format=a=b"]), count(|o| o.format = Some("a=b".to_owned())));
    assert_eq!(run(&["-F=--quiet"]), count(|o| o.format = Some("--quiet".to_owned())));
    assert_eq!(run(&["-F", "-x"]), count(|o| o.format = Some("-x".to_owned())));
}

#[test]
fn switches_combine_and_the_last_may_have_a_value() {
    let both = |o: &mut Count| (o.string, o.null) = (true, true);
    assert_eq!(run(&["-s0"]), count(both));
    assert_eq!(run(&["-s", "--null"]), count(both));
    let with_bytes = count(|o| {
        both(o);
        o.bytes.push("x".into());
    });
    assert_eq!(run(&["-s0bx"]), with_bytes);
    assert_eq!(run(&["-s0b", "x"]), with_bytes);
}

#[test]
fn positionals_may_be_anywhere_and_two_dashes_end_the_options() {
    let words = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
    assert_eq!(run(&["a", "-s", "-", "b"]), count(|o| (o.string, o.words) = (true, words(&["a", "-", "b"]))));
    assert_eq!(run(&["--", "-s", "--", "--help"]), count(|o| o.words = words(&["-s", "--", "--help"])));
    assert_eq!(run(&[""]), count(|o| o.words = words(&[""])));
}

#[test]
fn repeated_option_is_collected_or_the_last_wins() {
    assert_eq!(run(&["-b", "x", "--bytes", "y"]), count(|o| o.bytes = vec!["x".into(), "y".into()]));
    assert_eq!(run(&["--max-line", "1", "--max-line", "2"]), count(|o| o.line_bytes_max = Some(2)));
}

#[test]
fn shared_options_work_in_each_subcommand() {
    let words = || ["--color", "never", "-q"].map(OsString::from).to_vec();
    let Ok(Invocation::Run(command, given)) = parse(&PROGRAM, &PRESS, words()) else { panic!("it does not run") };
    assert_eq!((command.help.name, given.word("color"), given.has("quiet")), ("press", Some("never"), true));
    assert_eq!(run(&["--color=never", "-q"]), count(|o| (o.color, o.quiet) = (Some("never".to_owned()), true)));
}

#[test]
fn error_names_the_option_as_typed_and_what_to_do() {
    let listed = "; see toy count --help, or write -- before an argument with a dash";
    for (words, text) in [
        (&["--fial-fast"][..], "unknown option --fial-fast; did you mean --fail-fast?".to_owned()),
        (&["--hlep"], "unknown option --hlep; did you mean --help?".to_owned()),
        (&["--line-buffered"], format!("unknown option --line-buffered{listed}")),
        (&["-Z"], format!("unknown option -Z{listed}")),
        (&["-B"], "unknown option -B; did you mean -b?".to_owned()),
        (&["-\u{1b}"], format!("unknown option -\\x1b{listed}")),
        (&["--=x"], format!("unknown option --{listed}")),
        (&["t", "-b"], "-b needs a value: write -b FILE".to_owned()),
        (&["--bytes"], "--bytes needs a value: write --bytes FILE".to_owned()),
        (&["-b", "-q"], "-b needs a value: write -b FILE, or -b=-q if that is the value".to_owned()),
        (&["--max-line", "lots"], "--max-line: invalid number \"lots\"".to_owned()),
        (&["--max-line="], "--max-line: invalid number \"\"".to_owned()),
        (&["--quiet=yes"], "--quiet takes no value: \"yes\"".to_owned()),
        (&["-q=yes"], "-q takes no value: \"yes\"".to_owned()),
        (
            &["--color", "nevr"],
            "--color: invalid value \"nevr\"; did you mean never? (one of auto, always, never)".to_owned(),
        ),
        (&["--color=red"], "--color: invalid value \"red\"; write one of auto, always, never".to_owned()),
        (&["--nope", "--max-line", "x"], format!("unknown option --nope{listed}")),
    ] {
        assert_eq!(run(words), Err(text), "{words:?}");
    }
}

#[test]
fn rules_are_checked_after_the_last_argument() {
    for (words, text) in [
        (&["-0"][..], Some("-0 needs --string or --bytes: only strings have an end")),
        (&["-s", "--null"], None),
        (&["-0", "-b", "x"], None),
        (&["-F", "x", "--string"], Some("-F and --string cannot be used together: a string has no parts")),
        (
            &["--fail-fast", "-q", "--color", "never"],
            Some("--fail-fast and --color never cannot be used together: why"),
        ),
        (&["--fail-fast", "--color", "never", "--color", "auto"], None),
        (&["--fail-fast", "word"], Some("--fail-fast and WORD cannot be used together: nothing is read")),
        (&["--fail-fast", "-"], None),
        (&["--max-line", "1", "-"], None),
        (&["--max-line", "1", "word"], Some("--max-line needs standard input: arguments are short")),
    ] {
        assert_eq!(run(words).err().as_deref(), text, "{words:?}");
    }
}

#[test]
fn subcommand_without_positionals_refuses_them() {
    let text = parse(&PROGRAM, &WAIT, vec!["x\u{7}".into()]).map_err(usage).unwrap_err();
    assert_eq!(text, "unexpected argument \"x\\x07\": toy wait takes options only");
}

#[test]
fn help_works_beside_invalid_arguments() {
    let printed = |words: &[&str]| parse_count(words.iter().map(OsString::from).collect());
    let (short, long) = (help::short(&PROGRAM, &COUNT), help::long(&PROGRAM, &COUNT));
    for words in [
        &["--help"][..],
        &["--frobnicate", "--help"],
        &["--frobnicate=-h", "--help"],
        &["-Zh", "--help"],
        &["word", "--max-line", "x", "--help", "-h"],
        &["--max-line", "--help"],
        &["--quiet=yes", "-b", "x", "--help"],
        &["--help", "--version"],
        &["-F", "--help"],
    ] {
        assert_eq!(printed(words), Ok(Parsed::Print(long.clone())), "{words:?}");
    }
    for words in [&["-h"][..], &["-sh"], &["--nope", "-h"], &["-h", "--help"]] {
        assert_eq!(printed(words), Ok(Parsed::Print(short.clone())), "{words:?}");
    }
    let version = Parsed::Print("toy 1.2.3 (anywhere)\n".to_owned());
    assert_eq!(printed(&["--nope", "--version"]), Ok(version));
    assert!(printed(&["--nope", "--", "--help"]).is_err());
    assert_eq!(run(&["-F=--help"]), count(|o| o.format = Some("--help".to_owned())), "an attached value is a value");
}

#[cfg(unix)]
#[test]
fn value_need_not_be_utf_8_unless_its_reader_says_so() {
    use std::os::unix::ffi::OsStringExt;
    let word = || OsString::from_vec(b"a\xff".to_vec());
    let mut expected = Count::default();
    expected.bytes.push(word());
    expected.words.push(word());
    let words = vec!["-b".into(), word(), word()];
    assert_eq!(parse_count(words), Ok(Parsed::Run(expected)));
    assert_eq!(parse_count(vec!["-F".into(), word()]), Err("-F: \"a\\xFF\" is not UTF-8".to_owned()));
}

/// Arguments that often break command line parsers.
fn unusual_words() -> Vec<OsString> {
    #[cfg_attr(windows, allow(unused_mut))]
    let mut words: Vec<OsString> = [
        "",
        "-",
        "--",
        "---",
        "-=",
        "--=",
        "-s",
        "-s0",
        "-s=",
        "-0s-",
        "-b",
        "-b=",
        "-bx",
        "-b-s",
        "--bytes=",
        "--bytes",
        "--byte",
        "--max-line=x",
        "--max-line",
        "7",
        "-7",
        "-Fx",
        "-Fé",
        "-F=",
        "-é",
        "-és",
        "--é=é",
        "--color=never",
        "--color",
        "never",
        "--quiet=",
        "--Quiet",
        "-h",
        "-sh",
        "--help",
        "--version",
        "a=b",
        "\u{0}",
        "-\u{0}",
        "--a b",
    ]
    .map(OsString::from)
    .to_vec();
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        let broken = [&b"\xff"[..], b"-\xff", b"-s\xffs", b"--\xff", b"--bytes=\xc3", b"-F\xc3"];
        words.extend(broken.map(|bytes| OsString::from_vec(bytes.to_vec())));
    }
    words
}

/// The same options in their plainest form.
fn spelled_out(options: &Count) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    for (given, spelling) in [
        (options.quiet, "--quiet"),
        (options.string, "--string"),
        (options.null, "--null"),
        (options.fail_fast, "--fail-fast"),
    ] {
        words.extend(given.then(|| spelling.into()));
    }
    for bytes in &options.bytes {
        let mut word = OsString::from("--bytes=");
        word.push(bytes);
        words.push(word);
    }
    if let Some(format) = &options.format {
        words.push(format!("--format={format}").into());
    }
    if let Some(bytes) = options.line_bytes_max {
        words.extend(["--max-line".into(), bytes.to_string().into()]);
    }
    if let Some(when) = &options.color {
        words.extend(["--color".into(), when.into()]);
    }
    words.push("--".into());
    words.extend(options.words.iter().cloned());
    words
}

/// Properties of every command line.
fn check(line: &[OsString], prints: &[String; 3]) {
    match parse_count(line.to_vec()) {
        Ok(Parsed::Run(options)) => {
            let again = parse_count(spelled_out(&options));
            assert_eq!(again, Ok(Parsed::Run(options.clone())), "{line:?}");
            let (flags, operands) = match line.iter().position(|word| word == "--") {
                Some(place) if !line[..place].iter().any(takes_a_value) => (&line[..place], &line[place + 1..]),
                _ => (line, &line[..0]),
            };
            assert!(options.words.ends_with(operands), "{line:?}");
            let plain = flags.iter().all(|word| !has_dash(word));
            assert!(!plain || options.words.len() == flags.len() + operands.len(), "{line:?}");
        }
        Ok(Parsed::Print(text)) => {
            assert!(prints.contains(&text), "{line:?}");
            let asks = |word: &OsString| ["-h", "-sh", "--help", "--version"].iter().any(|ask| word == ask);
            assert!(line.iter().any(asks), "{line:?}");
        }
        Err(text) => {
            assert!(!text.contains(char::is_control), "{line:?}: {text:?}");
            let begins = ["-", "unknown option -"].iter().any(|begin| text.starts_with(begin));
            assert!(begins, "{line:?}: {text}");
            assert_eq!(text.matches("invalid number").count(), text.matches("--max-line: invalid").count());
        }
    }
}

fn has_dash(word: &OsString) -> bool {
    word.len() > 1 && word.to_string_lossy().starts_with('-')
}

fn takes_a_value(word: &OsString) -> bool {
    ["-b", "--bytes", "--max-line", "--color"].iter().any(|flag| word == flag)
}

#[test]
fn each_command_line_of_three_unusual_words_has_a_known_result() {
    let prints = [help::short(&PROGRAM, &COUNT), help::long(&PROGRAM, &COUNT), PROGRAM.version_line()];
    let words = unusual_words();
    check(&[], &prints);
    for first in &words {
        check(std::slice::from_ref(first), &prints);
        for second in &words {
            check(&[first.clone(), second.clone()], &prints);
            for third in &words {
                check(&[first.clone(), second.clone(), third.clone()], &prints);
            }
        }
    }
}
