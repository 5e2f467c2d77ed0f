//! What a text looks like: a complete reference, a placeholder, a mistake with a probable meaning.

use crate::model::ImageRef;

/// Longest text that is looked into for image keys, in bytes.
const TEXT_BYTES: usize = 1 << 20;

/// Returns the reference that a text is, where it says enough by itself: a host, a tag or a digest.
///
/// `ubuntu-99.04` could be an image or the name of an operating system; it says too little.
pub fn complete(text: &str) -> Option<ImageRef> {
    let reference: ImageRef = text.parse().ok()?;
    let says_enough = reference.tag.is_some() || reference.digest.is_some() || has_host(text);
    says_enough.then_some(reference)
}

/// Returns the reference that a text is, where nothing else looks like it: host and path, and a tag or digest.
pub fn unmistakable(text: &str) -> Option<ImageRef> {
    let reference: ImageRef = text.parse().ok()?;
    let pinned = reference.tag.is_some() || reference.digest.is_some();
    (pinned && has_host(text) && reference.repository.host().contains('.')).then_some(reference)
}

fn has_host(text: &str) -> bool {
    text.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost")
}

/// Returns the placeholder in a text that something else is meant to fill in.
pub fn placeholder(text: &str) -> Option<&str> {
    let between = |open: &str, close: &str| {
        let from = text.find(open)?;
        let end = text[from..].find(close)? + close.len();
        Some(&text[from..from + end])
    };
    let word = || text.split(['/', ':', '@']).find(|part| part.contains("PLACEHOLDER"));
    between("{{", "}}").or_else(|| between("${", "}")).or_else(|| between("$(", ")")).or_else(word)
}

/// Returns whether a text is a pattern over images, as policies have them.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '!', '|', '<', '>'])
}

/// Returns whether a text was meant to be a reference and is none. A URL or the path of a picture was not.
pub fn broken(text: &str) -> bool {
    let meant = text.contains('/') && (text.contains("//") || text.contains(':'));
    meant && !text.contains("://") && !text.contains(char::is_whitespace) && text.parse::<ImageRef>().is_err()
}

/// Says what a text that is no reference probably means.
pub fn probable_meaning(text: &str) -> &'static str {
    if text.trim() != text || text.contains(char::is_whitespace) {
        "a blank stands in it"
    } else if text.contains("//") && !text.contains("://") {
        "a registry that ends in / was joined with a repository by another /"
    } else if text.contains("://") {
        "a URL stands where a name is expected; leave the scheme out"
    } else if text.starts_with('/') {
        "the registry in front of the first / is empty"
    } else if text.ends_with(':') {
        "the tag behind the : is empty"
    } else if text.ends_with('@') || text.contains("@:") {
        "the digest behind the @ is empty"
    } else if text.starts_with(':') || text.starts_with('@') {
        "the repository is empty"
    } else if text.contains(":sha256:") {
        "a digest was joined with : where @ belongs"
    } else {
        "it was joined of parts of which one is wrong"
    }
}

/// Returns whether the first part of the path repeats the host: two joins of the same registry.
pub fn doubled_host(reference: &ImageRef) -> bool {
    let repository = &reference.repository;
    repository.host() == repository.project() && repository.below_project().is_some()
}

/// Returns the references that a text holds without being one: a flag's value, or keys `image` in a document
/// inside the text.
pub fn inside(text: &str) -> Vec<ImageRef> {
    if text.len() > TEXT_BYTES {
        return Vec::new();
    }
    let value = text.rsplit('=').next().unwrap_or(text);
    if let Some(reference) = unmistakable(value) {
        return vec![reference];
    }
    let mut found: Vec<ImageRef> = Vec::new();
    for (at, key) in text.match_indices("mage") {
        if let Some(reference) = value_behind(&text[at + key.len()..]).and_then(complete)
            && !found.contains(&reference)
        {
            found.push(reference);
        }
    }
    found
}

/// Returns the words of a text that can hardly be anything but references, each with what it is.
pub fn words(text: &str) -> Vec<(&str, ImageRef)> {
    const BETWEEN: [char; 12] = ['"', '\'', '`', ',', ';', '(', ')', '[', ']', '{', '}', '|'];
    if text.len() > TEXT_BYTES {
        return Vec::new();
    }
    let read = |word| {
        let (key, value) = str::rsplit_once(word, '=').unwrap_or(("", word));
        let value = ["oci://", "docker://"].iter().find_map(|scheme| value.strip_prefix(scheme)).unwrap_or(value);
        let value = value.trim_end_matches('.');
        let found = if key.to_lowercase().ends_with("image") { complete(value) } else { unmistakable(value) };
        Some((value, found?))
    };
    text.split(|c: char| c.is_whitespace() || BETWEEN.contains(&c)).filter_map(read).collect()
}

/// Returns the references of a list on one line, separated by commas, semicolons or blanks; nothing where any piece of
/// it is none.
pub fn pieces(text: &str) -> Vec<&str> {
    let pieces = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')).filter(|piece| !piece.is_empty());
    let pieces: Vec<&str> = pieces.collect();
    if pieces.iter().all(|piece| complete(piece).is_some()) { pieces } else { Vec::new() }
}

