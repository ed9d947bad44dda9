//! `encode` and `decode` as filters (design.md, sections 6, 8 and 14): as coprocesses, with readers that leave, on full
//! disks, with flags that make no sense, on a terminal. `bad_input.rs` and `memory.rs` have the rest.

mod common;

use common::{Coprocess, Workdir, backbox, backbox_in, program, run};
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Instant;

/// How many rounds a coprocess has to go.
const ROUNDS: usize = 3_000;

/// What is written in round `n`, and what has to come back, each without its end.
type Round = fn(usize) -> (String, String);

#[track_caller]
fn check_coprocess(args: &[&str], end_in: u8, end_out: u8, round: Round) {
    let mut filter = Coprocess::start(args);
    for n in 0..ROUNDS {
        let (question, answer) = round(n);
        let mut line = question.into_bytes();
        line.push(end_in);
        filter.write(&line);
        let mut got = filter.read_until(end_out);
        got.pop();
        assert_eq!(String::from_utf8_lossy(&got), answer, "round {n}");
    }
    assert_eq!(filter.close().code(), Some(0));
}

#[test]
fn decode_is_a_coprocess() {
    check_coprocess(&["decode"], b'\n', b'\n', |n| {
        (format!("t?n=int:{n}&s=a+b"), format!("{{\"command\":\"t\",\"params\":{{\"n\":{n},\"s\":\"a b\"}}}}"))
    });
}

#[test]
fn decode_with_a_template_is_a_coprocess() {
    check_coprocess(&["decode", "-F", "{n}"], b'\n', b'\n', |n| (format!("#\n\nt?n=int:{n}"), n.to_string()));
}

#[test]
fn encode_is_a_coprocess() {
    check_coprocess(&["encode"], b'\n', b'\n', |n| {
        (format!("{{\"command\":\"t\",\"params\":{{\"n\":{n}}}}}"), format!("t?n=int:{n}"))
    });
}

#[test]
fn encode_of_strings_is_a_coprocess() {
    check_coprocess(&["encode", "-s"], b'\n', b'\n', |n| (format!("{n} %"), format!("{n}%20%25")));
}

#[test]
fn decode_of_strings_is_a_coprocess() {
    check_coprocess(&["decode", "-s"], b'\n', b'\n', |n| (format!("{n}+%25"), format!("{n} %")));
    check_coprocess(&["decode", "-s0"], b'\n', 0, |n| (format!("{n}%0A"), format!("{n}\n")));
    check_coprocess(&["encode", "-s0"], 0, b'\n', |n| (format!("{n}\n"), format!("{n}%0A")));
}

/// Runs a filter on an endless input and leaves after the first `lines` lines of its output, as `head` does.
fn leave_after(args: &[&str], begin: &str, lines: usize) -> Option<i32> {
    let mut child =
        program().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let begin = begin.to_owned();
    // It ends when nobody reads any more, whatever comes first: the filter's end, or nothing at all.
    let writer = std::thread::spawn(move || {
        let good = if begin.contains('{') { "{\"command\":\"t\"}\n" } else { "t\n" };
        let block = good.repeat(10_000);
        let mut alive = stdin.write_all(begin.as_bytes()).is_ok();
        while alive {
            alive = stdin.write_all(block.as_bytes()).is_ok();
        }
    });
    let mut stdout = child.stdout.take().unwrap();
    let mut byte = [0];
    let mut seen = 0;
    while seen < lines && stdout.read(&mut byte).unwrap() == 1 {
        seen += usize::from(byte[0] == b'\n');
    }
    drop(stdout);
    let status = common::wait(&mut child, Instant::now() + common::RUN_TIME_MAX);
    writer.join().unwrap();
    status.code()
}

#[test]
fn what_is_no_bcp_is_decoded_and_its_kind_is_said_once() {
    let kinds = [
        ("{\"command\":\"reset\"}\n{}\n", "<stdin>:1: this is JSON and no BCP; backbox encode makes BCP of it\n"),
        (
            "0000000016{\"command\": \"x\"}",
            "<stdin>:1: this is a frame of OBE_Socket and no BCP; --wire obe reads it\n",
        ),
        ("# log\n2026 : INFO : x\n2026 : y\n", "<stdin>:2: no command of BCP looks like this; if it is a log, "),
    ];
    for (text, note) in kinds {
        let outcome = backbox(["decode"], text.as_bytes());
        outcome.exits(0).says(&[note]);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        assert_eq!(backbox(["decode", "-q"], text.as_bytes()).stderr, "");
    }
    assert_eq!(backbox(["decode"], b"\n?a=1\nreset\n{}\n").stderr.lines().count(), 1, "that of ?a=1");
}

