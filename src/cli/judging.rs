//! Arguments that say whose signatures over artifacts count, and the judge made from them.

use super::clock;
use super::error::CliError;
use super::policy_files::Beside;
use super::rooting::{replace_roots, single_root};
use crate::document::countersignature::PolicyReference;
use crate::document::policy::{Flags, KeylessFlags, Policy};
use crate::flow::{FlowError, read_paper};
use crate::model::Digest;
use crate::trust::{Judge, PublicKey};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Policy, or the short forms of one.
#[derive(clap::Args)]
pub struct Judging {
    /// Policy file
    #[arg(long, value_name = "POLICY.YAML")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    short: Short,
    /// Trusted root (Sigstore's trusted_root.json) for keyless signatures, or in the place of the one that the policy
    /// names [default: the policy's; without a policy this program's snapshot of the public instance]
    #[arg(long = "trusted-root", value_name = "[NAME=]FILE")]
    trusted_roots: Vec<String>,
}

#[derive(clap::Args)]
struct Short {
    /// Public key (PEM) that must have signed every artifact; repeatable, any of them is enough
    #[arg(long = "key", value_name = "COSIGN.PUB", conflicts_with = "policy")]
    keys: Vec<PathBuf>,
    /// Take artifacts that match this pattern without a signature (`host/path/**`); repeatable
    #[arg(long, value_name = "PATTERN", conflicts_with = "policy")]
    allow_unsigned: Vec<String>,
    #[command(flatten)]
    keyless: KeylessArguments,
}

#[derive(clap::Args)]
struct KeylessArguments {
    /// Identity that must stand in the signing certificate
    #[arg(long, value_name = "IDENTITY", group = "identity", conflicts_with = "policy", requires = "issuer")]
    certificate_identity: Option<String>,
    /// Regular expression for that identity
    #[arg(long, value_name = "REGEXP", group = "identity", conflicts_with = "policy", requires = "issuer")]
    certificate_identity_regexp: Option<String>,
    /// Issuer that must have vouched for the identity
    #[arg(long, value_name = "URL", group = "issuer", requires = "identity")]
    certificate_oidc_issuer: Option<String>,
    /// Regular expression for that issuer
    #[arg(long, value_name = "REGEXP", group = "issuer", requires = "identity")]
    certificate_oidc_issuer_regexp: Option<String>,
}

impl Judging {
    /// Returns the policy as text, with the judge made from it.
    pub fn judge(&self) -> Result<(String, Judge), CliError> {
        let (policy, base) = match &self.policy {
            Some(path) => {
                let mut policy = read_policy(path)?;
                replace_roots(&mut policy, &self.trusted_roots)?;
                (policy, path.parent().map(Path::to_owned))
            }
            None => (Policy::from_flags(&self.flags()?)?, None),
        };
        Ok((policy.to_text(), make_judge(&policy, base.as_deref())?))
    }

    /// Returns the policy as text with its judge, and whether anything was said about signatures; where nothing was, it is
    /// a policy that takes everything, fit for looking at sizes only.
    pub fn judge_or_all(&self) -> Result<(String, Judge, bool), CliError> {
        if self.named_judge()?.is_some() {
            return self.judge().map(|(text, judge)| (text, judge, true));
        }
        let policy = Policy::from_flags(&Flags { allow_unsigned: vec!["**".to_owned()], ..Flags::default() })?;
        Ok((policy.to_text(), make_judge(&policy, None)?, false))
    }

    /// Returns a judge where anything was said about signatures.
    pub fn judge_if_asked(&self) -> Result<Option<Judge>, CliError> {
        Ok(self.named_judge()?.map(|(_, judge)| judge))
    }

