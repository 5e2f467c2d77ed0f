//! The borders of volumes on a walk: headers that follow each other, tables that tell what was seen, the tail.

use super::feed::Feed;
use super::frames::{self, damaged};
use super::header::{HeaderFlaw, LENGTH as HEADER, VolumeHeader};
use super::layout::Cut;
use super::parity;
use super::read_error::{ReadError, SetName, Spot, refused};
use super::sizes::VolumeSizes;
use super::trailer::{self, FOOTER, Footer, LAST, RECORD, Record, SKIP_HEAD, SKIPPABLE_MAX, Tail, WITH_TAIL};
use crate::model::limits;

/// What was seen of a volume, and what its table says.
pub(super) struct VolumeEnd {
    /// Number of the volume.
    pub number: u32,
    /// Whether it is the last one.
    pub last: bool,
    /// Where the table stands.
    pub spot: Spot,
    /// Records as they were seen, without digests but for the tail's.
    pub seen: Vec<Record>,
    /// Digests as the table states them.
    pub stated: Vec<[u8; 32]>,
}

impl VolumeEnd {
    /// Compares the digests of the frames, in their order, with those that the table states.
    pub(super) fn compare(&self, found: &[[u8; 32]]) -> Result<(), ReadError> {
        let differs = found.iter().zip(&self.stated).position(|(found, stated)| found != stated);
        match differs {
            None if found.len() == self.stated.len() => Ok(()),
            other => {
                let number = other.unwrap_or(self.stated.len()) as u64;
                let offset = self.spot.offset + SKIP_HEAD as u64 + number * RECORD as u64;
                let spot = Spot { offset, length: RECORD as u64, ..self.spot.clone() };
                Err(damaged(spot, "the table of the volume states another digest of an intact frame"))
            }
        }
    }
}

/// Position of a walk in its volumes.
pub(super) struct Volumes {
    /// Header of the current volume.
    pub header: VolumeHeader,
    bytes: [u8; HEADER],
    seen: Vec<Record>,
    tail: Option<Vec<u8>>,
    digests: Vec<[u8; 32]>,
    /// Largest size of each volume so far.
    limits: Vec<u64>,
    /// Bytes of the volumes before, of the tar stream so far, and frames so far.
    stream: u64,
    plain: u64,
    items: u64,
    content: u64,
}

impl Volumes {
    /// Reads the header of the first volume.
    pub(super) fn start(feed: &mut Feed) -> Result<Self, ReadError> {
        if !feed.next_volume()? {
            return Err(ReadError::NoVolumes { place: feed.name().to_owned() });
        }
        let (header, bytes) = read_header(feed, true)?;
        if header.number != 1 {
            let numbers = (1..header.number.min(limits::VOLUMES)).collect();
            return Err(ReadError::Missing { numbers, more: false, place: feed.name().to_owned() });
        }
        let (seen, digests, limits) = (Vec::new(), Vec::new(), vec![header.volume_limit]);
        let volumes =
            Self { header, bytes, seen, tail: None, digests, limits, stream: 0, plain: 0, items: 0, content: 0 };
        let size = volumes.header.chunk_size;
        if !size.is_power_of_two() || !(4 << 10..=16 << 20).contains(&size) {
            let what = "a chunk".to_owned();
            let (place, limit) = (feed.name().to_owned(), 16 << 20);
            return Err(ReadError::TooLarge { place, what, size: u64::from(size), limit });
        }
        volumes.follows(feed, &volumes.header)?;
        Ok(volumes)
    }

    /// Reads the header of the next volume.
    pub(super) fn next(&mut self, feed: &mut Feed) -> Result<(), ReadError> {
        let expected = self.header.number + 1;
        self.stream += feed.offset();
        if !feed.next_volume()? {
            let total = self.header.total;
            let numbers = (expected..=total.max(expected)).collect();
            return Err(ReadError::Missing { numbers, more: total == 0, place: feed.name().to_owned() });
        }
        let (header, bytes) = read_header(feed, false)?;
        self.follows(feed, &header)?;
        self.limits.push(header.volume_limit);
        self.header = header;
        self.bytes = bytes;
        Ok(())
    }