#[test]
fn a_pattern_without_its_question_mark_is_refused() {
    let outcome = backbox(["decode", "-m", "mode_start name=game"], b"");
    outcome.exits(2).says(&["-m: mode_start name=game: no ? after the command; write COMMAND?NAME=TEXT"]);
    // A payload's length stands behind the command itself.
    let frame = b"dmd_frame&bytes=4\n\x01\x02\x03\x04reset\n";
    backbox(["decode", "-F", "{@line}", "-m", "dmd_frame&bytes=4"], frame)
        .exits(0)
        .prints("dmd_frame&bytes=4\n")
        .says_nothing();
}

#[test]
fn an_input_of_encode_that_is_no_json_lines_is_told_so_once() {
    for (stdin, advice) in [
        ("reset\nreset\n", "; messages are JSON here, one a line; decode reads BCP\n"),
        ("{\n\"command\": \"reset\"\n}\n", "; a message has to be one line, which jq -c . makes of it\n"),
        ("[{\"command\":\"reset\"}]\n", "of which jq -c '.[]' makes lines\n"),
    ] {
        let encoded = backbox(["encode"], stdin);
        encoded.exits(1).prints("").says(&[advice]);
        assert_eq!(encoded.stderr.matches(advice).count(), 1);
    }
    let encoded = backbox(["encode"], "{}\n");
    encoded.exits(1);
    assert!(!encoded.stderr.contains("jq") && !encoded.stderr.contains("decode"), "{}", encoded.stderr);
}

#[test]
fn a_mistyped_command_of_a_pattern_is_said_and_matches_nothing() {
    let patterns = ["decode", "-m", "Mode_strat?name=game", "-x", "mode_s*", "-m", "my_own"];
    let outcome = backbox(patterns, b"mode_start?name=game\n");
    outcome.exits(0).prints("");
    assert_eq!(outcome.stderr, "unknown command mode_strat; did you mean mode_start?\n");
}

#[test]
fn a_flag_in_the_place_of_an_address_is_seen() {
    let outcome = backbox(["listen", "-c", "-W", "1"], b"");
    outcome.exits(2).says(&["backbox listen: -c needs a value: write -c ADDRESS, or -c=-W if that is the value"]);
    let outcome = backbox(["listen", "--monitor", "-W", "1"], b"");
    outcome.exits(2).says(&["--monitor needs a value: write --monitor CATEGORY"]);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    assert_eq!(leave_after(&["decode"], "a\n", 1), Some(0));
    assert_eq!(leave_after(&["decode", "-F", "x"], "a\n", 1), Some(0));
    assert_eq!(leave_after(&["decode", "-s"], "a\n", 0), Some(0));
    assert_eq!(leave_after(&["encode"], "{\"command\":\"a\"}\n", 1), Some(0));
    assert_eq!(leave_after(&["encode", "-s"], "a\n", 1), Some(0));
}

