//! Every hard limit on foreign input, in one place. Each has a test at the limit and one past it.
//!
//! The numbers are chosen so that legal content found in the field passes with room to spare
//! and hostile content is refused before it costs memory or time.

/// Largest image manifest or index that is read, in bytes.
pub const MANIFEST_BYTES: u64 = 8 << 20;
/// Size of a manifest above which some registries refuse it (distribution stops at 4 MiB), in bytes.
pub const MANIFEST_WARN_BYTES: u64 = 4 << 20;
/// Largest signature payload (simple signing document), in bytes.
pub const SIGNATURE_BYTES: u64 = 1 << 20;
/// Largest signature bundle that is judged, in bytes.
pub const SIGNATURE_BUNDLE_BYTES: u64 = 8 << 20;
/// Largest attestation layer that is judged, in bytes.
pub const ATTESTATION_BYTES: u64 = 64 << 20;
/// All layers of one manifest of signatures or attestations, in bytes.
pub const EVIDENCE_BYTES: u64 = 128 << 20;
/// Signatures judged for one subject.
pub const SIGNATURES_PER_SUBJECT: usize = 64;
/// Certificates of one chain, in an envelope or a timestamp.
pub const CERTIFICATE_CHAIN: usize = 16;
/// One certificate, in bytes.
pub const CERTIFICATE_BYTES: usize = 64 << 10;
/// Token of a timestamp authority, in bytes.
pub const TIMESTAMP_BYTES: usize = 256 << 10;
/// Distinguished name in a policy, in bytes.
pub const NAME_BYTES: usize = 4 << 10;
/// Certificates of one trust store.
pub const STORE_CERTIFICATES: usize = 1_000;
/// Referrers carried for one subject.
pub const REFERRERS_PER_SUBJECT: usize = 256;
/// Length of a chain of subjects (a signature of an SBOM of an image …).
pub const REFERRER_DEPTH: usize = 4;
/// One challenge header, in bytes.
pub const CHALLENGE_BYTES: usize = 16 << 10;
/// A token endpoint's answer, in bytes.
pub const TOKEN_BYTES: usize = 1 << 20;
/// An error body that is read for the server's words, in bytes.
pub const ERROR_BODY_BYTES: usize = 64 << 10;
/// Server's words that are shown or kept, in bytes.
pub const ERROR_WORDS_BYTES: usize = 1 << 10;
/// Redirects followed for one request.
pub const REDIRECTS: usize = 5;
/// Pages of tags or referrers read from one repository.
pub const LIST_PAGES: usize = 10_000;
/// Tags or referrers read from one repository.
pub const LIST_ENTRIES: usize = 1_000_000;
/// Bytes of one page of tags or of referrers.
pub const LIST_PAGE_BYTES: usize = 8 << 20;
/// Depth of indexes within indexes.
pub const INDEX_DEPTH: usize = 4;
/// Children of one index.
pub const INDEX_CHILDREN: usize = 1_000;
/// Layers of one image.
pub const LAYERS: usize = 1_024;
/// Largest size that a descriptor may state: 2^53 − 1, the largest integer that every JSON reader agrees on.
pub const DESCRIPTOR_SIZE: u64 = (1 << 53) - 1;
/// Whole reference as typed, in bytes.
pub const REFERENCE_BYTES: usize = 4 << 10;
/// `host/path` of a reference, in characters.
pub const REPOSITORY_CHARS: usize = 255;
/// Characters of a tag.
pub const TAG_CHARS: usize = 128;
/// Document that a person wrote (mirror file, policy, Kubernetes YAML, image list), in bytes.
pub const PAPER_BYTES: u64 = 64 << 20;
/// Files of a catalogue that is fetched or unpacked.
pub const CATALOGUE_FILES: usize = 4_000;
/// Archive of a checkout, unpacked, in bytes; a catalogue is a small part of it.
pub const CATALOGUE_ARCHIVE_BYTES: u64 = 4 << 30;
/// Kubeconfig, or a file of a certificate or token that it names, in bytes.
pub const KUBECONFIG_BYTES: u64 = 4 << 20;
/// One page of a list of pods, in bytes.
pub const CLUSTER_PAGE_BYTES: usize = 64 << 20;
/// List that the container runtime of a machine gives, in bytes.
pub const NODE_LIST_BYTES: usize = 16 << 20;
/// Nesting of JSON and YAML documents.
pub const NESTING: usize = 128;
/// Volumes of one bundle.
pub const VOLUMES: u32 = 10_000;
/// Document in a bundle's head (index, lock, policy, evidence), in bytes.
pub const HEAD_DOCUMENT_BYTES: u64 = 64 << 20;
/// Statement in a bundle's head (`airlift/head.json`), in bytes.
pub const HEAD_BYTES: u64 = 8 << 20;
/// Countersignatures of one bundle.
pub const COUNTERSIGNATURES: usize = 16;
/// Statement of one countersignature, in bytes.
pub const COUNTERSIGNATURE_BYTES: u64 = 64 << 10;
/// Report that a countersignature carries, in bytes.
pub const COUNTERSIGNED_REPORT_BYTES: u64 = 4 << 20;
/// Signers and authorities that one demand of a policy names.
pub const SIGNERS_PER_RULE: usize = 64;
/// Groups of signers within groups.
pub const CONSENT_DEPTH: usize = 4;
/// Constraints on the predicate of one attestation.
pub const CONSTRAINTS: usize = 64;
/// Largest statement whose predicate is compared with constraints, in bytes.
pub const PREDICATE_BYTES: usize = 16 << 20;
/// Files and folders of one chart archive.
pub const CHART_ENTRIES: usize = 20_000;
/// One file of a chart, in bytes, as Helm has it.
pub const CHART_FILE_BYTES: u64 = 5 << 20;
/// What is unpacked of a chart archive in search of its `Chart.yaml`, in bytes; Helm itself unpacks no more than this.
pub const CHART_BYTES: u64 = 100 << 20;
/// Archive of a chart, compressed, in bytes.
pub const CHART_ARCHIVE_BYTES: u64 = 32 << 20;
/// Folders within folders of a chart.
pub const CHART_DEPTH: usize = 32;
/// Charts within charts.
pub const CHART_NESTING: usize = 8;
/// What one chart may render to, in bytes, everything on the way counted in.
pub const RENDER_BYTES: usize = 128 << 20;
/// Steps of templates for one chart.
pub const RENDER_STEPS: u64 = 10_000_000;
/// Named templates within named templates, and `tpl` within `tpl`.
pub const RENDER_DEPTH: usize = 100;
/// `Chart.yaml` of a chart archive, in bytes.
pub const CHART_YAML_BYTES: u64 = 1 << 20;
/// File that is read whole when it is pinned; of a larger one the server's word on its size is taken, in bytes.
pub const FILE_PROBE_BYTES: u64 = 64 << 20;
/// Tags of one repository whose date is looked up.
pub const DATED_TAGS: usize = 500;
/// Files and links of one archive, or of one folder, that another tool made.
pub const ARCHIVE_ENTRIES: usize = 1_000_000;
/// Name of a file or target of a link in such an archive, in bytes.
pub const ARCHIVE_NAME_BYTES: usize = 4 << 10;
/// All names of one such archive or folder, in bytes.
pub const ARCHIVE_NAMES_BYTES: usize = 128 << 20;
/// Extended header (pax) of one entry of a tar, in bytes.
pub const ARCHIVE_PAX_BYTES: u64 = 64 << 10;
/// Bytes that come out of a compressed archive however small it is.
pub const ARCHIVE_SLACK_BYTES: u64 = 64 << 20;
/// Bytes that come out of a compressed archive for each byte of it, beyond the slack.
pub const ARCHIVE_RATIO: u64 = 500;
/// Largest window of a zstd frame of an archive, as the logarithm of its bytes: what `zstd --long` writes.
pub const ARCHIVE_WINDOW_LOG: u32 = 27;
/// Files that one archive was cut into, or archives of one set.
pub const ARCHIVE_PARTS: usize = 1_000;
