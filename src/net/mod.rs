//! Sockets, threads, poll, timeouts and signals: the only place that touches `std::net` and `std::thread`.
//!
//! `net` is handed what to do with a frame and what to say; it knows no command, no parameter and no output format.
//! Which thread does what, and how each blocking place is left:
//!
//! ```text
//! dialogue   ONE thread: poll [stop, socket, stdin, stdout], two bounded buffers; each direction stops reading only
//!            when its own buffer is full, so two programs that write at once cannot block each other.
//! server     supervisor (the caller's thread): poll [stop, stdout, listener, wake, connections with unsent bytes]
//!            a reader a connection: blocking read -> frames -> chunk -> channel of 64 -> printer
//!            printer: owns the host, which owns stdout; tells the supervisor through one byte on `wake`
//!            writers: whoever says something appends to the connection's queue and sends what the socket takes at
//!            once; the supervisor sends the rest
//! forward    supervisor as above; a thread a pair dials and pumps one direction, another one the other: read, tell the
//!            taps, write to the other side. A tap counts its bytes and never has a pump wait; what is over is dropped.
//!            an ear a tap (one prints, one records): a thread that may block as long as it likes
//! ```
//!
//! A stop (a signal, or the other half of [`wait::stop_pair`]) is a pipe that stays readable for every poller; a reader
//! is woken by shutting down its socket's reading side; a printer that hangs in stdout is given a moment and then left
//! behind.

pub mod accept;
pub mod address;
pub mod budget;
pub mod chunk;
pub mod connection;
pub mod dialogue;
pub mod forward;
pub mod pump;
pub mod queue;
pub mod server;
pub mod tap;
pub mod wait;

pub use std::net::{SocketAddr, TcpStream};
