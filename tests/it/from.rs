//! `--from`: what other tools packed is taken from their files as it would be from a registry, judged as strictly, and
//! nothing of it that lies is ever packed.

use crate::stage::{Stage, multi, small};
use airlift::document::lock::Lock;
use airlift::model::port::{BlobSource, ImageSource};
use airlift::model::{Descriptor, Digest, MediaType, Reference};
use airlift::store::archive::fuzzing;
use airlift::testkit::archives::{
    Files, Saved, Tar, called, distribution, docker_save, header, imgpkg, layout, tar, write, zarf,
};
use airlift::testkit::image::{Sample, SampleImage};
use airlift::trust::{SigningKey, sign_simple};
use serde_json::{Value, json};
use std::io::Write;

/// A signature of cosign's, as a thing of its own.
fn signature(repository: &str, subject: &Digest, key: &SigningKey) -> Sample {
    let signed = sign_simple(repository, subject, key).unwrap();
    let mut layer = Descriptor::of(MediaType::COSIGN_SIMPLE_SIGNING, &signed.payload);
    layer.annotations = signed.annotations;
    SampleImage::new(9).config(MediaType::OCI_CONFIG, b"{}".to_vec()).signed_blob(layer, signed.payload).build()
}

fn sig_tag(subject: &Digest) -> String {
    format!("sha256-{}.sig", subject.hex())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Packs without a registry in reach.
fn pack(stage: &Stage, from: &str, more: &[&str]) -> crate::stage::Ran {
    stage.airlift(&[&["pack", "--from", from, "-o", "b", "--sign-key", "author.key"], more].concat())
}

fn inventory(stage: &Stage, bundle: &str) -> Value {
    serde_json::from_str(&stage.airlift(&["inspect", bundle, "-o", "json"]).expect(0).stdout).unwrap()
}

/// Returns source and digest of each artifact in a bundle.
fn sources(stage: &Stage, bundle: &str) -> Vec<(String, String)> {
    let found = inventory(stage, bundle);
    let text = |artifact: &Value, key: &str| artifact[key].as_str().unwrap().to_owned();
    found["artifacts"].as_array().unwrap().iter().map(|a| (text(a, "source"), text(a, "digest"))).collect()
}

fn lock(stage: &Stage, name: &str) -> Lock {
    Lock::read(&std::fs::read(stage.path(name)).unwrap(), name).unwrap()
}

/// Everything that a haul, a package, a mirror and a tar of the same two signed images hold.
fn signed_forms(stage: &Stage) -> Vec<(&'static str, Files)> {
    let (one, many) = (small(1), multi(7));
    let sign = |path: &str, sample: &Sample| signature(&format!("ghcr.io/{path}"), sample.digest(), &stage.key);
    let (one_signed, many_signed) = (sign("team/one", &one), sign("team/many", &many));
    let hauled = |kind: &str, path: &str, tag: &str| {
        json!({
            "kind": format!("dev.hauler/{kind}"), "io.containerd.image.name": format!("ghcr.io/{path}:{tag}"),
            "org.opencontainers.image.ref.name": format!("{path}:{tag}"),
        })
    };
    let named = |path: &str, tag: &str| called(&format!("ghcr.io/{path}:{tag}"));
    let oci = layout(&[
        (named("team/one", "1.0"), &one),
        (named("team/one", &sig_tag(one.digest())), &one_signed),
        (named("team/many", "2"), &many),
        (named("team/many", &sig_tag(many.digest())), &many_signed),
    ]);
    let haul = layout(&[
        (hauled("image", "team/one", "1.0"), &one),
        (hauled("sigs", "team/one", "1.0"), &one_signed),
        (hauled("imageIndex", "team/many", "2"), &many),
        (hauled("sigs", "team/many", "2"), &many_signed),
    ]);
    let storage = distribution(&[
        ("team/one", "1.0", &one),
        ("team/one", &sig_tag(one.digest()), &one_signed),
        ("team/many", "2", &many),
        ("team/many", &sig_tag(many.digest()), &many_signed),
    ]);
    let found = "mirror.example/bundle";
    let carvel = imgpkg(&[
        ("ghcr.io/team/one", "", "1.0", &one),
        (found, "", &sig_tag(one.digest()), &one_signed),
        (found, "ghcr.io/team/many:2", "", &many),
        (found, "", &sig_tag(many.digest()), &many_signed),
    ]);
    vec![("oci", oci.clone()), ("haul", haul), ("zarf", zarf(&oci)), ("mirror", storage), ("carvel", carvel)]
}

fn expected() -> Vec<(String, String)> {
    let line = |name: &str, sample: &Sample| (name.to_owned(), sample.digest().to_string());
    vec![line("ghcr.io/team/many:2", &multi(7)), line("ghcr.io/team/one:1.0", &small(1))]
}

#[test]
fn every_form_gives_the_same_signed_images_under_their_names() {
    let stage = Stage::new();
    for (name, files) in signed_forms(&stage) {
        for (file, bytes) in [(format!("{name}.tar"), tar(&files)), (format!("{name}.tgz"), gzip(&tar(&files)))] {
            std::fs::write(stage.path(&file), bytes).unwrap();
            let out = format!("out-{file}");
            let mut arguments =
                vec!["pack", "--from", &file, "-o", &out, "--key", "cosign.pub", "--sign-key", "author.key"];
            if name == "mirror" {
                arguments.extend(["--name", "ghcr.io"]);
            }
            let ran = stage.airlift(&arguments).expect(0);
            assert_eq!(
                ran.stderr.contains("is unpacked into a temporary file"),
                file.ends_with("tgz"),
                "{}",
                ran.stderr
            );
            let mut found = sources(&stage, &format!("{out}.airlift"));
            found.sort();
            assert_eq!(found, expected(), "{file}");
        }
        let folder = format!("{name}-folder");
        write(&files, &stage.path(&folder)).unwrap();
        if name != "carvel" {
            let name = if name == "mirror" { &["--name", "ghcr.io"][..] } else { &[] };
            let ran =
                stage.airlift(&[&["pack", "--from", &folder, "-o", &folder, "--key", "cosign.pub"], name].concat());
            assert!(!ran.expect(0).stderr.contains("temporary file"));
        }
    }
    // All of them hold the same payload: bundles differ in the names of their sources and nothing else.
    let blobs = |bundle: &str| inventory(&stage, bundle)["bytes"].clone();
    assert_eq!(blobs("out-oci.tar.airlift"), blobs("out-carvel.tgz.airlift"));
}

#[test]
fn what_is_packed_from_a_file_is_imported_and_verified_like_anything_else() {
    let stage = Stage::new();
    let (_, haul) = signed_forms(&stage).remove(1);
    std::fs::write(stage.path("haul.tar"), tar(&haul)).unwrap();
    pack(&stage, "haul.tar", &["--key", "cosign.pub"])
        .expect(0)
        .says(&["haul.tar is a haul of hauler, with 2 artifacts"]);
    stage.airlift(&["verify", "b.airlift", "--bundle-key", "author.pub", "--key", "cosign.pub"]).expect(0);
    stage.import("b.airlift", &[]).expect(0);
    stage.assert_arrived("team/one", &Reference::Tag("1.0".parse().unwrap()), small(1).digest());
    stage.assert_arrived("team/many", &Reference::Tag("2".parse().unwrap()), multi(7).digest());
    assert!(stage.tags_there("team/one").contains(&sig_tag(small(1).digest())));
    let why = inventory(&stage, "b.airlift")["artifacts"][0]["why"].to_string();
    assert!(why.contains("everything in haul.tar"), "{why}");
}

#[test]
fn what_nobody_signed_or_a_stranger_did_is_refused_as_ever() {
    let stage = Stage::new();
    let image = small(1);
    let stranger = SigningKey::generate().unwrap();
    let cases: [(&str, Option<Sample>); 3] = [
        ("unsigned", None),
        ("strange", Some(signature("ghcr.io/team/one", image.digest(), &stranger))),
        ("other", Some(signature("ghcr.io/team/one", small(2).digest(), &stage.key))),
    ];
    for (name, signed) in cases {
        let mut entries = vec![(called("ghcr.io/team/one:1.0"), &image)];
        if let Some(signed) = &signed {
            entries.push((called(&format!("ghcr.io/team/one:{}", sig_tag(image.digest()))), signed));
        }
        let file = format!("{name}.tar");
        std::fs::write(stage.path(&file), tar(&layout(&entries))).unwrap();
        pack(&stage, &file, &["--key", "cosign.pub"]).expect(30).says(&["ghcr.io/team/one"]);
        pack(&stage, &file, &[]).expect(30);
        assert!(!stage.path("b.airlift").exists(), "{name}");
    }
    pack(&stage, "unsigned.tar", &["--allow-unsigned", "ghcr.io/team/**"]).expect(0);
}

#[test]
fn references_and_locks_take_exactly_what_they_name() {
    let stage = Stage::new();
    let (_, oci) = signed_forms(&stage).remove(0);
    std::fs::write(stage.path("x.tar"), tar(&oci)).unwrap();
    let one = "ghcr.io/team/one:1.0";
    pack(&stage, "x.tar", &["--key", "cosign.pub", one]).expect(0);
    assert_eq!(sources(&stage, "b.airlift"), [(one.to_owned(), small(1).digest().to_string())]);
    let absent = ["ghcr.io/team/one:2.0", "ghcr.io/team/none:1"];
    let ran = stage.airlift(&["pack", "--from", "x.tar", "-o", "c", "--key", "cosign.pub", one, absent[0], absent[1]]);
    ran.expect(20).says(&[absent[0], absent[1], "there is ghcr.io/team/many:2, ghcr.io/team/one:1.0"]);
    stage.airlift(&["resolve", "--from", "x.tar", "--lock", "x.lock"]).expect(0);
    let digests: Vec<String> = lock(&stage, "x.lock").artifacts.iter().map(|a| a.digest.to_string()).collect();
    assert_eq!(digests.len(), 2);
    stage.airlift(&["pack", "--from", "x.tar", "--lock", "x.lock", "-o", "d", "--key", "cosign.pub"]).expect(0);
    assert_eq!(sources(&stage, "d.airlift").into_iter().map(|(_, digest)| digest).collect::<Vec<_>>(), digests);
    // A lock that names what this file does not hold is not half fulfilled.
    std::fs::write(stage.path("y.tar"), tar(&layout(&[(called(one), &small(1))]))).unwrap();
    let ran = stage.airlift(&["pack", "--from", "y.tar", "--lock", "x.lock", "-o", "e", "--allow-unsigned", "**"]);
    ran.expect(20).says(&["ghcr.io/team/many", "is not in it"]);
    let mirror = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\nimages: [\"{one}\"]\n");
    std::fs::write(stage.path("mirror.yaml"), mirror).unwrap();
    stage.airlift(&["pack", "--from", "x.tar", "-f", "mirror.yaml", "-o", "f", "--key", "cosign.pub"]).expect(0);
    assert_eq!(sources(&stage, "f.airlift").len(), 1);
}

#[test]
fn platforms_are_kept_as_from_a_registry() {
    let stage = Stage::new();
    let many = multi(7);
    let mut files = layout(&[(called("ghcr.io/team/many:2"), &many)]);
    std::fs::write(stage.path("x.tar"), tar(&files)).unwrap();
    let arguments = ["--allow-unsigned", "**", "--platform", "linux/arm64"];
    pack(&stage, "x.tar", &arguments).expect(0);
    let kept = many.documents()[1].descriptor.digest.to_string();
    assert_eq!(sources(&stage, "b.airlift")[0].1, kept);
    // As docker saves one platform of an index: the others are named and not there.
    let absent = &many.documents()[0].descriptor.digest;
    files.remove(&format!("blobs/sha256/{}", absent.hex()));
    std::fs::write(stage.path("part.tar"), tar(&files)).unwrap();
    let whole = stage.airlift(&["pack", "--from", "part.tar", "-o", "c", "--allow-unsigned", "**"]);
    whole.expect(20).says(&[&absent.to_string(), &many.digest().to_string(), "--platform"]);
    stage.airlift(&[&["pack", "--from", "part.tar", "-o", "d"][..], &arguments].concat()).expect(0);
}

#[test]
fn names_without_a_host_wait_for_one() {
    let stage = Stage::new();
    let (one, two) = (small(1), small(2));
    let files = layout(&[(called("team/one:1.0"), &one), (called("1.0"), &two), (json!({}), &small(3))]);
    std::fs::write(stage.path("x.tar"), tar(&files)).unwrap();
    let asked = ["team/one:1.0", "(no path):1.0", "(no name)", "--name"];
    pack(&stage, "x.tar", &["--allow-unsigned", "**"]).expect(2).says(&asked);
    pack(&stage, "x.tar", &["--allow-unsigned", "**", "--name", "ghcr.io/me/app", "--name", "team=quay.io/crew"])
        .expect(0);
    let names: Vec<String> = sources(&stage, "b.airlift").into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            format!("ghcr.io/me/app@{}", small(3).digest()),
            "ghcr.io/me/app:1.0".to_owned(),
            "quay.io/crew/one:1.0".to_owned()
        ]
    );
    pack(&stage, "x.tar", &["--name", "Not A Host"]).expect(2).says(&["gives no name"]);
    stage.airlift(&["pack", "x", "--name", "ghcr.io", "-o", "c"]).expect(2).says(&["--from"]);
}

