//! The standard streams and recordings: what may block in a pipe or on a disk. Each gets a thread when it needs one.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::sys::{self, Output, Waker, Watched};

/// How much may be written without a thread: a pipe that has room takes `PIPE_BUF` bytes whole.
const DIRECT_BYTES_MAX: usize = 4096;

/// How much may wait for output before peers are not read.
const BEHIND_BYTES: usize = 64 << 10;

/// How much may wait where peers are never slowed: minutes of a busy game.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// How much is written to standard output at a time.
const PIECE_BYTES: usize = 64 << 10;

/// A block of input, empty at its end.
type Block = io::Result<Vec<u8>>;

/// Standard input, or what stands in for it in tests: read by a thread, since no system lets poll watch everything that
/// it can be.
pub(crate) struct StdinReader {
    /// What the thread takes.
    start: Option<(Box<dyn Read + Send>, SyncSender<Block>)>,
    /// What the thread has read.
    blocks: Receiver<Block>,
    block_bytes: usize,
}

impl StdinReader {
    /// Standard input, read in blocks of at most so many bytes, which are too large for std to buffer.
    pub(crate) fn stdin(block_bytes: usize) -> StdinReader {
        StdinReader::new(Box::new(io::stdin()), block_bytes)
    }

    pub(super) fn new(reader: Box<dyn Read + Send>, block_bytes: usize) -> StdinReader {
        let (send, blocks) = sync_channel(1);
        StdinReader { start: Some((reader, send)), blocks, block_bytes }
    }

    /// The next block, if one was read. The first call starts the thread.
    pub(super) fn take(&mut self, waker: &Waker) -> Option<Block> {
        if let Some((reader, send)) = self.start.take() {
            let (block_bytes, waker) = (self.block_bytes, waker.clone());
            let read = move || read_blocks(reader, &send, block_bytes, &waker);
            if let Err(error) = thread::Builder::new().name("input".to_owned()).spawn(read) {
                return Some(Err(error));
            }
        }
        self.blocks.try_recv().ok()
    }
}

/// The body of the thread: reads one block ahead, until the end, an error, or nothing reads them any more.
fn read_blocks(mut reader: Box<dyn Read + Send>, blocks: &SyncSender<Block>, block_bytes: usize, waker: &Waker) {
    loop {
        let mut bytes = vec![0; block_bytes];
        let block = until_ready(|| reader.read(&mut bytes)).map(|count| {
            bytes.truncate(count);
            bytes
        });
        let is_last = block.as_ref().map_or(true, Vec::is_empty);
        let has_failed = blocks.send(block).is_err();
        waker.wake();
        if is_last || has_failed {
            return;
        }
    }
}

/// Reads or writes, again if necessary: the program that started us may have made a stream non-blocking, and shares it
/// with us.
fn until_ready(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if sys::is_passing(&error) => thread::sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
}

/// Writes without ever blocking its owner.
pub(super) struct Printer {
    /// The thread takes it.
    pub(super) writer: Option<Box<dyn Write + Send>>,
    /// What poll watches, until its reader has closed.
    pub(super) watched: Option<Watched>,
    /// What was not handed over yet.
    pending: Vec<u8>,
    shared: Arc<Shared>,
    /// Whether what exceeds 64 MiB is dropped, so that peers never wait for it.
    pub(super) drops: bool,
    dropped: u64,
    /// Whether everything is dropped and not counted: there is no output, or it has failed.
    is_off: bool,
}

/// What a printer and its thread share.
struct Shared {
    queue: Mutex<Queue>,
    is_filled: Condvar,
    waker: Waker,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<u8>,
    /// How many bytes wait or are being written.
    bytes: usize,
    error: Option<io::Error>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is valid after a panic too.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next turn of the loop reports it.
    fn fail(&self, error: io::Error) {
        self.lock().error = Some(error);
        self.waker.wake();
    }
}

impl Printer {
    pub(super) fn new(output: Option<Output>, drops: bool, waker: &Waker) -> Printer {
        let shared = Shared { queue: Mutex::default(), is_filled: Condvar::new(), waker: waker.clone() };
        let (shared, is_off) = (Arc::new(shared), output.is_none());
        let (writer, watched) = output.map_or((None, None), |output| (Some(output.writer), output.watched));
        Printer { writer, watched, pending: Vec::new(), shared, drops, dropped: 0, is_off }
    }