    /// Checks that a header is the one of the next volume.
    fn follows(&self, feed: &Feed, header: &VolumeHeader) -> Result<(), ReadError> {
        let place = || feed.name().to_owned();
        let name = |header: &VolumeHeader| SetName { bundle: header.bundle_id, set: header.set_id };
        let (found, known) = (name(header), name(&self.header));
        if found != known {
            return Err(ReadError::Foreign { place: place(), expected: Box::new(known), found: Box::new(found) });
        }
        let expected = self.digests.len() as u32 + 1;
        if header.number != expected {
            return Err(ReadError::Order { place: place(), expected, found: header.number });
        }
        let right = VolumeHeader {
            number: expected,
            file_length: header.file_length,
            volume_limit: if header.sizes == 0 { self.header.volume_limit } else { header.volume_limit },
            stream_offset: self.stream,
            plain_offset: self.plain,
            first_item: self.items,
            ..self.header.clone()
        };
        let counted = header.total == 0 || header.number <= header.total;
        let lengths = (header.total == 0) == (header.file_length == 0);
        // Without a limit there is one volume; with one, each volume has its own.
        let limited = if expected == 1 {
            header.total <= 1 || header.volume_limit > 0
        } else {
            header.volume_limit > 0 && self.header.volume_limit > 0
        };
        if *header == right && counted && lengths && limited {
            return Ok(());
        }
        let spot = Spot { length: HEADER as u64, ..feed.spot(header.number, 0, 0) };
        Err(damaged(spot, "the volume header does not fit what stands before it"))
    }

    /// Returns what the set id is made of.
    pub(super) fn cut(&self) -> Cut {
        Cut {
            bundle_id: self.header.bundle_id,
            chunk_size: self.header.chunk_size,
            limits: VolumeSizes::new(&self.limits).unwrap_or_else(|| 0.into()),
            features: self.header.features(),
            encoder: self.header.encoder,
        }
    }

    /// Returns whether the set id is the one that the volumes add up to, of which the frames were laid out so.
    ///
    /// Where the number of volumes was not known beforehand, a list of sizes may be longer than what can be seen of it.
    pub(super) fn is_this_cut(&self, layout: [u8; 32]) -> bool {
        let (cut, header) = (self.cut(), &self.header);
        match (header.total > 0, header.sizes) {
            (false, 1..) => true,
            (false, 0) => cut.set_id(None) == header.set_id,
            (true, sizes) => {
                let listed = cut.limits.list().len() as u32;
                (sizes == 0 || sizes == listed) && cut.set_id(Some(layout)) == header.set_id
            }
        }
    }

    /// Returns the bytes of all volumes that were left behind.
    pub(super) fn bytes(&self) -> u64 {
        self.stream
    }

    /// Counts a data frame of `content` bytes.
    pub(super) fn count(&mut self, content: u64) {
        self.plain = self.plain.saturating_add(content);
        self.items += 1;
    }

    /// Keeps the record of a frame until the table comes; returns its number.
    pub(super) fn gather(&mut self, record: Record) -> usize {
        self.seen.push(record);
        self.seen.len() - 1
    }

    /// States the bytes of all blobs, which the tail repeats.
    pub(super) fn expect_content(&mut self, bytes: u64) {
        self.content = bytes;
    }

    /// Reads the tail, of which the magic number was read. What it says is compared when the table is there.
    pub(super) fn tail(&mut self, feed: &mut Feed, start: Spot) -> Result<(), ReadError> {
        let mut frame = trailer::TAIL.to_vec();
        let expected = trailer::tail_length(self.header.number);
        let length = skip_length(feed, &start)?;
        if self.tail.is_some() || u64::from(length) + SKIP_HEAD as u64 != expected {
            return Err(damaged(Spot { length: 8, ..start }, "the tail has not the length that belongs here"));
        }
        frame.extend(length.to_le_bytes());
        frame.resize(expected as usize, 0);
        frames::more(feed, &start, &mut frame[SKIP_HEAD..])?;
        self.tail = Some(frame);
        Ok(())
    }

    /// Reads the trailer, of which the magic number was read, and compares it with what was seen.
    ///
    /// `ended` is the number of all entries where the content has ended.
    pub(super) fn end(&mut self, feed: &mut Feed, start: Spot, ended: Option<u64>) -> Result<VolumeEnd, ReadError> {
        let spot = Spot { hit: Some("table of the volume".to_owned()), ..start };
        let records = self.seen.len() as u64 + u64::from(self.tail.is_some());
        let expected = records * RECORD as u64 + FOOTER as u64;
        let length = u64::from(skip_length(feed, &spot)?);
        if length != expected || length > SKIPPABLE_MAX {
            let what = format!("the trailer has {length} bytes; for the frames before it {expected} are expected");
            return Err(damaged(Spot { length: 8, ..spot }, what));
        }
        let mut table = vec![0; (length as usize) - FOOTER];
        frames::more(feed, &spot, &mut table)?;
        let mut footer = [0; FOOTER];
        frames::more(feed, &spot, &mut footer)?;
        let spot = Spot { length: length + SKIP_HEAD as u64, ..spot };
        let last = self.footer(feed, &spot, &table, &footer)?;
        if last != ended.is_some() || last != self.tail.is_some() {
            return Err(damaged(spot, "the footer does not say rightly whether the bundle ends here"));
        }
        self.close(spot, &table, ended)
    }

