//! The table from old to new references, for scripts: as JSON and as YAML.

use super::{Emitted, Move, Written};
use crate::document::yaml;
use serde::Serialize;

/// One artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Reference at the source: name and tag as the lock has it, or the address of a file.
    pub source: String,
    /// Reference at the destination, with its digest.
    pub destination: String,
    /// What it is to the platform.
    pub role: crate::document::lock::Role,
}

#[derive(Serialize)]
struct Table {
    references: Vec<Row>,
}

/// Returns the table in the order of the lock.
pub fn rows(moves: &[Move]) -> Vec<Row> {
    let row = |one: &Move| Row {
        source: one.file.as_ref().map_or_else(|| one.source.to_string(), ToString::to_string),
        destination: one.reference().to_string(),
        role: one.role,
    };
    moves.iter().map(row).collect()
}

/// Returns the table as two files.
pub fn emit(moves: &[Move]) -> Emitted {
    let table = Table { references: rows(moves) };
    let json = String::from_utf8(crate::model::json::readable(&table)).unwrap_or_default();
    let file = |path: &str, text: String| Written { path: path.to_owned(), text };
    let text = yaml::write(&table);
    let text = if text.ends_with('\n') { text } else { format!("{text}\n") };
    Emitted {
        files: vec![file("references.json", format!("{json}\n")), file("references.yaml", text)],
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::moves;
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let emitted = emit(&moves("h.example/a:1 m.example/p/a\nh.example/charts/b:2.0.1 m.example/charts/b\n"));
        let value: serde_json::Value = serde_json::from_str(&emitted.files[0].text).unwrap();
        assert_eq!(value["references"][0]["source"], "h.example/a:1");
        assert_eq!(value["references"][1]["role"], "chart");
        let node = yaml::document(&emitted.files[1].text, "x").unwrap();
        let second = &node.get("references").unwrap().items()[1];
        assert_eq!(second.get("destination").unwrap().text(), value["references"][1]["destination"].as_str());
        assert!(second.get("destination").unwrap().text().unwrap().starts_with("m.example/charts/b:2.0.1@sha256:"));
    }
}
