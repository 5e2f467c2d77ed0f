//! Numbers and byte strings at fixed places of a record, little endian.

/// A record that is read. Offsets are constants of the format, inside the record by construction.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    /// Returns `N` bytes at `at`.
    pub(super) fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self.0[at..at + N]);
        out
    }

    /// Returns the 16-bit number at `at`.
    pub(super) fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    /// Returns the 32-bit number at `at`.
    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    /// Returns the 64-bit number at `at`.
    pub(super) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}

/// A record that is written.
pub(super) struct FieldsMut<'a>(pub &'a mut [u8]);

impl FieldsMut<'_> {
    /// Puts `bytes` at `at`.
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Puts a 32-bit number at `at`.
    pub(super) fn put_u32(&mut self, at: usize, number: u32) {
        self.put(at, &number.to_le_bytes());
    }

    /// Puts a 64-bit number at `at`.
    pub(super) fn put_u64(&mut self, at: usize, number: u64) {
        self.put(at, &number.to_le_bytes());
    }
}