#[test]
fn a_bundle_that_went_through_a_layout_is_the_same_content() {
    let stage = Stage::new();
    let references = [stage.publish("team/one", "1.0", &small(1)), stage.publish("team/many", "2", &multi(7))];
    stage.sign("team/one", small(1).digest());
    stage.sign("team/many", multi(7).digest());
    let about = Sample::referrer(&small(1), "application/x.test", b"said");
    about.push(&stage.remote, &stage.at("team/one"), None).unwrap();
    stage.pack(&[&references[0], &references[1]], "first", &[]).expect(0);
    stage.airlift(&["import", "first.airlift", "--to", "oci:layout", "--bundle-key", "author.pub"]).expect(0);
    let host = stage.upstream.host();
    stage.airlift(&["pack", "--from", "oci:layout", "--name", &host, "-o", "second", "--key", "cosign.pub"]).expect(0);
    let sorted = |bundle: &str| {
        let mut found = sources(&stage, bundle);
        found.sort();
        found
    };
    assert_eq!(sorted("first.airlift"), sorted("second.airlift"));
    let whole = |bundle: &str| {
        let found = inventory(&stage, bundle);
        (found["blobs"].clone(), found["bytes"].clone())
    };
    assert_eq!(whole("first.airlift"), whole("second.airlift"));
}

