//! `index.yaml` of a Helm repository: which versions of a chart there are, and where.
//!
//! Such an index may have many megabytes and a hundred thousand entries, of which one chart's are wanted. The part
//! about that chart is cut out by its lines before it is parsed; an index in another form is parsed as a whole.

use crate::document::yaml::{self, Node, Reading};
use crate::model::Digest;

/// One version of a chart in a Helm repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// Version as written.
    pub version: String,
    /// Address of the archive as written: absolute, or relative to the index.
    pub url: String,
    /// Digest of the archive, where the index says it.
    pub digest: Option<Digest>,
}

/// Returns the versions of `chart` in the index `text`, which a person calls `place`; why it is no index, else.
pub fn versions(text: &str, chart: &str, place: &str) -> Result<Vec<IndexEntry>, String> {
    let part = section(text, chart);
    let text = part.as_deref().unwrap_or(text);
    let documents = yaml::documents_as(Reading::Lenient, text, place).map_err(|error| error.to_string())?;
    let node = documents.into_iter().next().transpose().map_err(|error| error.to_string())?;
    let Some(entries) = node.as_ref().and_then(|node| node.get("entries")) else {
        return Err("it has no entries, so it is no index of a Helm repository".to_owned());
    };
    Ok(entries.get(chart).map_or(&[][..], Node::items).iter().filter_map(entry).collect())
}

fn entry(node: &Node) -> Option<IndexEntry> {
    let text = |key: &str| node.get(key).and_then(Node::text);
    let url = node.get("urls")?.items().first()?.text()?;
    let digest = text("digest").and_then(|hex| {
        let hex = hex.strip_prefix("sha256:").unwrap_or(hex);
        format!("sha256:{hex}").parse().ok()
    });
    Some(IndexEntry { version: text("version")?.to_owned(), url: url.to_owned(), digest })
}

/// Cuts out what an index, as Helm writes it, says of one chart; nothing where it is written otherwise.
fn section(text: &str, chart: &str) -> Option<String> {
    let mut lines = text.lines();
    lines.find(|line| line.trim_end() == "entries:")?;
    let is_key = |line: &str| line.starts_with("  ") && !line.starts_with("   ") && !line.starts_with("  -");
    let name = |line: &str| line.trim().trim_end_matches(':').trim_matches(['"', '\'']).to_owned();
    lines.by_ref().find(|line| is_key(line) && line.trim_end().ends_with(':') && name(line) == chart)?;
    let own = lines.take_while(|line| !is_key(line) && (line.starts_with(' ') || line.is_empty()));
    let own: Vec<&str> = own.collect();
    Some(format!("entries:\n  {chart:?}:\n{}\n", own.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INDEX: &str = "apiVersion: v1\nentries:\n  ink:\n  - name: ink\n    version: 0.1.0\n    urls: [x.tgz]\n  press:\n  - \
                         annotations:\n      a: |\n        text\n\n        more\n    name: press\n    version: 2.0.1\n    digest: \
                         e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n    urls:\n    - \
                         charts/press-2.0.1.tgz\n  - name: press\n    version: 1.9.0\n    urls:\n    - https://h.example/p.tgz\n  \
                         zinc:\n  - version: 1.0.0\n    urls: [z.tgz]\ngenerated: \"2031-04-01\"\n";

    #[test]
    fn the_versions_of_one_chart_are_read() {
        let found = versions(INDEX, "press", "index.yaml").unwrap();
        let shown: Vec<(&str, &str, bool)> =
            found.iter().map(|e| (e.version.as_str(), e.url.as_str(), e.digest.is_some())).collect();
        assert_eq!(shown, [("2.0.1", "charts/press-2.0.1.tgz", true), ("1.9.0", "https://h.example/p.tgz", false)]);
        assert_eq!(versions(INDEX, "zinc", "index.yaml").unwrap().len(), 1);
        assert!(versions(INDEX, "none", "index.yaml").unwrap().is_empty());
    }

    #[test]
    fn an_index_in_another_form_says_the_same() {
        let document = yaml::document(INDEX, "x").unwrap();
        let json = serde_json::to_string(&crate::document::yaml_value::to_json(&document)).unwrap();
        for chart in ["ink", "press", "zinc"] {
            assert_eq!(versions(&json, chart, "x").unwrap(), versions(INDEX, chart, "x").unwrap(), "{chart}");
        }
        let quoted = INDEX.replace("  press:", "  \"press\":");
        assert_eq!(versions(&quoted, "press", "x").unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_index_is_refused() {
        assert!(versions("<html>not found</html>", "press", "x").unwrap_err().contains("no index"));
        assert!(versions("a: [\n", "press", "x").is_err());
    }

    proptest! {
        #[test]
        fn any_index_is_read_without_a_panic(text in "(entries:|  press:|  - version: 1|    urls: \\[x\\]|\\n| |x){0,12}") {
            let _ = versions(&text, "press", "x");
        }
    }
}
