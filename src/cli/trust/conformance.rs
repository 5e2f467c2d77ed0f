//! `airlift trust conformance`: the command line that the official Sigstore conformance suite speaks.

use super::super::clock;
use super::super::error::{CliError, DONE, REFUSED};
use super::super::output::Output;
use crate::flow::read_paper;
use crate::model::Digest;
use crate::trust::{FileSignatureError, FileSigner, Instance, PublicKey, RootText, SignedFile, verify_file};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// Speak the client protocol of the Sigstore conformance suite (docs/conformance.md)
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    VerifyBundle(Verify),
    SignBundle(Sign),
}

/// Verify a Sigstore bundle over a file, offline
#[derive(clap::Args)]
struct Verify {
    /// Judge by the snapshot of Sigstore's staging instance
    #[arg(long)]
    staging: bool,
    /// Sigstore bundle
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Identity that must stand in the signing certificate
    #[arg(long, value_name = "IDENTITY", requires = "certificate_oidc_issuer", required_unless_present = "key")]
    certificate_identity: Option<String>,
    /// Issuer that must have vouched for the identity
    #[arg(long, value_name = "URL", requires = "certificate_identity")]
    certificate_oidc_issuer: Option<String>,
    /// Public key (PEM) that must have signed
    #[arg(long, value_name = "PUB", conflicts_with = "certificate_identity")]
    key: Option<PathBuf>,
    /// Trusted root [default: this program's snapshot of the public instance]
    #[arg(long, value_name = "FILE", conflicts_with = "staging")]
    trusted_root: Option<PathBuf>,
    /// File, or its digest (`sha256:…`) where no file has that name
    #[arg(value_name = "FILE|DIGEST")]
    file: String,
}

/// Refused: signing with an identity asks a certificate authority and a log over the network
#[derive(clap::Args)]
struct Sign {
    #[arg(long, hide = true)]
    staging: bool,
    #[arg(long, hide = true)]
    in_toto: bool,
    #[arg(long, hide = true, value_name = "TOKEN")]
    identity_token: Option<String>,
    #[arg(long, hide = true, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "FILE")]
    signing_config: Option<PathBuf>,
    #[arg(hide = true, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Answers the suite.
pub fn run(arguments: Arguments, output: &Output) -> Result<u8, CliError> {
    match arguments.verb {
        Verb::VerifyBundle(arguments) => verify(&arguments, output),
        Verb::SignBundle(_) => Err(CliError::usage(
            "airlift does not sign with an identity token: that asks a certificate authority and a log over the network",
        )
        .with_hint("sign with cosign where there is a network; airlift verifies what cosign signed, offline")),
    }
}

fn verify(arguments: &Verify, output: &Output) -> Result<u8, CliError> {
    let key = arguments.key.as_deref().map(public_key).transpose()?;
    let signer = match (&key, &arguments.certificate_identity, &arguments.certificate_oidc_issuer) {
        (Some(key), ..) => FileSigner::Key(key),
        (None, Some(identity), Some(issuer)) => FileSigner::Certificate { identity, issuer },
        (None, ..) => return Err(CliError::usage("name who must have signed: --certificate-identity or --key")),
    };
    let bundle = read_paper(&arguments.bundle)?;
    let proof = verify_file(&bundle, &signed(&arguments.file)?, signer, &root(arguments)?, clock::seconds());
    output.json(&proof.map_err(refused)?);
    Ok(DONE)
}

fn public_key(path: &Path) -> Result<PublicKey, CliError> {
    PublicKey::from_pem(&read_paper(path)?).map_err(|error| CliError::usage(format!("{}: {error}", path.display())))
}

fn root(arguments: &Verify) -> Result<RootText, CliError> {
    match &arguments.trusted_root {
        Some(path) => Ok(RootText { name: path.display().to_string(), bytes: read_paper(path)? }),
        None if arguments.staging => Ok(RootText::embedded(Instance::Staging)),
        None => Ok(RootText::embedded(Instance::PublicGood)),
    }
}

/// Returns what `text` names: a file before a digest, as the protocol has it.
fn signed(text: &str) -> Result<SignedFile, CliError> {
    let digest = text.strip_prefix("sha256:").and_then(|_| text.parse::<Digest>().ok());
    match digest {
        Some(digest) if !Path::new(text).exists() => Ok(SignedFile::Digest(digest)),
        _ => Ok(SignedFile::Bytes(read_paper(Path::new(text))?)),
    }
}

fn refused(error: FileSignatureError) -> CliError {
    match error {
        FileSignatureError::Root(error) => CliError::usage(error.to_string()),
        FileSignatureError::Refused { reason, hint, .. } => {
            let refused = CliError { code: REFUSED, ..CliError::usage(reason) };
            if hint.is_empty() { refused } else { refused.with_hint(hint) }
        }
    }
}