#[test]
fn sync_takes_from_files_as_well() {
    let stage = Stage::new();
    let (_, haul) = signed_forms(&stage).remove(1);
    std::fs::write(stage.path("haul.tgz"), gzip(&tar(&haul))).unwrap();
    let to = stage.enclave.host();
    let arguments = ["sync", "--from", "haul.tgz", "--spool", ".", "--to", &to, "--key", "cosign.pub", "--plain-http"];
    stage.airlift(&arguments).expect(0);
    stage.assert_arrived("team/many", &Reference::Tag("2".parse().unwrap()), multi(7).digest());
    stage
        .airlift(&[&["sync", "--from", "haul.tgz", "--spool", "nowhere"][..], &arguments[5..]].concat())
        .expect(20)
        .says(&["nowhere", "temporary file"]);
}

#[test]
fn images_of_docker_save_keep_their_id_and_say_what_they_lost() {
    let stage = Stage::new();
    let saved = || Saved::plain(&["app:1", "ghcr.io/team/app:2"], &[b"layer of some bytes", b"another"]);
    std::fs::write(stage.path("saved.tar"), tar(&docker_save(&[saved()]))).unwrap();
    let ran = pack(&stage, "saved.tar", &["--allow-unsigned", "**"]).expect(0);
    ran.says(&["saved.tar is an archive of docker save, with 2 artifacts", "are not those of their registry"]);
    let names: Vec<String> = sources(&stage, "b.airlift").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["docker.io/library/app:1", "ghcr.io/team/app:2"]);
    stage.import("b.airlift", &[]).expect(0);
    let config = Digest::of(&saved().configuration()).to_string();
    let tag = Reference::Tag("2".parse().unwrap());
    let arrived = stage.remote.manifest(&stage.there("team/app"), &tag).unwrap();
    assert!(String::from_utf8_lossy(&arrived.bytes).contains(&config));
    // A layer that is not what the configuration says is found where it is packed.
    let mut files = docker_save(&[saved()]);
    let layer = files.keys().find(|name| name.ends_with("layer.tar")).unwrap().clone();
    files.get_mut(&layer).unwrap()[0] ^= 1;
    std::fs::write(stage.path("lies.tar"), tar(&files)).unwrap();
    stage.airlift(&["pack", "--from", "lies.tar", "-o", "c", "--allow-unsigned", "**"]).expect(40);
    assert!(!stage.path("c.airlift").exists());
}