    /// Checks a footer; tells whether it is that of the last volume.
    fn footer(&mut self, feed: &Feed, spot: &Spot, table: &[u8], bytes: &[u8; FOOTER]) -> Result<bool, ReadError> {
        let at = Spot {
            offset: feed.offset() - FOOTER as u64,
            length: FOOTER as u64,
            hit: Some("footer of the volume".to_owned()),
            ..spot.clone()
        };
        let footer = Footer::parse(bytes).ok_or_else(|| damaged(at.clone(), "the footer is damaged"))?;
        if footer.digest != footer.expected(&self.bytes, table) {
            return Err(damaged(spot.clone(), "header, table and footer do not match the digest of the volume"));
        }
        let right = Footer {
            digest: footer.digest,
            set_id: self.header.set_id,
            number: self.header.number,
            flags: if footer.is_last() { LAST | WITH_TAIL } else { 0 },
            table_length: table.len() as u64,
            file_length: feed.offset(),
        };
        let (stated, limit) = (self.header.file_length, self.header.volume_limit);
        if footer != right || (stated != 0 && stated != feed.offset()) {
            return Err(damaged(at, "the footer does not fit the volume before it"));
        }
        if limit != 0 && feed.offset() > limit {
            return Err(damaged(at, "the volume is longer than its header allows"));
        }
        let total = self.header.total;
        if total != 0 && footer.is_last() != (self.header.number == total) {
            return Err(damaged(at, "the number of volumes is not the one that the header states"));
        }
        self.digests.push(footer.digest);
        Ok(footer.is_last())
    }

    /// Compares the table with what was seen, but for digests.
    fn close(&mut self, spot: Spot, table: &[u8], ended: Option<u64>) -> Result<VolumeEnd, ReadError> {
        let mut seen = std::mem::take(&mut self.seen);
        if let Some(frame) = self.tail.take() {
            let (own, _) = table.split_at(table.len().saturating_sub(RECORD));
            let expected = self.expected_tail(own);
            let offset = spot.offset - frame.len() as u64;
            let at = Spot { offset, length: frame.len() as u64, hit: Some("tail".to_owned()), ..spot.clone() };
            let record = Tail::record(&frame, ended.unwrap_or(0), offset);
            if frame != expected.frame() {
                return Err(damaged(at, "the tail does not say what was seen of the volumes"));
            }
            seen.push(record);
        }
        let mut stated = Vec::with_capacity(seen.len());
        for (number, (bytes, seen)) in table.chunks_exact(RECORD).zip(&seen).enumerate() {
            let found = Record::parse(&array(bytes));
            if found.map(|record| Record { digest: seen.digest, ..record }) != Some(*seen) {
                let offset = spot.offset + (SKIP_HEAD + number * RECORD) as u64;
                let at = Spot { offset, length: RECORD as u64, ..spot };
                return Err(damaged(at, "the table does not say what stands in the volume"));
            }
            stated.extend(found.map(|record| record.digest));
        }
        Ok(VolumeEnd { number: self.header.number, last: ended.is_some(), spot, seen, stated })
    }

    fn expected_tail(&self, table: &[u8]) -> Tail {
        let before = self.digests.len() - 1;
        Tail {
            bundle_id: self.header.bundle_id,
            set_id: self.header.set_id,
            total: self.header.number,
            content: self.content,
            volumes: self.digests[..before].to_vec(),
            table: trailer::sha256_of(table),
        }
    }

    /// Checks that nothing follows the last volume but whole parity volumes of the same set.
    pub(super) fn nothing_behind(&mut self, feed: &mut Feed) -> Result<(), ReadError> {
        self.stream += feed.offset();
        let set = SetName { bundle: self.header.bundle_id, set: self.header.set_id };
        while feed.next_volume()? {
            parity::pass(feed, set, &mut Err)?;
        }
        Ok(())
    }
}

fn read_header(feed: &mut Feed, first: bool) -> Result<(VolumeHeader, [u8; HEADER]), ReadError> {
    let mut bytes = [0; HEADER];
    let start = feed.spot(0, 0, 0);
    match frames::more(feed, &start, &mut bytes) {
        Err(ReadError::Damaged { .. }) if first => {
            return Err(ReadError::NoBundle { place: feed.name().to_owned() });
        }
        other => other?,
    }
    match VolumeHeader::parse(&bytes) {
        Ok(header) => Ok((header, bytes)),
        // Behind a good volume, anything else is not another file but damage.
        Err(HeaderFlaw::Foreign) if !first => {
            Err(damaged(Spot { length: HEADER as u64, ..start }, "the next volume should start here"))
        }
        Err(flaw) => Err(refused(flaw, feed.name().to_owned(), 0)),
    }
}

fn skip_length(feed: &mut Feed, start: &Spot) -> Result<u32, ReadError> {
    let mut length = [0; 4];
    frames::more(feed, start, &mut length)?;
    Ok(u32::from_le_bytes(length))
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let n = bytes.len().min(N);
    out[..n].copy_from_slice(&bytes[..n]);
    out
}
