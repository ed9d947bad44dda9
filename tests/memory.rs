//! Memory does not grow with the stream: the peak is read from `/proc` while the filter waits for input.

#![cfg(target_os = "linux")]

mod common;

use common::{Coprocess, backbox};
use std::io::{Read, Write};
use std::process::Stdio;

/// The peak resident memory of a filter after a 64 MiB stream, in KiB.
fn peak_kib(args: &[&str], block: &[u8], output_bytes: u64) -> u64 {
    let times = ((64 << 20) / block.len()).max(1);
    let mut filter = Coprocess::start(args);
    let mut stdin = filter.take_stdin();
    let block = block.to_vec();
    // Standard input stays open until the peak is read, because `/proc` has no entry of an ended process.
    let writer = std::thread::spawn(move || {
        for _ in 0..times {
            stdin.write_all(&block).unwrap();
        }
        stdin
    });
    filter.skip_bytes(output_bytes * times as u64);
    let stdin = writer.join().unwrap();
    let peak = vm_hwm_kib(filter.id());
    drop(stdin);
    assert_eq!(filter.close().code(), Some(0));
    peak
}

fn vm_hwm_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The limit of resident memory in a debug build, in KiB. More than half of it is the
/// program itself.
const PEAK_KIB_MAX: u64 = 10 << 10;

#[test]
fn memory_does_not_grow_with_the_stream() {
    if !common::runner().is_empty() {
        println!("skipped: an emulator changes the memory use");
        return;
    }
    let session = std::fs::read("tests/data/sessions/one-ball-game.bcp").unwrap();
    let lines = backbox(["decode"], &session).exits(0).stdout.clone();
    let again = backbox(["encode"], &lines).exits(0).stdout.clone();
    let decode = peak_kib(&["decode"], &session, lines.len() as u64);
    let encode = peak_kib(&["encode"], &lines, again.len() as u64);
    assert!(decode < PEAK_KIB_MAX && encode < PEAK_KIB_MAX, "decode had {decode} KiB, encode {encode} KiB");
}

#[test]
fn memory_does_not_grow_with_a_stream_of_obe_frames() {
    if !common::runner().is_empty() {
        println!("skipped: an emulator changes the memory use");
        return;
    }
    let lines: String = (0..1000).map(|n| format!("{{\"command\": \"newdat\", \"x\": {n}.5}}\n")).collect();
    let frames = backbox(["encode", "--wire", "obe"], &lines).exits(0).stdout.clone();
    let decode = peak_kib(&["decode", "--wire", "obe"], &frames, lines.len() as u64);
    let encode = peak_kib(&["encode", "--wire", "obe"], lines.as_bytes(), frames.len() as u64);
    assert!(decode < PEAK_KIB_MAX && encode < PEAK_KIB_MAX, "decode had {decode} KiB, encode {encode} KiB");
    // A single message as large as the stream may use three times its size.
    let large = [&b"0067108864\""[..], &vec![b'x'; (64 << 20) - 2], b"\""].concat();
    let decode = peak_kib(&["decode", "--wire", "obe"], &large, (64 << 20) + 1);
    assert!(decode < PEAK_KIB_MAX + 3 * (64 << 10), "decode had {decode} KiB for one message");
}

#[test]
fn memory_of_a_dry_run_does_not_grow_with_its_input() {
    if !common::runner().is_empty() {
        println!("skipped: an emulator changes the memory use");
        return;
    }
    let folder = common::Workdir::new();
    let path = folder.path().join("input");
    for (input, size) in
        [("tests/data/sessions/one-ball-game.bcp", 64 << 20), ("tests/data/logs/mpf-0.81-file.log", 32 << 20)]
    {
        let block = std::fs::read(input).unwrap();
        std::fs::write(&path, block.repeat(size / block.len())).unwrap();
        let mut command = common::program();
        command.args(["replay", "-q", "--dry-run"]).arg(&path).stdout(Stdio::piped());
        let mut run = command.spawn().unwrap();
        let mut printed = run.stdout.take().unwrap();
        // The end of the output stays unread until the peak is read, so that the process still exists.
        std::io::copy(&mut printed.by_ref().take(size as u64 / 64), &mut std::io::sink()).unwrap();
        let peak = vm_hwm_kib(run.id());
        std::io::copy(&mut printed, &mut std::io::sink()).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(0));
        assert!(peak < PEAK_KIB_MAX, "{input}: {peak} KiB");
    }
}

#[test]
fn largest_message_takes_three_times_its_size() {
    if !common::runner().is_empty() {
        println!("skipped: an emulator changes the memory use");
        return;
    }
    let payload = "x".repeat(3 << 20);
    let line = format!("f&bytes={}\n{payload}", payload.len());
    let json = backbox(["decode"], &line).exits(0).stdout.clone();
    for (args, message, output) in [(["decode"], line.as_bytes(), &json[..]), (["encode"], &json, line.as_bytes())] {
        let mut filter = Coprocess::start(&args);
        filter.write(message);
        filter.skip_bytes(output.len() as u64);
        let most = PEAK_KIB_MAX + 3 * (json.len() as u64 >> 10);
        let peak = vm_hwm_kib(filter.id());
        assert!(peak < most, "{args:?} had {peak} KiB, {most} KiB at most");
        assert_eq!(filter.close().code(), Some(0));
    }
}

#[test]
fn memory_does_not_grow_with_template_output() {
    if !common::runner().is_empty() {
        println!("skipped: an emulator changes the memory use");
        return;
    }
    let (lines, times) = (20_000, 1_000);
    let mut filter = Coprocess::start(&["decode", "-F", &"{@command}".repeat(times)]);
    filter.write("t\n".repeat(lines).as_bytes());
    filter.skip_bytes((lines * (times + 1)) as u64);
    let peak = vm_hwm_kib(filter.id());
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
    assert_eq!(filter.close().code(), Some(0));
}

#[test]
fn memory_does_not_grow_with_a_claimed_length_or_an_endless_line() {
    if !common::runner().is_empty() {
        println!("skipped: an emulator changes the memory use");
        return;
    }
    let mut filter = Coprocess::start(&["decode", "--max-payload=99999999999", "-F", "{@command}"]);
    filter.write(b"a\nf&bytes=99999999999\nbegun");
    assert_eq!(filter.read_until(b'\n'), b"a\n");
    let peak = vm_hwm_kib(filter.id());
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
    // 64 MiB without a line end are dropped while they are read; the lines after them are decoded.
    let mut filter = Coprocess::start(&["decode", "-F", "{@command}"]);
    let block = vec![b'x'; 1 << 20];
    (0..64).for_each(|_| filter.write(&block));
    filter.write(b"\nnext\n");
    assert_eq!(filter.read_until(b'\n'), b"next\n");
    let peak = vm_hwm_kib(filter.id());
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
}
