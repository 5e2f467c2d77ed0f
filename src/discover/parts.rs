//! Images whose name stands in parts: repository in one field, tag in another, and registry, digest or suffix too.

/// Words with which a key says which part of an image its value is, and the part.
const PARTS: [(&str, Part); 9] = [
    ("repository", Part::Repository),
    ("repo", Part::Repository),
    ("registry", Part::Registry),
    ("defaultimageversion", Part::Tag),
    ("imagetag", Part::Tag),
    ("imageversion", Part::Tag),
    ("tag", Part::Tag),
    ("digest", Part::Digest),
    ("sha", Part::Digest),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Registry,
    Repository,
    Tag,
    Digest,
}

/// What belongs to the name of one image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts<'t> {
    /// Host, perhaps with a path; a slash at its end does not count.
    pub registry: Option<&'t str>,
    /// Repository.
    pub repository: &'t str,
    /// Tag.
    pub tag: Option<&'t str>,
    /// Digest, with or without its algorithm.
    pub digest: Option<&'t str>,
}

impl Parts<'_> {
    /// Puts the parts together; nothing is checked.
    pub fn join(&self) -> String {
        let filled = |part: Option<&str>| part.filter(|text| !text.is_empty()).map(str::to_owned);
        let mut text = match filled(self.registry) {
            Some(registry) => format!("{}/{}", registry.trim_end_matches('/'), self.repository),
            None => self.repository.to_owned(),
        };
        if let Some(tag) = filled(self.tag) {
            // A digest in the field of the tag, as some charts take it.
            text.push_str(if tag.starts_with("sha256:") { "@" } else { ":" });
            text.push_str(&tag);
        }
        if let Some(digest) = filled(self.digest) {
            let bare = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
            text.push_str(if bare { "@sha256:" } else { "@" });
            text.push_str(&digest);
        }
        text
    }

    /// Returns whether a tag or digest is there.
    pub fn is_pinned(&self) -> bool {
        [self.tag, self.digest].into_iter().flatten().any(|text| !text.is_empty())
    }
}

/// An image that neighbouring keys name together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined<'t> {
    /// Place of the repository in the list that was given.
    pub at: usize,
    /// Its parts.
    pub parts: Parts<'t>,
}

/// Finds images in parts among neighbours: `x.repository` with `x.tag`, `X_IMAGE_REPOSITORY` with `X_IMAGE_TAG`.
///
/// A repository without a tag or digest beside it is no image here; what goes with it, nobody can tell.
pub fn among<'t>(neighbours: &[(&'t str, &'t str)]) -> Vec<Joined<'t>> {
    let read: Vec<Option<(String, Part)>> = neighbours.iter().map(|(key, _)| split(key)).collect();
    let mut found = Vec::new();
    for (at, part) in read.iter().enumerate() {
        let Some((stem, Part::Repository)) = part else { continue };
        let beside = |wanted: Part| {
            let place = read.iter().position(|other| other.as_ref().is_some_and(|(s, p)| s == stem && *p == wanted))?;
            Some(neighbours[place].1)
        };
        let repository = neighbours[at].1;
        let parts = Parts {
            registry: beside(Part::Registry),
            repository,
            tag: beside(Part::Tag),
            digest: beside(Part::Digest),
        };
        if parts.is_pinned() && !repository.is_empty() {
            found.push(Joined { at, parts });
        }
    }
    found
}

/// Divides a key into what it is about, without `image`, separators and case, and which part it names.
fn split(key: &str) -> Option<(String, Part)> {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let (word, part) = PARTS.iter().find(|(word, _)| plain.ends_with(word))?;
    let stem = plain[..plain.len() - word.len()].trim_end_matches("image");
    Some((stem.to_owned(), *part))
}

/// Returns whether a key says that its value is an image as a whole.
pub fn is_image_key(key: &str) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let plain =
        ["name", "ref", "reference", "url", "uri"].iter().find_map(|end| plain.strip_suffix(end)).unwrap_or(&plain);
    plain.ends_with("image") || plain.starts_with("relatedimage")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn joined(neighbours: &[(&str, &str)]) -> Vec<String> {
        among(neighbours).iter().map(|found| found.parts.join()).collect()
    }

    #[test]
    fn neighbours_that_share_a_stem_are_one_image() {
        let scanner =
            [("scan.repository", "h.example/org/scan"), ("scan.tag", "0.70.0"), ("scan.dbRepository", "h.example/db")];
        assert_eq!(joined(&scanner), ["h.example/org/scan:0.70.0"]);
        assert_eq!(
            joined(&[
                ("RUNNER_IMAGE_REPOSITORY", "org/run"),
                ("RUNNER_IMAGE_TAG", "2"),
                ("RUNNER_REGISTRY", "h.example/")
            ]),
            ["h.example/org/run:2"]
        );
        assert!(joined(&[("a.repository", "org/a"), ("b.tag", "1"), ("a.tag", "")]).is_empty());
    }

    #[test]
    fn digests_are_joined_with_an_at_wherever_they_stand() {
        let sum = "0".repeat(64);
        let whole = format!("sha256:{sum}");
        let expected = format!("x@sha256:{sum}");
        for (tag, digest) in [(Some(whole.as_str()), None), (None, Some(whole.as_str())), (None, Some(sum.as_str()))] {
            assert_eq!(Parts { repository: "x", tag, digest, registry: None }.join(), expected);
        }
        let both = Parts { repository: "x", tag: Some("1"), digest: Some(&whole), registry: Some("") };
        assert_eq!(both.join(), format!("x:1@{whole}"));
    }

    #[test]
    fn keys_that_mean_an_image_are_told_from_those_about_images() {
        for key in [
            "image",
            "solverImage",
            "imageName",
            "node.collector.imageRef",
            "RELATED_IMAGE_PG",
            "IMAGE",
            "HELPER_IMAGE",
        ] {
            assert!(is_image_key(key), "{key}");
        }
        for key in ["imagePullPolicy", "imageTag", "images", "imagePullSecrets", "IMAGE_REGISTRY", "imageRepository"] {
            assert!(!is_image_key(key), "{key}");
        }
    }

    proptest! {
        #[test]
        fn any_keys_are_looked_at_without_a_panic(keys in proptest::collection::vec("\\PC{0,20}", 0..6)) {
            let neighbours: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "x")).collect();
            let _ = (among(&neighbours), keys.iter().any(|key| is_image_key(key)));
        }
    }
}
