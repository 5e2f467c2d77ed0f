//! The demo's upstream: a small catalogue in OpenOva's shape, its charts and images, some of them signed.
//!
//! Everything is made here, from nothing but a seed; the same run gives the same bytes, keys aside.

use crate::model::port::{Destination, ManifestBytes};
use crate::model::{Descriptor, Digest, Fault, MediaType, Platform, Repository, Tag};
use crate::trust::{SigningKey, sign_simple};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Names with ranges.
type Depends = &'static [(&'static str, &'static str)];

/// Blueprints of the catalogue: folder, version, range-bearing dependencies.
const BLUEPRINTS: [(&str, &str, Depends); 3] = [
    ("newsprint", "1.0.3", &[]),
    ("kiosk", "1.1.4", &[("bp-newsprint", "^1")]),
    ("paperboy", "1.2.0", &[("bp-kiosk", "^1.1"), ("bp-newsprint", "^1.0")]),
];

/// Writes the catalogue's folders: a blueprint.yaml and a chart's metadata each.
pub fn write_catalogue(folder: &Path) -> io::Result<()> {
    for (name, version, depends) in BLUEPRINTS {
        let home = folder.join("platform").join(name);
        fs::create_dir_all(home.join("chart"))?;
        let needs: String =
            depends.iter().map(|(on, range)| format!("\n    - blueprint: {on}\n      version: {range}")).collect();
        let needs = if needs.is_empty() { " []".to_owned() } else { needs };
        let blueprint = format!(
            "apiVersion: catalyst.openova.io/v1alpha1\nkind: Blueprint\nmetadata:\n  name: bp-{name}\nspec:\n  version: {version}\n  \
             card:\n    title: {name}\n    summary: Part of the demo.\n  visibility: listed\n  manifests:\n    chart: ./chart\n  depends:{needs}\n"
        );
        fs::write(home.join("blueprint.yaml"), blueprint)?;
        fs::write(home.join("chart/Chart.yaml"), chart_yaml(name, version))?;
    }
    Ok(())
}

fn chart_yaml(name: &str, version: &str) -> String {
    format!("apiVersion: v2\nname: bp-{name}\nversion: {version}\ndescription: Chart of {name}\n")
}

/// Writes a Kubernetes file that runs the demo's images.
pub fn write_kubernetes(file: &Path, host: &str) -> io::Result<()> {
    let text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: press\nspec:\n  template:\n    spec:\n      initContainers:\n        \
         - name: ink\n          image: {host}/press/ink:3.2\n      containers:\n        - name: printer\n          image: {host}/press/printer:2.1\n"
    );
    fs::write(file, text)
}

/// The upstream registry under construction.
pub struct Upstream<'a> {
    /// Where everything goes.
    pub to: &'a dyn Destination,
    /// Its host.
    pub host: String,
    /// Key that signs what is signed.
    pub key: &'a SigningKey,
}

