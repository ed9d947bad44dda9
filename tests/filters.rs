//! `encode` and `decode` as filters: as coprocesses, with closed readers, on full disks, with invalid options, on a
//! terminal. `bad_input.rs` and `memory.rs` contain further tests.

mod common;

use common::{Coprocess, Workdir, backbox, backbox_in, program, run};
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Instant;

/// The number of requests to a coprocess.
const ROUNDS: usize = 3_000;

/// The input of round `n` and the expected output, both without their terminators.
type Round = fn(usize) -> (String, String);

#[track_caller]
fn check_coprocess(args: &[&str], end_in: u8, end_out: u8, round: Round) {
    let mut filter = Coprocess::start(args);
    for n in 0..ROUNDS {
        let (input, expected) = round(n);
        let mut line = input.into_bytes();
        line.push(end_in);
        filter.write(&line);
        let mut got = filter.read_until(end_out);
        got.pop();
        assert_eq!(String::from_utf8_lossy(&got), expected, "round {n}");
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

/// Runs a filter on an endless input and closes its output after `lines` lines, as `head` does.
fn leave_after(args: &[&str], begin: &str, lines: usize) -> Option<i32> {
    let mut child =
        program().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let begin = begin.to_owned();
    // Writing fails when the filter has exited.
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

/// The beginning of a log, and its name in `--from`.
const LOGS: &[(&str, &str)] = &[
    ("21:02:29.935 : DEBUG [BCPClientSocket] Sending \"hello?version=1.1\"\n", "mpf-console"),
    ("08:04:31.505 : VERBOSE : BCP : Received BCP command: mode_start?name=base\n", "gmc"),
];

#[test]
fn json_and_logs_are_refused_as_a_whole_with_what_reads_them() {
    let folder = Workdir::new();
    for (log, kind) in LOGS {
        folder.write("game.log", format!("\n# head\n{log}trigger?name=x\n"));
        folder.write("good.bcp", "good\n");
        for options in [&["-F", "{@command}"][..], &["--lint"], &["--view", "raw"]] {
            let args = ["decode", "game.log", "good.bcp"].iter().chain(options);
            let outcome = backbox_in(&folder, args, "");
            let expected = if options[0] == "--lint" { "" } else { "good\n" };
            outcome.exits(1).prints(expected).reports(&[
                &format!("game.log:3: this is a log ({kind}), not a BCP stream; "),
                "decode --meta game.log, decode --view table game.log or replay --dry-run game.log",
            ]);
            assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        }
    }
    for json in ["{\"command\":\"reset\"}\nreset\n", "\u{feff} {\n}\n", "{", "\n\n{\"a&bytes=5"] {
        for options in [&[][..], &["--lint"], &["--meta"], &["--view=table"]] {
            let outcome = backbox(["decode"].iter().chain(options), json);
            outcome.exits(1).prints("").reports(&[": this is JSON, not BCP; read it with encode\n"]);
            assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        }
    }
    let fast = backbox_in(&folder, ["decode", "--fail-fast", "game.log", "good.bcp"], "");
    fast.exits(1).prints("");
}

#[test]
fn first_line_that_is_hardly_bcp_is_noted_and_decoded() {
    for (text, place, advice) in [
        ("0000000016{\"command\": \"x\"}", "<stdin>:1", "--wire obe reads frames of OBE_Socket"),
        ("# x\n2026 : INFO : x\n2026 : y\n", "<stdin>:2", "a command has no spaces"),
        ("HTTP/1.1 200 OK\r\n\r\n", "<stdin>:1", "it is an HTTP reply"),
    ] {
        let note = format!("{place}: this does not look like a BCP command; {advice}\n");
        let outcome = backbox(["decode"], text);
        assert_eq!(outcome.exits(0).stderr, note);
        backbox(["decode", "-q"], text).exits(0).reports_nothing();
    }
    assert_eq!(backbox(["decode"], "\n?a=1\nreset\n{}\n").exits(1).stderr.lines().count(), 1, "that of ?a=1");
    backbox(["decode"], "re\rset\r\n").exits(0).reports_nothing();
}

const SESSION: &str = "#backbox-session 1\n#!port 5051\n# comment\n#@0.000000\nhello?version=1.1\n#@0.001204\n\
    #<hello?version=1.1&n=int:1\n#@2.500000 2\nf&bytes=2\nhi#<coil_pulse?error=no\n#=\n";

#[test]
fn session_has_both_sides_with_meta_and_the_client_without() {
    let folder = Workdir::new();
    folder.write("game.bcp", SESSION.replace("#=\n", "#@3.0 2\n#<bad?n=int:x\nlast\n#<#~no\n#~pattern\n"));
    let line = |params: &str, meta: &str| format!("{{\"command\":{params},\"meta\":{{{meta}}}}}\n");
    let expected = [
        line("\"hello\",\"params\":{\"version\":\"1.1\"}", "\"time\":0.000000,\"conn\":1,\"from\":\"client\""),
        line("\"hello\",\"params\":{\"version\":\"1.1\",\"n\":1}", "\"time\":0.001204,\"conn\":1,\"from\":\"server\""),
        line("\"f\",\"params\":{},\"bytes\":\"aGk=\"", "\"time\":2.500000,\"conn\":2,\"from\":\"client\""),
        line("\"coil_pulse\",\"params\":{\"error\":\"no\"}", "\"time\":2.500000,\"conn\":2,\"from\":\"server\""),
        line("\"last\",\"params\":{}", "\"time\":3.000000,\"conn\":2,\"from\":\"client\""),
    ];
    for stdin in [false, true] {
        let name = if stdin { "<stdin>" } else { "game.bcp" };
        let text = std::fs::read_to_string(folder.path().join("game.bcp")).unwrap();
        let outcome = match stdin {
            true => backbox(["decode", "--meta"], text),
            false => backbox_in(&folder, ["decode", "--meta", "game.bcp"], ""),
        };
        outcome.exits(1).prints(&expected.concat()).reports(&[&format!("{name}:12: n: ")]);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    }
    let template = ["decode", "--meta", "-F", "{@time} {@conn} {@from} {@command}", "-x", "hello", "game.bcp"];
    let expected = "2.500000 2 client f\n2.500000 2 server coil_pulse\n3.000000 2 client last\n";
    backbox_in(&folder, template, "").exits(1).prints(expected);
    backbox_in(&folder, ["decode", "-F", "{@command}", "game.bcp"], "").exits(0).prints("hello\nf\nlast\n");
}

#[test]
fn plain_stream_has_only_its_sender_as_meta() {
    let outcome = backbox(["decode", "--meta"], "a?x=int:1\nb?y=int:z\nc&bytes=1\nx");
    outcome.exits(1).reports(&["<stdin>:2: y: "]).prints(
        "{\"command\":\"a\",\"params\":{\"x\":1},\"meta\":{\"from\":\"client\"}}\n\
         {\"command\":\"c\",\"params\":{},\"bytes\":\"eA==\",\"meta\":{\"from\":\"client\"}}\n",
    );
    backbox(["decode", "--meta", "-F", "[{@time}{@conn}] {@from}"], "a\n").exits(0).prints("[] client\n");
    let refused = backbox(["decode", "-F", "{@time}"], "");
    refused.exits(2).reports(&["-F: {@time} is unknown", "; --meta adds {@time}, {@conn} and {@from}\n"]);
}

#[test]
fn log_is_read_with_meta_also_when_its_first_line_is_cut() {
    let log =
        format!("half a line\n{}{}", LOGS[0].0, LOGS[0].0.replace("Sending", "Received").replace("29.935", "30.0"));
    let outcome = backbox(["decode", "--meta", "-F", "{@time} {@from} {@command}"], &log);
    assert!(outcome.text().starts_with("0.000000 client hello\n"), "{} {}", outcome.text(), outcome.stderr);
    let empty = backbox(["decode", "--view=table"], "21:02:29.935 : DEBUG [Other] Sending\n");
    empty.exits(1).prints("").reports(&["<stdin>: "]);
}

#[test]
fn truncated_session_is_decoded_to_its_last_whole_message() {
    let outcome = backbox(["decode", "--meta", "-F", "{@from}"], "#backbox-session 1\na\n#<b?x=1\n#<c?y");
    outcome.exits(0).prints("client\nserver\n").reports(&["<stdin>:4: the file ends inside"]);
    let broken = backbox(["decode", "--meta", "-F", "{@from}"], "#backbox-session 1\na\n#@x\nb\n");
    broken.exits(1).prints("client\n").reports(&["<stdin>:3: "]);
    backbox(["decode", "--meta"], "#backbox-session 9\na\n").exits(1).prints("").reports(&["<stdin>:1: "]);
    backbox(["decode", "--meta"], "#backbox-session 1\n").exits(0).prints("").reports_nothing();
    backbox(["decode", "--meta"], "").exits(0).prints("").reports_nothing();
}

#[test]
fn table_shows_both_sides_of_a_session_uncut_in_a_pipe() {
    let long = "x".repeat(300);
    let session = SESSION.replace("error=no", &format!("error={long}")).replace("#=\n", "#<bad?n=int:x\n");
    let outcome = backbox(["decode", "--view", "table"], session);
    let rows: Vec<&str> = outcome.exits(1).reports(&["<stdin>:11: n: "]).text().lines().collect();
    assert_eq!(
        rows[..2],
        ["   0.000  MC→MPF  hello              version 1.1", "   0.001  MPF→MC  hello              version 1.1  n 1"]
    );
    assert_eq!(rows[2], "   2.500  #2    MC→MPF  f                  <2 bytes>");
    assert_eq!(rows[3], format!("   2.500  #2    MPF→MC  coil_pulse         error {long}"));
    assert!(rows[4].starts_with("   2.500  #2    MPF→MC  ! bad?n=int:x  n: ") && rows.len() == 5, "{rows:?}");
    let red = backbox(["decode", "--view=table", "--color=always", "-m", "coil_pulse"], SESSION.replace("#=\n", ""));
    assert!(red.exits(0).text().contains("\x1b[31mcoil_pulse"), "{:?}", red.text());
    let plain = backbox(["decode", "--view", "table", "-x", "b"], "a?x=1\nb\n");
    plain.exits(0).prints("          client→server  a                  x 1\n").reports_nothing();
    let other = SESSION.replace("5051", "7000").replace("#=\n", "");
    assert!(backbox(["decode", "--view=table"], other).text().contains(" server→client  hello "));
}

#[test]
fn raw_messages_are_printed_verbatim_if_they_match() {
    let stream = b"A?x=%41\r\n#c\nf&bytes=3\n\x00\n\xff\na?x=2\n";
    let outcome = backbox(["decode", "--view", "raw", "-m", "f", "-m", "a?x=A"], stream);
    assert_eq!(outcome.exits(0).stdout, b"A?x=%41\r\nf&bytes=3\n\x00\n\xff", "{}", outcome.stderr);
}

#[test]
fn name_that_no_message_had_is_noted() {
    let note = "-F: no message had a parameter with this name: settings.attract\n";
    let outcome = backbox(["decode", "-F", "{settings.attract}"], "settings?x=1\n");
    assert_eq!((outcome.exits(0).text(), outcome.stderr.as_str()), ("\n", note));
    let outcome = backbox(["decode", "-F", "{x}{settings.attract}{bytes}"], "a?x=1\nb?X=2\nf&bytes=0\n");
    assert_eq!((outcome.exits(0).text(), outcome.stderr.as_str()), ("1\n2\n0\n", note));
    backbox(["decode", "-q", "-F", "{y}"], "a?x=1\n").exits(0).reports_nothing();
    backbox(["decode", "-F", "{y}"], "").exits(0).reports_nothing();
    backbox(["decode", "-F", "{y}"], "a\nb?y\n").exits(0).reports_nothing();
}

#[test]
fn pattern_without_its_question_mark_is_refused() {
    let outcome = backbox(["decode", "-m", "mode_start name=game"], b"");
    outcome.exits(2).reports(&["-m: mode_start name=game: no ? after the command; write COMMAND?NAME=TEXT"]);
    // The payload length follows the command itself.
    let frame = b"dmd_frame&bytes=4\n\x01\x02\x03\x04reset\n";
    backbox(["decode", "-F", "{@line}", "-m", "dmd_frame&bytes=4"], frame)
        .exits(0)
        .prints("dmd_frame&bytes=4\n")
        .reports_nothing();
}

#[test]
fn input_of_encode_that_is_not_json_lines_is_reported_with_advice_once() {
    for (stdin, advice) in [
        ("reset\nreset\n", "; encode reads messages as JSON, one a line; decode reads BCP\n"),
        ("{\n\"command\": \"reset\"\n}\n", "; a message has to be one line: jq -c . makes it one\n"),
        ("[{\"command\":\"reset\"}]\n", "jq -c '.[]' makes lines of a list\n"),
    ] {
        let encoded = backbox(["encode"], stdin);
        encoded.exits(1).prints("").reports(&[advice]);
        assert_eq!(encoded.stderr.matches(advice).count(), 1);
    }
    let encoded = backbox(["encode"], "{}\n");
    encoded.exits(1);
    assert!(!encoded.stderr.contains("jq") && !encoded.stderr.contains("decode"), "{}", encoded.stderr);
}

#[test]
fn mistyped_command_of_a_pattern_is_noted_and_matches_nothing() {
    let patterns = ["decode", "-m", "Mode_strat?name=game", "-x", "mode_s*", "-m", "my_own"];
    let outcome = backbox(patterns, b"mode_start?name=game\n");
    outcome.exits(0).prints("");
    assert_eq!(outcome.stderr, "unknown command mode_strat; did you mean mode_start?\n");
}

#[test]
fn option_in_place_of_an_address_is_reported() {
    let outcome = backbox(["listen", "-c", "-W", "1"], b"");
    outcome.exits(2).reports(&["backbox listen: -c needs a value: write -c ADDRESS, or -c=-W if that is the value"]);
    let outcome = backbox(["listen", "--monitor", "-W", "1"], b"");
    outcome.exits(2).reports(&["--monitor needs a value: write --monitor CATEGORY"]);
}

#[test]
fn reader_that_closes_the_output_is_exit_0() {
    assert_eq!(leave_after(&["decode"], "a\n", 1), Some(0));
    assert_eq!(leave_after(&["decode", "-F", "x"], "a\n", 1), Some(0));
    assert_eq!(leave_after(&["decode", "-s"], "a\n", 0), Some(0));
    assert_eq!(leave_after(&["encode"], "{\"command\":\"a\"}\n", 1), Some(0));
    assert_eq!(leave_after(&["encode", "-s"], "a\n", 1), Some(0));
}

#[test]
fn reader_that_closes_the_output_after_a_bad_line_is_exit_1() {
    assert_eq!(leave_after(&["decode"], "a\nb?x=int:\n", 2), Some(1));
    assert_eq!(leave_after(&["decode", "-s"], "a\n%FF\n", 2), Some(1));
    assert_eq!(leave_after(&["encode"], "{\"command\":\"a\"}\n{}\n", 2), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_is_exit_3_with_a_message() {
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
        outcome.exits(3).reports(&["backbox", "cannot write to standard output: no space left on device"]);
        assert_eq!(outcome.stderr.lines().count(), 1, "{args:?}: {}", outcome.stderr);
    }
}

#[cfg(unix)]
#[test]
fn closed_streams_are_empty_or_dropped() {
    let folder = Workdir::new();
    common::shell_in(&folder, "backbox decode <&-").exits(0).prints("").reports_nothing();
    common::shell_in(&folder, "backbox encode <&-").exits(0).prints("").reports_nothing();
    common::shell_in(&folder, "echo 't?a=int:' | backbox decode 2>&-").exits(1).prints("").reports_nothing();
}

#[test]
fn dash_is_standard_input_and_two_dashes_end_the_options() {
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
fn unreadable_file_is_reported_and_the_others_are_decoded() {
    let folder = Workdir::new();
    folder.write("good.bcp", "good\n");
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let a_folder = if cfg!(windows) { "denied" } else { "directory" };
    let decode = |file: &str| backbox_in(&folder, ["decode", "-F", "{@command}", file, "good.bcp"], "");
    decode("missing.bcp").exits(3).prints("good\n").reports(&["cannot open missing.bcp: no such file"]);
    decode("").exits(3).prints("good\n").reports(&["cannot open"]);
    decode("folder").exits(3).prints("good\n").reports(&["folder", a_folder]);
    decode("good.bcp/x").exits(3).prints("good\n").reports(&["cannot open good.bcp/x"]);
    let encode = |args: &[&str]| backbox_in(&folder, args, "");
    encode(&["encode", "-i", "missing.jsonl"]).exits(3).prints("").reports(&["cannot open missing.jsonl"]);
    encode(&["encode", "-i", "folder"]).exits(3).prints("").reports(&["folder", a_folder]);
    encode(&["encode", "t", "-b", "folder"]).exits(3).prints("").reports(&["folder", a_folder]);
    encode(&["encode", "-s", "-i", "folder"]).exits(3).prints("").reports(&["folder", a_folder]);
}

#[cfg(target_os = "linux")]
#[test]
fn file_that_fails_while_it_is_read_is_exit_3() {
    let folder = Workdir::new();
    folder.write("good.bcp", "good\n");
    // The first page of the address space is not mapped, so the first read fails for every user.
    let decode = backbox_in(&folder, ["decode", "-F", "{@command}", "/proc/self/mem", "good.bcp"], "");
    decode.exits(3).prints("good\n").reports(&["cannot read /proc/self/mem: "]);
    backbox(["encode", "-i", "/proc/self/mem"], "").exits(3).reports(&["cannot read /proc/self/mem: "]);
}

#[cfg(unix)]
#[test]
fn file_without_permission_is_exit_3() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Workdir::new();
    let file = folder.write("secret.bcp", "secret\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&file).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    backbox_in(&folder, ["decode", "secret.bcp"], "").exits(3).reports(&["cannot open secret.bcp: permission denied"]);
}

/// Options that cannot be used together, with a part of the message.
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
fn dash_is_standard_input_for_bare_strings_too() {
    backbox(["encode", "-s", "-"], "a b\n").exits(0).prints("a%20b\n");
    backbox(["decode", "-s", "-"], "a%20b\n").exits(0).prints("a b\n");
    backbox(["decode", "-s0", "-"], "a\n").exits(0).prints("a\0");
}

#[test]
fn encode_writes_only_what_decode_accepts() {
    let expected = "longer than 8 bytes; --max-line allows more";
    let outcome = backbox(["encode", "-s", "--max-line=8"], "a  b\na   b\nc\n");
    outcome.exits(1).prints("a%20%20b\nc\n").reports(&["<stdin>:2: the string or its result is ", expected]);
    backbox(["encode", "-s", "--max-line=8", "a   b"], "")
        .exits(1)
        .prints("")
        .reports(&["the string or its result is ", expected]);
    backbox(["decode", "-s", "--max-line=8", "a%20%20%20"], "")
        .exits(1)
        .prints("")
        .reports(&["the string or its result is ", expected]);
    backbox(["decode", "-s", "--max-line=8", "a%20%20b"], "").exits(0).prints("a  b\n");
}

#[test]
fn file_and_line_of_an_error_are_never_cut() {
    let folder = Workdir::new();
    let name = format!("{}.bcp", "long".repeat(40));
    folder.write(&name, BAD_LINE);
    backbox_in(&folder, ["decode", &name], "").exits(1).reports(&[&format!("{name}:1: ")]);
    let missing = "m".repeat(200);
    backbox_in(&folder, ["decode", &missing], "").exits(3).reports(&[&format!("cannot open {missing}: ")]);
}

#[test]
fn options_that_cannot_be_used_together_are_refused_with_a_reason() {
    for (args, word) in SENSELESS {
        let outcome = backbox(*args, "t\n");
        outcome.exits(2).prints("").reports(&[word, &format!("backbox {}: ", args[0])]);
        let words = outcome.stderr.split_whitespace().count();
        assert!(words > 8 && outcome.stderr.lines().count() == 1, "{args:?}: {}", outcome.stderr);
    }
}

#[test]
fn mistyped_word_suggests_a_similar_one() {
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
        backbox(args, "").exits(2).prints("").reports(&[near]);
    }
    backbox([""; 0], "").exits(2).prints("").reports(&["subcommand missing", "encode", "decode"]);
    backbox(["encode", "--frobnicate"], "").exits(2).reports(&["--frobnicate"]);
}

const BAD_LINE: &str = "t?a=int:x\n";

#[test]
fn errors_are_coloured_on_request() {
    let is_coloured = |args: &[&str], no_color: Option<&str>| {
        let mut command = program();
        command.args(args);
        no_color.map(|value| command.env("NO_COLOR", value));
        let outcome = run(command, BAD_LINE.as_bytes());
        outcome.exits(1).reports(&["<stdin>:1:"]);
        outcome.stderr.contains('\x1b')
    };
    assert!(is_coloured(&["decode", "--color", "always"], None));
    assert!(is_coloured(&["decode", "--color", "always"], Some("1")), "a flag goes before the environment");
    assert!(!is_coloured(&["decode", "--color", "never"], None));
    assert!(!is_coloured(&["decode", "--color=auto"], None), "a pipe is no terminal");
    assert!(!is_coloured(&["decode"], None));
    assert!(is_coloured(&["encode", "--color=always"], None));
}

/// Returns the output of a run on a terminal, made by `script`(1), or `None` if that is not installed.
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
    let table = "stty cols 50 rows 20; backbox decode --view table --color=never long.bcp";
    folder.write("long.bcp", format!("trigger?name={}\n", "x".repeat(99)));
    assert_eq!(on_a_terminal(&folder, table).unwrap().trim_end().chars().count(), 50);
    for reads in ["backbox decode", "backbox encode", "backbox encode -s", "backbox decode --view=table -"] {
        assert_eq!(on_a_terminal(&folder, reads).unwrap().trim(), "reading standard input (Ctrl-D ends it)", "{reads}");
    }
    // In a pipe, a template prints the text unchanged.
    backbox_in(&folder, ["decode", "-F", "{a}", "evil.bcp"], "").prints("\x1b[2J\u{9b}5n\n");
}

#[test]
fn quiet_suppresses_notes_and_not_errors() {
    let note = "a=int:1 is the string \"int:1\"; for the number write a:=1\n";
    assert_eq!(backbox(["encode", "t", "a=int:1"], "").exits(0).stderr, note);
    backbox(["encode", "-q", "t", "a=int:1"], "").exits(0).reports_nothing();
    backbox(["decode", "--quiet"], BAD_LINE).exits(1).reports(&["<stdin>:1: "]);
    backbox(["encode", "-q", "t", "a"], "").exits(2).reports(&["name=a"]);
    backbox(["decode", "-q", "missing"], "").exits(3).reports(&["missing"]);
}
