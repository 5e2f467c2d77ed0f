//! The head of a bundle while it is read: documents as they come, checked against the statement.

use super::frames::damaged;
use super::inventory::{self, InventoryRecord};
use super::plan::{HEAD, OCI_LAYOUT, Papers};
use super::read_error::{ReadError, Spot};
use super::statement::{Statement, StatementError};
use super::trailer::{self, SLOT};
use super::volume_walk::Volumes;
use crate::model::{Content, Digest, json};

/// Number of the statement among the documents.
pub(super) const STATEMENT: usize = 2;
const ENVELOPE: usize = 3;
const BASES: usize = 7;
const INVENTORY: usize = 8;

/// Documents of the head so far.
#[derive(Default)]
pub(super) struct Head {
    documents: [Option<Vec<u8>>; 9],
    beginning: Option<usize>,
    statement: Option<Statement>,
    /// What the documents that were compared with the statement turned out to be.
    contents: [Option<Content>; 9],
    bundle_id: Option<Digest>,
    base_id: [u8; 32],
    envelope: usize,
}

impl Head {
    /// Notes that the document `number` begins.
    pub(super) fn begin(&mut self, number: usize) {
        self.beginning = Some(number);
    }

    /// Keeps a document.
    pub(super) fn keep(&mut self, number: usize, bytes: Vec<u8>) {
        self.documents[number] = Some(bytes);
        self.beginning = None;
    }

    /// Returns a document; empty where it is not there.
    pub(super) fn document(&self, number: usize) -> &[u8] {
        self.documents[number].as_deref().unwrap_or_default()
    }

    /// Returns whether the slot is being read.
    pub(super) fn is_slot_next(&self) -> bool {
        self.beginning == Some(ENVELOPE)
    }

    /// Returns whether all documents are there.
    pub(super) fn is_complete(&self) -> bool {
        self.documents[INVENTORY].is_some()
    }

    /// Returns the envelope without its filling.
    pub(super) fn envelope(&self) -> Option<&[u8]> {
        (self.envelope > 0).then(|| &self.document(ENVELOPE)[..self.envelope])
    }

    /// Returns the digest of the statement.
    pub(super) fn bundle_id(&self) -> &Digest {
        const NONE: &Digest = &Digest::Sha256([0; 32]);
        self.bundle_id.as_ref().unwrap_or(NONE)
    }

    /// Refuses a document of another size than the statement gives it, before it is read.
    pub(super) fn may_have(&self, number: usize, size: u64, spot: Spot) -> Result<(), ReadError> {
        let Some(statement) = &self.statement else { return Ok(()) };
        let named = statement.documents.iter().find(|document| document.name == HEAD[number]);
        if named.is_some_and(|named| named.size == size) {
            return Ok(());
        }
        Err(damaged(spot, format!("the statement gives {} another size", HEAD[number])))
    }

    /// Checks the opening documents among themselves and against the volume header.
    pub(super) fn open(&mut self, volumes: &Volumes, spot: Spot) -> Result<(), ReadError> {
        let header = &volumes.header;
        let id = Digest::of(self.document(STATEMENT));
        if id.value() != header.bundle_id {
            return Err(damaged(at(spot, STATEMENT), "the statement is not the one that the volume header names"));
        }
        if header.total == 0 && header.sizes == 0 && volumes.cut().set_id(None) != header.set_id {
            return Err(damaged(spot, "the volume header names another cut than its own"));
        }
        let parsed = Statement::parse(self.document(STATEMENT)).map_err(|error| match error {
            StatementError::Later(_) => ReadError::Later { place: spot.file.clone(), needs: later(&error) },
            other => damaged(at(spot.clone(), STATEMENT), other.to_string()),
        })?;
        self.envelope = envelope_length(self.document(ENVELOPE))
            .ok_or_else(|| damaged(at(spot.clone(), ENVELOPE), "the slot holds no envelope and is not empty"))?;
        for number in [0, 1] {
            self.contents[number] = Some(named(&parsed, number, self.document(number), &spot)?);
        }
        if self.document(0) != OCI_LAYOUT {
            return Err(damaged(at(spot, 0), "the OCI layout file is not as it was written"));
        }
        self.base_id = header.base_id;
        self.statement = Some(parsed);
        self.bundle_id = Some(id);
        Ok(())
    }

