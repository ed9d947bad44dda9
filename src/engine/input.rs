//! Standard input: read by a thread, since no system lets poll watch everything that it can be.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use super::sys::{self, Waker};

/// Standard input, or what stands in for it in tests.
pub(crate) struct Input {
    state: State,
    block_bytes: usize,
}

enum State {
    /// Nothing was wanted yet, so there is no thread.
    Idle(Box<dyn Read + Send>),
    /// The thread reads into each buffer that it is given, one more than is being handled.
    Running(Sender<Vec<u8>>, Receiver<io::Result<Vec<u8>>>),
    Over,
}

impl Input {
    /// Standard input, read in blocks of at most so many bytes.
    ///
    /// # Errors
    /// It is closed.
    pub(crate) fn stdin(block_bytes: usize) -> io::Result<Input> {
        Ok(Input { state: State::Idle(sys::stdin()?), block_bytes })
    }

    /// Another source.
    pub(crate) fn from_reader(reader: impl Read + Send + 'static, block_bytes: usize) -> Input {
        Input { state: State::Idle(Box::new(reader)), block_bytes }
    }

    /// The next block, if one was read; empty at the end. The first call starts the thread.
    pub(super) fn take(&mut self, waker: &Waker) -> Option<io::Result<Vec<u8>>> {
        if matches!(self.state, State::Idle(_)) {
            if let Err(error) = self.start(waker) {
                self.state = State::Over;
                return Some(Err(error));
            }
        }
        let State::Running(_, filled) = &self.state else { return None };
        let block = match filled.try_recv() {
            Ok(block) => block,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        if block.as_ref().map_or(true, Vec::is_empty) {
            self.state = State::Over;
        }
        Some(block)
    }

    /// Gives a block's memory back, for the next one.
    pub(super) fn give_back(&self, block: Vec<u8>) {
        if let State::Running(asked, _) = &self.state {
            // A thread that has ended needs no buffer.
            let _ = asked.send(block);
        }
    }

    fn start(&mut self, waker: &Waker) -> io::Result<()> {
        let State::Idle(reader) = std::mem::replace(&mut self.state, State::Over) else { return Ok(()) };
        let (asked, to_fill) = channel();
        let (fill, filled) = channel();
        let (block_bytes, waker) = (self.block_bytes, waker.clone());
        let read = move || read_blocks(reader, &to_fill, &fill, block_bytes, &waker);
        thread::Builder::new().name("input".to_owned()).spawn(read)?;
        self.state = State::Running(asked, filled);
        self.give_back(Vec::new());
        self.give_back(Vec::new());
        Ok(())
    }
}

fn read_blocks(
    mut reader: Box<dyn Read + Send>,
    to_fill: &Receiver<Vec<u8>>,
    fill: &Sender<io::Result<Vec<u8>>>,
    block_bytes: usize,
    waker: &Waker,
) {
    while let Ok(mut block) = to_fill.recv() {
        block.resize(block_bytes, 0);
        let result = loop {
            match reader.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The program that started us may have made it non-blocking, and shares that with us.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(5)),
                result => break result,
            }
        };
        let goes_on = matches!(result, Ok(count) if count > 0);
        let sent = fill.send(result.map(|count| {
            block.truncate(count);
            block
        }));
        waker.wake();
        if !goes_on || sent.is_err() {
            return;
        }
    }
}
