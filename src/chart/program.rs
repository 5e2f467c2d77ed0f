//! Rendering by the `helm` program: `helm template` on a scratch copy, with nothing of the person's own settings, no
//! cluster and no repository; bounded in time and output.

use super::load::Chart;
use super::render::{RenderError, Rendered, RenderedFile, Renderer, Request, check};
use crate::document::yaml;
use crate::model::fault::printable;
use crate::model::limits;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longest time for one chart.
const PATIENCE: Duration = Duration::from_secs(120);

/// The `helm` program of a machine.
#[derive(Debug, Clone)]
pub struct HelmProgram {
    path: PathBuf,
    version: String,
    patience: Duration,
}

impl HelmProgram {
    /// Takes the program at `path` and asks it for its version.
    pub fn at(path: &Path) -> Result<Self, RenderError> {
        let mut command = Command::new(path);
        command.args(["version", "--template", "{{.Version}}"]).env_clear();
        let what = || format!("run {}", path.display());
        let said = command.output().map_err(|cause| RenderError::Local { what: what(), cause })?;
        let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        if !said.status.success() || !version.starts_with('v') {
            let cause = io::Error::other(format!("it does not say a version: {}", printable(&version)));
            return Err(RenderError::Local { what: what(), cause });
        }
        Ok(Self { path: path.to_owned(), version, patience: PATIENCE })
    }

    fn command(&self, chart: &Chart, request: &Request<'_>, scratch: &Path) -> Result<Command, RenderError> {
        let mut command = Command::new(&self.path);
        command.args(["template", request.release]).arg(scratch.join("chart"));
        command.args(["--namespace", request.namespace, "--include-crds"]);
        command.args(["--kube-version", &request.kubernetes.to_string()]);
        for version in request.api_versions {
            command.args(["--api-versions", version]);
        }
        if request.is_upgrade {
            command.arg("--is-upgrade");
        }
        for (at, values) in request.values.iter().enumerate() {
            let file = scratch.join(format!("values-{at}.json"));
            fs::write(&file, values.to_string()).map_err(|cause| writing(&file, cause))?;
            command.arg("--values").arg(file);
        }
        write_chart(chart, &scratch.join("chart"))?;
        command.env_clear().current_dir(scratch).env("HOME", scratch).env("KUBECONFIG", scratch.join("none"));
        for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(home, scratch.join("home"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }

    fn failed(&self, chart: &Chart, words: &str) -> RenderError {
        let words = words.trim().trim_start_matches("Error: ");
        let words = words.split("\n\nUse --debug flag").next().unwrap_or(words);
        RenderError::Program { program: self.name(), chart: chart.metadata.name.clone(), words: printable(words) }
    }
}

impl Renderer for HelmProgram {
    fn render(&self, chart: &Chart, request: &Request<'_>) -> Result<Rendered, RenderError> {
        check(chart, request)?;
        // helm refuses to render what only lends templates; it would give nothing.
        if chart.is_library() {
            return Ok(Rendered::default());
        }
        let scratch = tempfile::tempdir()
            .map_err(|cause| RenderError::Local { what: "make a scratch folder for helm".to_owned(), cause })?;
        let mut command = self.command(chart, request, scratch.path())?;
        let child = command
            .spawn()
            .map_err(|cause| RenderError::Local { what: format!("run {}", self.path.display()), cause })?;
        match listen(child, self.patience) {
            Ended::Done { output, .. } if output.len() > limits::RENDER_BYTES => {
                Err(self.failed(chart, &format!("it gives more than {} bytes", limits::RENDER_BYTES)))
            }
            Ended::Done { output, good: true, .. } => Ok(split(&String::from_utf8_lossy(&output))),
            Ended::Done { errors, .. } => Err(self.failed(chart, &String::from_utf8_lossy(&errors))),
            Ended::Late => Err(self.failed(chart, &format!("it did not end within {} s", self.patience.as_secs()))),
        }
    }

    fn name(&self) -> String {
        format!("helm {}", self.version)
    }

    fn checks_values(&self) -> bool {
        true
    }
}

fn writing(path: &Path, cause: io::Error) -> RenderError {
    RenderError::Local { what: format!("write {}", path.display()), cause }
}

/// Writes the chart to a folder that helm reads. The paths were checked when the chart was read.
fn write_chart(chart: &Chart, folder: &Path) -> Result<(), RenderError> {
    for (path, content) in chart.files() {
        let content = match path {
            "Chart.yaml" => without_missing(chart, content),
            // What was ignored is not in the chart any more; what is in the chart must not be ignored now.
            ".helmignore" => continue,
            _ => content.to_vec(),
        };
        let file = folder.join(path);
        let parent = file.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|cause| writing(parent, cause))?;
        fs::write(&file, content).map_err(|cause| writing(&file, cause))?;
    }
    for (at, below) in chart.dependencies.iter().enumerate() {
        write_chart(below, &folder.join("charts").join(format!("{at:04}")))?;
    }
    Ok(())
}

/// Returns `Chart.yaml` without dependencies that are switched off and not there: helm refuses a chart for those too.
fn without_missing(chart: &Chart, content: &[u8]) -> Vec<u8> {
    let declared = &chart.metadata.dependencies;
    let there: Vec<_> = declared.iter().filter(|dependency| chart.holds(dependency)).collect();
    let Ok(mut read) = super::values::any(&String::from_utf8_lossy(content), "Chart.yaml") else {
        return content.to_vec();
    };
    if there.len() == declared.len() || read.get("dependencies").is_none() {
        return content.to_vec();
    }
    if let Some(list) = read["dependencies"].as_array_mut() {
        let kept = |item: &serde_json::Value| {
            there.iter().any(|dependency| {
                item["name"] == json!(dependency.name)
                    && item.get("alias").and_then(|a| a.as_str()).unwrap_or("") == dependency.alias
            })
        };
        list.retain(kept);
    }
    yaml::write(&read).into_bytes()
}

/// How a program ended.
enum Ended {
    Done { good: bool, output: Vec<u8>, errors: Vec<u8> },
    Late,
}

/// Takes in what a program says until it ends, and ends it where that takes too long.
fn listen(mut child: Child, patience: Duration) -> Ended {
    let (sender, receiver) = mpsc::channel();
    let output = child.stdout.take().map(|pipe| drain(pipe, limits::RENDER_BYTES, Some(sender)));
    let errors = child.stderr.take().map(|pipe| drain(pipe, limits::ERROR_BODY_BYTES, None));
    // The sender is dropped when the program closes its output, or has said too much.
    let late = matches!(receiver.recv_timeout(patience), Err(mpsc::RecvTimeoutError::Timeout));
    let collected =
        |pipe: Option<std::thread::JoinHandle<Vec<u8>>>| pipe.and_then(|pipe| pipe.join().ok()).unwrap_or_default();
    if late {
        // It may have ended by itself just now.
        drop(child.kill());
    }
    let output = collected(output);
    if output.len() > limits::RENDER_BYTES {
        drop(child.kill());
    }
    let errors = collected(errors);
    let good = child.wait().is_ok_and(|status| status.success());
    if late { Ended::Late } else { Ended::Done { good, output, errors } }
}

/// Reads a pipe to its end, and keeps one byte more than `limit`.
fn drain(
    pipe: impl Read + Send + 'static,
    limit: usize,
    done: Option<mpsc::Sender<()>>,
) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut pipe = pipe.take(limit as u64 + 1);
        // A pipe that breaks ends what the program says; its exit tells whether that was all.
        drop(pipe.read_to_end(&mut kept));
        drop(done);
        kept
    })
}

