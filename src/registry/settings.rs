//! What a [`Remote`](super::Remote) is told by its caller. Nothing here is read from an environment or a home folder.

use super::credentials::Credentials;
use super::proxy::Proxies;
use secrecy::SecretSlice;
use std::collections::BTreeSet;
use std::time::Duration;

/// Which hosts are spoken to without TLS. Only hosts named in references; where a server sends us is judged by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// HTTPS for every host.
    #[default]
    Never,
    /// Plain HTTP for these hosts (`name[:port]`, as in references).
    Listed(BTreeSet<String>),
    /// Plain HTTP for every host that a reference of this run names.
    All,
}

impl PlainHttp {
    /// Returns whether `host` (`name[:port]`) is spoken to without TLS.
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::Never => false,
            Self::Listed(hosts) => hosts.contains(host),
            Self::All => true,
        }
    }
}

/// How long what may take. There is no limit on a whole transfer: one that moves is never cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// From the end of a request to the first byte of its answer.
    pub first_byte: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
    /// Middle of the wait before the second try; it doubles with each further one.
    pub backoff: Duration,
    /// Longest wait that a server may ask for; beyond it the call gives up.
    pub patience: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            backoff: Duration::from_millis(500),
            patience: Duration::from_secs(15 * 60),
        }
    }
}

/// Settings of a [`Remote`](super::Remote).
#[derive(Debug, Clone)]
pub struct Settings {
    /// Hosts spoken to without TLS.
    pub plain_http: PlainHttp,
    /// Credentials by host and repository.
    pub credentials: Credentials,
    /// Further certificate authorities, each a PEM file of one or more certificates.
    pub ca_files: Vec<Vec<u8>>,
    /// Client certificate and its key in one PEM. Shown only to hosts that references name, never behind a redirect.
    pub client_certificate: Option<SecretSlice<u8>>,
    /// Hosts (`name[:port]`) whose certificate is not checked. Never inferred from anything.
    pub insecure_tls: BTreeSet<String>,
    /// Token services that may see credentials although no rule says so (same host, a domain above, a known pair):
    /// registry host, token host.
    pub token_hosts: BTreeSet<(String, String)>,
    /// Proxies as handed in.
    pub proxies: Proxies,
    /// Requests to one host at one time; and as many blobs open for reading.
    pub per_host: usize,
    /// Tries after the first one, for calls that may be repeated.
    pub retries: u32,
    /// Size of upload pieces; `None` sends each blob in one request, which every registry takes.
    pub chunk: Option<u64>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// What we call ourselves.
    pub user_agent: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            plain_http: PlainHttp::Never,
            credentials: Credentials::default(),
            ca_files: Vec::new(),
            client_certificate: None,
            insecure_tls: BTreeSet::new(),
            token_hosts: BTreeSet::new(),
            proxies: Proxies::default(),
            per_host: 8,
            retries: 5,
            chunk: None,
            timeouts: Timeouts::default(),
            user_agent: concat!("airlift/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_listed_hosts_only_where_asked() {
        let listed = PlainHttp::Listed(BTreeSet::from(["h.example:80".to_owned()]));
        assert!(listed.covers("h.example:80"));
        assert!(!listed.covers("h.example") && !listed.covers("127.0.0.1:5000") && !listed.covers("localhost:80"));
        assert!(!PlainHttp::Never.covers("127.0.0.1:5000") && PlainHttp::All.covers("h.example"));
    }
}
