//! Standard output and recordings: what may block in a pipe or on a disk. Each has a thread from when it needs one.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::sys::{self, Waker, Watched};

/// How much may be written without a thread: a pipe that has room takes `PIPE_BUF` bytes whole.
const DIRECT_BYTES_MAX: usize = 4096;

/// How much may wait for output before peers are not read.
const BEHIND_BYTES: usize = 64 << 10;

/// How much may wait where peers are never slowed: minutes of a busy game.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// How much is written to standard output at a time.
const PIECE_BYTES: usize = 64 << 10;

/// What happens when the reader of standard output, or the disk of a recording, is slower than the peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WhenBehind {
    /// Peers are not read while more than 64 KiB wait, so that nothing is lost.
    #[default]
    Wait,
    /// Peers are never slowed: what exceeds 64 MiB is dropped and counted, and
    /// [`Notice::OutputDropped`](super::Notice::OutputDropped) reports it.
    Drop,
}

/// Standard output, or another place to write to.
pub(crate) struct Output {
    writer: Box<dyn Write + Send>,
    watched: Option<Watched>,
}

impl Output {
    /// Standard output of this process.
    ///
    /// # Errors
    /// It is closed.
    pub(crate) fn stdout() -> io::Result<Output> {
        let (writer, watched) = sys::stdout()?;
        Ok(Output { writer, watched })
    }

    /// A file or pipe in its place, for tests.
    #[cfg(all(test, unix))]
    pub(crate) fn from_file(file: std::fs::File) -> Output {
        let (writer, watched) = sys::watched(file);
        Output { writer, watched }
    }

    /// A writer that gets whole blocks.
    pub(super) fn from_writer(writer: Box<dyn Write + Send>) -> Output {
        Output { writer, watched: None }
    }
}

/// Writes without ever blocking its owner.
pub(super) struct Printer {
    /// The thread takes it.
    writer: Option<Box<dyn Write + Send>>,
    /// What poll watches, until its reader has gone.
    pub(super) watched: Option<Watched>,
    queue: Arc<(Mutex<Queue>, Condvar)>,
    /// What was not handed over yet.
    pending: Vec<u8>,
    pub(super) when_behind: WhenBehind,
    dropped: u64,
    has_failed: bool,
    waker: Waker,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<u8>,
    /// How many bytes wait or are being written.
    bytes: usize,
    /// Whether the owner wants to be woken when there are fewer.
    wakes: bool,
    error: Option<io::Error>,
}

impl Printer {
    pub(super) fn new(output: Output, when_behind: WhenBehind, waker: &Waker) -> Printer {
        Printer {
            writer: Some(output.writer),
            watched: output.watched,
            queue: Arc::default(),
            pending: Vec::new(),
            when_behind,
            dropped: 0,
            has_failed: false,
            waker: waker.clone(),
        }
    }

    /// Appends bytes; after a failure, or beyond the limit, they are dropped.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.has_failed {
            return;
        }
        if self.when_behind == WhenBehind::Drop && self.backlog() + bytes.len() > QUEUE_BYTES_MAX {
            self.dropped += bytes.len() as u64;
            return;
        }
        self.pending.extend_from_slice(bytes);
    }

    /// How many bytes are not written.
    pub(super) fn backlog(&self) -> usize {
        self.pending.len() + self.lock().bytes
    }

    /// Whether peers have to wait for it; then it wakes the loop when it has got on.
    pub(super) fn is_behind(&self) -> bool {
        self.when_behind == WhenBehind::Wait && self.exceeds(BEHIND_BYTES - 1)
    }

    /// Whether everything is written; if not, it wakes the loop when it has got on.
    pub(super) fn is_idle(&self) -> bool {
        // An error is reported before the run ends.
        !self.exceeds(0) && self.lock().error.is_none()
    }

    fn exceeds(&self, bytes: usize) -> bool {
        let mut queue = self.lock();
        let exceeds = self.pending.len() + queue.bytes > bytes;
        queue.wakes |= exceeds;
        exceeds
    }

    /// How many bytes were dropped, once there is room again or it is the end.
    pub(super) fn take_dropped(&mut self, is_end: bool) -> Option<u64> {
        if self.dropped == 0 || (!is_end && self.backlog() > QUEUE_BYTES_MAX / 2) {
            return None;
        }
        Some(std::mem::take(&mut self.dropped))
    }

    /// Why it cannot be written, once.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        let mut queue = self.lock();
        let error = queue.error.take()?;
        // The thread has ended; what was handed over since then is not written either.
        *queue = Queue::default();
        drop(queue);
        if self.has_failed {
            return None;
        }
        self.fail();
        Some(sys::output_error(error))
    }

    /// From here on everything is dropped.
    pub(super) fn fail(&mut self) {
        self.has_failed = true;
        self.watched = None;
        self.pending = Vec::new();
    }

    /// Writes what was appended, or gives it to the thread.
    pub(super) fn hand_over(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        if self.pending.len() <= DIRECT_BYTES_MAX && self.write_directly() {
            return;
        }
        if let Some(writer) = self.writer.take() {
            let (queue, waker, whole) = (Arc::clone(&self.queue), self.waker.clone(), self.watched.is_none());
            let write = move || write_queue(writer, &queue, &waker, whole);
            if let Err(error) = thread::Builder::new().name("printer".to_owned()).spawn(write) {
                return self.fail_with(error);
            }
        }
        let mut queue = lock(&self.queue.0);
        queue.bytes += self.pending.len();
        if queue.waiting.is_empty() {
            // It comes back empty, with the memory of what was written last.
            std::mem::swap(&mut queue.waiting, &mut self.pending);
        } else {
            queue.waiting.append(&mut self.pending);
        }
        drop(queue);
        self.queue.1.notify_one();
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
            Err(error) => self.fail_with(error),
        }
        self.pending.is_empty()
    }

    fn fail_with(&mut self, error: io::Error) {
        self.pending.clear();
        self.lock().error = Some(error);
        self.waker.wake();
    }

    /// Whether no thread was needed yet.
    #[cfg(all(test, unix))]
    pub(super) fn is_direct(&self) -> bool {
        self.writer.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue.0)
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    // What a panicking thread has left is still a queue.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The body of the thread: writes what waits until that fails. Otherwise it ends with the process.
fn write_queue(mut writer: Box<dyn Write + Send>, shared: &(Mutex<Queue>, Condvar), waker: &Waker, whole: bool) {
    let mut block = Vec::new();
    loop {
        let mut queue = lock(&shared.0);
        while queue.waiting.is_empty() {
            queue = shared.1.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut queue.waiting, &mut block);
        drop(queue);
        for piece in block.chunks(if whole { block.len() } else { PIECE_BYTES }) {
            let written = write_whole(&mut writer, piece);
            let mut queue = lock(&shared.0);
            queue.bytes -= piece.len();
            let wakes = std::mem::take(&mut queue.wakes);
            if let Err(error) = written {
                *queue = Queue { error: Some(error), ..Queue::default() };
                waker.wake();
                return;
            }
            drop(queue);
            if wakes {
                waker.wake();
            }
        }
        block.clear();
        block.shrink_to(PIECE_BYTES);
    }
}

fn write_whole(writer: &mut Box<dyn Write + Send>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match writer.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The program that started us may have made it non-blocking, and shares that with us.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(error),
        }
    }
    writer.flush()
}
