//! One question to an API server and its answer. The second door of the HTTP crate: an API server is trusted in ways
//! of its own, and nothing that registries need (credentials by repository, redirects, resumed bodies) matters here.

use super::kubeconfig::Access;
use crate::model::{Fault, FaultKind, limits};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use std::error::Error;
use std::net::ToSocketAddrs;
use std::time::Duration;
use tokio::runtime::Runtime;
use url::Url;

const CONNECT: Duration = Duration::from_secs(10);
/// Longest silence of a server.
const SILENCE: Duration = Duration::from_secs(60);

/// An answer: its number and its body.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Seconds that the server asks to wait.
    pub(super) retry_after: Option<u64>,
    pub(super) body: Vec<u8>,
}

/// Asks one server.
pub(super) struct Http {
    client: reqwest::Client,
    runtime: Runtime,
    server: Url,
}

impl Http {
    pub(super) fn new(access: Access) -> Result<Self, Fault> {
        let place = format!("context {}", access.context);
        let setup = |what: String| Fault::new(FaultKind::Local, place.clone(), what);
        let server = target(&access.server, access.server_name.as_deref()).map_err(&setup)?;
        let client = client(&access).map_err(&setup)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| setup(format!("the network cannot be used: {error}")))?;
        Ok(Self { client, runtime, server })
    }

    /// Names the place that `path` asks for, as a person knows it.
    pub(super) fn place(&self, path: &str) -> String {
        format!("{}{path}", self.server.as_str().trim_end_matches('/'))
    }

    /// Asks for `path` below the server's address.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Fault> {
        let place = self.place(path);
        let mut url = self.server.clone();
        url.set_path(&format!("{}{path}", self.server.path().trim_end_matches('/')));
        url.query_pairs_mut().extend_pairs(query);
        self.runtime.block_on(async {
            let mut response = self.client.get(url).send().await.map_err(|error| fault(&place, &error))?;
            let status = response.status().as_u16();
            let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|error| fault(&place, &error))? {
                body.extend_from_slice(&piece);
                if body.len() > limits::CLUSTER_PAGE_BYTES {
                    let what = format!("the answer is longer than {} bytes", limits::CLUSTER_PAGE_BYTES);
                    return Err(Fault::new(FaultKind::TooLarge, place.clone(), what));
                }
            }
            Ok(Answer { status, retry_after: asked, body })
        })
    }

    /// Waits before a question is asked again.
    pub(super) fn wait(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }
}

/// Returns the address that is asked: under the name that the certificate is for.
fn target(server: &Url, name: Option<&str>) -> Result<Url, String> {
    let mut url = server.clone();
    if let Some(name) = name {
        url.set_host(Some(name)).map_err(|error| format!("tls-server-name {name:?}: {error}"))?;
    }
    Ok(url)
}

fn client(access: &Access) -> Result<reqwest::Client, String> {
    let wrong = |what: &str, error: &dyn Error| format!("{what}: {}", root_cause(error));
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .user_agent(concat!("airlift/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers(access)?);
    if let Some(pem) = &access.authorities {
        let found = reqwest::Certificate::from_pem_bundle(pem).map_err(|e| wrong("certificate-authority", &e))?;
        builder = builder.tls_certs_only(found);
    }
    if access.insecure {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(pem) = &access.identity {
        let identity = reqwest::Identity::from_pem(pem.expose_secret());
        builder = builder.identity(identity.map_err(|e| wrong("client-certificate and client-key", &e))?);
    }
    if let Some(proxy) = &access.proxy {
        let proxy = reqwest::Proxy::all(proxy.expose_secret());
        builder = builder.proxy(proxy.map_err(|_| "proxy-url is no address of a proxy".to_owned())?);
    }
    if let Some(name) = &access.server_name {
        let (host, port) = (access.server.host_str().unwrap_or_default(), access.server.port_or_known_default());
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = (bare, port.unwrap_or(443)).to_socket_addrs().map_err(|e| format!("{host}: {e}"))?;
        builder = builder.resolve_to_addrs(name, &found.collect::<Vec<_>>());
    }
    builder.build().map_err(|error| wrong("the connection cannot be set up", &error))
}

fn headers(access: &Access) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(secret) = &access.authorization {
        let value = HeaderValue::from_str(secret.expose_secret());
        let mut value = value.map_err(|_| "the token holds a character that no token has".to_owned())?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    for (name, text) in &access.act_as {
        let value = HeaderValue::from_str(text).map_err(|_| format!("{name} holds a control character"))?;
        headers.append(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

fn root_cause(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn fault(place: &str, error: &reqwest::Error) -> Fault {
    let why = root_cause(error);
    let fault = |what: String| Fault::new(FaultKind::Unavailable, place, what);
    if why.contains("certificate") || why.contains("UnknownIssuer") {
        let hint = "certificate-authority-data of the kubeconfig must be the one that signed the server's certificate, and \
                    tls-server-name a name that it is for";
        return fault(format!("the server's certificate is not trusted: {why}")).with_hint(hint);
    }
    if error.is_timeout() {
        return fault("the server does not answer in time".to_owned()).with_hint("is the address reachable from here?");
    }
    let what = if error.is_connect() { "no connection" } else { "the connection broke" };
    fault(format!("{what}: {why}")).with_hint("is the address reachable from here? does it need proxy-url?")
}