/// Each is refused before anything is written: the file, what is said, the exit number.
#[test]
fn hostile_files_are_refused_and_leave_nothing() {
    let stage = Stage::new();
    let image = small(1);
    let good = layout(&[(called("ghcr.io/team/one:1.0"), &image)]);
    let add = |tar: Tar| good.iter().fold(tar, |tar, (name, bytes)| tar.file(name, bytes));
    let blob = image.blobs()[1].descriptor.clone();
    let change = |change: &dyn Fn(&mut Files)| {
        let mut files = good.clone();
        change(&mut files);
        tar(&files)
    };
    let name_of = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let pointing = |entry: Value| {
        change(&|files| {
            _ = files.insert("index.json".to_owned(), json!({ "manifests": [entry] }).to_string().into_bytes())
        })
    };
    let outside = json!({ "mediaType": MediaType::OCI_MANIFEST, "digest": "sha256:../../../etc/passwd", "size": 1 });
    let absent = json!({ "mediaType": MediaType::OCI_MANIFEST, "digest": Digest::of(b"absent"), "size": 6 });
    let large = json!({ "mediaType": MediaType::OCI_MANIFEST, "digest": image.digest(), "size": 1 });
    let mut bomb = Vec::from(header(b'0', b"blobs/x", 1 << 32));
    bomb.resize(80 << 20, 0);
    let bomb = zstd::stream::encode_all(&bomb[..], 1).unwrap();
    let cases: Vec<(&str, Vec<u8>, &str, i32)> = vec![
        ("up.tar", add(Tar::new().file("../b.airlift", b"x")).finish(), "leads out of the archive", 40),
        ("absolute.tar", add(Tar::new().file("/tmp/x", b"x")).finish(), "leads out of the archive", 40),
        ("link.tar", add(Tar::new().soft_link("a", "../../x")).finish(), "leads out of the archive", 40),
        ("hard.tar", add(Tar::new().hard_link("blobs/sha256/x", "index.json")).finish(), "links are not followed", 40),
        ("pipe.tar", add(Tar::new().entry(b'6', b"pipe", b"")).finish(), "neither a file nor a folder", 40),
        ("device.tar", add(Tar::new().entry(b'3', b"null", b"")).finish(), "neither a file nor a folder", 40),
        ("twice.tar", add(Tar::new()).file("index.json", b"{}").finish(), "is in it twice", 40),
        ("sizes.tar", add(Tar::new().pax(&[("size", "1")]).file("a", b"abc")).finish(), "in another", 40),
        ("name.tar", add(Tar::new().header(&header(b'L', b"l", 1 << 30))).finish(), "the limit is", 40),
        ("cut.tar", add(Tar::new()).cut(), "ends early", 40),
        ("behind.tar", [tar(&good), b"x".to_vec()].concat(), "behind its end", 40),
        ("bomb.tar.zst", bomb, "when they are unpacked", 40),
        ("nested.tgz", gzip(&gzip(&tar(&good))), "it is no tar", 40),
        ("half.tgz", gzip(&tar(&good))[..5000].to_vec(), "half.tgz", 40),
        ("outside.tar", pointing(outside), "is no sha256 digest", 40),
        ("absent.tar", pointing(absent), "which is not in it", 40),
        ("size.tar", pointing(large), "with 1 bytes", 40),
        ("gone.tar", change(&|files| _ = files.remove(&name_of(&blob.digest))), "is not in it", 20),
        ("longer.tar", change(&|files| files.get_mut(&name_of(&blob.digest)).unwrap().push(0)), "needs it", 40),
        ("flipped.tar", change(&|files| files.get_mut(&name_of(&blob.digest)).unwrap()[0] ^= 1), &"sha256:", 40),
        (
            "document.tar",
            change(&|files| files.get_mut(&name_of(image.digest())).unwrap()[0] ^= 1),
            "its bytes are",
            40,
        ),
    ];
    for (name, bytes, words, code) in cases {
        std::fs::write(stage.path(name), bytes).unwrap();
        let before: Vec<_> = crate::stage::files(stage.folder.path());
        stage.airlift(&["pack", "--from", name, "-o", "out/b", "--allow-unsigned", "**"]).expect(code).says(&[words]);
        let after: Vec<_> = crate::stage::files(stage.folder.path());
        let new: Vec<_> =
            after.iter().filter(|file| !before.contains(file) && !file.starts_with(stage.path("out"))).collect();
        assert!(new.is_empty() && !stage.path("out/b.airlift").exists(), "{name}: {new:?}");
    }
}

