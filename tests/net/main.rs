//! `send`, `listen` and `replay` run as programs with real sockets on free ports. Everything has a time limit.
//!
//! These tests need Unix signals, `/proc` and terminals; `tests/network.rs` runs
//! on every system.
#![cfg(unix)]

mod crowd;
mod faults;
mod forward;
mod harness;
mod listen;
mod listen_ends;
mod listen_ways;
mod obe;
mod replay;
mod replay_check;
mod replay_inputs;
mod replay_serve;
mod replay_ways;
mod roles;
mod send;
mod send_goals;
mod send_waits;
mod send_ways;
mod terminal;
