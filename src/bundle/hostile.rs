//! Bundles made to deceive: every digest that is not signed is made anew, so only structure and content can tell.
//!
//! A good bundle is taken apart into frames, changed, and sealed again with right offsets, tables and digests.

#[cfg(test)]
mod tests {

    use crate::bundle::arrange;
    use crate::bundle::check::check;
    use crate::bundle::compress;
    use crate::bundle::feed::Input;
    use crate::bundle::frame::{self, BlockHead, BlockKind};
    use crate::bundle::header::{LENGTH as HEADER, VolumeHeader};
    use crate::bundle::inventory::{self, Class, InventoryRecord};
    use crate::bundle::layout::{Cursor, LayoutDigest, Place, Shape};
    use crate::bundle::plan::{Body, BundlePlan, Item, Options, Papers, blob_name};
    use crate::bundle::read_error::{ReadClass, ReadError};
    use crate::bundle::reader::BundleReader;
    use crate::bundle::statement::Statement;
    use crate::bundle::tarhead;
    use crate::bundle::trailer::{self, FOOTER, Footer, Kind, LAST, RECORD, Record, Tail, WITH_TAIL};
    use crate::model::{Descriptor, Digest, MediaType};
    use std::io::Cursor as Bytes;

    /// One frame of a bundle that is taken apart; glue has no record.
    #[derive(Clone)]
    struct Part {
        bytes: Vec<u8>,
        content: u64,
        record: Option<Record>,
    }

    impl Part {
        fn glue(content: &[u8]) -> Self {
            Self { bytes: frame::glue(content), content: content.len() as u64, record: None }
        }

        /// Puts other bytes in the place of a frame.
        fn with(&self, bytes: Vec<u8>, content: u64) -> Self {
            Self { bytes, content, record: self.record }
        }
    }

    struct Forge {
        header: VolumeHeader,
        parts: Vec<Part>,
        blobs: u64,
        head: u64,
        /// Bytes of the blobs that stand in it.
        content: u64,
    }

    const FIRST: &[u8] = &[b'a'; 600];
    const SECOND: &[u8] = &[b'b'; 600];

    fn item(media_type: &str, class: Class, bytes: &[u8], at_hand: bool) -> Item {
        let body = if at_hand { Body::Document(bytes.to_vec()) } else { Body::Payload };
        Item { descriptor: Descriptor::of(media_type, bytes), class, body }
    }

    fn items() -> Vec<Item> {
        vec![
            item(MediaType::OCI_CONFIG, Class::Config, b"{\"config\":true}", true),
            item(MediaType::OCI_LAYER_GZIP, Class::Payload, FIRST, false),
            item(MediaType::OCI_LAYER_GZIP, Class::Payload, SECOND, false),
            item(MediaType::OCI_MANIFEST, Class::Manifest, b"{\"manifest\":true}", true),
        ]
    }

    fn good() -> Vec<u8> {
        written(items(), None)
    }

    /// Bases of the delta.
    const BASE: &[u8] = b"{}";

    /// A delta that leaves the first layer out.
    fn good_delta() -> Vec<u8> {
        let mut items = items();
        items[1].body = Body::Omitted;
        written(items, Some(BASE.to_vec()))
    }

    fn written(items: Vec<Item>, base: Option<Vec<u8>>) -> Vec<u8> {
        let bytes = || b"{}".to_vec();
        let papers = Papers { index: bytes(), lock: bytes(), policy: Some(bytes()), evidence: bytes(), base };
        let plan = BundlePlan::new(papers, items, Options { chunk_size: 4096, ..Options::default() }).unwrap();
        let mut out = Vec::new();
        let mut open = |want: &Descriptor| {
            let bytes = if want.digest == Digest::of(FIRST) { FIRST } else { SECOND };
            Ok(Box::new(Bytes::new(bytes)) as Box<dyn std::io::Read + Send>)
        };
        crate::bundle::write_stream(plan, None, &mut out, &mut open, &|_| {}).unwrap();
        out
    }

    impl Forge {
        fn new() -> Self {
            Self::of(&good(), 8, FIRST.len() as u64 * 2 + 15 + 17)
        }

