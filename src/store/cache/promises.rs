//! What a store promises, with a folder as the source behind it.

#[cfg(test)]
mod tests {
    use super::super::dir::Dir;
    use super::super::*;
    use crate::model::event::Silent;
    use crate::model::port::{BlobSink, BlobSource, FileSource, ImageSource, ManifestBytes, OpenFile, Source};
    use crate::model::{
        Descriptor, Digest, Event, EventSink, Fault, FaultKind, FileUrl, MediaType, Reference, Repository, Tag,
    };
    use crate::store::LayoutFolder;
    use crate::store::kernel_lock::{Hold, lock};
    use crate::testkit::image::noise;
    use std::collections::BTreeSet;
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    fn at() -> Repository {
        Repository::new("layout", "a/b").unwrap()
    }

    /// A source that counts what it is asked for.
    struct Counting {
        inner: LayoutFolder,
        opened: AtomicU64,
    }

    impl BlobSource for Counting {
        fn open(&self, at: &Repository, want: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, Fault> {
            self.opened.fetch_add(1, Ordering::Relaxed);
            self.inner.open(at, want, from)
        }
    }

    impl FileSource for Counting {
        fn file(&self, _: &FileUrl, _: Option<u64>, from: u64) -> Result<OpenFile, Fault> {
            self.opened.fetch_add(1, Ordering::Relaxed);
            let bytes = noise(77, 5000).split_off(usize::try_from(from).unwrap());
            Ok(OpenFile { size: None, content: Box::new(std::io::Cursor::new(bytes)) })
        }
    }

    impl ImageSource for Counting {
        fn head(&self, at: &Repository, reference: &Reference) -> Result<Option<Descriptor>, Fault> {
            self.inner.head(at, reference)
        }

        fn manifest(&self, at: &Repository, reference: &Reference) -> Result<ManifestBytes, Fault> {
            self.opened.fetch_add(1, Ordering::Relaxed);
            self.inner.manifest(at, reference)
        }

        fn tags(&self, at: &Repository) -> Result<Vec<Tag>, Fault> {
            self.inner.tags(at)
        }

        fn referrers(&self, at: &Repository, subject: &Digest) -> Result<Vec<Descriptor>, Fault> {
            self.inner.referrers(at, subject)
        }
    }

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl EventSink for Heard {
        fn take(&self, event: Event) {
            if let Event::Warned { item, message } = event {
                self.0.lock().unwrap().push(format!("{item}: {message}"));
            }
        }
    }

    struct World {
        folder: tempfile::TempDir,
        source: Counting,
        heard: Arc<Heard>,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let inner = LayoutFolder::open(&folder.path().join("source")).unwrap();
            Self { folder, source: Counting { inner, opened: AtomicU64::new(0) }, heard: Arc::default() }
        }

        fn store(&self) -> PathBuf {
            self.folder.path().join("store")
        }

        fn open(&self) -> StoreFolder {
            StoreFolder::open_or_make(&self.store()).unwrap()
        }

        fn stocked(&self) -> Stocked<'_> {
            Stocked::over(&self.source, self.open(), self.heard.clone(), (7, false))
        }

        /// Puts a blob into the source.
        fn blob(&self, seed: u64, len: usize) -> Descriptor {
            let bytes = noise(seed, len);
            let want = Descriptor::of("a/b", &bytes);
            self.source.inner.put(&at(), &want, &mut &bytes[..]).unwrap();
            want
        }

        fn place(&self, want: &Descriptor) -> PathBuf {
            self.store().join("blobs/sha256").join(want.digest.hex())
        }

        fn asked(&self) -> u64 {
            self.source.opened.load(Ordering::Relaxed)
        }

