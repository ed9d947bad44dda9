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
/// How many lines a peer sends before the next one has its turn.
const TURN: usize = 50;
/// How many misbehaving peers there are of each kind.
const RUDE: usize = 10;
const BYTES_MAX: usize = 30_000_000;

/// Peers that send their lines in turns, and wait until all of them are handled.
fn speak(address: std::net::SocketAddr, numbers: std::ops::Range<usize>, all_here: &Barrier) {
    let mut peers: Vec<(usize, Peer)> = numbers.map(|number| (number, connect(address))).collect();
    all_here.wait();
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

/// What the misbehaving peers of each kind send that stay and read nothing.
fn rude() -> Vec<Vec<u8>> {
    let garbage = b"\xff\xfe\0?=&\x1b[2J%\n".repeat(50);
    let http = b"POST / HTTP/1.1\r\nHost: x\r\n\r\ntrigger?name=stolen\n".to_vec();
    let long = [&vec![b'x'; 2 << 20][..], b"\n"].concat();
    let huge = b"f&bytes=99999999999999\nxxxx".to_vec();
    vec![Vec::new(), garbage, http, long, huge, b"hal".to_vec()]
}

/// A peer that causes replies and reads none, until it is reset.
fn never_reads(address: std::net::SocketAddr) {
    let mut peer = connect(address);
    let questions = b"nosuch\n".repeat(1000);
    while peer.socket.write_all(&questions).is_ok() {}
}

/// Misbehaving peers while the others send; returns those that stay.
fn trouble(address: std::net::SocketAddr) -> JoinHandle<Vec<Peer>> {
    thread::spawn(move || {
        let deaf = thread::spawn(move || (0..RUDE / 2).for_each(|_| never_reads(address)));
        let mut staying = Vec::new();
        for words in (0..RUDE).flat_map(|_| rude()) {
            let mut peer = connect(address);
            // It may be dropped before all is said.
            let _ = peer.socket.write_all(&words);
            staying.push(peer);
        }
        for _ in 0..RUDE {
            let mut peer = connect(address);
            peer.send(b"trigger?name=half\ntrigger?na");
            peer.reset();
        }
        deaf.join().unwrap();
        staying
    })
}

/// Whether every line of every peer is there once, each peer's in order.
#[track_caller]
fn check(printed: &str) {
    let mut next = vec![0; PEERS];
    for said in printed.lines().filter_map(|line| line.strip_prefix("trigger?peer=")) {
        let (peer, line) = said.split_once("&line=").unwrap();
        let next = &mut next[peer.parse::<usize>().unwrap()];
        assert_eq!(line.parse::<usize>().unwrap(), *next, "{said}");
        *next += 1;
    }
    assert!(next.iter().all(|&lines| lines == LINES), "a line is missing");
}

#[test]
#[ignore = "a million lines: run it with --release"]
fn thousand_peers_with_a_thousand_lines_among_misbehaving_ones() {
    let listening = listen(&["-q"]);
    let address = listening.address;
    let all_here = Arc::new(Barrier::new(THREADS));
    let troubling = trouble(address);
    let speaking: Vec<_> = (0..THREADS)
        .map(|part| {
            let all_here = Arc::clone(&all_here);
            let numbers = PEERS * part / THREADS..PEERS * (part + 1) / THREADS;
            thread::spawn(move || speak(address, numbers, &all_here))
        })
        .collect();
    speaking.into_iter().for_each(|thread| thread.join().unwrap());
    let staying = troubling.join().unwrap();
    let most = listening.running.peak_memory();
    let stopping = Instant::now();
    listening.running.signal(Signal::INT);
    let ended = listening.running.finish();
    let took = stopping.elapsed();
    drop(staying);
    assert_eq!(ended.code, Some(130));
    // Peers that do not close have half a second.
    assert!(took < Duration::from_secs(3), "it took {took:?} to end");
    assert!(most < BYTES_MAX, "{most} bytes");
    assert!(!ended.stdout.contains("stolen"), "a web browser has played");
    check(&ended.stdout);
    assert_eq!(ended.stderr.matches("closed: it sends HTTP").count(), RUDE);
    assert_eq!(ended.stderr.matches("line over").count(), RUDE);
    assert_eq!(ended.stderr.matches("payload over").count(), RUDE);
    assert_eq!(ended.stderr.matches("reset: it does not read").count(), RUDE / 2);
    eprintln!("{} MB at most, ended in {} ms", most / 1_000_000, took.as_millis());
}