        fn delta() -> Self {
            Self::of(&good_delta(), 9, SECOND.len() as u64 + 15 + 17)
        }

        fn of(bytes: &[u8], head: u64, content: u64) -> Self {
            let header = VolumeHeader::parse(bytes[..HEADER].try_into().unwrap()).unwrap();
            let footer = Footer::parse(bytes[bytes.len() - FOOTER..].try_into().unwrap()).unwrap();
            let table = bytes.len() - FOOTER - footer.table_length as usize;
            let records = bytes[table..bytes.len() - FOOTER].chunks(RECORD);
            let records: Vec<Record> = records.map(|bytes| Record::parse(bytes.try_into().unwrap()).unwrap()).collect();
            let (mut parts, mut at) = (Vec::new(), HEADER);
            let tail = records.last().unwrap().offset as usize;
            while at < tail {
                let record = records.iter().find(|record| record.offset == at as u64).copied();
                let (length, content) = match record {
                    Some(record) => (record.length as usize, u64::from(record.content)),
                    None => {
                        let length = frame::glue_length(&bytes[at..]).unwrap();
                        (length, frame::unglue(&bytes[at..at + length]).unwrap().len() as u64)
                    }
                };
                parts.push(Part { bytes: bytes[at..at + length].to_vec(), content, record });
                at += length;
            }
            Self { header, parts, blobs: 4, head, content }
        }

        /// Returns the numbers of glue and content of entry `number` in the table's sense.
        fn entry(&self, number: u64) -> (usize, usize) {
            let of = |part: &Part| part.record.is_some_and(|record| record.entry == number);
            let at = self.parts.iter().position(of).unwrap();
            (at - 1, at)
        }

        fn blob(&self, ordinal: u64) -> (usize, usize) {
            self.entry(self.head + ordinal)
        }

        /// Puts the bundle together with right offsets and digests everywhere.
        fn seal(mut self) -> Vec<u8> {
            let mut layout = LayoutDigest::default();
            let (mut cursor, mut table, mut data) = (Cursor::new(None), Vec::new(), Vec::new());
            for part in &self.parts {
                let code = part.record.map_or(0, |record| record.kind as u8);
                let shape = Shape { code, length: part.bytes.len() as u64, content: part.content };
                let at = cursor.place(shape).unwrap();
                layout.add(shape, at);
                data.extend(&part.bytes);
                if let Some(record) = part.record {
                    let digest = if record.kind == Kind::Slot { [0; 32] } else { frame::digest(&part.bytes) };
                    let (length, content) = (part.bytes.len() as u32, part.content as u32);
                    table.extend(Record { offset: at.offset, length, content, digest, ..record }.bytes());
                }
            }
            self.header.set_id = self.cut().set_id(Some(layout.finish()));
            let span = &cursor.volumes()[0];
            self.header.file_length = crate::bundle::layout::file_length(span, 1, 1);
            let tail = Tail {
                bundle_id: self.header.bundle_id,
                set_id: self.header.set_id,
                total: 1,
                content: self.content,
                volumes: Vec::new(),
                table: trailer::sha256_of(&table),
            };
            let tail = tail.frame();
            table.extend(Tail::record(&tail, self.head + self.blobs, span.end).bytes());
            self.wrap(&[&data[..], &tail].concat(), &table)
        }

        /// Puts header and trailer around data, with a right digest.
        fn wrap(&self, data: &[u8], table: &[u8]) -> Vec<u8> {
            let header = self.header.bytes();
            let footer = Footer {
                digest: [0; 32],
                set_id: self.header.set_id,
                number: 1,
                flags: LAST | WITH_TAIL,
                table_length: table.len() as u64,
                file_length: (HEADER + data.len() + table.len() + FOOTER + trailer::SKIP_HEAD) as u64,
            };
            let footer = footer.sealed(&header, table);
            let trailer = trailer::skippable(trailer::TRAILER, &[table, &footer.bytes()]);
            [&header[..], data, &trailer].concat()
        }

        fn cut(&self) -> crate::bundle::layout::Cut {
            crate::bundle::layout::Cut {
                bundle_id: self.header.bundle_id,
                chunk_size: self.header.chunk_size,
                limits: self.header.volume_limit.into(),
                features: self.header.features(),
                encoder: self.header.encoder,
            }
        }
    }