/// Returns the addresses of files in a text that a program would fetch from elsewhere: archives, models, manifests.
pub fn downloads(text: &str) -> Vec<&str> {
    const ENDINGS: [&str; 16] = [
        ".tar.gz",
        ".tgz",
        ".tar.xz",
        ".zip",
        ".gguf",
        ".safetensors",
        ".onnx",
        ".bin",
        ".pt",
        ".rpm",
        ".deb",
        ".jar",
        ".wasm",
        ".yaml",
        ".yml",
        ".db",
    ];
    const MODELS: [&str; 3] = ["hf://", "s3://", "gs://"];
    if text.len() > TEXT_BYTES || !text.contains("://") {
        return Vec::new();
    }
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | ';' | '(' | ')'));
    // What an equals sign names stands behind it; those of a query belong to the address.
    let address = |word: &'_ str| word.split("://").next().and_then(|scheme| scheme.rfind('=')).map_or(0, |at| at + 1);
    let words = words.map(|word| &word[address(word)..]);
    let is_file = |word: &&str| {
        let web = word.starts_with("https://") || word.starts_with("http://");
        let path = word.split(['?', '#']).next().unwrap_or_default();
        MODELS.iter().any(|scheme| word.starts_with(scheme)) || (web && ENDINGS.iter().any(|end| path.ends_with(end)))
    };
    words.filter(is_file).collect()
}

/// Returns the value behind `image`, `xImage` or `"image"` and a colon, as YAML or JSON writes it, or an equals sign,
/// as TOML does.
fn value_behind(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix("Name").unwrap_or(rest);
    let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest).trim_start_matches(' ');
    let rest = rest.strip_prefix([':', '='])?.trim_start_matches(' ');
    let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
    let end =
        rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}' | '\\')).unwrap_or(rest.len());
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_operating_systems_say_too_little() {
        for text in ["ubuntu-99.04", "fedora/41", "debian", "Windows 11", "", "${X}"] {
            assert!(complete(text).is_none(), "{text}");
        }
        for text in ["nginx:1.27", "org/kiosk:1.2", "quay.io/org/kiosk", "localhost:5000/x"] {
            assert!(complete(text).is_some(), "{text}");
        }
    }

    #[test]
    fn files_that_a_program_would_fetch_are_told_from_pages() {
        let text = "wget https://h.example/m/model.gguf?x=1 -O /m; see https://h.example/docs and URL=http://h.example/a.tar.gz";
        assert_eq!(downloads(text), ["https://h.example/m/model.gguf?x=1", "http://h.example/a.tar.gz"]);
        assert_eq!(downloads("hf://org/model"), ["hf://org/model"]);
        assert!(downloads("oci://h.example/x:1 https://h.example/x").is_empty());
    }

    #[test]
    fn placeholders_are_found_in_every_style() {
        for (text, found) in [
            ("${REGISTRY}/x:1", "${REGISTRY}"),
            ("{{ .Values.image }}:1", "{{ .Values.image }}"),
            ("x:$(TAG)", "$(TAG)"),
            ("h.example/x:TAG_PLACEHOLDER", "TAG_PLACEHOLDER"),
        ] {
            assert_eq!(placeholder(text), Some(found));
        }
        assert_eq!(placeholder("h.example/x:1"), None);
    }

    #[test]
    fn mistakes_are_told_apart() {
        let meanings: Vec<&str> = ["press//kiosk:1.2", "/x:1", "x:", "x@", ":1", "oci://x/y", " x", "x:sha256:00", "X"]
            .into_iter()
            .map(probable_meaning)
            .collect();
        let mut different = meanings.clone();
        different.dedup();
        assert_eq!(meanings.len(), different.len());
        assert!(doubled_host(&"registry.example.org/registry.example.org/kiosk:1".parse().unwrap()));
        assert!(!doubled_host(&"registry.example.org/kiosk:1".parse().unwrap()));
    }

    #[test]
    fn references_inside_of_texts_are_seen() {
        let shown = |text| inside(text).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown("--solver-image=h.example/x:1"), ["h.example/x:1"]);
        assert_eq!(shown(r#"{"image": "org/x:1", "sideImage":"org/y:2"}"#), ["docker.io/org/x:1", "docker.io/org/y:2"]);
        assert_eq!(
            shown("spec:\n  - image: 'quay.io/a/b:3'\n    imageName: c/d:4\n"),
            ["quay.io/a/b:3", "docker.io/c/d:4"]
        );
        assert!(shown("see the image: it is nice").is_empty());
        assert!(shown("http://svc.ns.svc:8080/path").is_empty());
        assert!(shown("svc.ns.svc:8080").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_without_a_panic(text in "\\PC{0,60}|[a-z$({})/:@\"' image]{0,60}") {
            let _ = (complete(&text), unmistakable(&text), placeholder(&text), probable_meaning(&text), inside(&text));
        }
    }
}
