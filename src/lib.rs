//! backbox: a command-line toolkit for the Backbox Control Protocol (BCP), the line protocol between a pinball
//! machine's controller and its media controller.
//!
//! This page is the architecture. The program's behaviour is in the man pages (`man/`), the protocol in `man/bcp.7`,
//! and the second one, `--wire obe`, in `man/obe-socket.7`.
//!
//! # The layers
//!
//! Dependencies run one way; `tests/layers.rs` reads the `use` lines and fails when one runs the other way.
//!
//! ```text
//! main → commands → net → conversation → codec → message
//!          │        └──→ framing
//!          ├→ goals, check → session → framing        catalogue, pattern, template → codec
//!          ├→ output
//!          └→ cli (knows no subcommand and no protocol)
//!            everybody → failure, limits, text
//! ```
//!
//! | module | what it does | what it must never do |
//! | --- | --- | --- |
//! | [`message`] | a value as plain data, where one is kept, sorted or compared | be built for a stream |
//! | [`codec`] | a line into its parts and back, JSON respelled on the way | open a file, read a clock, keep a line |
//! | [`framing`] | bytes into bounded frames: lines and payloads, or lengths and bodies | read a meaning into a line |
//! | [`pattern`], [`template`] | what a message has to look like; how `-F` shows it | know where one came from |
//! | `catalogue` | the commands that are known, in one table | refuse a command that is not in it |
//! | [`session`] | the session file format, read and written | open a file, sleep |
//! | [`check`] | a recording against what came: blocks, alignment, report | do I/O, read a clock, keep all of it |
//! | [`conversation`] | handshake, reset, goodbye, unknown commands: one table of transitions | do I/O, read a clock |
//! | [`net`] | sockets, threads, poll, timeouts, signals | know an output format; block without a way out |
//! | [`output`] | standard output and error, colours, what is safe for a terminal | decide what is printed |
//! | [`cli`] | flag tables: parser, help, man pages, completions from one list | know a subcommand or BCP |
//! | [`commands`] | a file or folder each: options, flags, senseless combinations, run | parse a line by itself |
//! | [`failure`] | the exit statuses, and the one place where errors become one | be bypassed by `exit` elsewhere |
//! | [`limits`], [`text`], [`duration`] | named limits; white space and safe text; `250ms` | depend on anything above |
//!
//! # The way of a line
//!
//! **From a peer or a file to standard output.** `net` or a filter reads into [`framing::BcpFramer`], which finds the
//! line's end, its payload marker and its payload, and gives a [`framing::RawMessage`]. [`bcp::Message::parse_line`]
//! respells it: afterwards the parts hold the JSON text of the message, one spelling for each message, and walking
//! along that text finds its parameters. A [`pattern::Pattern`] looks at the parts, [`bcp::Message::write_json`] or a
//! [`template::Template`] appends text to a buffer, and the buffer is written when no further message is at hand. On
//! the fast path a line is gone through once and copied twice; nothing is allocated.
//!
//! **From arguments or JSON Lines to the wire.** `state:=1` and a line of JSON both become [`bcp::Message`] through
//! the same scanner ([`bcp::Message::push_json`], [`bcp::Message::parse_json`]); [`bcp::write_line`] looks at names
//! and values once and writes the plain form where every known peer reads it alike, else `json=` with every risky
//! character escaped. `net` sends the line, its LF and its payload in one write.
//!
//! **The second wire.** `--wire obe` is the same way with other ends: a [`framing::Framer`] is either of two framers,
//! and [`bcp::Message::parse_value`] reads any JSON, whose member `command` and the others are the command and the
//! parameters of [`bcp::Message::take_command`]. Its text goes through unchanged. Its conversation is one message and
//! one reply, which `send`, `listen` and `replay` hold themselves.
//!
//! **Between two programs.** [`conversation::Conversation`] is told what was heard and appends what is to be said; it
//! serves `listen`, `send` and the built-in media controller of `replay --loopback`, and is tested without a socket.
//!
//! # Threads
//!
//! The filters, `send` and `replay` are one thread; the latter two are one loop around `poll` in [`net`]. `listen`
//! has a supervisor that polls, a reader for each connection, and one printer that owns standard output; what passes
//! between them are chunks of whole frames through bounded channels. Whatever can block has a way out: a signal, a
//! deadline, a reader of standard output that has gone.
//!
//! # Words
//!
//! A *command* has *parameters*, and may be followed by a *payload* of raw bytes. The *pin controller* runs the game,
//! the *media controller* shows it. The *dialler* opened a TCP connection and the *acceptor* took it, whatever their
//! roles. A *session* is a recorded conversation.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod bcp;
pub(crate) mod catalogue;
pub mod check;
pub(crate) mod cli;
pub mod commands;
mod engine;
pub mod exit;
pub mod framing;
pub mod limits;
pub mod net;
pub(crate) mod output;
pub mod session;
pub mod text;
pub mod time;
