//! What may be an image: the text, where it stands, how it was found, and how sure that is.
//!
//! A sighting is never dropped in silence. What is certain or probable is wanted; what is uncertain waits for a
//! person's decision; what is ruled out is told with its reason.

use crate::document::lock::Role;
use crate::model::ImageRef;
use serde::Serialize;
use std::fmt;

/// How sure it is that something is an image that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// A container runs it, or a field says so that means nothing else: wanted.
    Certain,
    /// A complete reference in a place where references stand: wanted.
    Probable,
    /// It may be one: a person decides.
    Uncertain,
    /// It is none, or nothing runs it: told, and not wanted unless a person says so.
    Out,
}

/// How it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Image of a container, or of an image volume.
    Container,
    /// Field of an object.
    Field,
    /// Argument or command of a container.
    Argument,
    /// Environment value of a container.
    Environment,
    /// Configuration that an object carries as text.
    Configuration,
    /// Annotation of an object.
    Annotation,
    /// A list that the chart's authors keep.
    Declared,
    /// Values of the chart.
    Values,
    /// Text of a template.
    Template,
}

/// When it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// While the release is there.
    Runtime,
    /// When the release is installed, upgraded or rolled back.
    Hook,
    /// When a controller starts it.
    ByController,
    /// When the release is removed.
    DeleteHook,
    /// When somebody tests the release.
    Test,
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spot {
    /// File as a person calls it; of a chart: template, values or another file, from the chart's name on.
    pub file: String,
    /// Line from 1; absent where the text was made from the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// `Kind/name` of the object around it; empty where there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// Keys that lead to it.
    pub path: String,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        for part in [&self.object, &self.path].into_iter().filter(|part| !part.is_empty()) {
            write!(f, " {part}")?;
        }
        Ok(())
    }
}

/// Something that may be an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sighting {
    /// Text as found, put together where it stood in parts.
    pub text: String,
    /// The reference that it is, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<ImageRef>,
    /// Image, or another artifact.
    pub role: Role,
    /// Where.
    pub spot: Spot,
    /// How.
    pub how: How,
    /// How sure.
    pub certainty: Certainty,
    /// When it runs.
    pub need: Need,
    /// Why it is no more certain than it is; empty where it is certain.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remark: String,
}

impl Sighting {
    /// Returns whether it is wanted without a decision.
    pub fn is_wanted(&self) -> bool {
        self.certainty <= Certainty::Probable
    }
}

impl Need {
    /// Says for the lock when it runs; nothing about what simply runs.
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Self::Runtime => None,
            Self::Hook => Some("runs in a hook"),
            Self::ByController => Some("started by a controller"),
            Self::DeleteHook => Some("runs when the release is removed"),
            Self::Test => Some("runs in a chart test"),
        }
    }

    /// Reads the annotation `helm.sh/hook`; the hook that is needed first counts.
    pub fn of_hooks(text: &str) -> Option<Self> {
        let hooks = text.split(',').map(str::trim).filter(|hook| !hook.is_empty());
        hooks.map(Self::of_hook).min()
    }

    fn of_hook(hook: &str) -> Self {
        match hook {
            "test" | "test-success" | "test-failure" => Self::Test,
            "pre-delete" | "post-delete" => Self::DeleteHook,
            _ => Self::Hook,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_hooks_the_one_that_is_needed_first_counts() {
        assert_eq!(Need::of_hooks("test-success"), Some(Need::Test));
        assert_eq!(Need::of_hooks("pre-delete, post-upgrade"), Some(Need::Hook));
        assert_eq!(Need::of_hooks("post-delete,test"), Some(Need::DeleteHook));
        assert_eq!(Need::of_hooks(" , "), None);
    }

    #[test]
    fn a_spot_is_shown_as_far_as_it_is_known() {
        let mut spot = Spot { file: "a/b.yaml".into(), line: Some(7), object: "Pod/p".into(), path: "spec.x".into() };
        assert_eq!(spot.to_string(), "a/b.yaml:7 Pod/p spec.x");
        (spot.line, spot.object) = (None, String::new());
        assert_eq!(spot.to_string(), "a/b.yaml spec.x");
    }
}