    /// Appends bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.is_off {
            return;
        }
        if self.drops && self.backlog() + bytes.len() > QUEUE_BYTES_MAX {
            self.dropped += bytes.len() as u64;
            return;
        }
        self.pending.extend_from_slice(bytes);
    }

    /// How many bytes are not written.
    fn backlog(&self) -> usize {
        self.pending.len() + self.shared.lock().bytes
    }

    /// How many bytes will not be written if this is the end.
    pub(super) fn lost(&self) -> u64 {
        self.backlog() as u64 + self.dropped
    }

    /// Whether peers have to wait for it.
    pub(super) fn is_behind(&self) -> bool {
        !self.drops && self.backlog() >= BEHIND_BYTES
    }

    /// Whether everything is written, and every error reported.
    pub(super) fn is_idle(&self) -> bool {
        self.backlog() == 0 && self.shared.lock().error.is_none()
    }

    /// How many bytes were dropped, once there is room again.
    pub(super) fn take_dropped(&mut self) -> Option<u64> {
        let is_due = self.dropped > 0 && self.backlog() <= QUEUE_BYTES_MAX / 2;
        is_due.then(|| std::mem::take(&mut self.dropped))
    }

    /// Why it cannot be written, once. From here on it is off.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        let error = self.shared.lock().error.take().filter(|_| !self.is_off)?;
        (self.is_off, self.watched, self.pending) = (true, None, Vec::new());
        // The thread has ended, or will at its next write.
        *self.shared.lock() = Queue::default();
        Some(sys::output_error(error))
    }

    /// Poll has seen that its reader has closed, or cannot watch it: some systems cannot poll /dev/null.
    pub(super) fn stop_watching(&mut self, is_gone: bool) {
        self.watched = None;
        if is_gone {
            self.shared.fail(io::ErrorKind::BrokenPipe.into());
        }
    }

    /// Writes what was appended, or gives it to the thread.
    pub(super) fn hand_over(&mut self) {
        if self.pending.is_empty() || (self.pending.len() <= DIRECT_BYTES_MAX && self.write_directly()) {
            return;
        }
        if let Some(writer) = self.writer.take() {
            let shared = Arc::clone(&self.shared);
            // What poll does not watch, such as a recording, gets whole blocks.
            let piece_bytes = if self.watched.is_some() { PIECE_BYTES } else { usize::MAX };
            let write = move || write_queue(writer, &shared, piece_bytes);
            if let Err(error) = thread::Builder::new().name("printer".to_owned()).spawn(write) {
                return self.shared.fail(error);
            }
        }
        let mut queue = self.shared.lock();
        queue.bytes += self.pending.len();
        if queue.waiting.is_empty() {
            // The thread returns it empty, with its memory.
            std::mem::swap(&mut queue.waiting, &mut self.pending);
        } else {
            queue.waiting.append(&mut self.pending);
        }
        self.shared.is_filled.notify_one();
    }

    /// Whether it could be written without a thread.
    fn write_directly(&mut self) -> bool {
        let (Some(writer), Some(watched)) = (&mut self.writer, &self.watched) else { return false };
        if !sys::has_room(watched) {
            return false;
        }
        match writer.write(&self.pending) {
            Ok(count) => drop(self.pending.drain(..count)),
            Err(error) if sys::is_passing(&error) => {}
            Err(error) => {
                self.shared.fail(error);
                return true;
            }
        }
        self.pending.is_empty()
    }
}

/// The body of the thread: writes what waits until that fails. Otherwise it ends with the process.
fn write_queue(mut writer: Box<dyn Write + Send>, shared: &Shared, piece_bytes: usize) {
    let mut block = Vec::new();
    loop {
        let queue = shared.is_filled.wait_while(shared.lock(), |queue| queue.waiting.is_empty());
        std::mem::swap(&mut queue.unwrap_or_else(PoisonError::into_inner).waiting, &mut block);
        for piece in block.chunks(piece_bytes) {
            if let Err(error) = write_whole(&mut writer, piece) {
                return shared.fail(error);
            }
            let mut queue = shared.lock();
            // The owner may have given up meanwhile.
            queue.bytes = queue.bytes.saturating_sub(piece.len());
            // The loop may wait for room, or for the end.
            shared.waker.wake();
        }
        block.clear();
        block.shrink_to(PIECE_BYTES);
    }
}

fn write_whole(writer: &mut Box<dyn Write + Send>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match until_ready(|| writer.write(bytes))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => bytes = &bytes[count..],
        }
    }
    writer.flush()
}
