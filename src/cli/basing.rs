//! Arguments that say what the far side has already, or what it asks for.

use super::authoring::authors_of;
use super::clock;
use super::error::CliError;
use super::judging::{medium, public_keys};
use crate::document::request::Request;
use crate::flow::{Base, BaseDemand, BaseFrom, Leaving, Medium, NamedBase, Prefix, read_bases, read_paper};
use crate::model::Digest;
use crate::registry::Remote;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a bundle may leave out, and by whose word.
#[derive(clap::Args)]
pub struct Basing {
    /// What the far side has already and the bundle leaves out, by: a receipt, a lock, another bundle, or a registry that can
    /// be asked (`HOST[:PORT][/PREFIX]`, or `oci://…`). Repeatable: what is left out must be known at every site. Papers are of
    /// one site that are about one destination, or have one name for it before them
    #[arg(long = "base", value_name = "[SITE=]PAPER")]
    bases: Vec<String>,
    /// Public key (PEM), one of which must have signed each base that is a paper or a bundle; repeatable
    #[arg(long = "base-key", value_name = "PUB", requires = "bases")]
    base_keys: Vec<PathBuf>,
    /// Take bases without a signature; one that is there must hold all the same
    #[arg(long, requires = "bases")]
    allow_unsigned_base: bool,
    /// Pack only what this request of an import asks for; -f or --lock name what the delta was packed from
    #[arg(long, value_name = "FILE", conflicts_with = "bases")]
    request: Option<PathBuf>,
}

/// What was named, read and accepted.
pub enum Basis {
    /// Bases; none for a whole bundle.
    Bases(Vec<Base>),
    /// A request, and the digest of its bytes.
    Request(Request, Digest),
}

impl Basing {
    /// Reads what was named, before anything is asked of a network.
    pub fn basis(&self) -> Result<Basis, CliError> {
        if let Some(path) = &self.request {
            let bytes = read_paper(path)?;
            return Ok(Basis::Request(Request::read(&bytes, &path.display().to_string())?, Digest::of(&bytes)));
        }
        let named: Vec<NamedBase> = self.bases.iter().map(|text| named(text)).collect::<Result<_, _>>()?;
        let keys = public_keys(&self.base_keys)?;
        let authors = authors_of(&self.base_keys, 1)?;
        let authors =
            if self.allow_unsigned_base { authors.allowing_unsigned("--allow-unsigned-base") } else { authors };
        let (allow_unsigned, now) = (self.allow_unsigned_base, clock::now());
        let demand = BaseDemand { keys: &keys, authors: &authors, allow_unsigned, now: &now };
        Ok(Basis::Bases(read_bases(&named, &demand)?))
    }
}

impl Basis {
    /// Makes the client that answers for bases that are registries; none where there are no bases.
    pub fn asked(&self, opening: impl FnOnce() -> Result<Remote, CliError>) -> Result<Option<Remote>, CliError> {
        match self {
            Self::Bases(bases) if !bases.is_empty() => opening().map(Some),
            Self::Bases(_) | Self::Request(..) => Ok(None),
        }
    }

    /// Returns what is left out; `asked` is what [`Basis::asked`] made.
    pub fn leaving<'a>(&'a self, asked: Option<&'a Remote>) -> Leaving<'a> {
        match (self, asked) {
            (Self::Bases(bases), Some(asked)) => Leaving::Known(bases, asked),
            (Self::Bases(_), None) => Leaving::Nothing,
            (Self::Request(request, digest), _) => Leaving::Unrequested(request, digest.clone()),
        }
    }
}

fn named(text: &str) -> Result<NamedBase, CliError> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let (site, rest) = match text.split_once('=') {
        Some((name, rest)) if is_name(name) && !Path::new(text).exists() => (Some(name.to_owned()), rest),
        _ => (None, text),
    };
    Ok(NamedBase { site, from: from(rest)? })
}

fn from(text: &str) -> Result<BaseFrom, CliError> {
    if let Some(prefix) = text.strip_prefix("oci://") {
        return Ok(BaseFrom::Registry(Prefix::parse(prefix)?));
    }
    let path = Path::new(text);
    if is_json(path) {
        return Ok(BaseFrom::Paper(path.to_owned()));
    }
    if path.exists() || text.contains('*') {
        let Medium::Files(volumes) = medium(&[path.to_owned()])? else {
            return Err(CliError::usage("a base is read from files: only its head is needed"));
        };
        return Ok(BaseFrom::Bundle(volumes));
    }
    let host = text.split('/').next().unwrap_or_default();
    let is_file = [".json", ".lock", ".airlift"].iter().any(|ending| text.ends_with(ending));
    if !is_file && (host.contains('.') || host.contains(':') || host == "localhost") && !host.starts_with('.') {
        return Ok(BaseFrom::Registry(Prefix::parse(text)?));
    }
    Err(CliError::usage(format!("{text}: there is no such base")).with_hint(
        "a base is the file of a receipt or a lock, a volume or the folder of a bundle, or a registry as HOST[:PORT][/PREFIX]",
    ))
}

/// Returns whether a file opens as a paper does.
pub fn is_json(path: &Path) -> bool {
    let mut first = [0; 1];
    path.is_file()
        && std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok()
        && first == *b"{"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_told_apart_by_their_form() {
        let registry = |text: &str| match named(text) {
            Ok(NamedBase { site, from: BaseFrom::Registry(prefix) }) => Some((site, prefix.to_string())),
            _ => None,
        };
        assert_eq!(registry("harbor.example/p"), Some((None, "harbor.example/p".into())));
        assert_eq!(registry("localhost"), Some((None, "localhost".into())));
        assert_eq!(registry("south=h:5000"), Some((Some("south".into()), "h:5000".into())));
        assert_eq!(registry("oci://h/p"), Some((None, "h/p".into())));
        for absent in ["none.receipt.json", "first.airlift", "folder/x", "", "a=b", "./none"] {
            assert!(named(absent).is_err(), "{absent}");
        }
    }

    #[test]
    fn a_file_is_a_paper_where_it_opens_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a=b.json");
        std::fs::write(&path, "{}").unwrap();
        let text = path.display().to_string();
        assert_eq!(named(&text).unwrap(), NamedBase { site: None, from: BaseFrom::Paper(path.clone()) });
        let of_site = named(&format!("site={text}")).unwrap();
        assert_eq!(of_site, NamedBase { site: Some("site".into()), from: BaseFrom::Paper(path) });
    }
}
