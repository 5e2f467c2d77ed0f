//! Brings the catalogues of a mirror file here that are no folders yet.

use super::error::FlowError;
use crate::checkout::{self, Checkout};
use crate::discover::files::Named;
use crate::discover::{Brought, Fetched};
use crate::document::mirror::{CatalogueAt, GitSource, MirrorManifest};
use std::collections::BTreeMap;
use std::path::Path;

/// Catalogues that were brought here; their files go away with it.
#[derive(Debug, Default)]
pub struct Catalogues {
    /// By the number of the entry that names them.
    pub fetched: Fetched,
    kept: Vec<Checkout>,
}

/// Fetches and unpacks what the entries under `blueprints` name; relative paths are meant from `base`.
///
/// All that cannot be had are listed before it fails.
pub fn bring(mirror: &MirrorManifest, base: &Path) -> Result<Catalogues, FlowError> {
    let mut catalogues = Catalogues::default();
    let mut known: BTreeMap<GitSource, Named> = BTreeMap::new();
    let mut faults = Vec::new();
    for (at, source) in mirror.blueprints.iter().enumerate() {
        let brought = match &source.catalogue {
            CatalogueAt::Git(git) => match known.get(git) {
                Some(named) => {
                    catalogues.fetched.insert(at, Brought::Folder(named.clone()));
                    continue;
                }
                None => checkout::fetch(git).map_err(|fault| (git.url.clone(), fault)),
            },
            CatalogueAt::Path(path) if checkout::is_archive(path) => {
                let named = Named::new(base, path);
                checkout::unpack(&named.path, &named.shown).map_err(|fault| (named.shown, fault))
            }
            CatalogueAt::Path(_) | CatalogueAt::Registry(_) => continue,
        };
        match brought {
            Ok(checkout) => {
                let named = Named { shown: checkout.shown.clone(), path: checkout.path().to_owned() };
                if let CatalogueAt::Git(git) = &source.catalogue {
                    known.insert(git.clone(), named.clone());
                }
                catalogues.fetched.insert(at, Brought::Folder(named));
                catalogues.kept.push(checkout);
            }
            Err((item, fault)) => faults.push(super::error::ItemFault { item, fault }),
        }
    }
    if faults.is_empty() { Ok(catalogues) } else { Err(FlowError::Source(faults)) }
}
