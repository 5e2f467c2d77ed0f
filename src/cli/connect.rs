//! Arguments of every command that speaks to a registry, and the client made from them.

use super::environment::Environment;
use super::error::CliError;
use crate::flow::{FlowError, read_paper};
use crate::model::reference::check_host;
use crate::registry::{Credentials, HelperOutput, PlainHttp, Proxies, Remote, Settings};
use secrecy::{SecretSlice, SecretString};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// How registries are reached.
#[derive(clap::Args)]
pub struct Connecting {
    /// Speak plain HTTP with this host (`name[:port]`), repeatable; without =HOST, with all that are named in this run
    #[arg(long, value_name = "HOST", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    plain_http: Vec<String>,
    /// Credentials in the form of docker's config.json or podman's auth.json [default: where those tools keep them]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Certificate authorities (PEM) beside those of the system; repeatable
    #[arg(long = "ca-file", value_name = "FILE")]
    ca_files: Vec<PathBuf>,
    /// Client certificate with its private key (PEM)
    #[arg(long, value_name = "FILE")]
    client_certificate: Option<PathBuf>,
    /// Do not check the certificate of this host; repeatable
    #[arg(long, value_name = "HOST")]
    insecure_skip_tls_verify: Vec<String>,
    /// Token service that may see a registry's credentials although it is on another host; repeatable
    #[arg(long, value_name = "REGISTRY=TOKENHOST", value_parser = pair)]
    allow_token_host: Vec<(String, String)>,
    /// Blobs moved at once
    #[arg(short = 'j', long, value_name = "N", default_value_t = 4)]
    concurrency: usize,
    /// Tries after the first one
    #[arg(long, value_name = "N", default_value_t = 5)]
    retries: u32,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (registry, token) = text.split_once('=').ok_or("expected REGISTRY=TOKENHOST")?;
    Ok((registry.to_owned(), token.to_owned()))
}

impl Connecting {
    /// Returns how many blobs move at once.
    pub fn concurrency(&self) -> usize {
        self.concurrency.clamp(1, 64)
    }

    /// Returns which hosts are spoken to without TLS.
    fn plain(&self) -> Result<PlainHttp, CliError> {
        if self.plain_http.iter().any(String::is_empty) {
            return Ok(PlainHttp::All);
        }
        for host in &self.plain_http {
            check_host(host).map_err(|(_, why)| {
                let hint = "name it as references do: --plain-http=registry.example:5000";
                CliError::usage(format!("--plain-http={host} names no host: {why}")).with_hint(hint)
            })?;
        }
        Ok(match self.plain_http.is_empty() {
            true => PlainHttp::Never,
            false => PlainHttp::Listed(self.plain_http.iter().cloned().collect()),
        })
    }

    /// Makes the client.
    pub fn remote(&self, environment: &Environment) -> Result<Remote, CliError> {
        let client_certificate = self.client_certificate.as_deref().map(read_paper).transpose()?;
        let settings = Settings {
            plain_http: self.plain()?,
            credentials: self.credentials(environment)?,
            ca_files: self.ca_files.iter().map(|path| read_paper(path)).collect::<Result<_, FlowError>>()?,
            client_certificate: client_certificate.map(SecretSlice::from),
            insecure_tls: self.insecure_skip_tls_verify.iter().cloned().collect(),
            token_hosts: self.allow_token_host.iter().cloned().collect::<BTreeSet<_>>(),
            proxies: proxies(environment),
            per_host: self.concurrency().max(8),
            retries: self.retries,
            ..Settings::default()
        };
        Remote::new(settings).map_err(|fault| CliError::usage(fault.to_string()))
    }

    /// Reads the auth file that was named, or those that container tools keep; earlier ones win.
    fn credentials(&self, environment: &Environment) -> Result<Credentials, CliError> {
        let files = match &self.authfile {
            Some(path) => vec![path.clone()],
            None => environment.auth_files().into_iter().filter(|path| path.is_file()).collect(),
        };
        let mut credentials = Credentials::default().with_runner(Arc::new(run_helper));
        for path in files {
            credentials = credentials
                .with_file(&read_paper(&path)?)
                .map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
        }
        Ok(credentials)
    }
}

fn proxies(environment: &Environment) -> Proxies {
    let secret = |name: &str| environment.either(name).map(|value| SecretString::from(value.to_owned()));
    Proxies {
        https: secret("HTTPS_PROXY").or_else(|| secret("ALL_PROXY")),
        http: secret("HTTP_PROXY").or_else(|| secret("ALL_PROXY")),
        no_proxy: environment.either("NO_PROXY").unwrap_or_default().to_owned(),
    }
}

/// Runs a credential helper the way docker does: `PROGRAM get`, the server's name on standard input.
fn run_helper(program: &str, server: &str) -> io::Result<HelperOutput> {
    let mut child =
        Command::new(program).arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(server.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    Ok(HelperOutput { success: output.status.success(), stdout: output.stdout })
}
