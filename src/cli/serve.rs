//! `airlift serve`

use super::environment::Environment;
use super::error::{CliError, DONE};
use super::human;
use super::judging::{Authoring, Judging, medium, text};
use super::output::{Form, Output};
use crate::flow::{Medium, Shelved, read_paper, shelve_bundle, shelve_layout};
use crate::serve::{Auth, EmbeddedRegistry, Identity, Options, Users};
use crate::store::LayoutFolder;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long until a wish to stop is noticed.
const GLANCE: Duration = Duration::from_millis(50);

/// Show a bundle or an OCI layout as a read-only registry, without unpacking it
///
/// For a cluster that has no registry yet. Every artifact has the name that an import would give it; a mirror of containerd
/// finds it under its source's name as well. Runs until it is interrupted.
#[derive(clap::Args)]
pub struct Arguments {
    /// Volumes, folders or globs of volumes; or the folder of an OCI layout
    #[arg(value_name = "BUNDLE|LAYOUT", required = true)]
    from: Vec<PathBuf>,
    /// Address to listen at; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Certificate chain (PEM); with it the registry speaks HTTPS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Names with bcrypt hashes, as `htpasswd -B` writes them; with it nobody else may pull
    #[arg(long, value_name = "FILE")]
    htpasswd: Option<PathBuf>,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    authoring: Authoring,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,
}

/// Serves.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let tls = arguments.identity()?;
    let auth = arguments.auth()?;
    let shelved = arguments.shelved(output)?;
    output.findings(&shelved.findings);
    if !matches!(auth, Auth::None) && tls.is_none() && !arguments.listen.ip().is_loopback() {
        output.note("warning: passwords travel in the clear without --tls-cert and --tls-key");
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let repositories = shelved.shelf.len();
    let options = Options { listen: arguments.listen, tls, auth, ..Options::show(shelved.shelf) };
    let running = EmbeddedRegistry::start(options)?;
    let address = format!("{scheme}://{}", running.address());
    match arguments.output {
        Form::Json => output.json(&serde_json::json!({
            "address": address, "artifacts": shelved.artifacts, "repositories": repositories,
            "authenticity": shelved.authenticity,
        })),
        Form::Table => {
            let artifacts = human::count(shelved.artifacts as u64, "artifact");
            shelved.authenticity.iter().for_each(|words| output.result(words));
            output.result(format!("serving {artifacts} at {address}"));
        }
    }
    while !environment.stop.load(Ordering::Relaxed) {
        std::thread::sleep(GLANCE);
    }
    let counters = running.counters();
    running.stop();
    output.note(format!("stopped after {}", human::count(counters.requests, "request")));
    Ok(DONE)
}

impl Arguments {
    fn identity(&self) -> Result<Option<Identity>, CliError> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let identity = Identity::from_pem(&read_paper(certificate)?, &read_paper(key)?);
        let places = || format!("{} and {}", certificate.display(), key.display());
        identity.map(Some).map_err(|error| CliError::usage(format!("{}: {error}", places())))
    }

    fn auth(&self) -> Result<Auth, CliError> {
        let Some(path) = &self.htpasswd else { return Ok(Auth::None) };
        let users = Users::parse(&text(path)?, &path.display().to_string());
        Ok(Auth::Users(Arc::new(users.map_err(|error| CliError::usage(error.to_string()))?)))
    }

    fn shelved(&self, output: &Output) -> Result<Shelved, CliError> {
        if let [folder] = &self.from[..]
            && folder.join("oci-layout").exists()
        {
            return layout(folder);
        }
        let Medium::Files(volumes) = medium(&self.from)? else {
            return Err(CliError::usage("a stream cannot be served: it is read once and in order")
                .with_hint("write it to a file first, or import it"));
        };
        let mut authors = self.authoring.authors()?;
        let asked = !authors.keys.is_empty() || authors.allow_unsigned;
        if !asked {
            authors.allow_unsigned = true;
            output.note("warning: nobody's signature was asked for (--bundle-key): clients see what the bundle says");
        }
        let shelved = shelve_bundle(&volumes, &authors, self.judging.judge_if_asked()?.as_ref())?;
        Ok(Shelved { authenticity: shelved.authenticity.filter(|_| asked), ..shelved })
    }
}

fn layout(folder: &Path) -> Result<Shelved, CliError> {
    let layout = LayoutFolder::open_for_reading(folder).map_err(|error| {
        let causes = std::error::Error::source(&error).map(ToString::to_string).into_iter().collect();
        CliError { causes, ..CliError::usage(error.to_string()) }
    })?;
    Ok(shelve_layout(layout, folder)?)
}
