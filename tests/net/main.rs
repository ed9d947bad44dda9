//! The subcommands that talk, run as programs against real sockets: on port 0, with a deadline for everything.
//!
//! Signals, `/proc` and terminals end and watch nearly every run here, so it is for Unix; `tests/network.rs` runs
//! everywhere.
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