    fn read(bytes: &[u8]) -> Result<(), ReadError> {
        let mut reader = BundleReader::open(Input::Stream(Box::new(Bytes::new(bytes.to_vec()))))?;
        while reader.next()?.is_some() {
            while reader.chunk()?.is_some() {}
        }
        reader.finish().map(drop)
    }

    /// Asserts that a bundle is refused as damaged, by the reader, a check of the stream and a check of the file.
    #[track_caller]
    fn refused(bytes: &[u8], what: &str) -> ReadError {
        let error = read(bytes).expect_err(what);
        let stream = check(Input::Stream(Box::new(Bytes::new(bytes.to_vec()))), 2, &|_| {});
        assert!(!stream.findings.is_empty(), "{what}: the check of a stream found nothing");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.airlift");
        std::fs::write(&path, bytes).unwrap();
        assert!(!check(Input::Files(vec![path]), 2, &|_| {}).findings.is_empty(), "{what}: the check of a file");
        error
    }

    #[test]
    fn what_is_sealed_without_a_change_is_the_good_bundle() {
        assert!(Forge::new().seal() == good());
        assert!(read(&good()).is_ok());
    }

    #[test]
    fn tar_entries_of_any_other_name_type_or_spelling_are_refused() {
        let spell = |edit: &dyn Fn(&mut [u8])| {
            let mut forge = Forge::new();
            let (glue, _) = forge.blob(1);
            let mut content = frame::unglue(&forge.parts[glue].bytes).unwrap();
            let start = content.len() - 512;
            let header = &mut content[start..];
            edit(header);
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            forge.parts[glue] = Part::glue(&content);
            forge.seal()
        };
        assert!(spell(&|_| {}) == good());
        for kind in *b"\x001234567xgLKSVZ" {
            refused(&spell(&|header| header[156] = kind), &format!("type {kind}"));
        }
        let named = |name: &[u8]| {
            spell(&|header| {
                header[..100].fill(0);
                header[..name.len()].copy_from_slice(name);
            })
        };
        let right = blob_name(&Digest::of(FIRST));
        let upper = right.to_uppercase().replace("BLOBS/SHA256", "blobs/sha256");
        let unknown = blob_name(&Digest::of(b"unknown"));
        for name in [
            "../x",
            "/etc/x",
            "blobs/sha256/../../x",
            "a\\b",
            "CON",
            "blobs/sha256/",
            "oci-layout",
            "index.json",
            "airlift/lock.json",
            "x\u{1b}[31m",
            "",
            &upper,
            &unknown,
            &format!("./{right}"),
            &format!("{right}/"),
        ] {
            refused(&named(name.as_bytes()), name);
        }
        refused(&named(b"blobs/sha256/\xff"), "a name that is no text");
        for (at, bytes) in [
            (100, &b"0000755\0"[..]),
            (108, b"0000001\0"),
            (136, b"00000000002\0"),
            (157, b"link"),
            (265, b"root"),
            (345, b"pre"),
            (500, b"x"),
            (257, b"ustar  \0"),
        ] {
            refused(&spell(&|header| header[at..at + bytes.len()].copy_from_slice(bytes)), &format!("field {at}"));
        }
    }

    #[test]
    fn sizes_that_lie_are_refused() {
        for size in [0, 599, 601, 4096, 1 << 40, u64::MAX >> 1] {
            let mut forge = Forge::new();
            let (glue, _) = forge.blob(1);
            let before = 15; // The config stands before.
            forge.parts[glue] = Part::glue(&tarhead::opening(before, &blob_name(&Digest::of(FIRST)), size));
            refused(&forge.seal(), &format!("size {size}"));
        }
        let mut forge = Forge::new();
        let (_, content) = forge.blob(1);
        forge.parts[content] = forge.parts[content].with(frame::raw(&FIRST[1..]), 599);
        refused(&forge.seal(), "a frame that is shorter than its entry");
    }

