//! Each exit status of the filters, with a run that produces it.

mod common;

use common::{Workdir, backbox_in};

/// Exit status, arguments, standard input, and a part of standard error.
const TABLE: &[(i32, &[&str], &str, &str)] = &[
    (0, &["decode"], "t?a=1\n", ""),
    (0, &["decode", "-m", "other"], "t?a=1\n", ""),
    (0, &["decode"], "", ""),
    (0, &["encode"], "{\"command\":\"t\"}\n", ""),
    (0, &["encode", "t", "a=1"], "", ""),
    (0, &["encode", "t", "a=int:1"], "", "a:=1"),
    (0, &["--help"], "", ""),
    (0, &["--version"], "", ""),
    (0, &["encode", "--help"], "", ""),
    (1, &["decode"], "t?a=int:x\n", "<stdin>:1: "),
    (1, &["decode", "--fail-fast"], "t?a=int:x\nt?a=int:y\n", "<stdin>:1: "),
    (1, &["decode", "-s"], "%FF\n", "<stdin>:1: "),
    (1, &["encode"], "{}\n", "<stdin>:1: "),
    (1, &["encode", "t", "a=xxxxxxxxxx", "--max-line=9"], "", "longer than 9 bytes"),
    (1, &["encode", "t", "-b", "good.bcp", "--max-payload=1"], "", "over 1 bytes"),
    (2, &[], "", "subcommand missing"),
    (2, &["nope"], "", "unknown subcommand"),
    (2, &["decode", "--nope"], "", "unknown option"),
    (2, &["decode", "-m", "t?a=int:x"], "", "int:x"),
    (2, &["decode", "-F", "{"], "", "{"),
    (2, &["decode", "--max-line=x"], "", "--max-line"),
    (2, &["encode", "t", "a"], "", "name=a"),
    (2, &["encode", "-s", "-b", "x"], "", "-b"),
    (3, &["decode", "missing"], "", "cannot open missing"),
    // The more severe status wins, independent of the order.
    (3, &["decode", "missing", "bad.bcp"], "", "bad.bcp:1: "),
    (3, &["decode", "bad.bcp", "missing"], "", "bad.bcp:1: "),
    (3, &["encode", "-i", "missing"], "", "cannot open missing"),
    (3, &["encode", "t", "-b", "missing"], "", "cannot open missing"),
];

#[test]
fn each_exit_status_of_the_filters() {
    let folder = Workdir::new();
    folder.write("good.bcp", "good\n");
    folder.write("bad.bcp", "t?a=int:x\n");
    for (code, args, stdin, expected) in TABLE {
        let outcome = backbox_in(&folder, *args, stdin);
        assert_eq!(outcome.code, Some(*code), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{args:?}: {}", outcome.stderr);
        assert_eq!(outcome.stderr.is_empty(), expected.is_empty(), "{args:?}: {}", outcome.stderr);
    }
    assert!((0..=3).all(|code| TABLE.iter().any(|(provoked, ..)| *provoked == code)));
}

#[cfg(unix)]
#[test]
fn signal_ends_a_filter_as_a_shell_expects() {
    use std::os::unix::process::ExitStatusExt;
    let mut filter = common::Coprocess::start(&["decode", "-F", "{@command}"]);
    filter.write(b"a\n");
    assert_eq!(filter.read_until(b'\n'), b"a\n");
    // The `kill` of the shell, because the program may not be installed.
    let killed = common::shell_in(&Workdir::new(), &format!("kill -TERM {}", filter.id()));
    killed.exits(0);
    // A shell reports 143 for SIGTERM. SIGINT is not tested, because shells ignore it for background jobs.
    let deadline = std::time::Instant::now() + common::RUN_TIME_MAX;
    assert_eq!(filter.wait(deadline).signal(), Some(15));
}

#[test]
fn session_that_is_played_is_never_written_over() {
    let folder = Workdir::new();
    folder.write("game.bcp", "reset\n");
    for option in ["--record", "--announce"] {
        let ended = backbox_in(&folder, ["replay", "--serve", "-a", ":0", option, "game.bcp", "game.bcp"], "");
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(" game.bcp would write over the session that is played"), "{}", ended.stderr);
        assert_eq!(std::fs::read(folder.path().join("game.bcp")).unwrap(), b"reset\n");
    }
    let ended = backbox_in(&folder, ["replay", "none.bcp", "--record", "none.bcp"], "");
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
}

#[test]
fn old_announcement_is_removed_before_anything_can_fail() {
    let folder = Workdir::new();
    folder.write("full.bcp", "reset\n");
    let address = folder.write("address", "127.0.0.1:9\n");
    let ended = backbox_in(&folder, ["listen", "-a", ":0", "--announce", "address", "--record", "full.bcp"], "");
    ended.exits(3).reports(&["file is not empty; use --overwrite"]);
    assert!(!address.exists());
}
