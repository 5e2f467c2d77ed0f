//! Where requests may go: origins, and addresses that no server may send us to.
//!
//! Credentials belong to an [`Origin`]. Link-local addresses and the metadata services of clouds are
//! refused where the connection is made, on the resolved address, so a name cannot hide one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// Scheme, host and port: what credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// Returns the origin of an HTTP URL; `None` for other schemes.
    pub(super) fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.trim_end_matches('.').to_owned(),
            port: url.port_or_known_default()?,
        })
    }
}

/// Why a URL that a server sent is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum GuardError {
    /// Neither `http` nor `https`.
    #[error("it points to the scheme {0:?}")]
    Scheme(String),
    /// From TLS to no TLS.
    #[error("it leads from https to http")]
    Downgrade,
    /// User name or password in the URL.
    #[error("it carries a user name or a password")]
    Userinfo,
    /// Link-local, a metadata service, or loopback from outside.
    #[error("{0} leads to the guarded address {1}")]
    Address(String, IpAddr),
    /// Names loopback from outside.
    #[error("it leads from another host to {0}")]
    Loopback(String),
    /// No URL at all.
    #[error("{0:?} is no URL")]
    Syntax(String),
}

/// Checks that a server at `from` may send us to `to`.
pub(super) fn may_follow(from: &Url, to: &Url) -> Result<(), GuardError> {
    if !matches!(to.scheme(), "http" | "https") {
        return Err(GuardError::Scheme(to.scheme().to_owned()));
    }
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(GuardError::Downgrade);
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Err(GuardError::Userinfo);
    }
    let host = to.host_str().unwrap_or_default();
    if is_loopback_name(host) && !from.host_str().is_some_and(is_loopback_name) {
        return Err(GuardError::Loopback(host.to_owned()));
    }
    check_literal(to, true)
}

/// Refuses a URL whose host is a guarded address written out; with `loopback` false loopback counts as guarded.
pub(super) fn check_literal(url: &Url, loopback: bool) -> Result<(), GuardError> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        _ => return Ok(()),
    };
    if is_guarded(address, loopback) {
        return Err(GuardError::Address(url.host_str().unwrap_or_default().to_owned(), address));
    }
    Ok(())
}

/// Returns the addresses of a name that may be reached; fails where it has only guarded ones.
pub(super) fn open_addresses(
    name: &str,
    found: Vec<SocketAddr>,
    loopback: bool,
) -> Result<Vec<SocketAddr>, GuardError> {
    let (guarded, open): (Vec<_>, Vec<_>) = found.into_iter().partition(|a| is_guarded(a.ip(), loopback));
    match guarded.first() {
        Some(first) if open.is_empty() => Err(GuardError::Address(name.to_owned(), first.ip())),
        _ => Ok(open),
    }
}

/// Returns whether no request may go to `address`.
pub(super) fn is_guarded(address: IpAddr, loopback: bool) -> bool {
    match address {
        IpAddr::V4(address) => is_guarded_v4(address, loopback),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_guarded_v4(inner, loopback),
            None => {
                address.is_unicast_link_local()
                    || address == AWS_METADATA_V6
                    || (!loopback && (address.is_loopback() || address.is_unspecified()))
            }
        },
    }
}

/// Metadata service of one large cloud over IPv6.
const AWS_METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
/// Metadata service of a cloud that does not use link-local addresses.
const ALIBABA_METADATA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

fn is_guarded_v4(address: Ipv4Addr, loopback: bool) -> bool {
    address.is_link_local()
        || address == ALIBABA_METADATA
        || (!loopback && (address.is_loopback() || address.is_unspecified()))
}

/// Returns the IPv4 address inside a mapped, compatible, translated (RFC 6052) or 6to4 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let low = || Ipv4Addr::from((u32::from(s[6]) << 16) | u32::from(s[7]));
    match s {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(low()),
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => Some(low()),
        [0x2002, high, rest, ..] => Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(rest))),
        _ => None,
    }
}

/// Returns whether `host` (`name[:port]`, as in references or URLs) names this machine.
pub(super) fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// Returns `url` without credentials, query and fragment: what may be shown.
pub(super) fn place(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn metadata_addresses_are_guarded_in_every_spelling() {
        for host in [
            "169.254.169.254",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::1]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "0xa9fea9fe",
            "2852039166",
            "169.254.43518",
            "100.100.100.200",
        ] {
            let target = url(&format!("https://{host}/latest"));
            assert!(matches!(check_literal(&target, true), Err(GuardError::Address(..))), "{host}");
        }
        for host in ["10.0.0.1", "192.168.1.1", "[fd00::1]", "h.example", "127.0.0.1", "[::1]"] {
            assert_eq!(check_literal(&url(&format!("https://{host}/")), true), Ok(()), "{host}");
        }
        assert!(check_literal(&url("https://127.0.0.1/"), false).is_err());
        assert!(check_literal(&url("https://[::ffff:127.0.0.1]/"), false).is_err());
    }

    #[test]
    fn a_server_cannot_send_us_out_of_tls_to_other_schemes_or_to_ourselves() {
        let from = url("https://h.example/v2/");
        let refused = |to: &str| may_follow(&from, &url(to)).unwrap_err();
        assert_eq!(refused("http://h.example/"), GuardError::Downgrade);
        assert!(matches!(refused("file:///etc/passwd"), GuardError::Scheme(_)));
        assert!(matches!(refused("data:text/plain,x"), GuardError::Scheme(_)));
        assert_eq!(refused("https://u:p@h.example/"), GuardError::Userinfo);
        assert!(matches!(refused("https://localhost/"), GuardError::Loopback(_)));
        assert!(matches!(refused("https://127.0.0.1/"), GuardError::Loopback(_)));
        assert_eq!(may_follow(&from, &url("https://store.example/x?sig=1")), Ok(()));
        assert_eq!(may_follow(&url("http://127.0.0.1:1/"), &url("http://127.0.0.1:2/")), Ok(()));
    }

    #[test]
    fn a_name_cannot_hide_a_guarded_address() {
        let addresses = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let open = |texts: &[&str], loopback| open_addresses("h.example", addresses(texts), loopback);
        assert!(matches!(open(&["169.254.169.254:0", "[fe80::1]:0"], true), Err(GuardError::Address(..))));
        assert_eq!(open(&["169.254.169.254:0", "10.0.0.1:0"], true).unwrap(), addresses(&["10.0.0.1:0"]));
        assert!(open(&["127.0.0.1:0"], false).is_err() && open(&["127.0.0.1:0"], true).is_ok());
        assert!(open(&[], true).unwrap().is_empty());
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |text| Origin::of(&url(text));
        assert_eq!(origin("https://h.example/a"), origin("https://h.example:443/b?c"));
        assert_eq!(origin("https://H.example./"), origin("https://h.example/"));
        assert_ne!(origin("https://h.example/"), origin("http://h.example:443/"));
        assert_ne!(origin("https://h.example/"), origin("https://h.example:8443/"));
        assert_eq!(origin("ftp://h.example/"), None);
    }

    #[test]
    fn what_is_shown_of_a_url_holds_no_secret() {
        assert_eq!(place(&url("https://u:secret@h.example:8443/a/b?token=secret#x")), "https://h.example:8443/a/b");
    }
}
