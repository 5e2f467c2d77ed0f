//! Which proxy a request takes: the usual three values, as handed in, read in one documented way.
//!
//! `NO_PROXY` is a list parted by commas or blanks. An entry is `*`; a domain, which covers itself and all
//! below it (a leading `.` or `*.` changes nothing); an address; a network as `address/bits`; any but the first
//! with an optional `:port`. Loopback never takes a proxy.

use super::guard;
use secrecy::{ExposeSecret, SecretString};
use std::net::IpAddr;
use url::{Host, Url};

/// Proxies as a caller found them. Each may hold a password, so none prints.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For `https` URLs: `http://…`, `https://…` or `socks5h://…`; without a scheme, `http://`.
    pub https: Option<SecretString>,
    /// For `http` URLs.
    pub http: Option<SecretString>,
    /// Hosts that are reached directly.
    pub no_proxy: String,
}

/// The rules of one [`Proxies`], parsed.
#[derive(Clone)]
pub(super) struct Routes {
    https: Option<Url>,
    http: Option<Url>,
    direct: Vec<Direct>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Direct {
    what: Covered,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Covered {
    All,
    Domain(String),
    Network(IpAddr, u8),
}

impl Routes {
    /// Parses; the error names the value but never shows it, for it may hold a password.
    pub(super) fn new(proxies: &Proxies) -> Result<Self, &'static str> {
        let read = |value: &Option<SecretString>, what| match value.as_ref().map(|v| v.expose_secret().trim()) {
            None | Some("") => Ok(None),
            Some(text) => proxy_url(text).map(Some).ok_or(what),
        };
        Ok(Self {
            https: read(&proxies.https, "the proxy for https is no URL")?,
            http: read(&proxies.http, "the proxy for http is no URL")?,
            direct: proxies
                .no_proxy
                .split([',', ' ', '\t'])
                .filter(|entry| !entry.is_empty())
                .filter_map(parse_direct)
                .collect(),
        })
    }

    /// Returns the proxy that a request to `url` takes.
    pub(super) fn of(&self, url: &Url) -> Option<Url> {
        let proxy = match url.scheme() {
            "https" => self.https.as_ref()?,
            "http" => self.http.as_ref()?,
            _ => return None,
        };
        let direct = url.host_str().is_none_or(guard::is_loopback_name) || self.direct.iter().any(|d| d.covers(url));
        (!direct).then(|| proxy.clone())
    }
}

fn proxy_url(text: &str) -> Option<Url> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&text).ok()?;
    let known = matches!(url.scheme(), "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h");
    (known && url.has_host()).then_some(url)
}

fn parse_direct(entry: &str) -> Option<Direct> {
    if entry == "*" {
        return Some(Direct { what: Covered::All, port: None });
    }
    if let Some(what) = network(entry) {
        return Some(Direct { what, port: None });
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    if let Some(what) = network(name.trim_start_matches('[').trim_end_matches(']')) {
        return Some(Direct { what, port });
    }
    let domain = name.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
    (!domain.is_empty()).then_some(Direct { what: Covered::Domain(domain), port })
}

fn network(text: &str) -> Option<Covered> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(width), |bits| bits.parse().ok())?;
    (bits <= width).then_some(Covered::Network(address, bits))
}

impl Direct {
    fn covers(&self, url: &Url) -> bool {
        if self.port.is_some() && self.port != url.port_or_known_default() {
            return false;
        }
        match (&self.what, url.host()) {
            (Covered::All, _) => true,
            (Covered::Domain(domain), Some(Host::Domain(host))) => {
                let host = host.trim_end_matches('.');
                host == domain || host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            (Covered::Network(net, bits), Some(Host::Ipv4(host))) => within(IpAddr::V4(host), *net, *bits),
            (Covered::Network(net, bits), Some(Host::Ipv6(host))) => within(IpAddr::V6(host), *net, *bits),
            _ => false,
        }
    }
}

fn within(address: IpAddr, net: IpAddr, bits: u8) -> bool {
    let (a, b, width) = match (address, net) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let shift = u32::from(width - bits);
    a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(no_proxy: &str) -> Routes {
        let proxies = Proxies {
            https: Some("http://u:pw@proxy.example:3128".into()),
            http: Some("proxy.example:3129".into()),
            no_proxy: no_proxy.to_owned(),
        };
        Routes::new(&proxies).unwrap()
    }

    fn proxied(no_proxy: &str, url: &str) -> bool {
        routes(no_proxy).of(&Url::parse(url).unwrap()).is_some()
    }

    #[test]
    fn schemes_take_their_own_proxy() {
        let port = |url: &str| routes("").of(&Url::parse(url).unwrap()).unwrap().port();
        assert_eq!((port("https://h.example/"), port("http://h.example/")), (Some(3128), Some(3129)));
    }

    #[test]
    fn no_proxy_knows_suffixes_networks_and_ports() {
        assert!(!proxied("h.example", "https://h.example/"));
        assert!(!proxied(".example", "https://h.example/"));
        assert!(!proxied("x, *.example", "https://a.b.example/"));
        assert!(proxied("h.example", "https://oh.example/") && proxied("example.h", "https://h.example/"));
        assert!(
            !proxied("h.example:8443", "https://h.example:8443/") && proxied("h.example:8443", "https://h.example/")
        );
        assert!(!proxied("10.0.0.0/8", "https://10.1.2.3/") && proxied("10.0.0.0/8", "https://11.1.2.3/"));
        assert!(!proxied("10.1.2.3:443", "https://10.1.2.3/") && !proxied("fd00::/8", "https://[fd12::1]/"));
        assert!(!proxied("[fd12::1]:443", "https://[fd12::1]/"));
        assert!(!proxied("0.0.0.0/0", "https://10.1.2.3/") && !proxied("*", "https://h.example/"));
        assert!(proxied("10.0.0.0/99, :, [", "https://10.1.2.3/"));
    }

    #[test]
    fn loopback_never_takes_a_proxy() {
        for host in ["localhost:5000", "127.0.0.1", "[::1]:5000"] {
            assert!(!proxied("", &format!("http://{host}/")), "{host}");
        }
    }

    #[test]
    fn a_bad_proxy_is_refused_without_showing_its_password() {
        let proxies = Proxies { https: Some("ftp://u:hunter2@h".into()), ..Proxies::default() };
        let why = Routes::new(&proxies).err().unwrap();
        assert!(why.contains("https") && !why.contains("hunter2"));
        assert!(!format!("{proxies:?}").contains("hunter2"));
    }
}