    #[test]
    fn blobs_twice_missing_swapped_or_in_another_order_are_refused() {
        type Change = dyn Fn(&mut Forge, (usize, usize), (usize, usize));
        let edit = |change: &Change| {
            let mut forge = Forge::new();
            let (first, second) = (forge.blob(1), forge.blob(2));
            change(&mut forge, first, second);
            forge.seal()
        };
        let twice = edit(&|forge, first, second| {
            let again = forge.parts[first.0..=first.1].to_vec();
            forge.parts.splice(second.0..second.0, again);
        });
        refused(&twice, "twice");
        let error = refused(&edit(&|forge, first, _| drop(forge.parts.drain(first.0..=first.1))), "missing");
        assert_eq!(error.class(), ReadClass::Integrity);
        // Both have 600 bytes, so the openings may change places too.
        let order = edit(&|forge, first, second| {
            let (a, b) = (forge.parts[first.1].clone(), forge.parts[second.1].clone());
            forge.parts[first.1] = b;
            forge.parts[second.1] = a;
            let openings = [(15, SECOND, first.0), (600, FIRST, second.0)];
            for (before, content, at) in openings {
                forge.parts[at] = Part::glue(&tarhead::opening(before, &blob_name(&Digest::of(content)), 600));
            }
        });
        refused(&order, "order");
        let swapped = edit(&|forge, first, second| {
            let (a, b) = (forge.parts[first.1].clone(), forge.parts[second.1].clone());
            forge.parts[first.1] = forge.parts[first.1].with(b.bytes, 600);
            forge.parts[second.1] = forge.parts[second.1].with(a.bytes, 600);
        });
        let error = refused(&swapped, "content of one blob under the name of the other");
        assert!(error.to_string().contains(&Digest::of(FIRST).to_string()), "{error}");
    }

    #[test]
    fn a_blob_that_is_stored_in_a_way_no_writer_chose_is_refused() {
        let stored = |ordinal, bytes: Vec<u8>, content, kind| {
            let mut forge = Forge::new();
            let (_, at) = forge.blob(ordinal);
            let mut part = forge.parts[at].with(bytes, content);
            part.record = part.record.map(|record| Record { kind, ..record });
            forge.parts[at] = part;
            forge.seal()
        };
        // The manifest, raw among the documents.
        refused(&stored(3, frame::raw(b"{\"manifest\":true}"), 17, Kind::Raw), "a raw manifest");
        // The second layer packed is legal; the first one packed and the second raw is not, as a document it would be.
        let packed = compress::Packer::new(3, 4096).unwrap().pack(SECOND).unwrap();
        assert!(read(&stored(2, packed.clone(), 600, Kind::Packed)).is_ok());
        refused(&stored(2, packed, 600, Kind::Raw), "a packed frame that the table calls raw");
    }

    #[test]
    fn bombs_and_frames_that_lie_about_their_content_are_refused() {
        let framed = |stated: u64, blocks: &[(BlockKind, usize, &[u8])]| {
            let mut bytes = frame::packed_head(stated);
            for (number, (kind, size, body)) in blocks.iter().enumerate() {
                let last = number + 1 == blocks.len();
                bytes.extend(BlockHead { kind: *kind, size: *size, last }.bytes());
                bytes.extend(*body);
            }
            bytes.extend([0; 4]);
            let mut forge = Forge::new();
            let (_, at) = forge.blob(2);
            let mut part = forge.parts[at].with(bytes, stated);
            part.record = part.record.map(|record| Record { kind: Kind::Packed, ..record });
            forge.parts[at] = part;
            forge.seal()
        };
        let run = |size| (BlockKind::Run, size, &b"b"[..]);
        refused(&framed(600, &[run(131_072), run(131_072)]), "more than stated");
        refused(&framed(600, &[run(599)]), "less than stated");
        refused(&framed(600, &[run(600)]), "a wrong checksum");
        refused(&framed(u64::from(u32::MAX), &[run(131_072)]), "more than a chunk");
        refused(&framed(600, &[(BlockKind::Raw, 2_000_000, SECOND)]), "a block longer than the frame may be");
        let empty = vec![(BlockKind::Raw, 0, &b""[..]); 100_000];
        refused(&framed(600, &empty), "endless empty blocks");
    }

