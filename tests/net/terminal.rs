//! Output that is printed only on a terminal.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::harness::*;

/// Opens a terminal: the side for a program, and everything written to it after it is closed.
fn terminal() -> (File, Receiver<String>) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let near = OpenOptions::new().read(true).write(true).open(name).unwrap();
    let (send, receive) = channel();
    thread::spawn(move || {
        let (mut text, mut bytes) = (Vec::new(), [0; 4096]);
        let mut master = File::from(master);
        // Reading fails when the last program has closed its side.
        while let Ok(count) = master.read(&mut bytes) {
            text.extend_from_slice(&bytes[..count]);
        }
        send.send(String::from_utf8_lossy(&text).into_owned())
    });
    (near, receive)
}

/// Replays a session that takes more than a second with standard error on a terminal, and returns what is printed.
fn seen(arguments: &[&str], output_too: bool) -> String {
    let file = directory().join("session.bcp");
    fs::write(&file, "#backbox-session 1\n#@0\nhello?version=1.1\n#@1.1\nreset\n#@1.3\ngoodbye\n").unwrap();
    let (near, seen) = terminal();
    let mut command = command(&["replay", "--loopback", file.to_str().unwrap()]);
    let stdout = if output_too { Stdio::from(near.try_clone().unwrap()) } else { Stdio::null() };
    command.args(arguments).env("TERM", "xterm").stdin(Stdio::null()).stdout(stdout).stderr(near);
    let mut child = command.spawn().unwrap();
    drop(command);
    assert_eq!(exit_code(&mut child), Some(0));
    seen.recv_timeout(TIME_LIMIT).expect("the terminal does not end")
}

#[test]
fn progress_line_is_redrawn_and_erased_at_the_end() {
    let seen = seen(&["--view", "raw"], true);
    let (before, after) = seen.split_once("\r\u{1b}[?7l").unwrap_or_else(|| panic!("{seen:?}"));
    assert!(before.starts_with("playing the client of session.bcp"), "{seen:?}");
    let (line, after) = after.split_once("\u{1b}[?7h\u{1b}[K").unwrap_or_else(|| panic!("{seen:?}"));
    assert_eq!(line, "1/3 0:01/0:01 ×1.0", "{seen:?}");
    // Received messages and reports replace the progress line.
    assert!(after.contains("\r\u{1b}[K\u{1b}[1mreset_complete\u{1b}[0m\r\n"), "{seen:?}");
    assert!(after.contains("\r\u{1b}[Kreplayed 3 messages "), "{seen:?}");
    assert!(after.contains("; done\r\nlateness: p50 ") && after.ends_with(" ms\r\n"), "{seen:?}");
}

#[test]
fn replay_prints_a_table_on_a_terminal_with_what_it_sends_dimmed() {
    let seen = seen(&["-q"], true);
    assert!(seen.contains("\x1b[2m   1.1") && seen.contains("  MPF→MC  reset\x1b[0m\r\n"), "{seen:?}");
    assert!(seen.contains("\x1b[33mMC→MPF  \x1b[0mreset_complete\r\n"), "{seen:?}");
    assert!(seen.contains("connected to 127.0.0.1:") && seen.contains(" s: 3 messages sent, "), "{seen:?}");
}

#[test]
fn quiet_prints_no_progress_line() {
    assert_eq!(seen(&["-q"], false), "");
}

/// Returns what `listen` prints on a terminal with a hostile peer.
fn shown(arguments: &[&str]) -> String {
    let (file, (near, seen)) = (directory().join("address"), terminal());
    let mut command = listen_command(arguments, &file);
    let mut child = command.stdin(Stdio::null()).stdout(near.try_clone().unwrap()).stderr(near).spawn().unwrap();
    drop(command);
    let mut peer = connect(announced(&file));
    peer.send("trigger?name=\x1b]0;x\x07\u{9b}31m\r\nf&bytes=3\n\x1b[mx\x1b[2J?a=int:\x1b[m\n\x1b[5m".as_bytes());
    peer.half_close();
    let _ = peer.rest();
    assert!(matches!(exit_code(&mut child), Some(1)));
    seen.recv_timeout(TIME_LIMIT).expect("the terminal does not end")
}

