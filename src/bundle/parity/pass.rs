//! Goes through a parity volume from its first byte to its last and checks all of them: in a file, or in a stream
//! behind the last data volume.

use super::scheme::Scheme;
use super::segment::{Hashes, SegmentFlaw, SegmentHead, hash};
use crate::bundle::feed::Feed;
use crate::bundle::fields::FieldsMut;
use crate::bundle::frames::{damaged, more};
use crate::bundle::header::{HeaderFlaw, LENGTH as HEADER, VolumeHeader, VolumeKind};
use crate::bundle::read_error::{ReadError, SetName, Spot, refused};
use crate::bundle::trailer::{self, FOOTER, Footer, PARITY, PARITY_FRAME, RECORD};
use std::path::Path;

/// A parity volume that was gone through.
pub(in crate::bundle) struct Passed {
    /// Number from 1.
    pub(super) number: u32,
    /// The parity set that it states.
    pub(super) scheme: Scheme,
}

/// Is told of damage that does not hide what is behind it; an error from it ends the way.
type Flaws<'a> = &'a mut dyn FnMut(ReadError) -> Result<(), ReadError>;

/// Checks the file of a parity volume of `set`; `moved` is told of its bytes.
pub(in crate::bundle) fn check_file(
    path: &Path,
    set: SetName,
    moved: &dyn Fn(u64),
) -> (Option<Passed>, Vec<ReadError>) {
    let mut feed = Feed::files(vec![path.to_owned()]);
    let mut found = Vec::new();
    let mut note = |error| {
        found.push(error);
        Ok(())
    };
    let passed = match feed.next_volume() {
        Ok(_) => pass(&mut feed, set, &mut note),
        Err(error) => Err(error),
    };
    moved(feed.offset());
    let passed = passed.and_then(|passed| feed.next_volume().map(|_| passed));
    match passed {
        Ok(passed) => (Some(passed), found),
        Err(error) => {
            found.push(error);
            (None, found)
        }
    }
}

/// Goes through the parity volume of `set` that starts here.
pub(in crate::bundle) fn pass(feed: &mut Feed, set: SetName, flaws: Flaws<'_>) -> Result<Passed, ReadError> {
    let (header, bytes) = header(feed, set)?;
    let first = head(feed, header.number)?;
    let right = VolumeHeader {
        total: first.scheme.parity,
        file_length: first.scheme.file_length(),
        stream_offset: 0,
        plain_offset: 0,
        first_item: 0,
        ..header.clone()
    };
    let belongs = first.number == header.number && first.segment == 0 && first.scheme.set_id == set.set;
    if header != right || !belongs {
        let spot = Spot { length: HEADER as u64, ..feed.spot(header.number, 0, 0) };
        return Err(damaged(spot, "header and first segment of the parity volume do not belong together"));
    }
    let scheme = first.scheme.clone();
    let mut digests = vec![first.digest];
    blocks(feed, &first, flaws)?;
    for segment in 1..scheme.segments() {
        let start = feed.offset();
        let next = head(feed, header.number)?;
        if (next.number, next.segment) != (header.number, segment) || next.scheme != scheme {
            let spot = feed.spot(header.number, start, feed.offset() - start);
            return Err(damaged(spot, "a segment of another parity volume stands here"));
        }
        digests.push(next.digest);
        blocks(feed, &next, flaws)?;
    }
    end(feed, (&scheme, header.number), &bytes, &digests)?;
    Ok(Passed { number: header.number, scheme })
}

fn header(feed: &mut Feed, set: SetName) -> Result<(VolumeHeader, [u8; HEADER]), ReadError> {
    let mut bytes = [0; HEADER];
    let start = feed.spot(0, 0, HEADER as u64);
    let follows = |_| damaged(Spot { length: 1, ..start.clone() }, "something follows the last volume");
    more(feed, &start, &mut bytes).map_err(follows)?;
    let (kind, header) = match VolumeHeader::parse_any(&bytes) {
        Ok(parsed) => parsed,
        Err(flaw @ (HeaderFlaw::Damaged | HeaderFlaw::Later(_))) => {
            return Err(refused(flaw, feed.name().to_owned(), 0));
        }
        Err(_) => return Err(damaged(Spot { length: 1, ..start }, "something follows the last volume")),
    };
    let found = SetName { bundle: header.bundle_id, set: header.set_id };
    if found != set {
        let (expected, place) = (Box::new(set), feed.name().to_owned());
        return Err(ReadError::Foreign { place, expected, found: Box::new(found) });
    }
    if kind != VolumeKind::Parity {
        return Err(damaged(Spot { length: 1, ..start }, "something follows the last volume"));
    }
    Ok((header, bytes))
}