    #[test]
    fn skippable_frames_of_other_kinds_and_lengths_are_refused_where_they_stand() {
        for magic in (0x50..=0x5F_u8).map(|low| [low, 0x2A, 0x4D, 0x18]) {
            for length in [0, 1, 95, 96, 240, 0x1000_0001, 0xFFFF_FFF8, 0xFFFF_FFFF_u32] {
                let bytes = [&magic[..], &length.to_le_bytes()].concat();
                let mut all = good();
                all.splice(HEADER..HEADER, bytes);
                assert!(read(&all).is_err(), "{magic:x?} {length:#x}");
            }
        }
        let mut endless = good()[..HEADER].to_vec();
        (0..100_000).for_each(|_| endless.extend(frame::PROLOGUE));
        assert!(read(&endless).is_err());
    }

    #[test]
    fn tables_that_lie_are_refused_though_their_digest_is_right() {
        let edit = |change: &dyn Fn(&mut Record)| {
            let forge = Forge::new();
            let bytes = good();
            let footer = Footer::parse(bytes[bytes.len() - FOOTER..].try_into().unwrap()).unwrap();
            let start = bytes.len() - FOOTER - footer.table_length as usize;
            let mut table = bytes[start..bytes.len() - FOOTER].to_vec();
            // The record of the first layer.
            let at = table.chunks(RECORD).position(|r| r[8] == 9).unwrap() * RECORD;
            let mut record = Record::parse(table[at..at + RECORD].try_into().unwrap()).unwrap();
            change(&mut record);
            table[at..at + RECORD].copy_from_slice(&record.bytes());
            // The tail holds the digest of the table, the table a digest of the tail.
            let own = table.len() - RECORD;
            let tail_start = start - trailer::SKIP_HEAD - trailer::tail_length(1) as usize;
            let mut tail = bytes[tail_start..start - trailer::SKIP_HEAD].to_vec();
            let digest_at = tail.len() - trailer::SLOT - 32;
            tail[digest_at..digest_at + 32].copy_from_slice(&trailer::sha256_of(&table[..own]));
            let record = Tail::record(&tail, 12, tail_start as u64);
            table[own..].copy_from_slice(&record.bytes());
            forge.wrap(&[&bytes[HEADER..tail_start], &tail].concat(), &table)
        };
        assert!(edit(&|_| {}) == good());
        type Lie = dyn Fn(&mut Record);
        let lies: [(&str, &Lie); 9] = [
            ("digest", &|record| record.digest[0] ^= 1),
            ("offset", &|record| record.offset += 1),
            ("offset before the header", &|record| record.offset = 0),
            ("offset behind the end", &|record| record.offset = u64::MAX - 3),
            ("length", &|record| record.length += 1),
            ("endless length", &|record| record.length = u32::MAX),
            ("content", &|record| record.content -= 1),
            ("entry", &|record| record.entry += 1),
            ("chunk", &|record| record.chunk += 1),
        ];
        for (what, lie) in lies {
            let bytes = edit(lie);
            refused(&bytes, what);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("b.airlift");
            std::fs::write(&path, &bytes).unwrap();
            let read = crate::bundle::OpenBundle::open(&[path]).and_then(|open| {
                let mut out = Vec::new();
                let read =
                    open.blob(&Digest::of(FIRST), 0)?.map(|mut blob| std::io::Read::read_to_end(&mut blob, &mut out));
                Ok(matches!(read, Some(Ok(_))).then_some(out))
            });
            assert!(!matches!(read, Ok(Some(_))), "{what}: random access");
        }
    }