/// Splits what helm prints into the templates that it names.
fn split(output: &str) -> Rendered {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    // A blank line stands in front where a chart has nothing but hooks.
    let mut rest = output.trim_start();
    let mark = "---\n# Source: ";
    while let Some(begin) = rest.strip_prefix(mark) {
        let end = begin.find(&format!("\n{mark}")).map_or(begin.len(), |at| at + 1);
        let (template, text) = begin[..end].split_once('\n').unwrap_or((&begin[..end], ""));
        let file = files.entry(template).or_default();
        if !file.is_empty() {
            file.push_str("---\n");
        }
        file.push_str(text);
        rest = &begin[end..];
    }
    let file = |(template, text): (&str, String)| RenderedFile { template: template.to_owned(), text };
    Rendered { files: files.into_iter().map(file).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_split_where_helm_names_a_source() {
        let text = "---\n# Source: a/templates/x.yaml\nkind: A\n---\n# Source: a/templates/y.yaml\nkind: B\n---\n# Source: \
                    a/templates/x.yaml\nkind: C\n";
        let files = split(text).files;
        assert_eq!(files.len(), 2);
        assert_eq!(
            (files[0].template.as_str(), files[0].text.as_str()),
            ("a/templates/x.yaml", "kind: A\n---\nkind: C\n")
        );
        assert!(split("").files.is_empty());
        assert_eq!(split("\n---\n# Source: a/templates/hook.yaml\nkind: A\n").files.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec sleep 1000"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        assert!(matches!(listen(command.spawn().unwrap(), Duration::from_millis(20)), Ended::Late));
    }
}
