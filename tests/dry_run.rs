//! `replay --dry-run` with its data files: the cases of `session.jsonl` with an expected output, the logs of
//! `tests/data/logs`, and the recordings of real games.

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{Workdir, backbox};
use serde_json::Value;

fn text_or_base64(case: &Value, name: &str) -> Option<Vec<u8>> {
    let base64 = case[format!("{name}_b64")].as_str().map(|base64| STANDARD.decode(base64).unwrap());
    case[name].as_str().map(|text| text.as_bytes().to_vec()).or(base64)
}

fn data(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn every_case_is_printed_as_expected_and_a_second_time_the_same() {
    let (mut checked, folder) = (0, Workdir::new());
    for line in String::from_utf8(data("session.jsonl")).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (Some(input), Some(printed)) = (text_or_base64(&case, "input"), text_or_base64(&case, "dry_run")) else {
            continue;
        };
        let name = case["name"].as_str().unwrap();
        let exit = i32::try_from(case["exit"].as_i64().unwrap()).unwrap();
        let mut arguments = vec!["replay", "--dry-run", "-"];
        if let Some(from) = case["from"].as_str() {
            arguments.extend(["--from", from]);
        }
        let ended = backbox(&arguments, &input);
        assert_eq!(ended.stdout.escape_ascii().to_string(), printed.escape_ascii().to_string(), "{name}");
        assert_eq!(ended.code, Some(exit), "{name}: {}", ended.stderr);
        let place = |text: &str| text.split_once(": ").map(|(number, _)| format!("<stdin>:{number}: "));
        if let Some(place) = case["note"].as_str().and_then(place) {
            assert!(ended.stderr.contains(&place), "{name}: {}", ended.stderr);
        }
        if let Some(error) = case["error"].as_str() {
            let has_number = error.starts_with(|c: char| c.is_ascii_digit());
            let report =
                if has_number { format!("<stdin>:{error}") } else { format!("backbox replay: <stdin>: {error}") };
            assert!(
                ended.stderr.lines().any(|line| line.starts_with(&report)) || has_number,
                "{name}: {}",
                ended.stderr
            );
            assert!(!has_number || ended.stderr.contains(&place(error).unwrap()), "{name}: {}", ended.stderr);
        }
        if exit == 0 {
            folder.write("again.bcp", &printed);
            let path = folder.path().join("again.bcp");
            let again = backbox(["replay", "--dry-run", path.to_str().unwrap()], "").exits(0).stdout.clone();
            assert_eq!(again, printed, "{name}");
        }
        checked += 1;
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn each_log_is_converted_to_its_session() {
    for name in [
        "gmc.log",
        "mpf-0.81-console.log",
        "mpf-0.81-file.log",
        "mpf-0.81-json.log",
        "mpf-0.81-nasty.log",
        "mpf-mc-0.57.log",
        "mpf-monitor-cache.txt",
    ] {
        let (stem, _) = name.rsplit_once('.').unwrap();
        let path = format!("{}/tests/data/logs/{name}", env!("CARGO_MANIFEST_DIR"));
        let ended = backbox(["replay", "--dry-run", &path], "");
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
        let expected = data(&format!("logs/{stem}.bcp"));
        assert_eq!(ended.stdout.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{name}");
        // Messages that are missing from the log are reported.
        assert!(ended.stderr.lines().any(|line| line.starts_with(&format!("{path}: "))), "{}", ended.stderr);
        assert_eq!(backbox(["replay", "-q", "--dry-run", &path], "").stderr, "", "{name}");
    }
}

#[test]
fn one_connection_of_several_can_be_printed() {
    let file = "#backbox-session 1\n#!exact\n#@0.0\na\n#@1.0 2\nb\n#<f&bytes=2\n#=aGk=\n# x\n#@2.0\n#<c\n#@3.0 2\n";
    let print = |number: &str| backbox(["replay", "--dry-run", "--conn", number, "-"], file).exits(0).text().to_owned();
    assert_eq!(print("1"), "#backbox-session 1\n#!exact\n#@0.0\na\n#@1.0 2\n# x\n#@2.0\n#<c\n#@3.0 2\n");
    assert_eq!(
        print("2"),
        "#backbox-session 1\n#!exact\n#@0.0\n#@1.0 2\nb\n#<f&bytes=2\n#=aGk=\n# x\n#@2.0\n#@3.0 2\n"
    );
    let none = backbox(["replay", "--dry-run", "--conn", "3", "-"], file);
    assert_eq!((none.code, none.stderr.contains("no connection 3")), (Some(1), true), "{}", none.stderr);
}

#[test]
fn findings_of_the_lint_are_notes() {
    let ended = backbox(["replay", "--dry-run", "-"], "reset\nswitch?name=s&state=on\n");
    assert_eq!((ended.code, ended.text()), (Some(0), "#backbox-session 1\nreset\nswitch?name=s&state=on\n"));
    assert!(ended.stderr.starts_with("<stdin>:2: stop: would end MPF 0.81"), "{}", ended.stderr);
}

#[test]
fn input_that_cannot_be_read_is_reported() {
    let folder = Workdir::new();
    let directory = folder.path().to_str().unwrap();
    let ended = backbox(["replay", "--dry-run", directory], "");
    assert_eq!((ended.code, ended.text()), (Some(3), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains(if cfg!(windows) { "denied" } else { "directory" }), "{}", ended.stderr);
    let log = "2026-11-20 21:02:00,000 : INFO : root : Loading config.\n";
    let ended = backbox(["replay", "--dry-run", "-"], log);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("logging: file: bcp_client: full"), "{}", ended.stderr);
    let ended = backbox(["replay", "--dry-run", "--from", "gcm", "-"], log);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("mpf-json") && ended.stderr.contains("did you mean gmc?"), "{}", ended.stderr);
    let ended = backbox(["replay", "--dry-run", "--loopback", "-"], log);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

#[test]
fn a_wrong_kind_says_how_the_right_one_is_found() {
    let ended = backbox(["replay", "--dry-run", "--from", "gmc", "-"], "reset\n");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.ends_with("; leave out --from, and its first lines tell what it is\n"), "{}", ended.stderr);
}

#[test]
fn comment_of_any_length_is_copied() {
    let session = format!("#backbox-session 1\n# short\n# {}\na\n", "y".repeat(2 << 20));
    let ended = backbox(["replay", "--dry-run", "-"], &session);
    assert!(ended.exits(0).reports_nothing().text() == session);
}