#[test]
fn a_reader_that_leaves_behind_a_bad_line_is_exit_1() {
    assert_eq!(leave_after(&["decode"], "a\nb?x=int:\n", 2), Some(1));
    assert_eq!(leave_after(&["decode", "-s"], "a\n%FF\n", 2), Some(1));
    assert_eq!(leave_after(&["encode"], "{\"command\":\"a\"}\n{}\n", 2), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_exit_3_with_a_message() {
    let lines = "t?a=1\n".repeat(1_000);
    for (args, stdin) in [
        (&["decode"][..], lines.as_str()),
        (&["decode", "-s"], &lines),
        (&["encode"], "{\"command\":\"t\"}\n"),
        (&["encode", "t", "a=1"], ""),
        (&["encode", "-s", "a"], ""),
        (&["encode", "-s"], "a\n"),
        (&["--help"], ""),
        (&["--version"], ""),
        (&["decode", "-h"], ""),
        (&["--completions", "bash"], ""),
    ] {
        let script = "exec \"$@\" > /dev/full";
        let mut command = std::process::Command::new("sh");
        let program = program();
        command.args(["-c", script, "sh"]).arg(program.get_program()).args(program.get_args()).args(args);
        let outcome = run(command, stdin.as_bytes());
        outcome.exits(3).says(&["backbox", "cannot write to standard output: no space left on device"]);
        assert_eq!(outcome.stderr.lines().count(), 1, "{args:?}: {}", outcome.stderr);
    }
}

#[cfg(unix)]
#[test]
fn closed_streams_are_empty_or_dropped() {
    let folder = Workdir::new();
    common::shell_in(&folder, "backbox decode <&-").exits(0).prints("").says_nothing();
    common::shell_in(&folder, "backbox encode <&-").exits(0).prints("").says_nothing();
    common::shell_in(&folder, "echo 't?a=int:' | backbox decode 2>&-").exits(1).prints("").says_nothing();
}

#[test]
fn a_dash_is_standard_input_and_two_end_the_flags() {
    let folder = Workdir::new();
    folder.write("one.bcp", "one\n");
    folder.write("-dash.bcp", "dash\n");
    let run = |args: &[&str]| backbox_in(&folder, args, "stdin\n");
    run(&["decode", "-F", "{@command}", "one.bcp", "-", "one.bcp"]).exits(0).prints("one\nstdin\none\n");
    run(&["decode", "-F", "{@command}", "-"]).exits(0).prints("stdin\n");
    run(&["decode", "-F", "{@command}", "--", "-dash.bcp"]).exits(0).prints("dash\n");
    run(&["decode", "-F", "{@command}", "-", "-"]).exits(0).prints("stdin\n");
    run(&["encode", "--", "t", "-a=1"]).exits(0).prints("t?-a=1\n");
    run(&["encode", "-s", "--", "-s"]).exits(0).prints("-s\n");
}

#[test]
fn each_file_has_its_own_line_numbers() {
    let folder = Workdir::new();
    folder.write("one.bcp", "a\nb?x=int:\n");
    folder.write("two.bcp", "c?x=int:\nd");
    let outcome = backbox_in(&folder, ["decode", "-F", "{@command}", "one.bcp", "two.bcp", "one.bcp"], "");
    outcome.exits(1).prints("a\nd\na\n");
    let places: Vec<&str> = outcome.stderr.lines().map(|line| &line[..10]).collect();
    assert_eq!(places, ["one.bcp:2:", "two.bcp:1:", "one.bcp:2:"]);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_decoded() {
    let folder = Workdir::new();
    folder.write("good.bcp", "good\n");
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let decode = |file: &str| backbox_in(&folder, ["decode", "-F", "{@command}", file, "good.bcp"], "");
    decode("missing.bcp").exits(3).prints("good\n").says(&["cannot open missing.bcp: no such file"]);
    decode("").exits(3).prints("good\n").says(&["cannot open"]);
    decode("folder").exits(3).prints("good\n").says(&["folder", "directory"]);
    decode("good.bcp/x").exits(3).prints("good\n").says(&["cannot open good.bcp/x"]);
    let encode = |args: &[&str]| backbox_in(&folder, args, "");
    encode(&["encode", "-i", "missing.jsonl"]).exits(3).prints("").says(&["cannot open missing.jsonl"]);
    encode(&["encode", "-i", "folder"]).exits(3).prints("").says(&["folder", "directory"]);
    encode(&["encode", "t", "-b", "folder"]).exits(3).prints("").says(&["folder", "directory"]);
    encode(&["encode", "-s", "-i", "folder"]).exits(3).prints("").says(&["folder", "directory"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_fails_while_it_is_read_is_exit_3() {
    let folder = Workdir::new();
    folder.write("good.bcp", "good\n");
    // Its first page is mapped nowhere, so that the first read fails, for every user.
    let decode = backbox_in(&folder, ["decode", "-F", "{@command}", "/proc/self/mem", "good.bcp"], "");
    decode.exits(3).prints("good\n").says(&["cannot read /proc/self/mem: "]);
    backbox(["encode", "-i", "/proc/self/mem"], "").exits(3).says(&["cannot read /proc/self/mem: "]);
}

#[cfg(unix)]
#[test]
fn a_file_without_permission_is_exit_3() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Workdir::new();
    let file = folder.write("secret.bcp", "secret\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&file).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    backbox_in(&folder, ["decode", "secret.bcp"], "").exits(3).says(&["cannot open secret.bcp: permission denied"]);
}

/// Every combination of flags that makes no sense, with a word that its sentence has to hold.
const SENSELESS: &[(&[&str], &str)] = &[
    (&["decode", "-s", "-F", "x"], "-F"),
    (&["decode", "-s", "-m", "x"], "-m"),
    (&["decode", "-s", "-x", "x"], "-x"),
    (&["decode", "-s", "--ascii"], "--ascii"),
    (&["decode", "-s", "--no-payload"], "--no-payload"),
    (&["decode", "-s", "--keep-case"], "--keep-case"),
    (&["decode", "-s", "--no-nan"], "--no-nan"),
    (&["decode", "-s", "--max-payload=5"], "--max-payload"),
    (&["decode", "--no-payload", "--max-payload=5"], "--max-payload"),
    (&["decode", "-0"], "-s"),
    (&["decode", "--ascii", "-F", "x"], "--ascii"),
    (&["encode", "-s", "-b", "x"], "-b"),
    (&["encode", "-s", "--keep-case"], "--keep-case"),
    (&["encode", "-s", "--no-nan"], "--no-nan"),
    (&["encode", "-s", "--sort-keys"], "--sort-keys"),
    (&["encode", "-s", "--compact"], "--compact"),
    (&["encode", "-s", "--no-ensure-ascii"], "--no-ensure-ascii"),
    (&["encode", "-s", "--max-payload=5"], "--max-payload"),
    (&["encode", "-s", "-i", "x", "a"], "-i"),
    (&["encode", "-s", "a", "-"], "standard input"),
    (&["encode", "-s", "a", "--fail-fast"], "--fail-fast"),
    (&["decode", "-s", "a", "--fail-fast"], "--fail-fast"),
    (&["encode", "t", "--fail-fast"], "--fail-fast"),
    (&["encode", "-0"], "-s"),
    (&["encode", "t", "-0"], "-s"),
    (&["encode", "-", "a=1"], "standard input"),
    (&["encode", "-i", "x", "t"], "-i"),
    (&["encode", "-i", "x", "-"], "-i"),
    (&["encode", "-b", "x"], "-b"),
    (&["encode", "-", "-b", "x"], "-b"),
    (&["encode", "-i", "x", "-b", "y"], "-b"),
    (&["encode", "t", "--max-payload=5"], "--max-payload"),
];

#[test]
fn a_dash_is_standard_input_for_bare_strings_too() {
    backbox(["encode", "-s", "-"], "a b\n").exits(0).prints("a%20b\n");
    backbox(["decode", "-s", "-"], "a%20b\n").exits(0).prints("a b\n");
    backbox(["decode", "-s0", "-"], "a\n").exits(0).prints("a\0");
}

#[test]
fn no_string_is_written_that_the_other_filter_would_refuse() {
    let says = "longer than 8 bytes; --max-line allows more";
    let outcome = backbox(["encode", "-s", "--max-line=8"], "a  b\na   b\nc\n");
    outcome.exits(1).prints("a%20%20b\nc\n").says(&["<stdin>:2: the result would be ", says]);
    backbox(["encode", "-s", "--max-line=8", "a   b"], "").exits(1).prints("").says(&["the result would be ", says]);
    backbox(["decode", "-s", "--max-line=8", "a%20%20%20"], "").exits(1).prints("").says(&["the string is ", says]);
    backbox(["decode", "-s", "--max-line=8", "a%20%20b"], "").exits(0).prints("a  b\n");
}

#[test]
fn the_place_of_a_complaint_is_never_cut() {
    let folder = Workdir::new();
    let name = format!("{}.bcp", "long".repeat(40));
    folder.write(&name, BAD_LINE);
    backbox_in(&folder, ["decode", &name], "").exits(1).says(&[&format!("{name}:1: ")]);
    let missing = "m".repeat(200);
    backbox_in(&folder, ["decode", &missing], "").exits(3).says(&[&format!("cannot open {missing}: ")]);
}

#[test]
fn senseless_combinations_are_refused_with_a_sentence() {
    for (args, word) in SENSELESS {
        let outcome = backbox(*args, "t\n");
        outcome.exits(2).prints("").says(&[word, &format!("backbox {}: ", args[0])]);
        let words = outcome.stderr.split_whitespace().count();
        assert!(words > 8 && outcome.stderr.lines().count() == 1, "{args:?}: {}", outcome.stderr);
    }
}

#[test]
fn a_mistyped_word_suggests_the_near_one() {
    for (args, near) in [
        (&["decoed"][..], "did you mean decode?"),
        (&["enocde", "t"], "did you mean encode?"),
        (&["help", "decod"], "did you mean decode?"),
        (&["--verison"], "did you mean --version?"),
        (&["decode", "--mach", "x"], "did you mean --match?"),
        (&["decode", "--keepcase"], "did you mean --keep-case?"),
        (&["encode", "--sort-key"], "did you mean --sort-keys?"),
        (&["encode", "--color=alwasy"], "did you mean always?"),
        (&["--completions", "bsh"], "did you mean bash?"),
    ] {
        backbox(args, "").exits(2).prints("").says(&[near]);
    }
    backbox([""; 0], "").exits(2).prints("").says(&["subcommand missing", "encode", "decode"]);
    backbox(["encode", "--frobnicate"], "").exits(2).says(&["--frobnicate"]);
}

const BAD_LINE: &str = "t?a=int:x\n";

#[test]
fn colour_goes_where_it_is_wanted() {
    let is_coloured = |args: &[&str], no_color: Option<&str>| {
        let mut command = program();
        command.args(args);
        no_color.map(|value| command.env("NO_COLOR", value));
        let outcome = run(command, BAD_LINE.as_bytes());
        outcome.exits(1).says(&["<stdin>:1:"]);
        outcome.stderr.contains('\x1b')
    };
    assert!(is_coloured(&["decode", "--color", "always"], None));
    assert!(is_coloured(&["decode", "--color", "always"], Some("1")), "a flag goes before the environment");
    assert!(!is_coloured(&["decode", "--color", "never"], None));
    assert!(!is_coloured(&["decode", "--color=auto"], None), "a pipe is no terminal");
    assert!(!is_coloured(&["decode"], None));
    assert!(is_coloured(&["encode", "--color=always"], None));
}

/// What a run shows on a terminal of its own, made by `script`; nothing where that is not installed.
#[cfg(target_os = "linux")]
fn on_a_terminal(folder: &Workdir, line: &str) -> Option<String> {
    let has_script = common::shell_in(folder, "script --version").code == Some(0);
    if !has_script {
        println!("skipped: there is no script(1) here that makes a terminal");
        return None;
    }
    Some(common::shell_in(folder, &format!("script -qec \"{line}\" /dev/null < /dev/null")).text().to_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn terminal_gets_colors_and_no_control_characters() {
    let folder = Workdir::new();
    folder.write("bad.bcp", BAD_LINE);
    folder.write("evil.bcp", "t?a=%1B[2J%C2%9B5n\n");
    let Some(coloured) = on_a_terminal(&folder, "backbox decode bad.bcp") else { return };
    assert!(coloured.contains("\x1b[31mbad.bcp:1: ") && coloured.contains("\x1b[0m\r\n"), "{coloured:?}");
    let usage = on_a_terminal(&folder, "backbox decode --nope").unwrap();
    assert!(usage.contains("\x1b[31mbackbox decode: unknown option --nope"), "{usage:?}");
    let warning = on_a_terminal(&folder, "backbox decode -m mode_strat").unwrap();
    assert!(warning.contains("\x1b[33munknown command mode_strat;"), "{warning:?}");
    let help = on_a_terminal(&folder, "backbox decode -h").unwrap();
    assert!(help.contains("\x1b[1mUsage:\x1b[0m backbox decode"), "{help:?}");
    for quiet in ["NO_COLOR=1 backbox decode bad.bcp", "backbox decode --color=never bad.bcp"] {
        let plain = on_a_terminal(&folder, quiet).unwrap();
        assert!(plain.contains("bad.bcp:1: ") && !plain.contains('\x1b'), "{quiet}: {plain:?}");
    }
    for shown in ["backbox decode -F {a} evil.bcp", "backbox decode -s %1B[2J%C2%9B5n"] {
        let text = on_a_terminal(&folder, shown).unwrap();
        assert_eq!(text.trim_end(), "\\x1b[2J\\x9b5n", "{shown}");
    }
    // Into a pipe a template prints what the text is.
    backbox_in(&folder, ["decode", "-F", "{a}", "evil.bcp"], "").prints("\x1b[2J\u{9b}5n\n");
}

#[test]
fn quiet_silences_notes_and_never_errors() {
    let note = "a=int:1 is the string \"int:1\"; for the number write a:=1\n";
    assert_eq!(backbox(["encode", "t", "a=int:1"], "").exits(0).stderr, note);
    backbox(["encode", "-q", "t", "a=int:1"], "").exits(0).says_nothing();
    backbox(["decode", "--quiet"], BAD_LINE).exits(1).says(&["<stdin>:1: "]);
    backbox(["encode", "-q", "t", "a"], "").exits(2).says(&["name=a"]);
    backbox(["decode", "-q", "missing"], "").exits(3).says(&["missing"]);
}
