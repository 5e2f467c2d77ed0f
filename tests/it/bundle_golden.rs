//! The bytes of bundles: written, read back, read by others, and kept for ever under `testdata/golden`.

use airlift::bundle::{
    Body, BundlePlan, BundleReader, BundleWriter, Class, Input, Item, Options, Papers, Pending, Written, find_volumes,
};
use airlift::model::digest::Algorithm;
use airlift::model::{Content, Descriptor, Digest, MediaType};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// What a bundle is made of: the items, and the bytes of all blobs.
pub struct World {
    pub papers: Papers,
    pub items: Vec<Item>,
    pub blobs: BTreeMap<Digest, Vec<u8>>,
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, n: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..n).map(|_| next()).collect()
}

impl World {
    pub fn new() -> Self {
        let papers = Papers {
            index: br#"{"schemaVersion":2,"manifests":[]}"#.to_vec(),
            lock: b"{\"kind\":\"Lock\"}\n".to_vec(),
            policy: Some(b"{\"kind\":\"Policy\"}\n".to_vec()),
            evidence: b"{\"kind\":\"BundleEvidence\"}\n".to_vec(),
        };
        Self { papers, items: Vec::new(), blobs: BTreeMap::new() }
    }

    pub fn add(&mut self, media_type: &str, class: Class, bytes: Vec<u8>, at_hand: bool) -> &mut Self {
        self.add_with(Algorithm::Sha256, media_type, class, (bytes, at_hand))
    }

    pub fn add_with(
        &mut self,
        algorithm: Algorithm,
        media_type: &str,
        class: Class,
        (bytes, at_hand): (Vec<u8>, bool),
    ) -> &mut Self {
        let content = Content { digest: Digest::of_with(algorithm, &bytes), size: bytes.len() as u64 };
        let descriptor = Descriptor::new(media_type, content);
        let body = if at_hand { Body::Document(bytes.clone()) } else { Body::Payload };
        self.blobs.insert(descriptor.digest.clone(), bytes);
        self.items.push(Item { descriptor, class, body });
        self
    }

    /// Two images, one signature; raw payload of the sizes given.
    pub fn small(sizes: &[usize]) -> Self {
        let mut world = Self::new();
        world.add(MediaType::OCI_CONFIG, Class::Config, b"{\"architecture\":\"amd64\"}".to_vec(), true);
        for (seed, size) in sizes.iter().enumerate() {
            world.add(MediaType::OCI_LAYER_GZIP, Class::Payload, noise(seed as u64 + 1, *size), false);
        }
        world.add(MediaType::OCI_MANIFEST, Class::Manifest, vec![b' '; 700], true);
        world.add(MediaType::COSIGN_SIMPLE_SIGNING, Class::Evidence, b"{\"critical\":{}}".to_vec(), true);
        world
    }

    pub fn plan(&self, options: Options) -> BundlePlan {
        BundlePlan::new(self.papers.clone(), self.items.clone(), options).unwrap()
    }

    pub fn bytes(&self, pending: &Pending) -> Cursor<&[u8]> {
        Cursor::new(&self.blobs[&pending.descriptor.digest][pending.from as usize..])
    }

    pub fn write(&self, out: &Path, options: Options) -> Written {
        let (writer, _) = BundleWriter::open(self.plan(options), out).unwrap();
        for pending in writer.pending() {
            writer.fill(&pending, &mut self.bytes(&pending), &|_| {}).unwrap();
        }
        writer.finish(None).unwrap()
    }

    /// Reads a bundle and checks that it holds exactly this.
    pub fn assert_read(&self, input: Input) {
        let mut reader = BundleReader::open(input).unwrap();
        assert_eq!(reader.papers().unwrap(), self.papers);
        let mut blobs = BTreeMap::new();
        while let Some(entry) = reader.next().unwrap() {
            let mut bytes = entry.document.unwrap_or_default();
            while let Some(chunk) = reader.chunk().unwrap() {
                bytes.extend(chunk);
            }
            assert!(blobs.insert(entry.digest, bytes).is_none());
        }
        assert_eq!(blobs, self.blobs);
        assert_eq!(reader.finish().unwrap().blobs, self.blobs.len() as u64);
    }
}

pub fn small_chunks(volume_size: Option<u64>) -> Options {
    Options { volume_size, chunk_size: 4096, level: 3 }
}

pub fn stream_of(volumes: &[PathBuf]) -> Vec<u8> {
    volumes.iter().flat_map(|path| std::fs::read(path).unwrap()).collect()
}

fn mixed() -> World {
    let mut world = World::small(&[1, 4095, 4096, 4097, 20_000, 0]);
    world.add(MediaType::OCI_LAYER_TAR, Class::Payload, noise(77, 9000), false);
    world.add(MediaType::OCI_LAYER_TAR, Class::Payload, vec![3; 30_000], false);
    world.add_with(Algorithm::Sha512, MediaType::OCI_LAYER_GZIP, Class::Payload, (noise(78, 5000), false));
    world
}

#[test]
fn what_was_packed_is_read_from_files_and_from_a_stream() {
    for volume_size in [None, Some(16_000), Some(30_000)] {
        for world in [World::small(&[10, 9000]), mixed(), World::small(&[])] {
            let folder = tempfile::tempdir().unwrap();
            let written = world.write(&folder.path().join("b"), small_chunks(volume_size));
            let found = find_volumes(&[folder.path().to_owned()]).unwrap();
            assert_eq!(found, written.volumes);
            assert_eq!(stream_of(&found).len() as u64, written.bytes);
            world.assert_read(Input::Files(found.iter().rev().cloned().collect()));
            world.assert_read(Input::Stream(Box::new(Cursor::new(stream_of(&found)))));
        }
    }
}
