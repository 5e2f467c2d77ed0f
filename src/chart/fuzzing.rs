//! A door to the own renderer for its fuzz target: one template, one file of values. Not part of the interface.

use super::archive::Files;
use super::{Chart, KubernetesVersion, OwnRenderer, Renderer, Request};

/// Renders `template` with `values` in a chart of its own; returns what it gives, where it gives something.
pub fn render(template: &str, values: &str) -> Option<String> {
    let about = "apiVersion: v2\nname: fuzz\nversion: 1.0.0\n";
    let files = [("Chart.yaml", about), ("values.yaml", values), ("templates/a.yaml", template)];
    let files: Files = files.into_iter().map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())).collect();
    let chart = Chart::of_files(files).ok()?;
    let kubernetes: KubernetesVersion = "1.31.4".parse().ok()?;
    let request =
        Request { release: "r", namespace: "n", values: &[], kubernetes, api_versions: &[], is_upgrade: false };
    let rendered = OwnRenderer.render(&chart, &request).ok()?;
    rendered.files.into_iter().next().map(|file| file.text)
}
