//! The subcommands that talk, run as programs against real sockets: on port 0, with a deadline for everything.

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
