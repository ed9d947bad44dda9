//! `backbox listen` with a thousand peers at once, some of them misbehaving.

use std::io::Write;
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::*;

const PEERS: usize = 1000;
const LINES: usize = 1000;
const THREADS: usize = 8;
/// The number of lines that a peer sends before the next peer continues.
const TURN: usize = 50;
/// The number of misbehaving peers of each kind.
const MISBEHAVING: usize = 10;
const BYTES_MAX: usize = 30_000_000;

/// Sends the lines of all peers in turns, and waits until all of them are handled.
fn send_lines(address: std::net::SocketAddr, numbers: std::ops::Range<usize>, all_connected: &Barrier) {
    let mut peers: Vec<(usize, Peer)> = numbers.map(|number| (number, connect(address))).collect();
    all_connected.wait();
    for start in (0..LINES).step_by(TURN) {
        for (number, peer) in &mut peers {
            let turn: Vec<u8> = (start..start + TURN)
                .flat_map(|line| format!("trigger?peer={number}&line={line}\n").into_bytes())
                .collect();
            peer.send(&turn);
        }
    }
    for (_, peer) in &mut peers {
        peer.send(b"goodbye\n");
    }
    for (_, peer) in &mut peers {
        assert_eq!(peer.rest().unwrap(), "");
    }
}

/// What misbehaving peers send that keep the connection and read nothing, by kind.
fn misbehaviours() -> Vec<Vec<u8>> {
    let garbage = b"\xff\xfe\0?=&\x1b[2J%\n".repeat(50);
    let http = b"POST / HTTP/1.1\r\nHost: x\r\n\r\ntrigger?name=stolen\n".to_vec();
    let long = [&vec![b'x'; 2 << 20][..], b"\n"].concat();
    let huge = b"f&bytes=99999999999999\nxxxx".to_vec();
    vec![Vec::new(), garbage, http, long, huge, b"hal".to_vec()]
}

/// A peer that causes replies and reads none, until it is reset.
fn never_reads(address: std::net::SocketAddr) {
    let mut peer = connect(address);
    let requests = b"nosuch\n".repeat(1000);
    while peer.socket.write_all(&requests).is_ok() {}
}

/// Connects misbehaving peers while the others send; returns those that stay connected.
fn misbehave(address: std::net::SocketAddr) -> JoinHandle<Vec<Peer>> {
    thread::spawn(move || {
        let never_reading = thread::spawn(move || (0..MISBEHAVING / 2).for_each(|_| never_reads(address)));
        let mut connected = Vec::new();
        for words in (0..MISBEHAVING).flat_map(|_| misbehaviours()) {
            let mut peer = connect(address);
            // The connection may be closed before everything is sent.
            let _ = peer.socket.write_all(&words);
            connected.push(peer);
        }
        for _ in 0..MISBEHAVING {
            let mut peer = connect(address);
            peer.send(b"trigger?name=half\ntrigger?na");
            peer.reset();
        }
        never_reading.join().unwrap();
        connected
    })
}

/// Asserts that each line of each peer was printed once, in order for each peer.
#[track_caller]
fn check(printed: &str) {
    let mut next = vec![0; PEERS];
    for message in printed.lines().filter_map(|line| line.strip_prefix("trigger?peer=")) {
        let (peer, line) = message.split_once("&line=").unwrap();
        let next = &mut next[peer.parse::<usize>().unwrap()];
        assert_eq!(line.parse::<usize>().unwrap(), *next, "{message}");
        *next += 1;
    }
    assert!(next.iter().all(|&lines| lines == LINES), "a line is missing");
}

#[test]
#[ignore = "a million lines: run it with --release"]
fn thousand_peers_with_a_thousand_lines_among_misbehaving_ones() {
    let listening = listen(&["-q"]);
    let address = listening.address;
    let all_connected = Arc::new(Barrier::new(THREADS));
    let misbehaving = misbehave(address);
    let senders: Vec<_> = (0..THREADS)
        .map(|part| {
            let all_connected = Arc::clone(&all_connected);
            let numbers = PEERS * part / THREADS..PEERS * (part + 1) / THREADS;
            thread::spawn(move || send_lines(address, numbers, &all_connected))
        })
        .collect();
    senders.into_iter().for_each(|thread| thread.join().unwrap());
    let connected = misbehaving.join().unwrap();
    let peak = listening.running.peak_memory();
    let stopping = Instant::now();
    listening.running.signal(Signal::INT);
    let ended = listening.running.finish();
    let duration = stopping.elapsed();
    drop(connected);
    assert_eq!(ended.code, Some(130));
    // Peers that do not close get half a second.
    assert!(duration < Duration::from_secs(3), "it took {duration:?} to end");
    assert!(peak < BYTES_MAX, "{peak} bytes");
    assert!(!ended.stdout.contains("stolen"), "a message of an HTTP request was printed");
    check(&ended.stdout);
    assert_eq!(ended.stderr.matches("closed: it sends HTTP").count(), MISBEHAVING);
    assert_eq!(ended.stderr.matches("line over").count(), MISBEHAVING);
    assert_eq!(ended.stderr.matches("payload over").count(), MISBEHAVING);
    assert_eq!(ended.stderr.matches("reset: it does not read").count(), MISBEHAVING / 2);
    eprintln!("{} MB peak, ended in {} ms", peak / 1_000_000, duration.as_millis());
}
