//! Content that passes to whoever asked for it, and into the store on its way.

use super::incoming::Incoming;
use super::stock::Stock;
use std::io::{self, Read};
use std::sync::Arc;

/// Content on its way to whoever asked for it, and into the store.
pub(super) struct Tee {
    content: Box<dyn Read + Send>,
    stock: Arc<Stock>,
    size: Option<u64>,
    incoming: Option<Incoming>,
}

impl Tee {
    /// Passes `content` on, of which `size` bytes are promised where that is known, and writes it into `incoming`.
    pub fn new(content: Box<dyn Read + Send>, stock: Arc<Stock>, size: Option<u64>, incoming: Incoming) -> Self {
        Self { content, stock, size, incoming: Some(incoming) }
    }
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match self.content.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.incoming = None;
                return Err(error);
            }
            other => other?,
        };
        let written = self.incoming.as_mut().map(|incoming| incoming.write(&buffer[..n]));
        if let Some(Err(error)) = written {
            self.incoming = None;
            self.stock.close(&error.to_string());
        }
        let whole =
            |incoming: &mut Incoming| self.size.map_or(n == 0 && !buffer.is_empty(), |size| incoming.written() >= size);
        if let Some(incoming) = self.incoming.take_if(whole) {
            self.stock.ended(incoming);
        }
        Ok(n)
    }
}
