//! Forms that other tools write, and what a person calls a source: `[FORM:]PATH`.

use super::imgpkg;
use super::table::FileTable;
use crate::model::{Fault, limits};
use std::fmt;
use std::path::{Path, PathBuf};

/// Form of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// OCI image layout in a folder.
    Oci,
    /// OCI image layout in a tar.
    OciArchive,
    /// What `docker save` writes, and skopeo, podman and crane as `docker-archive`.
    DockerArchive,
    /// What `hauler store save` writes.
    Hauler,
    /// Package of Zarf.
    Zarf,
    /// Archives that oc-mirror (version 2) writes.
    OcMirror,
    /// What `imgpkg copy --to-tar` writes.
    Imgpkg,
    /// Folder in which CNCF Distribution (`registry`, `docker-registry`) keeps its content.
    Distribution,
}

const ALL: [Form; 8] = [
    Form::Oci,
    Form::OciArchive,
    Form::DockerArchive,
    Form::Hauler,
    Form::Zarf,
    Form::OcMirror,
    Form::Imgpkg,
    Form::Distribution,
];

impl Form {
    /// Returns the word in front of a path that demands this form.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::OciArchive => "oci-archive",
            Self::DockerArchive => "docker-archive",
            Self::Hauler => "hauler",
            Self::Zarf => "zarf",
            Self::OcMirror => "oc-mirror",
            Self::Imgpkg => "imgpkg",
            Self::Distribution => "distribution",
        }
    }

    /// Returns where in `table` content of this form begins; `None` where it is of another form.
    pub(super) fn root(self, table: &FileTable) -> Result<Option<String>, Fault> {
        Ok(match self {
            Self::Oci | Self::OciArchive | Self::Hauler => table.root("oci-layout"),
            Self::DockerArchive if table.has("manifest.json") && !is_imgpkg(table)? => Some(String::new()),
            Self::Imgpkg if is_imgpkg(table)? => Some(String::new()),
            Self::DockerArchive | Self::Imgpkg => None,
            Self::Zarf => table.root("zarf.yaml"),
            Self::OcMirror | Self::Distribution => storage(table),
        })
    }

    /// Tells the form from the names in `table`, which is a folder or not.
    pub(super) fn recognise(table: &FileTable, folder: bool) -> Result<Option<Self>, Fault> {
        let order: &[Self] = match folder {
            true => &[Self::Zarf, Self::Oci, Self::Distribution],
            false => &[Self::Zarf, Self::Imgpkg, Self::DockerArchive, Self::OciArchive, Self::OcMirror],
        };
        for form in order {
            if form.root(table)?.is_some() {
                return Ok(Some(*form));
            }
        }
        Ok(None)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oci => "an OCI image layout",
            Self::OciArchive => "an archive of an OCI image layout",
            Self::DockerArchive => "an archive of docker save",
            Self::Hauler => "a haul of hauler",
            Self::Zarf => "a package of Zarf",
            Self::OcMirror => "an archive of oc-mirror",
            Self::Imgpkg => "a tar of imgpkg",
            Self::Distribution => "the storage of a registry",
        })
    }
}

/// Where the storage of CNCF Distribution begins: its own folder, or the one that holds it.
fn storage(table: &FileTable) -> Option<String> {
    let found = ["docker/registry/v2/", ""].into_iter().find(|root| {
        let has = |folder: &str| table.below(&format!("{root}{folder}/")).next().is_some();
        has("repositories") && has("blobs")
    });
    found.map(str::to_owned)
}

fn is_imgpkg(table: &FileTable) -> Result<bool, Fault> {
    // An OCI layout beside it means docker save; only imgpkg writes layers under names of its own.
    if table.has("oci-layout") {
        return Ok(false);
    }
    Ok(table.small("manifest.json", limits::PAPER_BYTES)?.is_some_and(|bytes| imgpkg::is_one(&bytes)))
}

/// A source as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceName {
    /// Form that is demanded; `None` where it is to be recognised.
    pub form: Option<Form>,
    /// Where it is.
    pub path: PathBuf,
}

impl SourceName {
    /// Reads `[FORM:]PATH`. A word in front of a colon that is no form is part of the path.
    pub fn parse(text: &str) -> Self {
        let demanded = text.split_once(':').and_then(|(word, path)| {
            let form = ALL.into_iter().find(|form| form.word() == word)?;
            Some(Self { form: Some(form), path: PathBuf::from(path) })
        });
        demanded.unwrap_or_else(|| Self { form: None, path: PathBuf::from(text) })
    }

    /// Returns the last part of the path: what a lock calls the source, wherever it lies.
    pub fn label(&self) -> String {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        name(&self.path).unwrap_or_else(|| self.path.display().to_string())
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_in_front_of_the_path_is_demanded_and_another_word_is_part_of_it() {
        let name = |text| {
            let SourceName { form, path } = SourceName::parse(text);
            (form, path.display().to_string())
        };
        assert_eq!(name("oci:a/b"), (Some(Form::Oci), "a/b".to_owned()));
        assert_eq!(name("docker-archive:/x:y.tar"), (Some(Form::DockerArchive), "/x:y.tar".to_owned()));
        assert_eq!(name("haul.tar.zst"), (None, "haul.tar.zst".to_owned()));
        assert_eq!(name("docker:x"), (None, "docker:x".to_owned()));
        for form in ALL {
            assert_eq!(SourceName::parse(&format!("{}:x", form.word())).form, Some(form));
        }
        assert_eq!(SourceName::parse("oci:/a/b/").label(), "b");
    }
}
