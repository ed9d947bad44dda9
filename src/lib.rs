//! backbox: a command-line toolkit for the Backbox Control Protocol (BCP), the line protocol between a pinball
//! machine's controller and its media controller.
//!
//! The program is in the manual (`man/`), the protocol in `bcp(7)`. As a library, three modules are public:
//!
//! - [`bcp`]: a line to a [`bcp::Message`] and back, JSON Lines, patterns, templates, the handshake.
//! - [`framing`]: bytes to lines and payloads, from a stream in any pieces.
//! - [`session`]: recorded conversations, read and written, and the logs that hold them.
//!
//! They do no I/O of their own, but for `session`, which reads from a `BufRead`. They depend on nothing else here.
//!
//! # Architecture
//!
//! Dependencies run one way; `tests/layers.rs` reads the paths in `src` and fails when one runs the other way.
//!
//! ```text
//! main → commands ─┬→ net ───────────────→ framing → bcp
//!                  ├→ check → session ───→ framing → bcp
//!                  ├→ catalogue ──────────────────→ bcp
//!                  ├→ output ────────────→ framing → bcp
//!                  └→ cli
//! every module may use exit, limits, text, time
//! ```
//!
//! | module | does | must never |
//! | --- | --- | --- |
//! | `commands` | a subcommand each: its options, its plan, its run | parse a line by itself, touch a socket |
//! | `net` | one loop over sockets, its threads and signals | know a message or an output format; block |
//! | `check` | compares a recording with what arrived | do I/O, read a clock, keep everything |
//! | [`session`] | the session format and logs | open a file, sleep |
//! | `catalogue` | the known commands in one table; guard and lint | refuse an unknown command as such |
//! | `output` | the terminal: colors, the table view, notes and errors | decide what is printed |
//! | `cli` | option tables: parser, help, man pages, completions | know a subcommand or BCP |
//! | [`framing`] | bytes to bounded frames | read a meaning into a line |
//! | [`bcp`] | the protocol: parse, write, match, converse | do I/O, read a clock, know a source |
//! | `exit` | the exit statuses, and the one place where errors become one | be bypassed |
//! | `limits`, `text`, `time` | named limits; safe text; durations and dates | depend on anything above |
//!
//! # Data flow
//!
//! **A line to standard output.** `net` or a filter reads bytes into a [`framing::Framer`], which finds the end of
//! the line, its payload marker and its payload. [`bcp::Message::parse_line`] turns the line into the canonical JSON of
//! the message with an index of its parameters. A [`bcp::pattern::Pattern`] and a [`bcp::template::Template`] read
//! that index. What is printed is collected in one buffer and written when no further message is at hand.
//!
//! **Arguments or JSON Lines to the wire.** Both become a [`bcp::Message`] through the same scanner.
//! [`bcp::write_line`] writes the plain form if every known peer reads it alike, else `json=` with every risky
//! character escaped. `net` sends the line, its LF and its payload in one write.
//!
//! **A conversation.** [`bcp::conversation::Conversation`] gets what was received and appends what to send. It has no
//! socket, so that `send`, `listen` and the tests share it.
//!
//! **A run.** What was typed becomes a plan once, at the top of each subcommand's `run`: addresses are
//! resolved, patterns parsed, files opened. A live subcommand is a `net` handler that follows the plan. What ended the
//! run is mapped to an exit status in one place.
//!
//! # Threads
//!
//! The filters are one thread. `send`, `listen` and `replay` are one loop that polls all sockets. Standard input, slow
//! output and recordings have a thread each, which starts only when it is needed: a one-shot `send` starts none.
//! `replay --loopback` runs a second loop in a thread.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod bcp;
pub(crate) mod catalogue;
pub(crate) mod check;
pub(crate) mod cli;
pub(crate) mod commands;
pub(crate) mod exit;
pub mod framing;
pub(crate) mod limits;
pub(crate) mod net;
pub(crate) mod output;
pub mod session;
pub(crate) mod text;
pub(crate) mod time;

pub use commands::main;

/// Why the guard refuses a line, for `fuzz/`, which sees public items only.
#[cfg(fuzzing)]
pub fn refusal(line: &[u8], payload: Option<&[u8]>) -> Option<String> {
    catalogue::check_line(line, payload).err().map(|refusal| refusal.to_string())
}
