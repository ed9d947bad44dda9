//! Standard output and recordings: what may block in a pipe or on a disk.

use std::fs::File;
use std::io;

/// What happens when the reader of standard output, or the disk of a recording, is slower than the peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WhenBehind {
    /// Peers are not read while more than 64 KiB wait, so that nothing is lost.
    #[default]
    Wait,
    /// Peers are never slowed: what exceeds 64 MiB is dropped and counted, and [`Notice::Dropped`](super::Notice)
    /// reports it.
    Drop,
}

/// Standard output.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
}

impl Output {
    /// Standard output of this process.
    pub(crate) fn stdout() -> io::Result<Output> {
        todo!()
    }

    /// A file or pipe in its place, for tests.
    pub(crate) fn from_file(file: File) -> Output {
        Output { file }
    }
}