impl Upstream<'_> {
    /// Fills the registry: three signed charts, a signed multi-platform image with an SBOM, a signed and an unsigned image.
    pub fn fill(&self) -> Result<(), Fault> {
        for (name, version, _) in BLUEPRINTS {
            let at = self.repository(&format!("openova-io/bp-{name}"))?;
            let chart = self.chart(&at, name, version)?;
            self.sign(&at, &chart)?;
        }
        let base = archive("base", 1, 5 << 20)?;
        let printer = self.repository("press/printer")?;
        let index = self.index(&printer, "2.1", &base)?;
        self.sign(&printer, &index)?;
        self.sbom(&printer, &index)?;
        let ink = self.repository("press/ink")?;
        let image = self.image(&ink, Some("3.2"), &[base.clone(), archive("ink", 2, 3 << 20)?], "amd64")?;
        self.sign(&ink, &image)?;
        let vendor = self.repository("vendor/legacy")?;
        self.image(&vendor, Some("0.9"), &[base, archive("legacy", 3, 2 << 20)?], "amd64")?;
        Ok(())
    }

    fn repository(&self, path: &str) -> Result<Repository, Fault> {
        Repository::new(&self.host, path).map_err(|error| broken(&error))
    }

    fn blob(&self, at: &Repository, media_type: &str, bytes: &[u8]) -> Result<Descriptor, Fault> {
        let descriptor = Descriptor::of(media_type, bytes);
        if !self.to.has(at, &descriptor)? {
            self.to.put(at, &descriptor, &mut &bytes[..])?;
        }
        Ok(descriptor)
    }

    fn document(
        &self,
        at: &Repository,
        media_type: &str,
        value: &Value,
        tag: Option<&str>,
    ) -> Result<Descriptor, Fault> {
        let bytes = crate::model::json::canonical(value);
        let descriptor = Descriptor::of(media_type, &bytes);
        let tag: Option<Tag> = tag.map(str::parse).transpose().map_err(|error| broken(&error))?;
        self.to.put_manifest(at, &ManifestBytes { descriptor: descriptor.clone(), bytes }, tag.as_ref())?;
        Ok(descriptor)
    }

    fn image(
        &self,
        at: &Repository,
        tag: Option<&str>,
        layers: &[Vec<u8>],
        architecture: &str,
    ) -> Result<Descriptor, Fault> {
        let config = json!({ "architecture": architecture, "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": [] } });
        let config = self.blob(at, MediaType::OCI_CONFIG, &crate::model::json::canonical(&config))?;
        let layers: Result<Vec<Descriptor>, Fault> =
            layers.iter().map(|bytes| self.blob(at, MediaType::OCI_LAYER_GZIP, bytes)).collect();
        let value =
            json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": layers? });
        self.document(at, MediaType::OCI_MANIFEST, &value, tag)
    }

    fn index(&self, at: &Repository, tag: &str, base: &[u8]) -> Result<Descriptor, Fault> {
        let mut children = Vec::new();
        for (seed, architecture) in [(4, "amd64"), (5, "arm64")] {
            let layers = [base.to_vec(), archive(architecture, seed, 4 << 20)?];
            let mut child = self.image(at, None, &layers, architecture)?;
            child.platform = Platform::parse(&format!("linux/{architecture}"));
            children.push(child);
        }
        let value = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children });
        self.document(at, MediaType::OCI_INDEX, &value, Some(tag))
    }

    fn chart(&self, at: &Repository, name: &str, version: &str) -> Result<Descriptor, Fault> {
        let metadata = json!({ "name": format!("bp-{name}"), "version": version, "apiVersion": "v2" });
        let config = self.blob(at, MediaType::HELM_CONFIG, &crate::model::json::canonical(&metadata))?;
        let files = [(format!("bp-{name}/Chart.yaml"), chart_yaml(name, version).into_bytes())];
        let layer = self.blob(at, MediaType::HELM_CHART, &tar_gz(&files)?)?;
        let value =
            json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": [layer] });
        self.document(at, MediaType::OCI_MANIFEST, &value, Some(version))
    }

    /// Attaches a signature as cosign does it: under the tag `sha256-….sig`.
    fn sign(&self, at: &Repository, subject: &Descriptor) -> Result<(), Fault> {
        let signed = sign_simple(&at.to_string(), &subject.digest, self.key).map_err(|error| broken(&error))?;
        let config = self.blob(at, MediaType::OCI_CONFIG, b"{}")?;
        let mut layer = self.blob(at, MediaType::COSIGN_SIMPLE_SIGNING, &signed.payload)?;
        layer.annotations = signed.annotations;
        let value =
            json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": [layer] });
        let tag = format!("sha256-{}.sig", subject.digest.hex());
        self.document(at, MediaType::OCI_MANIFEST, &value, Some(&tag)).map(drop)
    }

    /// Attaches an SBOM as a referrer.
    fn sbom(&self, at: &Repository, subject: &Descriptor) -> Result<(), Fault> {
        let sbom = json!({ "spdxVersion": "SPDX-2.3", "name": at.path(), "packages": [] });
        let config = self.blob(at, MediaType::OCI_EMPTY, b"{}")?;
        let layer = self.blob(at, "application/spdx+json", &crate::model::json::canonical(&sbom))?;
        let value = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": "application/spdx+json",
            "config": config, "layers": [layer], "subject": subject.bare(),
        });
        self.document(at, MediaType::OCI_MANIFEST, &value, None).map(drop)
    }
}

fn broken(error: &dyn std::fmt::Display) -> Fault {
    Fault::new(crate::model::FaultKind::Local, "demo", error.to_string())
}

/// Returns a layer: a tar with one file of incompressible bytes, gzipped.
fn archive(name: &str, seed: u64, size: usize) -> Result<Vec<u8>, Fault> {
    tar_gz(&[(format!("opt/{name}.bin"), noise(seed, size))])
}

fn tar_gz(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>, Fault> {
    let packed = || {
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(1);
            tar.append_data(&mut header, name, &bytes[..])?;
        }
        let mut gzip = tar.into_inner()?;
        gzip.flush()?;
        gzip.finish()
    };
    packed().map_err(|error: io::Error| Fault::local("demo", "a layer could not be made", error))
}

/// Returns `size` bytes that look random and depend on `seed` alone.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state =
        Digest::of(&seed.to_le_bytes()).value().iter().fold(1_u64, |sum, byte| sum.rotate_left(7) ^ u64::from(*byte));
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend(next());
    }
    bytes.truncate(size);
    bytes
}
