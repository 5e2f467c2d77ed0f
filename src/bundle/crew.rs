//! Packs chunks on several threads and gives them back in order.
//!
//! The bytes are those that one thread would make: each chunk is packed by itself, with the same parameters. Memory is
//! bounded: at most [`HANDS`] chunks are under way, each with its content and its frame. The caller reads what is to be
//! packed and writes what was packed, so the source and the files stay with one thread.

use super::compress::Packer;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Most threads that pack: with chunks of 4 MiB, 24 MiB under way.
const HANDS: usize = 3;

/// A chunk with its frame.
pub(super) struct Packed {
    /// Content, whose memory may be used again.
    pub content: Vec<u8>,
    /// Frame.
    pub frame: Vec<u8>,
}

/// One thread that packs. It ends when its jobs end.
struct Hand {
    jobs: SyncSender<Vec<u8>>,
    done: Receiver<io::Result<Packed>>,
}

/// The threads, and the caller's own packer for what is one chunk only.
pub(super) struct Crew {
    level: i32,
    chunk_size: u32,
    own: Packer,
    hands: Vec<Hand>,
    given: usize,
    taken: usize,
}

impl Crew {
    /// Returns a crew for chunks of at most `chunk_size` bytes. Threads begin with the first chunk that is given to them.
    pub(super) fn new(level: i32, chunk_size: u32) -> io::Result<Self> {
        let own = Packer::new(level, chunk_size)?;
        Ok(Self { level, chunk_size, own, hands: Vec::new(), given: 0, taken: 0 })
    }

    /// Packs `content` here and now.
    pub(super) fn pack(&mut self, content: &[u8]) -> io::Result<Vec<u8>> {
        self.own.pack(content)
    }

    /// Returns whether one more chunk may be given before one has to be taken.
    pub(super) fn has_room(&self) -> bool {
        self.given - self.taken < self.hands.len().max(1)
    }

    /// Gives a chunk to be packed.
    pub(super) fn give(&mut self, content: Vec<u8>) -> io::Result<()> {
        if self.hands.is_empty() {
            let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(HANDS);
            self.hands = (0..threads).map(|_| hand(self.level, self.chunk_size)).collect::<io::Result<_>>()?;
        }
        let at = self.given % self.hands.len();
        self.hands[at].jobs.send(content).map_err(|_| gone())?;
        self.given += 1;
        Ok(())
    }

    /// Returns the chunk that was given first of those that were not taken yet; waits until it is packed.
    pub(super) fn take(&mut self) -> Option<io::Result<Packed>> {
        if self.given == self.taken {
            return None;
        }
        let at = self.taken % self.hands.len();
        self.taken += 1;
        Some(self.hands[at].done.recv().unwrap_or_else(|_| Err(gone())))
    }

    /// Forgets what was given and not taken.
    pub(super) fn clear(&mut self) {
        while self.take().is_some() {}
    }
}

fn hand(level: i32, chunk_size: u32) -> io::Result<Hand> {
    let mut packer = Packer::new(level, chunk_size)?;
    // Each hand has at most one chunk at a time, so neither side ever waits to send.
    let (jobs, todo) = sync_channel::<Vec<u8>>(1);
    let (ready, done) = sync_channel(1);
    thread::Builder::new().name("packing".to_owned()).spawn(move || {
        for content in todo {
            let packed = packer.pack(&content).map(|frame| Packed { content, frame });
            if ready.send(packed).is_err() {
                break;
            }
        }
    })?;
    Ok(Hand { jobs, done })
}

fn gone() -> io::Error {
    io::Error::other("a thread that packs has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_back_in_order_as_one_thread_packs_them() {
        let content = |n: u32| (0..5000 + n).map(|i| ((i * n) >> 5) as u8).collect::<Vec<u8>>();
        let mut crew = Crew::new(3, 8192).unwrap();
        let mut one = Packer::new(3, 8192).unwrap();
        let mut frames = Vec::new();
        let mut under_way = 0;
        for n in 0..40 {
            if !crew.has_room() {
                frames.push(crew.take().unwrap().unwrap().frame);
                under_way -= 1;
            }
            crew.give(content(n)).unwrap();
            under_way += 1;
            assert!(under_way <= HANDS);
        }
        frames.extend(std::iter::from_fn(|| crew.take()).map(|packed| packed.unwrap().frame));
        let expected: Vec<Vec<u8>> = (0..40).map(|n| one.pack(&content(n)).unwrap()).collect();
        assert!(frames == expected);
        crew.give(content(1)).unwrap();
        crew.clear();
        assert!(crew.take().is_none());
    }
}
