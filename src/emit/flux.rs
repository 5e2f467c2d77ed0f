//! Flux sources that point to the mirror (source.toolkit.fluxcd.io/v1): an OCIRepository for each chart, pinned by digest, and a
//! HelmRepository for each place where charts stand, for releases that name chart and version.

use super::{Emitted, Move, Written, quoted};
use crate::document::lock::Role;
use std::collections::{BTreeMap, BTreeSet};

/// How the sources are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Namespace of the sources.
    pub namespace: String,
    /// Whether the mirror is reached without TLS.
    pub plain_http: bool,
}

/// Returns the sources of the charts and Blueprints in `moves`.
pub fn emit(moves: &[Move], options: &Options) -> Emitted {
    let charts: Vec<&Move> = moves.iter().filter(|one| matches!(one.role, Role::Chart | Role::Blueprint)).collect();
    if charts.is_empty() {
        return Emitted { notes: vec!["there is no chart in the lock".to_owned()], ..Emitted::default() };
    }
    let file = |path: &str, text: String| Written { path: path.to_owned(), text };
    let files = vec![
        file("helmrepositories.yaml", helm_repositories(&charts, options)),
        file("ocirepositories.yaml", oci_repositories(&charts, options)),
    ];
    let note = "the sources name no account; add secretRef or certSecretRef where the mirror asks for one".to_owned();
    Emitted { files, notes: vec![note] }
}

/// One for each place that charts stand under, with the places they came from.
fn helm_repositories(charts: &[&Move], options: &Options) -> String {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for chart in charts {
        let parent = |name: &str| name.rsplit_once('/').map_or(name, |(parent, _)| parent).to_owned();
        let came = match &chart.file {
            Some(url) => parent(url.as_str()),
            None => format!("oci://{}", parent(&chart.source.repository.to_string())),
        };
        places.entry(parent(&chart.to.to_string())).or_default().insert(came);
    }
    let mut names = Names::default();
    let mut text = String::new();
    for (place, came) in places {
        for old in came {
            text += &format!("# instead of {old}\n");
        }
        let name = names.unique(place.split_once('/').map_or("charts", |(_, path)| path));
        text += &head("HelmRepository", &name, options);
        text += &format!("  type: oci\n  interval: 10m\n  url: {}\n", quoted(&format!("oci://{place}")));
        text += insecure(options);
        text += "---\n";
    }
    text
}

fn oci_repositories(charts: &[&Move], options: &Options) -> String {
    let mut names = Names::default();
    let mut text = String::new();
    for chart in charts {
        let came = chart.file.as_ref().map_or_else(|| format!("oci://{}", chart.source), ToString::to_string);
        text += &format!("# instead of {came}\n");
        let last = chart.to.path().rsplit('/').next().unwrap_or_default();
        text += &head("OCIRepository", &names.unique(last), options);
        text += &format!("  interval: 10m\n  url: {}\n", quoted(&format!("oci://{}", chart.to)));
        text += &format!("  ref:\n    digest: {}\n", quoted(&chart.digest.to_string()));
        text += "  layerSelector:\n    mediaType: \"application/vnd.cncf.helm.chart.content.v1.tar+gzip\"\n    operation: copy\n";
        text += insecure(options);
        text += "---\n";
    }
    text
}

fn head(kind: &str, name: &str, options: &Options) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: {kind}\nmetadata:\n  name: {}\n  namespace: {}\nspec:\n",
        quoted(name),
        quoted(&options.namespace)
    )
}

const fn insecure(options: &Options) -> &'static str {
    if options.plain_http { "  insecure: true\n" } else { "" }
}

/// Names of objects: what Kubernetes allows, none twice.
#[derive(Default)]
struct Names(BTreeMap<String, usize>);

impl Names {
    fn unique(&mut self, wish: &str) -> String {
        let lawful: String =
            wish.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).take(50).collect();
        let name = lawful.trim_matches('-').to_owned();
        let count = self.0.entry(name.clone()).or_default();
        *count += 1;
        if *count == 1 { name } else { format!("{name}-{count}") }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::moves;
    use super::*;
    use crate::document::yaml::{self, Node};

    fn objects(text: &str) -> Vec<Node> {
        let documents = yaml::documents(text, "x").unwrap().map(Result::unwrap);
        documents.filter(|node| node.get("kind").is_some()).collect()
    }

    #[test]
    fn charts_become_sources_that_point_to_the_mirror() {
        let mut moves = moves(
            "ghcr.io/org/charts/press:2.0.1 m.example/p/charts/press\nquay.io/charts/press:1.0.0 m.example/q/charts/press\nh.example/a:1 m.example/a\n",
        );
        moves[1].file = Some("https://charts.example/dl/press-1.0.0.tgz".parse().unwrap());
        let options = Options { namespace: "flux-system".into(), plain_http: false };
        let emitted = emit(&moves, &options);
        let helm = objects(&emitted.files[0].text);
        let at = |node: &Node, path: &[&str]| node.at(path).unwrap().text().unwrap().to_owned();
        assert_eq!(helm.len(), 2);
        assert_eq!(
            (at(&helm[0], &["spec", "url"]), at(&helm[0], &["spec", "type"])),
            ("oci://m.example/p/charts".into(), "oci".into())
        );
        assert!(emitted.files[0].text.contains("# instead of oci://ghcr.io/org/charts\n"));
        assert!(emitted.files[0].text.contains("# instead of https://charts.example/dl\n"));
        let oci = objects(&emitted.files[1].text);
        let names: Vec<String> = oci.iter().map(|node| at(node, &["metadata", "name"])).collect();
        assert_eq!(names, ["press", "press-2"]);
        assert_eq!(at(&oci[0], &["spec", "ref", "digest"]), moves[0].digest.to_string());
        assert_eq!(at(&oci[0], &["metadata", "namespace"]), "flux-system");
        assert!(oci[0].at(&["spec", "insecure"]).is_none());
        let open = emit(&moves, &Options { plain_http: true, ..options });
        assert_eq!(at(&objects(&open.files[1].text)[0], &["spec", "insecure"]), "true");
    }
}