        fn heard(&self) -> String {
            self.heard.0.lock().unwrap().join("\n")
        }
    }

    fn read(source: &dyn Source, want: &Descriptor) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        source.open(&at(), want, 0)?.read_to_end(&mut bytes).map_err(|error| Fault::from_io(error, "x", "y"))?;
        Ok(bytes)
    }

    fn name(text: &str) -> RootName {
        RootName::parse(text).unwrap()
    }

    fn ending_in(folder: &Path, ending: &str) -> usize {
        fs::read_dir(folder)
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_str().unwrap().ends_with(ending))
            .count()
    }

    #[test]
    fn what_was_fetched_once_is_not_asked_for_again() {
        let world = World::new();
        let want = world.blob(1, 200_000);
        for run in 0..3 {
            let stocked = world.stocked();
            assert!(want.names_bytes(&read(&stocked, &want).unwrap()));
            let tally = stocked.keep(&name("job")).unwrap();
            assert_eq!((tally.put, tally.taken), if run == 0 { (1, 0) } else { (0, 1) });
        }
        assert_eq!(world.asked(), 1);
        assert!(fs::metadata(world.place(&want)).unwrap().permissions().readonly(), "what is kept is never changed");
        assert_eq!(world.open().roots().unwrap()[0].blobs[0].digest, want.digest);
        assert_eq!(world.heard(), "");
    }

    #[test]
    fn a_store_that_is_read_by_offset_gives_the_rest_and_keeps_no_rest() {
        let world = World::new();
        let want = world.blob(1, 9000);
        let rest = |source: &dyn Source| {
            let mut bytes = Vec::new();
            source.open(&at(), &want, 8000).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        };
        let stocked = world.stocked();
        assert_eq!(rest(&stocked), noise(1, 9000)[8000..]);
        assert!(!world.place(&want).exists());
        read(&stocked, &want).unwrap();
        assert_eq!(rest(&stocked), noise(1, 9000)[8000..]);
        assert_eq!(world.asked(), 2);
    }

    #[test]
    fn documents_come_from_the_store_by_digest_and_from_their_source_by_tag() {
        let world = World::new();
        let config = world.blob(3, 10);
        let layer = world.blob(4, 20);
        // Helm leaves the type out; the specification has one for it.
        let text = serde_json::json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string();
        let document = ManifestBytes {
            descriptor: Descriptor::of(MediaType::OCI_MANIFEST, text.as_bytes()),
            bytes: text.into_bytes(),
        };
        let tag: Tag = "1".parse().unwrap();
        crate::model::port::ImageSink::put_manifest(&world.source.inner, &at(), &document, Some(&tag)).unwrap();
        let by_digest = Reference::Digest(document.descriptor.digest.clone());
        let stocked = world.stocked();
        assert_eq!(stocked.manifest(&at(), &Reference::Tag(tag.clone())).unwrap(), document);
        assert_eq!(stocked.manifest(&at(), &by_digest).unwrap(), document);
        assert_eq!(world.asked(), 1, "the digest was known from the tag");
        stocked.manifest(&at(), &Reference::Tag(tag)).unwrap();
        assert_eq!(world.asked(), 2, "a tag is asked for each time");
        // What the document needs is this job's as soon as it is there, whoever fetched it.
        let other = world.stocked();
        read(&other, &layer).unwrap();
        stocked.keep(&name("job")).unwrap();
        let roots = world.open().roots().unwrap();
        let kept: BTreeSet<_> = roots[0].blobs.iter().map(|blob| blob.digest.clone()).collect();
        assert_eq!(kept, BTreeSet::from([document.descriptor.digest.clone(), layer.digest]));
    }

    #[test]
    fn a_file_with_a_known_digest_comes_from_the_store() {
        let world = World::new();
        let url: FileUrl = "https://h.example/x.tgz".parse().unwrap();
        let digest = Digest::of(&noise(77, 5000));
        for size in [None, None, Some(5000)] {
            let mut bytes = Vec::new();
            let stocked = world.stocked();
            stocked.pinned(&url, &digest, size, 0).unwrap().content.read_to_end(&mut bytes).unwrap();
            assert_eq!(Digest::of(&bytes), digest);
        }
        assert_eq!(world.asked(), 1);
        let other = Digest::of(b"something else");
        let stocked = world.stocked();
        std::io::copy(&mut stocked.pinned(&url, &other, None, 0).unwrap().content, &mut std::io::sink()).unwrap();
        assert_eq!(world.open().list().unwrap().len(), 1, "what is not what it was called is not kept");
    }

    #[test]
    fn a_bad_copy_is_set_aside_and_fetched_again() {
        let world = World::new();
        let want = world.blob(1, 100_000);
        read(&world.stocked(), &want).unwrap();
        let spoil: [&dyn Fn(&Path); 7] = [
            &|place| fs::write(place, noise(2, 100_000)).unwrap(),
            &|place| fs::write(place, &noise(1, 100_000)[..99_999]).unwrap(),
            &|place| fs::write(place, [noise(1, 100_000), vec![0]].concat()).unwrap(),
            &|place| fs::write(place, b"").unwrap(),
            &|place| symlink("/etc/hostname", place).unwrap(),
            &|place| fs::create_dir(place).unwrap(),
            &|place| assert!(std::process::Command::new("mkfifo").arg(place).status().unwrap().success()),
        ];
        for (n, spoil) in spoil.into_iter().enumerate() {
            let place = world.place(&want);
            fs::remove_file(&place).unwrap();
            spoil(&place);
            let before = world.asked();
            let stocked = world.stocked();
            assert!(want.names_bytes(&read(&stocked, &want).unwrap()), "case {n}");
            assert_eq!(world.asked(), before + 1, "case {n}");
            assert!(want.names_bytes(&read(&stocked, &want).unwrap()), "the new copy is used: case {n}");
            assert_eq!(world.asked(), before + 1, "case {n}");
            assert!(
                world.heard().lines().last().unwrap().contains("the store's copy is bad"),
                "case {n}: {}",
                world.heard()
            );
        }
        assert!(ending_in(&world.store().join("airlift/aside"), "") > 0);
    }

    #[test]
    fn of_a_large_bad_copy_the_last_piece_is_held_back_and_the_next_opening_fetches() {
        let world = World::new();
        let want = world.blob(1, (33 << 20) + 5);
        read(&world.stocked(), &want).unwrap();
        let mut bytes = noise(1, (33 << 20) + 5);
        bytes[20 << 20] ^= 1;
        let place = world.place(&want);
        fs::remove_file(&place).unwrap();
        fs::write(&place, &bytes).unwrap();
        let stocked = world.stocked();
        let mut seen = 0;
        let mut content = stocked.open(&at(), &want, 0).unwrap();
        let mut buffer = vec![0; 1 << 20];
        let error = loop {
            match content.read(&mut buffer) {
                Ok(n) => seen += n as u64,
                Err(error) => break Fault::from_io(error, "x", "y"),
            }
        };
        assert_eq!(error.kind, FaultKind::Damaged);
        assert!(seen < want.size);
        assert!(want.names_bytes(&read(&stocked, &want).unwrap()));
        assert_eq!(world.asked(), 2);
        // Where nothing can be taken back, the first byte waits for the last.
        fs::remove_file(&place).unwrap();
        fs::write(&place, &bytes).unwrap();
        let careful = Stocked::over(&world.source, world.open(), world.heard.clone(), (7, true));
        assert!(want.names_bytes(&read(&careful, &want).unwrap()));
    }

    #[test]
    fn a_source_that_ends_early_or_gives_other_bytes_leaves_nothing_in_the_store() {
        let world = World::new();
        let want = world.blob(1, 5000);
        let place = world.folder.path().join("source/blobs/sha256").join(want.digest.hex());
        for bytes in [noise(1, 4999), noise(2, 5000), noise(1, 5001), Vec::new()] {
            fs::remove_file(&place).unwrap();
            fs::write(&place, &bytes).unwrap();
            let stocked = world.stocked();
            assert_eq!(read(&stocked, &want).unwrap(), bytes, "what the source says is passed on as it is");
            drop(stocked);
            assert!(!world.place(&want).exists() || bytes.len() == 5001, "the right bytes came before one too many");
            assert_eq!(ending_in(&world.store().join("airlift/incoming"), ""), 0);
        }
    }

    #[test]
    fn a_store_that_cannot_be_written_is_read_and_the_run_goes_on() {
        let world = World::new();
        let (first, second) = (world.blob(1, 5000), world.blob(2, 5000));
        read(&world.stocked(), &first).unwrap();
        let stocked = world.stocked();
        // Whoever is root writes everywhere, so the folder is taken away.
        fs::remove_dir(world.store().join("airlift/incoming")).unwrap();
        assert!(second.names_bytes(&read(&stocked, &second).unwrap()));
        assert!(first.names_bytes(&read(&stocked, &first).unwrap()));
        assert_eq!(world.asked(), 2);
        assert_eq!(world.heard().matches("the store cannot be written").count(), 1, "{}", world.heard());
    }

    #[test]
    fn what_is_no_store_or_a_later_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| StoreFolder::open_or_make(path).err().unwrap().to_string();
        fs::write(folder.path().join("letters.txt"), "mine").unwrap();
        assert!(refused(folder.path()).contains("other things"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made");
        assert!(matches!(StoreFolder::open(folder.path()), Err(StoreError::Absent(_))));
        let store = folder.path().join("store");
        StoreFolder::open_or_make(&store).unwrap();
        let opening = store.join("airlift/store.json");
        for (text, word) in [
            (r#"{"apiVersion":"airlift/v9","kind":"Store"}"#, "airlift/v9"),
            (r#"{"apiVersion":"airlift/v1alpha1","kind":"Lock"}"#, "Lock"),
            (r#"{"apiVersion":"airlift/v1alpha1","kind":"Store","kind":"Store"}"#, "kind"),
            ("", "store.json"),
        ] {
            fs::write(&opening, text).unwrap();
            assert!(refused(&store).contains(word), "{}", refused(&store));
        }
        fs::remove_file(&opening).unwrap();
        symlink(folder.path().join("letters.txt"), &opening).unwrap();
        assert!(refused(&store).contains("link"), "{}", refused(&store));
    }

    #[test]
    fn folders_of_a_store_that_are_links_are_refused() {
        for name in
            ["blobs", "blobs/sha256", "blobs/sha512", "airlift", "airlift/incoming", "airlift/roots", "airlift/runs"]
        {
            let folder = tempfile::tempdir().unwrap();
            let store = folder.path().join("store");
            StoreFolder::open_or_make(&store).unwrap();
            let (place, elsewhere) = (store.join(name), folder.path().join("elsewhere"));
            fs::rename(&place, &elsewhere).unwrap();
            symlink(&elsewhere, &place).unwrap();
            let error = StoreFolder::open_or_make(&store).err();
            assert!(error.is_some(), "{name} is a link");
        }
    }

    #[test]
    fn only_what_no_root_keeps_no_run_has_reserved_and_is_old_enough_is_freed() {
        let world = World::new();
        let wants: Vec<Descriptor> = (1..=4).map(|seed| world.blob(seed, 1000)).collect();
        let first = world.stocked();
        read(&first, &wants[0]).unwrap();
        first.keep(&name("first")).unwrap();
        let second = world.stocked();
        read(&second, &wants[1]).unwrap();
        second.keep(&name("second")).unwrap();
        drop((first, second));
        read(&world.stocked(), &wants[2]).unwrap();
        let live = world.stocked();
        read(&live, &wants[3]).unwrap();
        let store = world.open();
        let later = Keeping { since: i64::MAX, ..Keeping::default() };
        assert_eq!(store.plan_to_free(&Keeping::default()).unwrap().plan.young, 1);
        let plan = store.plan_to_free(&later).unwrap().run().unwrap();
        assert_eq!((plan.blobs.clone(), plan.reserved, plan.bytes), (vec![wants[2].digest.clone()], 1, 1000));
        let only = Keeping { only: Some(BTreeSet::from([name("first")])), ..later.clone() };
        let planned = store.plan_to_free(&only).unwrap().plan;
        assert_eq!((&planned.roots[..], &planned.blobs[..]), (&[name("second")][..], &[wants[1].digest.clone()][..]));
        assert_eq!(store.plan_to_free(&only).unwrap().run().unwrap(), planned, "what is said is what is done");
        drop(live);
        let rest = Keeping { without: BTreeSet::from([name("first")]), ..later.clone() };
        assert_eq!(store.plan_to_free(&rest).unwrap().run().unwrap().blobs.len(), 2, "the run has ended");
        assert!(store.list().unwrap().is_empty() && store.roots().unwrap().is_empty());
        let absent = Keeping { without: BTreeSet::from([name("third")]), ..later };
        assert!(store.plan_to_free(&absent).is_err());
    }

    #[test]
    fn what_a_dead_run_left_is_swept_by_the_next() {
        let world = World::new();
        drop(world.open());
        let own = world.store().join("airlift");
        fs::write(own.join("runs/99-0"), "").unwrap();
        for place in ["incoming/99-0.4.partial", "roots/99-0.5.partial"] {
            fs::write(own.join(place), "half").unwrap();
        }
        let live = world.stocked();
        let want = world.blob(1, 5000);
        let mut content = live.open(&at(), &want, 0).unwrap();
        content.read_exact(&mut [0; 100]).unwrap();
        assert_eq!(ending_in(&own.join("incoming"), ".partial"), 1);
        let next = world.stocked();
        assert_eq!(ending_in(&own.join("incoming"), ".partial"), 1, "of a run that lives, nothing is swept");
        assert_eq!((ending_in(&own.join("runs"), ""), ending_in(&own.join("roots"), "")), (2, 0));
        drop((content, live, next));
        assert_eq!((ending_in(&own.join("runs"), ""), ending_in(&own.join("incoming"), "")), (0, 0));
    }

    #[test]
    fn a_check_names_each_bad_blob_with_what_was_expected_and_found() {
        let world = World::new();
        let wants: Vec<Descriptor> = (1..=3).map(|seed| world.blob(seed, 1000)).collect();
        let stocked = world.stocked();
        wants.iter().for_each(|want| drop(read(&stocked, want).unwrap()));
        stocked.keep(&name("job")).unwrap();
        for (want, bytes) in [(&wants[0], noise(9, 1000)), (&wants[1], noise(2, 999))] {
            fs::remove_file(world.place(want)).unwrap();
            fs::write(world.place(want), bytes).unwrap();
        }
        let store = world.open();
        let expected = store.roots().unwrap()[0].blobs.iter().map(|b| (b.digest.clone(), b.size)).collect();
        let list = store.list().unwrap();
        let look = |want: &Descriptor| {
            let blob = list.iter().find(|blob| blob.digest == want.digest).unwrap();
            (store.look_at(blob, &expected), store.read_through(blob, &expected))
        };
        let (by_size, by_bytes) = look(&wants[0]);
        assert_eq!(by_size, None);
        assert_eq!(
            by_bytes.unwrap().found,
            Found::Other(crate::model::Content { digest: Digest::of(&noise(9, 1000)), size: 1000 })
        );
        let (by_size, _) = look(&wants[1]);
        assert_eq!((by_size.clone().unwrap().expected_size, by_size.unwrap().found), (Some(1000), Found::Size(999)));
        assert_eq!(look(&wants[2]), (None, None));
        fs::write(world.store().join("blobs/sha256/notes.txt"), "x").unwrap();
        assert_eq!(store.strays().unwrap().len(), 1);
    }

    #[test]
    fn slices_are_disjoint_and_make_up_the_whole() {
        let digests: Vec<Digest> = (0..200_u32).map(|n| Digest::of(&n.to_le_bytes())).collect();
        for of in [1, 2, 7] {
            let slices: Vec<Slice> = (1..=of).map(|part| format!("{part}/{of}").parse().unwrap()).collect();
            for digest in &digests {
                assert_eq!(slices.iter().filter(|slice| slice.holds(digest)).count(), 1);
            }
        }
        for wrong in ["0/3", "4/3", "3", "a/b", "1/0", "-1/2"] {
            assert!(wrong.parse::<Slice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_of_roots_never_become_paths() {
        for wrong in ["", ".", "..", ".hidden", "a/b", "a b", "ä", &"x".repeat(101)] {
            assert!(RootName::parse(wrong).is_err(), "{wrong:?}");
        }
        let job = RootName::of_job("pack", "../my mirror", b"/a/../my mirror.yaml");
        assert_eq!(RootName::parse(job.as_str()), Ok(job.clone()));
        assert_ne!(job, RootName::of_job("pack", "../my mirror", b"/b/../my mirror.yaml"));
    }

    /// Eight runs fetch, read, keep and end, while content is freed all the time; two hundred rounds.
    #[test]
    fn many_runs_and_a_collector_never_see_or_leave_anything_but_whole_blobs() {
        let world = World::new();
        let wants: Vec<Descriptor> = (1..=12).map(|seed| world.blob(seed, 3000)).collect();
        let done = AtomicBool::new(false);
        let (world, wants, done) = (&world, &wants, &done);
        std::thread::scope(|scope| {
            let collector = scope.spawn(move || {
                let mut freed = 0;
                while !done.load(Ordering::Relaxed) {
                    let keeping = Keeping { since: i64::MAX, ..Keeping::default() };
                    freed += world.open().plan_to_free(&keeping).unwrap().run().unwrap().blobs.len();
                }
                freed
            });
            let workers: Vec<_> = (0..8_usize)
                .map(|worker| {
                    scope.spawn(move || {
                        for round in 0..25_usize {
                            let stocked = Stocked::over(&world.source, world.open(), Arc::new(Silent), (1, false));
                            let mine = [worker, worker + 1, round].map(|n| &wants[n % wants.len()]);
                            for want in mine.iter().chain(&mine) {
                                assert!(want.names_bytes(&read(&stocked, want).unwrap()));
                                let there = fs::metadata(world.place(want));
                                assert!(there.is_ok(), "what this run has reserved was freed");
                            }
                            if round % 3 == 0 {
                                stocked.keep(&name(&format!("job{worker}"))).unwrap();
                            }
                        }
                    })
                })
                .collect();
            workers.into_iter().for_each(|worker| worker.join().unwrap());
            done.store(true, Ordering::Relaxed);
            assert!(collector.join().unwrap() > 0, "the collector never freed anything");
        });
        let store = world.open();
        for blob in store.list().unwrap() {
            assert_eq!(store.content(&blob.digest).unwrap().unwrap().digest, blob.digest);
        }
        assert_eq!(ending_in(&world.store().join("airlift/incoming"), ""), 0);
        assert_eq!(ending_in(&world.store().join("airlift/runs"), ""), 0);
    }

    #[test]
    fn a_lock_that_is_held_alone_is_had_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        let first = dir.lock_file("lock").unwrap();
        assert!(lock(&first, Hold::Alone).unwrap());
        assert!(!lock(&dir.lock_file("lock").unwrap(), Hold::AloneNow).unwrap());
        drop(first);
        assert!(lock(&dir.lock_file("lock").unwrap(), Hold::AloneNow).unwrap());
        fs::set_permissions(folder.path().join("lock"), fs::Permissions::from_mode(0o444)).unwrap();
        assert!(lock(&dir.lock_file("lock").unwrap(), Hold::Shared).unwrap());
    }
}
