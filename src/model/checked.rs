//! Bytes that are hashed while they are read: their last piece is handed out only if all of them match.

use super::descriptor::Descriptor;
use super::digest::Digester;
use super::fault::{Fault, FaultKind};
use std::io::{self, Read};

/// Reads content from its first byte and fails before its last where it is not what was promised.
pub struct Checked<R> {
    inner: R,
    want: Descriptor,
    digester: Option<Digester>,
    left: u64,
}

impl<R: Read> Checked<R> {
    /// Reads `inner`, which should be `want`.
    pub fn new(inner: R, want: &Descriptor) -> Self {
        let digester = Some(Digester::new(want.digest.algorithm()));
        Self { inner, want: want.clone(), digester, left: want.size }
    }

    fn damaged(&self, what: String) -> io::Error {
        Fault::new(FaultKind::Damaged, self.want.digest.to_string(), what).into_io()
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = if most == 0 { 0 } else { self.inner.read(&mut buffer[..most])? };
        if n == 0 && self.left > 0 {
            return Err(self.damaged(format!("ends {} bytes early", self.left)));
        }
        if let Some(digester) = &mut self.digester {
            digester.update(&buffer[..n]);
        }
        self.left -= n as u64;
        if let Some(digester) = self.digester.take_if(|_| self.left == 0) {
            let found = digester.finish();
            if found.digest != self.want.digest {
                return Err(self.damaged(format!("the bytes are {}", found.digest)));
            }
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Content, Digest, MediaType};

    fn read(stored: &[u8], promised: &[u8]) -> (usize, io::Result<()>) {
        let content = Content { digest: Digest::of(promised), size: promised.len() as u64 };
        let want = Descriptor::new(MediaType::new("x/y"), content);
        let mut reader = Checked::new(stored, &want);
        let (mut seen, mut buffer) = (0, [0; 3]);
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return (seen, Ok(())),
                Ok(n) => seen += n,
                Err(error) => return (seen, Err(error)),
            }
        }
    }

    #[test]
    fn only_what_was_promised_is_read_to_its_end() {
        assert!(matches!(read(b"right words", b"right words"), (11, Ok(()))));
        assert!(matches!(read(b"right words and more", b"right words"), (11, Ok(()))), "more is not read");
        assert!(matches!(read(b"", b""), (0, Ok(()))));
        for wrong in [&b"wrong words"[..], b"right wordz", b"right wor", b""] {
            let (seen, result) = read(wrong, b"right words");
            assert!(result.is_err() && seen < 11, "{wrong:?}: {seen}");
        }
    }
}