#[test]
fn files_of_a_folder_that_are_no_files_are_refused_without_waiting() {
    let stage = Stage::new();
    // Beside the stage: its checks after each run read what lies in it, and would wait for a pipe.
    let elsewhere = tempfile::tempdir().unwrap();
    let files = layout(&[(called("ghcr.io/team/one:1.0"), &small(1))]);
    let outside = elsewhere.path().join("outside");
    for (at, name) in files.keys().enumerate() {
        let folder = elsewhere.path().join(format!("layout-{at}"));
        write(&files, &folder).unwrap();
        let path = folder.join(name);
        let from = format!("oci:{}", folder.display());
        std::fs::rename(&path, &outside).unwrap();
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        pack(&stage, &from, &["--allow-unsigned", "**"]).expect(40).says(&["links are not followed"]);
        std::fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        pack(&stage, &from, &["--allow-unsigned", "**"]).expect(40).says(&["is a pipe"]);
        pack(&stage, &path.display().to_string(), &[]).expect(20).says(&["no regular file"]);
    }
    let whole = elsewhere.path().join("whole");
    write(&files, &whole).unwrap();
    std::fs::rename(whole.join("blobs"), elsewhere.path().join("blobs")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("blobs"), whole.join("blobs")).unwrap();
    pack(&stage, &whole.display().to_string(), &["--allow-unsigned", "**"])
        .expect(40)
        .says(&["links are not followed"]);
    pack(&stage, "nothing", &[]).expect(20).says(&["nothing", "it is not there"]);
}

