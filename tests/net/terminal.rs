//! What only a person at a terminal is shown.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::harness::*;

/// A terminal: its near side for a program, and what that will have written when nobody has it any more.
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
        // The end of the last program that has the near side is an error of this one.
        while let Ok(count) = master.read(&mut bytes) {
            text.extend_from_slice(&bytes[..count]);
        }
        send.send(String::from_utf8_lossy(&text).into_owned())
    });
    (near, receive)
}

/// Plays a session that takes more than a second, with its standard error on a terminal; what is seen there.
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
    seen.recv_timeout(PATIENCE).expect("the terminal does not end")
}

#[test]
fn a_long_replay_shows_one_line_that_is_redrawn_and_gone_at_the_end() {
    let seen = seen(&[], true);
    let (before, after) = seen.split_once("\r\u{1b}[?7lplayed ").unwrap_or_else(|| panic!("{seen:?}"));
    assert!(before.starts_with("playing the dialler of session.bcp"), "{seen:?}");
    let (line, after) = after.split_once("\u{1b}[?7h\u{1b}[K").unwrap_or_else(|| panic!("{seen:?}"));
    assert!(line.contains(" of 3, ") && line.contains(" s, late by ") && line.contains(" ms (at most "), "{seen:?}");
    // What comes and what is said take the line's place.
    assert!(after.contains("\r\u{1b}[Kreset_complete\r\n"), "{seen:?}");
    assert!(after.contains("\r\u{1b}[Kreplayed 3 messages "), "{seen:?}");
    assert!(after.contains("; done\r\nlateness: p50 ") && after.ends_with(" ms\r\n"), "{seen:?}");
}

#[test]
fn who_is_quiet_sees_no_line() {
    assert_eq!(seen(&["-q"], false), "");
}
