//! Takes the trusted roots out of a bundle: what its author judged by, proposed to whoever has none yet.

use super::error::FlowError;
use super::opened::Opened;
use crate::model::Digest;
use crate::trust::RootText;

/// Returns the root that the bundle's author calls `name`, or the only one.
///
/// What its text is, is checked against what the author says of it; whether it deserves trust nobody says.
pub fn carried_root(opened: &Opened, name: Option<&str>) -> Result<RootText, FlowError> {
    let roots = &opened.shipment.evidence.trust_roots;
    let names: Vec<&str> = roots.iter().map(|root| root.name.as_str()).collect();
    let root = match (name, roots.as_slice()) {
        (_, []) => {
            return Err(FlowError::Usage(
                "the bundle carries no trusted root: its author's policy names none as a file".to_owned(),
            ));
        }
        (None, [only]) => only,
        (None, _) => {
            return Err(FlowError::Usage(format!("the bundle carries {}: name one of them", names.join(", "))));
        }
        (Some(name), _) => roots.iter().find(|root| root.name == name).ok_or_else(|| {
            FlowError::Usage(format!("the bundle carries no trusted root called {name:?}, but {}", names.join(", ")))
        })?,
    };
    let found = Digest::of(root.text.as_bytes());
    if found != root.sha256 {
        let why = format!("its text is {found}, the evidence says {}", root.sha256);
        return Err(FlowError::Content { item: format!("trusted root {:?} of the bundle", root.name), why });
    }
    Ok(RootText { name: root.name.clone(), bytes: root.text.clone().into_bytes() })
}