/// A bit of each byte of a small archive: either it is refused, or it has the very same content.
#[test]
fn no_flipped_bit_of_an_archive_changes_what_is_given_out() {
    let image = SampleImage::new(1).layer(40).build();
    let bytes = tar(&layout(&[(called("ghcr.io/a/b:1"), &image)]));
    let at = airlift::model::Repository::new("ghcr.io", "a/b").unwrap();
    let mut refused = 0;
    for byte in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1 << (byte % 8);
        let Ok(trove) = fuzzing::archive(&flipped, "h.example/x") else {
            refused += 1;
            continue;
        };
        let Ok(document) = trove.manifest(&at, &image.reference()) else { continue };
        assert_eq!(document.bytes, image.root().bytes);
        for blob in image.blobs() {
            let Ok(mut content) = trove.open(&at, &blob.descriptor, 0) else { continue };
            let mut found = Vec::new();
            std::io::Read::read_to_end(&mut content, &mut found).unwrap();
            assert_eq!(
                found.len() as u64,
                blob.descriptor.size,
                "a wrong size is never given out; wrong bytes are found by who writes them"
            );
        }
    }
    assert!(refused > bytes.len() / 2, "{refused} of {}", bytes.len());
}

#[test]
fn the_seeds_of_the_fuzz_targets_are_read() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for seed in crate::stage::files(&seeds.join("archive_source")) {
        let trove = fuzzing::archive(&std::fs::read(&seed).unwrap(), "h.example");
        assert_eq!(
            trove.unwrap_or_else(|fault| panic!("{}: {fault}", seed.display())).offers().len(),
            1,
            "{}",
            seed.display()
        );
    }
    for seed in crate::stage::files(&seeds.join("archive_tar")) {
        assert!(!fuzzing::tar(&std::fs::read(&seed).unwrap()).unwrap().is_empty(), "{}", seed.display());
    }
    for seed in crate::stage::files(&seeds.join("archive_names")) {
        let text = std::fs::read_to_string(&seed).unwrap();
        let (name, rule) = text.split_once('\n').unwrap();
        assert!(!fuzzing::name(name, rule).is_empty(), "{}", seed.display());
    }
}
