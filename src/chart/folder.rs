//! A chart in a folder, read as Helm does before it packs one: `.helmignore` holds, links are followed as long as they
//! stay in sight of the limits, and what is neither file nor folder is an error.

use super::archive::{Files, Room, refused, without_mark};
use super::ignore::Rules;
use super::load::ChartError;
use crate::model::limits;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Reads the files of the chart in `folder`.
pub(super) fn read(folder: &Path, room: &mut Room) -> Result<Files, ChartError> {
    let place = folder.display().to_string();
    let ignore = match fs::read(folder.join(".helmignore")) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(cause) => return Err(failed(&folder.join(".helmignore"), cause)),
    };
    let rules = Rules::parse(&ignore).map_err(|why| refused(&place, ".helmignore", &why))?;
    let mut walk = Walk { place: &place, rules, room, files: Files::new(), above: BTreeSet::new() };
    walk.visit(folder, "", 0)?;
    Ok(walk.files)
}

struct Walk<'p> {
    place: &'p str,
    rules: Rules,
    room: &'p mut Room,
    files: Files,
    /// Folders that the walk stands in, as they really are: a link to one of them would not end.
    above: BTreeSet<PathBuf>,
}

impl Walk<'_> {
    fn visit(&mut self, folder: &Path, path: &str, depth: usize) -> Result<(), ChartError> {
        if depth > limits::CHART_DEPTH {
            return Err(refused(self.place, path, "is nested too deep"));
        }
        let real = fs::canonicalize(folder).map_err(|cause| failed(folder, cause))?;
        if !self.above.insert(real.clone()) {
            return Err(refused(self.place, path, "is a link to a folder around it"));
        }
        for entry in fs::read_dir(folder).map_err(|cause| failed(folder, cause))? {
            let entry = entry.map_err(|cause| failed(folder, cause))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let below = if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") };
            self.take(&entry.path(), below, depth)?;
        }
        self.above.remove(&real);
        Ok(())
    }

    fn take(&mut self, file: &Path, path: String, depth: usize) -> Result<(), ChartError> {
        let about = fs::metadata(file).map_err(|cause| failed(file, cause))?;
        if self.rules.ignores(&path, about.is_dir()) {
            return Ok(());
        }
        self.room.take_entry(self.place, &path)?;
        if about.is_dir() {
            return self.visit(file, &path, depth + 1);
        }
        if !about.is_file() {
            return Err(refused(self.place, &path, "is neither a file nor a folder"));
        }
        let mut content = Vec::new();
        let open = fs::File::open(file).map_err(|cause| failed(file, cause))?;
        open.take(limits::CHART_FILE_BYTES + 1).read_to_end(&mut content).map_err(|cause| failed(file, cause))?;
        self.room.take_bytes(self.place, &path, content.len() as u64)?;
        self.files.insert(path, without_mark(content));
        Ok(())
    }
}

fn failed(path: &Path, cause: std::io::Error) -> ChartError {
    ChartError::Read { place: path.display().to_string(), cause }
}