fn head(feed: &mut Feed, number: u32) -> Result<SegmentHead, ReadError> {
    let start = feed.spot(number, feed.offset(), 1);
    let place = feed.name().to_owned();
    let mut read = |bytes: &mut [u8]| more(feed, &start, bytes);
    match SegmentHead::read(&mut read)? {
        Ok(head) => Ok(head),
        Err(SegmentFlaw::Limit(what, size, limit)) => {
            Err(ReadError::TooLarge { place, what: format!("the number of {what}"), size, limit })
        }
        Err(SegmentFlaw::Damaged) => {
            let length = feed.offset() - start.offset;
            Err(damaged(Spot { length, ..start }, "the head of a segment of the parity volume is damaged"))
        }
    }
}

/// Reads the parity blocks of a segment and compares each with its hash.
fn blocks(feed: &mut Feed, head: &SegmentHead, flaws: Flaws<'_>) -> Result<(), ReadError> {
    let scheme = &head.scheme;
    let hashes = Hashes::new(scheme, head.segment, &head.list);
    let shard = scheme.data() + head.number as usize - 1;
    let mut block = Vec::new();
    for stripe in scheme.stripes_of(head.segment) {
        let spot = feed.spot(head.number, feed.offset(), scheme.width(stripe) as u64);
        block.resize(scheme.width(stripe), 0);
        more(feed, &spot, &mut block)?;
        if hashes.of(shard, stripe) != Some(&hash(&block)[..]) {
            flaws(damaged(spot, "a block of the parity volume is damaged"))?;
        }
    }
    Ok(())
}

/// Returns the trailer of a parity volume whose segments have these digests, as its only writer writes it.
pub(super) fn trailer_bytes(scheme: &Scheme, number: u32, header: &[u8; HEADER], digests: &[[u8; 32]]) -> Vec<u8> {
    let mut table = Vec::with_capacity(digests.len() * RECORD);
    for (segment, digest) in (0..).zip(digests) {
        let mut record = [0; RECORD];
        let mut fields = FieldsMut(&mut record);
        fields.put(0, &[PARITY_FRAME]);
        fields.put_u32(4, segment as u32);
        fields.put_u64(16, scheme.frame_offset(segment));
        fields.put_u32(24, scheme.frame_length(segment) as u32);
        fields.put(32, digest);
        table.extend(record);
    }
    let (set_id, table_length, file_length) = (scheme.set_id, table.len() as u64, scheme.file_length());
    let footer = Footer { digest: [0; 32], set_id, number, flags: PARITY, table_length, file_length };
    let footer = footer.sealed(header, &table);
    trailer::skippable(trailer::TRAILER, &[&table, &footer.bytes()])
}

fn end(
    feed: &mut Feed,
    (scheme, number): (&Scheme, u32),
    header: &[u8; HEADER],
    digests: &[[u8; 32]],
) -> Result<(), ReadError> {
    let expected = trailer_bytes(scheme, number, header, digests);
    let spot = feed.spot(number, feed.offset(), expected.len() as u64);
    let mut bytes = vec![0; expected.len()];
    more(feed, &spot, &mut bytes)?;
    if bytes == expected {
        return Ok(());
    }
    // What differs first is where to look.
    let at = bytes.iter().zip(&expected).position(|(found, right)| found != right).unwrap_or(0);
    let what = if at + FOOTER >= bytes.len() { "the footer" } else { "the table" };
    Err(damaged(spot, format!("{what} of the parity volume is damaged")))
}