    /// Returns a judge with name and digest of its policy, where anything was said about signatures.
    pub fn named_judge(&self) -> Result<Option<(PolicyReference, Judge)>, CliError> {
        let short = &self.short;
        let keyless = &short.keyless;
        let said = self.policy.is_some()
            || !short.keys.is_empty()
            || !short.allow_unsigned.is_empty()
            || keyless.certificate_identity.is_some()
            || keyless.certificate_identity_regexp.is_some();
        if !said {
            return Ok(None);
        }
        let (text, judge) = self.judge()?;
        let name = self.policy.as_ref().and_then(|path| path.file_name());
        let name = name.map_or_else(|| "flags".to_owned(), |name| name.to_string_lossy().into_owned());
        Ok(Some((PolicyReference { name, digest: Digest::of(text.as_bytes()) }, judge)))
    }

    /// Returns the policy file with the folder that its files are looked up in, where one was named.
    pub fn policy_file(&self) -> Result<Option<(Policy, PathBuf)>, CliError> {
        let read = |path: &PathBuf| Ok((read_policy(path)?, path.parent().map(Path::to_owned).unwrap_or_default()));
        self.policy.as_ref().map(read).transpose()
    }

    fn flags(&self) -> Result<Flags, CliError> {
        let read = |path: &PathBuf| Ok((path.display().to_string(), text(path)?));
        let keys = self.short.keys.iter().map(read).collect::<Result<_, CliError>>()?;
        let keyless = &self.short.keyless;
        let named = keyless.certificate_identity.is_some() || keyless.certificate_identity_regexp.is_some();
        let trusted_root = single_root(&self.trusted_roots)?;
        if trusted_root.is_some() && !named {
            return Err(CliError::usage("--trusted-root is for a --policy, or for a --certificate-identity"));
        }
        let keyless = named.then(|| KeylessFlags {
            identity: keyless.certificate_identity.clone(),
            identity_regexp: keyless.certificate_identity_regexp.clone(),
            issuer: keyless.certificate_oidc_issuer.clone(),
            issuer_regexp: keyless.certificate_oidc_issuer_regexp.clone(),
            trusted_root: trusted_root.map(|path| path.display().to_string()),
        });
        Ok(Flags { keys, keyless, allow_unsigned: self.short.allow_unsigned.clone() })
    }
}

/// Reads a policy. It is called by its file's name, without the folder: that name travels with the evidence.
pub fn read_policy(path: &Path) -> Result<Policy, CliError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Policy::parse(&text(path)?, &name)?)
}

/// Reads a text file that a person named.
pub fn text(path: &Path) -> Result<String, CliError> {
    String::from_utf8(read_paper(path)?).map_err(|_| CliError::usage(format!("{} is not UTF-8", path.display())))
}

/// Reads public keys that a person named.
pub fn public_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>, CliError> {
    let read = |path: &PathBuf| {
        PublicKey::from_pem(text(path)?.as_bytes()).map_err(|e| CliError::usage(format!("{}: {e}", path.display())))
    };
    paths.iter().map(read).collect()
}

/// Makes a judge; files that the policy names are looked up beside it.
pub fn make_judge(policy: &Policy, base: Option<&Path>) -> Result<Judge, CliError> {
    make_judge_at(policy, base, clock::seconds())
}

/// Makes a judge at a time in seconds since 1970.
pub fn make_judge_at(policy: &Policy, base: Option<&Path>, now: i64) -> Result<Judge, CliError> {
    Judge::new(policy, &mut Beside::new(base), now).map_err(|error| FlowError::from(error).into())
}

/// Opens what `-` or a list of volumes, folders and globs stands for.
pub fn medium(arguments: &[PathBuf]) -> Result<crate::flow::Medium, CliError> {
    if let [only] = arguments
        && only.as_os_str() == "-"
    {
        let stdin: Box<dyn Read + Send> = Box::new(io::BufReader::with_capacity(1 << 20, io::stdin()));
        return Ok(crate::flow::Medium::Stream(stdin));
    }
    let volumes = crate::bundle::find_volumes(arguments).map_err(|error| CliError::from(FlowError::from(error)))?;
    Ok(crate::flow::Medium::Files(volumes))
}
