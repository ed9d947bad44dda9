//! `decode --lint` as a program: its output, its exit status, and that it finds nothing in the output of `encode`.

mod common;

use common::{Workdir, backbox, backbox_in, cases};

#[test]
fn encoded_lines_have_no_lint_findings() {
    let messages: String = cases("roundtrip.jsonl").iter().map(|case| format!("{}\n", case["message"])).collect();
    let lines = backbox(["encode"], messages);
    let findings = backbox(["decode", "--lint"], lines.exits(0).stdout.clone());
    // MPF may still reject such a message, for example a trigger without a name.
    let traps: Vec<&str> = findings.text().lines().filter(|line| !line.contains(": stop: ")).collect();
    assert_eq!(traps, [""; 0]);
}

#[test]
fn findings_go_to_standard_output_and_are_counted() {
    let folder = Workdir::new();
    folder.write("one.bcp", "# x?n=int:\n\ntrigger?name=a\nt?a=1&a=2\nf&bytes=2\n\n\nt?b=x%26\n");
    folder.write("two.bcp", "service?subcommand=start\ntrigger?name=quit\nservice?subcommand=start\n");
    let outcome = backbox_in(&folder, ["decode", "--lint", "one.bcp", "two.bcp"], "");
    outcome.exits(1).reports(&["findings: 3"]);
    let places: Vec<String> =
        outcome.text().lines().map(|line| line.splitn(4, ':').take(3).collect::<Vec<_>>().join(":")).collect();
    assert_eq!(places, ["one.bcp:4: trap", "one.bcp:8: trap", "two.bcp:2: stop"]);
    let first = backbox_in(&folder, ["decode", "--lint", "-q", "--fail-fast", "one.bcp", "two.bcp"], "");
    assert_eq!(first.exits(1).reports_nothing().text().lines().count(), 1);
    let last = backbox_in(&folder, ["decode", "--lint", "missing.bcp", "two.bcp"], "");
    last.exits(3).reports(&["missing.bcp"]);
    assert_eq!(last.text().lines().count(), 1);
}

#[test]
fn unframable_input_is_a_finding() {
    let cut = backbox(["decode", "--lint"], "f&bytes=4\nab");
    assert!(cut.exits(1).text().starts_with("<stdin>:1: stop: "), "{}", cut.text());
    let log = backbox(["decode", "--lint", "--no-payload"], "dmd_frame?name=a&bytes=4\ntrigger?name=b\n");
    log.exits(0).prints("");
    let long = backbox(["decode", "--lint"], format!("t?a={}\ntrigger?name=b\n", "x".repeat(65_536)));
    assert!(long.exits(1).text().contains("65540 bytes"), "{}", long.text());
}

#[test]
fn options_that_exclude_dry_run_are_refused() {
    for flags in [&["-F", "{name}"][..], &["-m", "t"], &["-x", "t"], &["--ascii"], &["-s"], &["-0"], &["--keep-case"]] {
        let args = ["decode", "--lint"].iter().chain(flags);
        backbox(args, "").exits(2).reports(&["--lint"]);
    }
}
