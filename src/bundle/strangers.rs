//! Files that lie beside volumes on media and are none: what systems leave there, and volumes that were never finished.

use std::path::{Path, PathBuf};

/// Names that operating systems give to what they leave on removable media.
const LEFT_BEHIND: [&str; 10] = [
    "System Volume Information",
    "$RECYCLE.BIN",
    "RECYCLER",
    "lost+found",
    "Thumbs.db",
    "desktop.ini",
    ".DS_Store",
    ".Trashes",
    ".fseventsd",
    ".Spotlight-V100",
];

/// Returns what is ignored in those of `args` that are folders and that a person may wonder about, sorted.
pub fn strangers(args: &[PathBuf]) -> Vec<PathBuf> {
    let folders = args.iter().filter(|arg| arg.is_dir());
    let entries = folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_stranger(path)).collect();
    found.sort();
    found
}

fn is_stranger(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    LEFT_BEHIND.contains(&name) || name.starts_with(".Trash-") || is_shadow(name) || name.ends_with(".airlift.partial")
}

/// Returns whether this is the shadow that one system writes beside each file where it cannot keep attributes.
pub(super) fn is_shadow(name: &str) -> bool {
    name.starts_with("._")
}
