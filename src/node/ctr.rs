//! containerd through its `ctr` program: what is there, an archive in, a label on.
//!
//! Names are handed over as arguments of their own behind `--` where the program takes them, and never begin with a
//! dash: they are references that were parsed. The program itself takes a lease for the time of an import, so content
//! is not collected between its arrival and the name that holds it.

use super::run::{Call, Fed, NodeError};
use crate::model::{Digest, Platform};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time for a question.
const ANSWER: Duration = Duration::from_secs(120);
/// Longest time between the last byte of an archive and the end of its import: content is synced meanwhile.
const SETTLING: Duration = Duration::from_secs(1800);
/// Label by which the kubelet leaves an image alone when it makes room.
const PINNED: &str = "io.cri-containerd.pinned=pinned";
/// The images that have it, as a filter.
const PINNED_FILTER: &str = "labels.\"io.cri-containerd.pinned\"==pinned";

/// containerd of this machine, in one of its namespaces.
#[derive(Debug, Clone)]
pub struct Ctr {
    program: PathBuf,
    address: Option<PathBuf>,
    namespace: String,
    version: String,
    local: bool,
}

/// Returns whether containerd takes `text` as a namespace: letters and digits, with single `-`, `_`, `.` between them.
pub fn check_namespace(text: &str) -> bool {
    let run = |run: &str| !run.is_empty() && run.bytes().all(|b| b.is_ascii_alphanumeric());
    text.len() <= 76 && text.split(['-', '_', '.']).all(run)
}

impl Ctr {
    /// Takes the program at `program`, which reaches containerd at the socket `address` (its own default where there is
    /// none), and asks both for their version.
    pub fn connect(program: &Path, address: Option<&Path>, namespace: &str) -> Result<Self, NodeError> {
        let mut ctr = Self {
            program: program.to_owned(),
            address: address.map(Path::to_owned),
            namespace: namespace.to_owned(),
            version: String::new(),
            local: false,
        };
        let said = ctr.call(&["version"], ANSWER).output()?;
        let (client, server) = versions(&String::from_utf8_lossy(&said));
        // From version 2 on the server imports by itself unless it is told otherwise, and looks for platforms differently.
        ctr.local = client.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|n| n >= 2);
        ctr.version = server;
        Ok(ctr)
    }

    /// Returns what the runtime says it is: `containerd 1.7.24`.
    pub fn product(&self) -> String {
        format!("containerd {}", self.version)
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns every image by its name, with what the name stands for.
    pub fn images(&self) -> Result<BTreeMap<String, Digest>, NodeError> {
        let said = self.call(&["images", "ls"], ANSWER).output()?;
        Ok(String::from_utf8_lossy(&said).lines().filter_map(row).collect())
    }

    /// Returns the names of the images that are kept whatever the kubelet collects.
    pub fn pinned(&self) -> Result<BTreeSet<String>, NodeError> {
        let said = self.call(&["images", "ls", "-q", PINNED_FILTER], ANSWER).output()?;
        Ok(String::from_utf8_lossy(&said).lines().map(|line| line.trim().to_owned()).collect())
    }

    /// Returns all content that is there in full.
    pub fn content(&self) -> Result<BTreeSet<Digest>, NodeError> {
        let said = self.call(&["content", "ls", "-q"], ANSWER).output()?;
        Ok(String::from_utf8_lossy(&said).lines().filter_map(|line| line.trim().parse().ok()).collect())
    }

    /// Imports the OCI archive that `write` gives, without unpacking: whoever starts a container does that.
    ///
    /// Only what is for `platform` is asked for below an index. Names appear after the last byte, all of them or none.
    pub fn import<E>(
        &self,
        platform: &Platform,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<Fed<E>, NodeError> {
        let platform = format!("--platform={platform}");
        let mut arguments = vec!["images", "import", "--no-unpack", &platform];
        if self.local {
            arguments.push("--local");
        }
        arguments.push("-");
        self.call(&arguments, SETTLING).feed(write)
    }

    /// Keeps the image called `name` from being collected by the kubelet.
    pub fn pin(&self, name: &str) -> Result<(), NodeError> {
        self.call(&["images", "label", "--", name, PINNED], ANSWER).output().map(drop)
    }

    fn call(&self, arguments: &[&str], patience: Duration) -> Call<'_> {
        let mut all: Vec<OsString> = Vec::new();
        if let Some(address) = &self.address {
            let mut option = OsString::from("--address=");
            option.push(address);
            all.push(option);
        }
        all.push(format!("--namespace={}", self.namespace).into());
        all.extend(arguments.iter().map(OsString::from));
        let words = arguments.iter().take_while(|word| !word.starts_with('-')).copied();
        let what = std::iter::once("ctr").chain(words).collect::<Vec<_>>().join(" ");
        Call { program: &self.program, arguments: all, what, patience }
    }
}

/// Returns the versions of the program and of the server, without a `v` before them; empty where they are not said.
fn versions(said: &str) -> (String, String) {
    let (client, server) = said.split_once("Server:").unwrap_or((said, ""));
    let version = |part: &str| {
        let found = part.lines().find_map(|line| line.trim().strip_prefix("Version:"));
        found.unwrap_or_default().trim().trim_start_matches('v').to_owned()
    };
    (version(client), version(server))
}

/// Reads a row of the list of images: name, type, digest and more. The line above the list is none.
fn row(line: &str) -> Option<(String, Digest)> {
    let mut cells = line.split_whitespace();
    let (name, digest) = (cells.next()?, cells.nth(1)?);
    Some((name.to_owned(), digest.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_read_as_either_generation_prints_them() {
        let old = "Client:\n  Version:  1.6.20~ds1\n  Revision: x\n\nServer:\n  Version:  1.6.21\n  UUID: y\n";
        assert_eq!(versions(old), ("1.6.20~ds1".to_owned(), "1.6.21".to_owned()));
        let new = "Client:\n  Version:  v2.1.4\nServer:\n  Version:  v2.1.4\n";
        assert_eq!(versions(new), ("2.1.4".to_owned(), "2.1.4".to_owned()));
        assert_eq!(versions("something else"), (String::new(), String::new()));
    }

    #[test]
    fn a_list_of_images_is_read_and_its_head_is_not() {
        let digest = Digest::of(b"x");
        let list = format!(
            "REF   TYPE  DIGEST SIZE PLATFORMS LABELS \nh.example/a:1 application/x {digest} 1.2 MiB linux/amd64 a=b \n\
             h.example/b:1 application/x {digest} 0.0 B - - \n\nbroken\n"
        );
        let found: BTreeMap<_, _> = list.lines().filter_map(row).collect();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["h.example/a:1", "h.example/b:1"]);
        assert_eq!(found["h.example/a:1"], digest);
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_read_without_a_panic(said in "\\PC{0,300}") {
            let _ = versions(&said);
            let _: BTreeMap<_, _> = said.lines().filter_map(row).collect();
        }
    }

    #[test]
    fn a_namespace_is_no_option_and_no_path() {
        for good in ["k8s.io", "default", "moby", "a-b_c.d"] {
            assert!(check_namespace(good), "{good}");
        }
        for bad in ["", "-n", "a b", "../x", "a/b", "a..b", "a-", "k8s.io\n", &"a".repeat(77)] {
            assert!(!check_namespace(bad), "{bad:?}");
        }
    }
}