#[test]
fn control_characters_of_a_peer_are_escaped() {
    for (arguments, trigger, payload) in [
        (
            &["--once", "--view", "raw"][..],
            "\x1b[1mtrigger\x1b[0m?name=\\x1b]0;x\\x07\\x9b31m\r\n",
            "\x1b[1mf\x1b[0m&bytes=3 <3 bytes>\r\n",
        ),
        (
            &["--once", "--view", "raw", "--color", "never", "-v"],
            "< trigger?name=\\x1b]0;x\\x07\\x9b31m\r\n",
            "\ntrigger?name=\\x1b]0;x\\x07\\x9b31m\r\nf&bytes=3 <3 bytes>\r\n",
        ),
    ] {
        let seen = shown(arguments);
        assert!(seen.contains(trigger) && seen.contains(payload), "{seen:?}");
        // One report for the malformed line and one for the incomplete one.
        assert!(seen.contains("a: invalid integer: int:\\x1b[m") && seen.contains("a message: \\x1b[5m"), "{seen:?}");
        let ours = ["\x1b[0m", "\x1b[1m", "\x1b[31m"].iter().fold(seen.clone(), |rest, code| rest.replace(code, ""));
        assert!(!ours.contains(['\x1b', '\u{9b}', '\x07']), "{seen:?}");
    }
}

#[test]
fn listen_prints_a_table_on_a_terminal_with_malformed_lines_red() {
    let seen = shown(&["--once"]);
    assert!(seen.contains("\x1b[36mMPF→MC  \x1b[0mtrigger         "), "{seen:?}");
    assert!(seen.contains("\\x1b]0;x\\x07\\x9b31m") && seen.contains("<3 bytes>"), "{seen:?}");
    assert!(seen.contains("\x1b[31mMPF→MC  \x1b[0m\x1b[31m! x\\x1b[2J?a=int:\\x1b[m"), "{seen:?}");
    assert!(seen.contains("connected from 127.0.0.1:") && seen.contains("closed by MPF after "), "{seen:?}");
    let ours = ["0", "1", "2", "31", "33", "36"];
    let rest = ours.iter().fold(seen.clone(), |rest, code| rest.replace(&format!("\x1b[{code}m"), ""));
    assert!(!rest.contains(['\x1b', '\u{9b}', '\x07']), "{seen:?}");
}

#[test]
fn forward_colours_the_two_directions() {
    let (file, target, (near, seen)) = (directory().join("address"), server(), terminal());
    let mut command = listen_command(&["--forward", &target.address, "--once", "-q", "--view", "raw"], &file);
    let mut child = command.stdin(Stdio::null()).stdout(near).spawn().unwrap();
    drop(command);
    let mut client = connect(announced(&file));
    client.send(b"hello?version=1.1\n");
    let mut target = target.accept();
    assert_eq!(target.line(), "hello?version=1.1\n");
    target.send(b"goodbye\n");
    drop(target);
    assert_eq!(client.rest().unwrap(), "goodbye\n");
    drop(client);
    assert_eq!(exit_code(&mut child), Some(0));
    assert_eq!(
        seen.recv_timeout(TIME_LIMIT).unwrap(),
        "\x1b[36m> \x1b[0m\x1b[1mhello\x1b[0m?version=1.1\r\n\x1b[33m< \x1b[0m\x1b[1mgoodbye\x1b[0m\r\n"
    );
}

#[test]
fn send_without_output_reports_what_it_sent() {
    for (arguments, expected) in [
        (&["a?"][..], "sent 1 message to ADDRESS\r\n"),
        (&["--repeat", "3", "a?"], "sent 3 messages to ADDRESS\r\n"),
        (&["-q", "a?"], ""),
    ] {
        let (near, seen) = terminal();
        let server = server();
        let mut command = command(&[&["send", "-a", &server.address], arguments].concat());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(near).spawn().unwrap();
        drop(command);
        server.accept().rest().unwrap();
        assert_eq!(exit_code(&mut child), Some(0));
        let seen = seen.recv_timeout(TIME_LIMIT).expect("the terminal does not end");
        assert_eq!(seen, expected.replace("ADDRESS", &server.address));
    }
}