    /// Returns papers and inventory, after all documents are there and match the statement.
    pub(super) fn papers(&mut self, spot: Spot) -> Result<(Papers, Vec<InventoryRecord>), ReadError> {
        if let Some(statement) = &self.statement {
            for number in [4, 5, 6, BASES, INVENTORY] {
                if let Some(bytes) = &self.documents[number] {
                    self.contents[number] = Some(named(statement, number, bytes, &spot)?);
                }
            }
        }
        let listed = self.document(INVENTORY);
        let inventory =
            inventory::parse(listed).map_err(|error| damaged(at(spot.clone(), INVENTORY), error.to_string()))?;
        let stated = |number: &usize| Some((HEAD[*number], self.contents[*number].clone()?));
        let documents: Vec<(&str, Content)> = [0, 1, 4, 5, 6, BASES, INVENTORY].iter().filter_map(stated).collect();
        if Statement::of(documents, &inventory).to_bytes() != self.document(STATEMENT) {
            return Err(damaged(at(spot, STATEMENT), "the statement does not name exactly what the head holds"));
        }
        self.base_belongs(&inventory, &spot)?;
        // The listing is parsed; its bytes are not needed again.
        self.documents[INVENTORY] = Some(Vec::new());
        let papers = Papers {
            index: self.documents[1].take().unwrap_or_default(),
            lock: self.documents[4].take().unwrap_or_default(),
            policy: self.documents[5].take(),
            evidence: self.documents[6].take().unwrap_or_default(),
            base: self.documents[BASES].take(),
        };
        Ok((papers, inventory))
    }

    /// Checks that a delta states the bases that its volumes name, and that nothing is left out of a whole bundle.
    fn base_belongs(&self, inventory: &[InventoryRecord], spot: &Spot) -> Result<(), ReadError> {
        let found = self.documents[BASES].as_deref().map_or([0; 32], trailer::sha256_of);
        if found != self.base_id {
            let what = "the bases are not the ones that the volume header names";
            return Err(damaged(at(spot.clone(), BASES), what));
        }
        match inventory.iter().find(|record| record.omitted && self.documents[BASES].is_none()) {
            Some(record) => {
                let what = format!("the inventory leaves out {}, and this is no delta", record.digest);
                Err(damaged(at(spot.clone(), INVENTORY), what))
            }
            None => Ok(()),
        }
    }
}

/// Compares a document with the statement, and returns what it is.
fn named(statement: &Statement, number: usize, bytes: &[u8], spot: &Spot) -> Result<Content, ReadError> {
    let content = Content { digest: Digest::of(bytes), size: bytes.len() as u64 };
    if statement.names(HEAD[number], &content) {
        return Ok(content);
    }
    Err(damaged(at(spot.clone(), number), format!("the statement names another {}", HEAD[number])))
}

fn at(spot: Spot, number: usize) -> Spot {
    Spot { hit: Some(HEAD[number].to_owned()), ..spot }
}

fn later(error: &StatementError) -> String {
    format!("needs a later program: {error}")
}

/// Returns the length of the envelope in a slot, 0 for none; `None` where the slot is filled in another way.
fn envelope_length(slot: &[u8]) -> Option<usize> {
    if slot.len() != SLOT || slot.iter().all(|byte| *byte == 0) {
        return (slot.len() == SLOT).then_some(0);
    }
    let filled = slot.strip_suffix(b"\n")?;
    let length = filled.trim_ascii_end().len();
    let blanks = filled[length..].iter().all(|byte| *byte == b' ');
    (length > 0 && blanks && json::check(&filled[..length]).is_ok()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_empty_or_holds_one_document_with_blanks() {
        let mut slot = vec![0; SLOT];
        assert_eq!(envelope_length(&slot), Some(0));
        slot[7] = 1;
        assert_eq!(envelope_length(&slot), None);
        slot.fill(b' ');
        slot[..2].copy_from_slice(b"{}");
        assert_eq!(envelope_length(&slot), None);
        slot[SLOT - 1] = b'\n';
        assert_eq!(envelope_length(&slot), Some(2));
        slot[100] = b'\t';
        assert_eq!(envelope_length(&slot), None);
        slot[100] = b'x';
        assert_eq!(envelope_length(&slot), None);
    }
}
