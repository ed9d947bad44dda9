//! Standard input: read by a thread, since no system lets poll watch everything that it can be.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::sys::{self, Waker};

/// Standard input, or what stands in for it in tests.
pub(crate) struct StdinReader {
    /// The thread takes it.
    reader: Option<Box<dyn Read + Send>>,
    /// What the thread has read; gone after the end.
    blocks: Option<Receiver<io::Result<Vec<u8>>>>,
    block_bytes: usize,
}

impl StdinReader {
    /// Standard input, read in blocks of at most so many bytes.
    ///
    /// # Errors
    /// It is closed.
    pub(crate) fn stdin(block_bytes: usize) -> io::Result<StdinReader> {
        Ok(StdinReader { reader: Some(sys::stdin()?), blocks: None, block_bytes })
    }

    /// Another source.
    #[cfg(test)]
    pub(crate) fn from_reader(reader: impl Read + Send + 'static, block_bytes: usize) -> StdinReader {
        StdinReader { reader: Some(Box::new(reader)), blocks: None, block_bytes }
    }

    /// The next block, if one was read; empty at the end. The first call starts the thread.
    pub(super) fn take(&mut self, waker: &Waker) -> Option<io::Result<Vec<u8>>> {
        if let Some(reader) = self.reader.take() {
            let (send, blocks) = sync_channel(1);
            let (block_bytes, waker) = (self.block_bytes, waker.clone());
            let read = move || read_blocks(reader, &send, block_bytes, &waker);
            if let Err(error) = thread::Builder::new().name("input".to_owned()).spawn(read) {
                return Some(Err(error));
            }
            self.blocks = Some(blocks);
        }
        let block = self.blocks.as_ref()?.try_recv().ok()?;
        if block.as_ref().map_or(true, Vec::is_empty) {
            self.blocks = None;
        }
        Some(block)
    }
}

/// The body of the thread: reads one block ahead, until the end, an error, or nothing reads them any more.
fn read_blocks(
    mut reader: Box<dyn Read + Send>,
    blocks: &SyncSender<io::Result<Vec<u8>>>,
    block_bytes: usize,
    waker: &Waker,
) {
    loop {
        let mut block = vec![0; block_bytes];
        let result = match reader.read(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // The program that started us may have made it non-blocking, and shares that with us.
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            result => result,
        };
        let goes_on = matches!(result, Ok(count) if count > 0);
        let sent = blocks.send(result.map(|count| {
            block.truncate(count);
            block
        }));
        waker.wake();
        if !goes_on || sent.is_err() {
            return;
        }
    }
}
