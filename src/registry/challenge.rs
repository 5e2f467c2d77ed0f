//! Challenges: what a registry asks for, and which token service may see credentials.
//!
//! A token service gets credentials only where it gains nothing by them that it could not have anyway, or where
//! the caller allowed it: see [`trusts`]. The door of the crate that parses challenges is `auth.rs`.

use super::guard::{self, GuardError};
use std::collections::BTreeSet;
use url::Url;

/// Registry and token service that are known to belong together, although their names do not show it.
const KNOWN_PAIRS: [(&str, &str); 1] = [("registry-1.docker.io", "auth.docker.io")];

/// A token service as a challenge named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenService {
    /// Where to ask.
    pub(super) realm: Url,
    /// Name of the registry at that service.
    pub(super) service: Option<String>,
}

impl TokenService {
    /// Returns whether this is Harbor's own service, beside which Basic works on every path.
    pub(super) fn is_harbor(&self, base: &Url) -> bool {
        let same = self.realm.host_str() == base.host_str();
        self.service.as_deref() == Some("harbor-registry") || (same && self.realm.path() == "/service/token")
    }
}

/// What a host offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offer {
    /// User and password on every request.
    pub(super) basic: bool,
    /// Tokens from a service.
    pub(super) tokens: Option<TokenService>,
}

/// Checks that a realm is a URL that a challenge from `base` may send us to.
pub(super) fn realm(base: &Url, text: &str) -> Result<Url, GuardError> {
    let url = Url::parse(text).map_err(|_| GuardError::Syntax(crate::model::fault::printable(text)))?;
    guard::may_follow(base, &url)?;
    Ok(url)
}

/// Returns whether the token service at `realm` may see credentials for the registry at `base`.
///
/// - the same host: it sees them anyway;
/// - a domain above the registry's (`gitlab.example` for `registry.gitlab.example`): whoever holds it decides where
///   the registry's name leads, so it could have them at any time. A sibling cannot, and gets nothing;
/// - a pair that is known, or one that the caller allowed.
///
/// The scheme was checked by [`realm`]: never from TLS to none.
pub(super) fn trusts(base: &Url, realm: &Url, allowed: &BTreeSet<(String, String)>) -> bool {
    let (Some(registry), Some(service)) = (base.host_str(), realm.host_str()) else { return false };
    let above = service.contains('.')
        && matches!(realm.host(), Some(url::Host::Domain(_)))
        && registry.strip_suffix(service).is_some_and(|rest| rest.ends_with('.'));
    registry == service
        || above
        || KNOWN_PAIRS.contains(&(registry, service))
        || allowed.iter().any(|(from, to)| names(base, from) && names(realm, to))
}

/// Returns whether `host` (`name[:port]`) stands for the host of `url`; without a port, for any port.
fn names(url: &Url, host: &str) -> bool {
    let bare = url.host_str().unwrap_or_default();
    host == bare || url.port_or_known_default().is_some_and(|port| host == format!("{bare}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_token_service_is_trusted_by_rule_or_by_word() {
        let nobody = BTreeSet::new();
        let trusted = |base: &str, realm: &str| trusts(&url(base), &url(realm), &nobody);
        assert!(trusted("https://h.example/", "https://h.example/token"));
        assert!(trusted("https://h.example/", "https://h.example:8443/token"));
        assert!(trusted("https://registry.gitlab.example/", "https://gitlab.example/jwt/auth"));
        assert!(trusted("https://registry-1.docker.io/", "https://auth.docker.io/token"));
        assert!(!trusted("https://h.example/", "https://auth.docker.io/token"));
        assert!(!trusted("https://a.example/", "https://b.example/token"));
        assert!(!trusted("https://h.example/", "https://example/token"));
        assert!(!trusted("https://evilh.example/", "https://h.example/token"));
        assert!(!trusted("https://10.0.0.1/", "https://0.0.1/token"));
        let allowed = BTreeSet::from([("a.example".to_owned(), "b.example:443".to_owned())]);
        assert!(trusts(&url("https://a.example/"), &url("https://b.example/t"), &allowed));
        assert!(!trusts(&url("https://a.example/"), &url("https://b.example:1/t"), &allowed));
    }

    #[test]
    fn a_realm_is_an_absolute_url_that_keeps_tls() {
        let base = url("https://h.example/");
        assert!(realm(&base, "https://auth.example/token?x=1").is_ok());
        for wrong in [
            "http://h.example/t",
            "/token",
            "",
            "ftp://h.example/",
            "https://u:p@h.example/",
            "https://169.254.169.254/",
        ] {
            assert!(realm(&base, wrong).is_err(), "{wrong}");
        }
        assert!(realm(&url("http://h.example/"), "http://h.example/t").is_ok());
    }

    #[test]
    fn harbors_service_is_known_by_its_name_or_path() {
        let base = url("https://h.example/");
        let service = |realm: &str, service: Option<&str>| TokenService {
            realm: url(realm),
            service: service.map(str::to_owned),
        };
        assert!(service("https://h.example/service/token", Some("harbor-registry")).is_harbor(&base));
        assert!(service("https://h.example/service/token", None).is_harbor(&base));
        assert!(!service("https://auth.example/token", Some("x")).is_harbor(&base));
    }
}
