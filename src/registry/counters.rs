//! Counts what really went over the wire, for truthful reports and for tests that count requests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// What a request was for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $name),* }

        impl Kind {
            /// All kinds, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the name as it stands in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

kinds! {
    /// `GET /v2/`.
    Ping = "ping",
    /// Request to a token service.
    Token = "token",
    /// `HEAD` of a manifest.
    ManifestHead = "manifest-head",
    /// `GET` of a manifest.
    ManifestGet = "manifest-get",
    /// `PUT` of a manifest.
    ManifestPut = "manifest-put",
    /// Page of tags.
    Tags = "tags",
    /// Page of referrers.
    Referrers = "referrers",
    /// `HEAD` of a blob.
    BlobHead = "blob-head",
    /// `GET` of a blob, further ranges included.
    BlobGet = "blob-get",
    /// `POST` that begins an upload.
    UploadStart = "upload-start",
    /// `PUT` that ends an upload, with or without content.
    UploadPut = "upload-put",
    /// `PATCH` with a piece of an upload.
    UploadPatch = "upload-patch",
    /// `DELETE` of an unfinished upload.
    UploadCancel = "upload-cancel",
    /// `POST` that asks for a mount.
    Mount = "mount",
    /// Harbor's REST interface.
    Rest = "rest",
    /// `GET` of a file by its address, further ranges included.
    FileGet = "file-get",
}

/// What a [`Remote`](super::Remote) has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests sent, redirects and repetitions included, by [`Kind::name`]. Kinds without any are left out.
    pub requests: BTreeMap<&'static str, u64>,
    /// Requests that were repetitions after a failure.
    pub repeated: u64,
    /// Bytes of bodies received.
    pub received: u64,
    /// Bytes of bodies handed to the network.
    pub sent: u64,
}

impl Counters {
    /// Returns the number of requests of `kind`.
    pub fn of(&self, kind: Kind) -> u64 {
        self.requests.get(kind.name()).copied().unwrap_or_default()
    }

    /// Returns the number of all requests.
    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }
}

/// The running counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    requests: [AtomicU64; Kind::ALL.len()],
    repeated: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Tally {
    pub(super) fn asked(&self, kind: Kind) {
        if let Some(count) = self.requests.get(kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn repeated(&self) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Counters {
        let requests = Kind::ALL.iter().zip(&self.requests);
        let requests = requests.map(|(kind, count)| (kind.name(), count.load(Ordering::Relaxed)));
        Counters {
            requests: requests.filter(|(_, count)| *count > 0).collect(),
            repeated: self.repeated.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
        }
    }
}
