//! What an envelope says, whichever its form, and the rules about its headers.

use super::algorithm::Algorithm;
use crate::model::fault::printable;
use crate::trust::outcome::Refusal;
use crate::trust::time;

/// Header that names how the signer came to the certificate and the time.
pub(super) const SCHEME: &str = "io.cncf.notary.signingScheme";
/// Header with the end that the signer gave the signature.
pub(super) const EXPIRY: &str = "io.cncf.notary.expiry";
/// Header with the time that the signer claims.
pub(super) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
/// Header with the time that a signing authority vouches for.
pub(super) const AUTHENTIC_TIME: &str = "io.cncf.notary.authenticSigningTime";
/// Header that demands a plugin.
pub(super) const PLUGIN: &str = "io.cncf.notary.verificationPlugin";
/// Unprotected header with the timestamp.
pub(super) const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";

/// How the signer came to the certificate and the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// The signer holds the key; a timestamp authority may vouch for the time.
    X509,
    /// A signing authority holds the key and vouches for the time.
    SigningAuthority,
}

impl Scheme {
    const ALL: [Self; 2] = [Self::X509, Self::SigningAuthority];

    /// Returns its name in the header.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::X509 => "notary.x509",
            Self::SigningAuthority => "notary.x509.signingAuthority",
        }
    }

    /// Reads the header.
    pub(super) fn read(name: &str) -> Result<Self, Refusal> {
        let known = Self::ALL.into_iter().find(|scheme| scheme.name() == name);
        known.ok_or_else(|| Refusal::unknown(format!("its signing scheme {:?} is not known here", printable(name))))
    }
}

/// An envelope, parsed and not yet verified. Times are in seconds.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    /// Algorithm that it says it is signed with.
    pub algorithm: Algorithm,
    /// Type of the payload.
    pub content_type: String,
    /// Names of the headers that a reader must understand, in written order.
    pub critical: Vec<String>,
    /// Names of further signed headers.
    pub others: Vec<String>,
    /// Plugin that it demands.
    pub plugin: Option<String>,
    /// Scheme.
    pub scheme: Scheme,
    /// End that the signer gave it.
    pub expiry: Option<i64>,
    /// Time that the signer claims; evidence of nothing.
    pub signing_time: Option<i64>,
    /// Time that a signing authority vouches for.
    pub authentic_time: Option<i64>,
    /// Payload, decoded.
    pub payload: Vec<u8>,
    /// What the signature is over.
    pub signed: Vec<u8>,
    /// Signature.
    pub signature: Vec<u8>,
    /// Certificates, leaf first, encoded.
    pub certificates: Vec<Vec<u8>>,
    /// Token of a timestamp authority over the signature.
    pub timestamp: Option<Vec<u8>>,
}

impl Envelope {
    /// Refuses what the headers may not say: nothing critical that is not understood, nothing that goes with another
    /// scheme, nothing missing that has to be critical.
    pub(super) fn check_headers(&self) -> Result<(), Refusal> {
        if let Some(plugin) = &self.plugin {
            let plugin = printable(plugin);
            return Err(Refusal::unknown(format!(
                "it demands the verification plugin {plugin:?}; airlift has no plugins"
            )));
        }
        let needless = match self.scheme {
            Scheme::X509 => self.authentic_time.map(|_| AUTHENTIC_TIME),
            Scheme::SigningAuthority => self.signing_time.map(|_| SIGNING_TIME),
        };
        if let Some(needless) = needless {
            return Err(Refusal::form(format!(
                "the header {needless} does not go with the scheme {}",
                self.scheme.name()
            )));
        }
        self.check_critical()?;
        match (self.expiry, self.signing_time.or(self.authentic_time)) {
            (Some(expiry), Some(signed)) if expiry <= signed => Err(Refusal::form(format!(
                "it expires at {}, before it was signed at {}",
                time::rfc3339(expiry),
                time::rfc3339(signed)
            ))),
            _ => Ok(()),
        }
    }

    fn check_critical(&self) -> Result<(), Refusal> {
        let mut wanted = vec![SCHEME];
        wanted.extend(self.expiry.map(|_| EXPIRY));
        if self.scheme == Scheme::SigningAuthority {
            wanted.push(AUTHENTIC_TIME);
            if self.authentic_time.is_none() {
                return Err(Refusal::form(format!("the header {AUTHENTIC_TIME} is missing, which its scheme needs")));
            }
        }
        for (at, name) in self.critical.iter().enumerate() {
            let shown = printable(name);
            if self.critical[..at].contains(name) {
                return Err(Refusal::form(format!("the critical header {shown:?} is named twice")));
            }
            if wanted.contains(&name.as_str()) {
                continue;
            }
            if self.others.contains(name) {
                return Err(Refusal::unknown(format!("the critical header {shown:?} is not known here")));
            }
            return Err(Refusal::form(format!("{shown:?} is named as a critical header, and is none")));
        }
        match wanted.iter().find(|name| !self.critical.iter().any(|critical| critical == *name)) {
            Some(missing) => Err(Refusal::form(format!("the header {missing} is not marked critical"))),
            None => Ok(()),
        }
    }
}
