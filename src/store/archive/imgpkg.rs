//! Tars of `imgpkg copy --to-tar`: `manifest.json` with every document as text, and layers as files.

use super::contents::{Contents, Held, Listed, digest_of_path};
use super::form::Form;
use super::name::Name;
use super::table::{Entry, FileTable};
use crate::model::{Digest, Fault, FaultKind, MediaType, Tag, json, limits};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    image: Option<DescribedImage>,
    image_index: Option<DescribedIndex>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedImage {
    refs: Option<Vec<String>>,
    config: RawDocument,
    manifest: RawDocument,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    orig_ref: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedIndex {
    refs: Option<Vec<String>>,
    images: Option<Vec<DescribedImage>>,
    indexes: Option<Vec<DescribedIndex>>,
    #[serde(flatten)]
    document: RawDocument,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    orig_ref: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawDocument {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    raw: String,
}

/// Returns whether this `manifest.json` is one of imgpkg's and not one of docker save's.
pub(super) fn is_one(manifest: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Probe {
        image: Option<serde::de::IgnoredAny>,
        image_index: Option<serde::de::IgnoredAny>,
    }
    let probes: Result<Vec<Probe>, _> = serde_json::from_slice(manifest);
    probes.is_ok_and(|probes| probes.first().is_some_and(|p| p.image.is_some() || p.image_index.is_some()))
}

/// Reads every image that `manifest.json` lists.
pub(super) fn read(table: &FileTable, label: &str) -> Result<Contents, Fault> {
    let bytes = table.small("manifest.json", limits::PAPER_BYTES)?;
    let bytes = bytes.ok_or_else(|| table.malformed("it has no manifest.json, and so imgpkg did not write it"))?;
    let all: Vec<Described> =
        json::parse(&bytes).map_err(|error| table.malformed(format!("manifest.json: {error}")))?;
    let mut contents = Contents::new(Form::Imgpkg, label, table);
    for (name, entry) in table.below("") {
        let layer = name.strip_suffix(".tar.gz").and_then(|stem| stem.split_once('-'));
        if let Some(digest) = layer.and_then(|(algorithm, hex)| digest_of_path(algorithm, hex)) {
            let Entry::File(place) = entry else { return Err(table.refuse(name, entry)) };
            contents.hold(digest, Held::There(place.clone()))?;
        }
    }
    for described in all {
        match (described.image, described.image_index) {
            (Some(image), None) => {
                let (digest, stated) = take_image(table, &image, &mut contents)?;
                list(&image.refs, &image.tag, &image.orig_ref, (digest, stated), &mut contents);
            }
            (None, Some(index)) => {
                let (digest, stated) = take_index(table, &index, 0, &mut contents)?;
                list(&index.refs, &index.tag, &index.orig_ref, (digest, stated), &mut contents);
            }
            _ => return Err(table.malformed("manifest.json lists something that is not one image or one index")),
        }
    }
    Ok(contents)
}

type Stated = (Digest, Option<(MediaType, u64)>);

fn take_image(table: &FileTable, image: &DescribedImage, contents: &mut Contents) -> Result<Stated, Fault> {
    take(table, &image.config, contents)?;
    take(table, &image.manifest, contents)
}

fn take_index(
    table: &FileTable,
    index: &DescribedIndex,
    depth: usize,
    contents: &mut Contents,
) -> Result<Stated, Fault> {
    if depth >= limits::INDEX_DEPTH {
        return Err(table.malformed(format!("its indexes lie more than {} deep", limits::INDEX_DEPTH)));
    }
    for image in index.images.iter().flatten() {
        take_image(table, image, contents)?;
    }
    for inner in index.indexes.iter().flatten() {
        take_index(table, inner, depth + 1, contents)?;
    }
    take(table, &index.document, contents)
}

/// Takes up a document after its text matched the digest beside it.
fn take(table: &FileTable, document: &RawDocument, contents: &mut Contents) -> Result<Stated, Fault> {
    let bytes = document.raw.as_bytes();
    let found = Digest::of_with(document.digest.algorithm(), bytes);
    if found != document.digest {
        let what = format!("a document in manifest.json should be {} and is {found}", document.digest);
        return Err(Fault::new(FaultKind::Damaged, table.place(), what));
    }
    contents.hold(found.clone(), Held::Made(bytes.into()))?;
    let stated = (!document.media_type.is_empty()).then(|| (MediaType::new(&document.media_type), bytes.len() as u64));
    Ok((found, stated))
}

/// Lists a document under the name by which it was asked for, and under each place that it was found at.
fn list(refs: &Option<Vec<String>>, tag: &str, asked: &str, (digest, stated): Stated, contents: &mut Contents) {
    let tag: Option<Tag> = tag.parse().ok();
    let asked = Some(asked).filter(|text| !text.is_empty()).map(Name::whole).filter(|name| *name != Name::Nothing);
    let mut found: Vec<Name> = refs.iter().flatten().map(|text| Name::whole(text).with_tag(tag.clone())).collect();
    found.sort();
    found.dedup();
    let offered = asked.is_none();
    let names = asked.into_iter().map(|name| (name, true)).chain(found.into_iter().map(|name| (name, offered)));
    for (name, offered) in names {
        contents.listed.push(Listed { name, digest: digest.clone(), stated: stated.clone(), offered });
    }
}

#[cfg(test)]
mod tests {
    use super::super::fuzzing::archive;
    use super::super::trove::Trove;
    use super::*;
    use crate::model::port::ImageSource;
    use crate::model::{Reference, Repository};
    use crate::testkit::archives::{imgpkg, tar};
    use crate::testkit::image::{Sample, SampleImage};

    fn image(seed: u64) -> Sample {
        SampleImage::new(seed).layer(500).build()
    }

    fn names(trove: &Trove) -> Vec<String> {
        trove.offers().iter().map(|offer| offer.name.to_string()).collect()
    }

    #[test]
    fn images_and_indexes_are_whole_and_have_the_name_by_which_they_were_asked_for() {
        let index = Sample::index(&[image(1), image(2)]);
        let files = imgpkg(&[
            ("ghcr.io/a/bundle", "", "1", &image(3)),
            ("ghcr.io/a/bundle", "docker.io/library/app@sha256:x", "", &image(4)),
            ("ghcr.io/a/many", "quay.io/b/many:2", "", &index),
        ]);
        let trove = archive(&tar(&files), "").unwrap();
        let digest = image(4).digest().clone();
        // What was asked for by digest is called by what it was asked for, not by where it was found.
        assert_eq!(
            names(&trove),
            [format!("docker.io/library/app@{digest}"), "ghcr.io/a/bundle:1".to_owned(), "quay.io/b/many:2".to_owned()]
        );
        for sample in [&image(3), &image(4), &index] {
            assert!(trove.lacks(sample.digest()).is_empty());
        }
        let at = Repository::new("quay.io", "b/many").unwrap();
        let found = trove.manifest(&at, &Reference::Tag("2".parse().unwrap())).unwrap();
        assert_eq!(found.descriptor.digest, *index.digest());
    }

    #[test]
    fn a_document_that_is_not_its_digest_is_refused() {
        let files = imgpkg(&[("ghcr.io/a/b", "", "1", &image(1))]);
        let text = String::from_utf8(files["manifest.json"].clone()).unwrap();
        let both = format!(r#""ImageIndex":{{"Digest":"{}","Raw":""}}"#, Digest::of(b""));
        for (from, to, why) in [
            ("schemaVersion", "schemaversion", "should be"),
            (r#"diff_ids"#, "diff_idz", "should be"),
            (r#""Image":{"#, r#""ImageIndex":{"#, ""),
            (r#""ImageIndex":null"#, both.as_str(), "not one image or one index"),
        ] {
            let mut changed = files.clone();
            assert!(text.contains(from), "{from}");
            changed.insert("manifest.json".to_owned(), text.replacen(from, to, 1).into_bytes());
            let fault = archive(&tar(&changed), "").expect_err(from);
            assert!(fault.what.contains(why), "{from}: {fault}");
        }
    }

    #[test]
    fn indexes_within_indexes_end() {
        let mut deep = Sample::index(&[image(1)]);
        let at = |sample: &Sample| archive(&tar(&imgpkg(&[("ghcr.io/a/b", "", "1", sample)])), "").map(|_| ());
        assert!(at(&deep).is_ok());
        for _ in 0..limits::INDEX_DEPTH + 1 {
            deep = Sample::index(&[deep]);
        }
        // As imgpkg writes them: each index within `Indexes`.
        let described = |raw: &str| {
            format!(
                r#"{{"Refs":["h/x"],"Images":null,"Digest":"{}","Raw":{raw:?},"Indexes":"#,
                Digest::of(raw.as_bytes())
            )
        };
        let nested = |depth: usize| {
            let inner = (0..depth).fold("null".to_owned(), |inner, _| format!("[{}{inner}}}]", described("{}")));
            format!(r#"[{{"ImageIndex":{}{inner}}}}}]"#, described("{}"))
        };
        let read = |depth| {
            let files =
                crate::testkit::archives::Files::from([("manifest.json".to_owned(), nested(depth).into_bytes())]);
            archive(&tar(&files), "").err().unwrap().what
        };
        assert!(read(limits::INDEX_DEPTH).contains("deep"));
        assert!(!read(limits::INDEX_DEPTH - 1).contains("deep"));
    }

    #[test]
    fn the_two_lists_that_are_called_manifest_json_are_told_apart() {
        assert!(is_one(br#"[{"ImageIndex":null,"Image":{"Refs":[]}}]"#));
        assert!(is_one(br#"[{"ImageIndex":{"Refs":[]}}]"#));
        assert!(!is_one(br#"[{"Config":"a","RepoTags":["b"],"Layers":[]}]"#));
        assert!(!is_one(b"[]") && !is_one(b"{}") && !is_one(b"no"));
    }
}