    /// Documents with their names.
    type Documents = Vec<(&'static str, Vec<u8>)>;

    /// A bundle with a head that lists `inventory` and is changed after the statement was made of it.
    fn head(change: &dyn Fn(&mut Documents), inventory: Vec<InventoryRecord>) -> Vec<u8> {
        headed(Forge::new(), change, &inventory).seal()
    }

    /// Gives `forge` such a head.
    fn headed(mut forge: Forge, change: &dyn Fn(&mut Documents), inventory: &[InventoryRecord]) -> Forge {
        let names = crate::bundle::plan::HEAD.iter().filter(|name| forge.head == 9 || **name != "airlift/base.json");
        let mut documents: Documents = names.map(|name| (*name, b"{}".to_vec())).collect();
        documents[0].1 = crate::bundle::plan::OCI_LAYOUT.to_vec();
        documents[3].1 = vec![0; trailer::SLOT];
        documents.last_mut().unwrap().1 = inventory::bytes(inventory);
        let named = |n: &usize| *n != 2 && *n != 3;
        let stated: Vec<(&str, &[u8])> =
            (0..documents.len()).filter(named).map(|n| (documents[n].0, documents[n].1.as_slice())).collect();
        documents[2].1 = Statement::new(&stated, inventory).to_bytes();
        change(&mut documents);
        forge.header.bundle_id = trailer::sha256_of(&documents[2].1);
        let mut before = 0;
        for (number, (name, bytes)) in documents.iter().enumerate() {
            let (glue, at) = forge.entry(number as u64);
            forge.parts[glue] = Part::glue(&tarhead::opening(before, name, bytes.len() as u64));
            let packed = match number {
                3 => frame::raw(bytes),
                _ => compress::Packer::new(3, 4096).unwrap().pack(bytes).unwrap(),
            };
            assert_eq!(arrange::chunks(bytes.len() as u64, 4096).count(), 1);
            forge.parts[at] = forge.parts[at].with(packed, bytes.len() as u64);
            before = bytes.len() as u64;
        }
        let (glue, _) = forge.blob(3);
        let name = blob_name(&Digest::of(b"{\"manifest\":true}"));
        forge.parts[glue] = Part::glue(&tarhead::opening(before, &name, 17));
        forge
    }

    /// The true inventory.
    fn listed() -> Vec<InventoryRecord> {
        let record = |item: Item| InventoryRecord {
            digest: item.descriptor.digest.clone(),
            size: item.descriptor.size,
            class: item.class,
            omitted: false,
        };
        items().into_iter().map(record).collect::<Vec<_>>()
    }

    #[test]
    fn a_head_that_does_not_agree_with_itself_is_refused() {
        assert!(read(&head(&|_| {}, listed())).is_ok());
        for (number, name) in [(0, "oci-layout"), (1, "index.json"), (4, "lock"), (5, "policy"), (6, "evidence")] {
            refused(&head(&|documents| documents[number].1 = b"[]".to_vec(), listed()), name);
            refused(&head(&|documents| documents[number].1.push(b' '), listed()), name);
        }
        let spelled = |from: &'static str, to: &'static str| {
            head(
                &|documents| documents[2].1 = String::from_utf8_lossy(&documents[2].1).replace(from, to).into_bytes(),
                listed(),
            )
        };
        for (from, to) in [
            ("\"blobs\":4", "\"blobs\":5"),
            ("\"bytes\":1232", "\"bytes\":0"),
            ("{\"api", "{ \"api"),
            ("sha256:", "sha512:"),
        ] {
            refused(&spelled(from, to), to);
        }
        let error = refused(&spelled("v1alpha1", "v7"), "a later statement");
        assert!(matches!(error, ReadError::Later { .. }), "{error}");
        let mut twice = listed();
        twice.push(twice[1].clone());
        refused(&head(&|_| {}, twice), "a blob that is listed twice");
        let mut more = listed();
        more[1].size += 1;
        refused(&head(&|_| {}, more), "a size that the blob has not");
        let mut other = listed();
        other[1].class = Class::Manifest;
        refused(&head(&|_| {}, other), "payload that is called a manifest");
    }

    /// The inventory of the delta.
    fn listed_in_delta() -> Vec<InventoryRecord> {
        let mut inventory = listed();
        inventory[1].omitted = true;
        inventory
    }

    #[test]
    fn a_delta_that_does_not_agree_with_itself_is_refused() {
        let same = |_: &mut Documents| {};
        assert!(Forge::delta().seal() == good_delta());
        assert!(read(&good_delta()).is_ok());
        let checked = check(Input::Stream(Box::new(Bytes::new(good_delta()))), 2, &|_| {});
        assert_eq!((checked.findings, checked.summary.map(|summary| summary.blobs)), (Vec::new(), Some(3)));
        assert!(headed(Forge::delta(), &same, &listed_in_delta()).seal() == good_delta());

        refused(&headed(Forge::delta(), &same, &listed()).seal(), "a blob that is neither there nor left out");
        let mut more = listed_in_delta();
        more[2].omitted = true;
        refused(&headed(Forge::delta(), &same, &more).seal(), "a blob that is left out and stands here all the same");
        let mut manifest = listed_in_delta();
        manifest[3].omitted = true;
        refused(&headed(Forge::delta(), &same, &manifest).seal(), "a manifest that is left out and stands here");
        refused(&head(&same, listed_in_delta()), "a whole bundle that leaves something out");

        let mut other = headed(Forge::delta(), &same, &listed_in_delta());
        other.header.base_id[0] ^= 1;
        let error = refused(&other.seal(), "other bases than the header names");
        assert!(error.to_string().contains("the bases are not the ones"), "{error}");
        let changed = |documents: &mut Documents| documents[7].1 = b"[]".to_vec();
        refused(&headed(Forge::delta(), &changed, &listed_in_delta()).seal(), "bases that the statement does not name");
        let mut none = Forge::delta();
        none.header.base_id = [0; 32];
        refused(&none.seal(), "bases in a bundle that is no delta");
        let mut bare = Forge::new();
        bare.header.base_id = trailer::sha256_of(BASE);
        refused(&bare.seal(), "a delta that states no bases");
        let mut without = Forge::delta();
        let (glue, content) = without.entry(7);
        drop(without.parts.drain(glue..=content));
        refused(&without.seal(), "a delta whose bases were taken out");

        let mut flags = inventory::bytes(&listed_in_delta());
        flags[32 + 48 + 41] = 12;
        let edit = |documents: &mut Documents| documents[8].1.clone_from(&flags);
        refused(&headed(Forge::delta(), &edit, &listed_in_delta()).seal(), "an unknown flag");
        let spelled = |documents: &mut Documents| {
            documents[2].1 =
                String::from_utf8_lossy(&documents[2].1).replace("\"blobs\":1,", "\"blobs\":2,").into_bytes();
        };
        refused(&headed(Forge::delta(), &spelled, &listed_in_delta()).seal(), "a count of what is left out that lies");
    }

    #[test]
    fn headers_that_ask_for_too_much_or_contradict_are_refused() {
        let with = |change: &dyn Fn(&mut VolumeHeader)| {
            let mut bytes = good();
            let mut header = VolumeHeader::parse(bytes[..HEADER].try_into().unwrap()).unwrap();
            change(&mut header);
            bytes[..HEADER].copy_from_slice(&header.bytes());
            bytes
        };
        for chunk_size in [0, 1, 5000, 2048, 32 << 20, u32::MAX] {
            let error = refused(&with(&|header| header.chunk_size = chunk_size), "chunk size");
            assert_eq!(error.class(), ReadClass::Limit);
        }
        type Lie = dyn Fn(&mut VolumeHeader);
        let lies: [(&str, &Lie); 7] = [
            ("set", &|header| header.set_id[0] ^= 1),
            ("bundle", &|header| header.bundle_id[0] ^= 1),
            ("length", &|header| header.file_length += 1),
            ("total", &|header| header.total = 2),
            ("open", &|header| header.total = 0),
            ("offset", &|header| header.stream_offset = 1),
            ("encoder", &|header| header.encoder[0] ^= 1),
        ];
        for (what, lie) in lies {
            refused(&with(lie), what);
        }
        let limited = |limit: u64| {
            let mut forge = Forge::new();
            forge.header.volume_limit = limit;
            forge.seal()
        };
        let length = good().len() as u64;
        assert!(read(&limited(length)).is_ok(), "a volume may be as long as its limit");
        let error = refused(&limited(length - 1), "a volume above its limit");
        assert!(error.to_string().contains("longer than its header allows"), "{error}");
        let at = Place { volume: 1, offset: HEADER as u64 };
        assert_eq!(Cursor::new(None).place(Shape { code: 0, length: 1, content: 1 }), Ok(at));
    }
}
