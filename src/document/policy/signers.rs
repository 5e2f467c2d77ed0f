//! Who must have signed: signers, and how many of several.

use super::{NotationSigner, TextMatch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whose signatures are wanted. Groups lie within each other at most [`limits::CONSENT_DEPTH`] deep.
///
/// [`limits::CONSENT_DEPTH`]: crate::model::limits::CONSENT_DEPTH
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consent {
    /// This signer.
    Signer(AcceptedSigner),
    /// What stands under this name in `authorities`.
    Authority(String),
    /// One of these. A list in a policy is short for it.
    AnyOf(Vec<Consent>),
    /// Each of these; one signature may satisfy several.
    AllOf(Vec<Consent>),
    /// So many of these, each by another signer. They are signers, or any-of groups of signers.
    Threshold(usize, Vec<Consent>),
}

impl Consent {
    /// Calls `with` for every signer and every name in it, in written order.
    pub fn visit<'a>(&'a self, with: &mut impl FnMut(&'a Consent)) {
        match self {
            Self::Signer(_) | Self::Authority(_) => with(self),
            Self::AnyOf(of) | Self::AllOf(of) | Self::Threshold(_, of) => of.iter().for_each(|one| one.visit(with)),
        }
    }

    /// Returns the names of authorities in it, in written order.
    pub fn authorities(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.visit(&mut |one| {
            if let Self::Authority(name) = one {
                names.push(name.as_str());
            }
        });
        names
    }
}

/// Who may have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptedSigner {
    /// The holder of a key.
    Key(KeySigner),
    /// The holder of a short-lived certificate of a Sigstore instance.
    Keyless(KeylessSigner),
    /// The holder of a certificate that a trust store of the Notary Project vouches for.
    Notation(NotationSigner),
}

/// Signature by a key: `key: NAME`, or `key: {name: NAME, log: promise, trustRoot: ROOT}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySigner {
    /// Name in `keys`.
    pub name: String,
    /// What the transparency log must show; `none` where nothing is said.
    pub log: LogDemand,
    /// Root that names the log; needed where `log` is not `none`.
    pub trust_root: Option<String>,
}

/// Signature under a short-lived certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeylessSigner {
    /// Root by which it is judged: one, never the union of several.
    pub trust_root: String,
    /// Who vouched for the identity.
    pub issuer: TextMatch,
    /// The certificate's subject alternative name.
    pub identity: TextMatch,
    /// Further claims of the certificate; a claim that it lacks is a refusal.
    pub claims: BTreeMap<Claim, String>,
    /// What the transparency log must show; `promise` where nothing is said.
    pub log: LogDemand,
    /// Whether the certificate must have been logged; `required` where nothing is said.
    pub sct: SctDemand,
}

/// What the transparency log must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogDemand {
    /// Nothing. A keyless signature then needs a timestamp of a trusted authority.
    None,
    /// That the log promised to take the entry; all that cosign's older form carries.
    Promise,
    /// That the entry is in the log.
    Proof,
}

/// Whether a certificate must have been logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SctDemand {
    /// It must carry the timestamp of a trusted certificate log.
    Required,
    /// For private instances that have no such log.
    None,
}

/// Claims of a Fulcio certificate, by the number of their extension under 1.3.6.1.4.1.57264.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Claim {
    /// `.9`: the workflow that signed.
    BuildSigner,
    /// `.10`: its commit.
    BuildSignerDigest,
    /// `.11`: `github-hosted` or `self-hosted`.
    RunnerEnvironment,
    /// `.12`: the repository, as a URL.
    SourceRepository,
    /// `.13`: the commit.
    SourceCommit,
    /// `.14`: the branch or tag.
    SourceRef,
    /// `.15`: the repository's number; it survives renames.
    SourceRepositoryId,
    /// `.16`: the owner, as a URL.
    SourceOwner,
    /// `.17`: the owner's number; it survives renames.
    SourceOwnerId,
    /// `.18`: the top-level workflow.
    BuildConfig,
    /// `.19`: its commit.
    BuildConfigDigest,
    /// `.20`: what started the build: `push`, `pull_request`, ….
    Trigger,
    /// `.21`: the run, as a URL.
    Run,
    /// `.22`: visibility of the repository when it was signed.
    Visibility,
    /// `.23`: the deployment environment.
    DeploymentEnvironment,
    /// `.24`: the subject of the identity token.
    TokenSubject,
    /// `.2`: what started the workflow; the older form.
    WorkflowTrigger,
    /// `.3`: the commit; the older form.
    WorkflowSha,
    /// `.4`: name of the workflow; the older form.
    WorkflowName,
    /// `.5`: `owner/repository`; the older form.
    WorkflowRepository,
    /// `.6`: the branch or tag; the older form.
    WorkflowRef,
}

impl Claim {
    /// Every claim, with its name in a policy.
    pub const ALL: [(&'static str, Self); 21] = [
        ("buildSigner", Self::BuildSigner),
        ("buildSignerDigest", Self::BuildSignerDigest),
        ("runnerEnvironment", Self::RunnerEnvironment),
        ("sourceRepository", Self::SourceRepository),
        ("sourceCommit", Self::SourceCommit),
        ("sourceRef", Self::SourceRef),
        ("sourceRepositoryId", Self::SourceRepositoryId),
        ("sourceOwner", Self::SourceOwner),
        ("sourceOwnerId", Self::SourceOwnerId),
        ("buildConfig", Self::BuildConfig),
        ("buildConfigDigest", Self::BuildConfigDigest),
        ("trigger", Self::Trigger),
        ("run", Self::Run),
        ("visibility", Self::Visibility),
        ("deploymentEnvironment", Self::DeploymentEnvironment),
        ("tokenSubject", Self::TokenSubject),
        ("workflowTrigger", Self::WorkflowTrigger),
        ("workflowSha", Self::WorkflowSha),
        ("workflowName", Self::WorkflowName),
        ("workflowRepository", Self::WorkflowRepository),
        ("workflowRef", Self::WorkflowRef),
    ];

    /// Returns its name in a policy.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, claim)| *claim == self).map_or("", |(name, _)| name)
    }
}
