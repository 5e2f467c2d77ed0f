//! The registry client against scripted servers, and against a real registry where one is installed.

mod documents;
mod doors;
mod downloads;
mod harbor;
pub mod paths;
mod real;
pub mod scripted;
mod uploads;

use airlift::model::descriptor::{Descriptor, MediaType};
use airlift::model::reference::Repository;
use airlift::registry::{PlainHttp, Remote, Settings, Timeouts};
use scripted::Server;
use std::time::Duration;

/// Settings with short waits and plain HTTP.
pub fn settings() -> Settings {
    let timeouts = Timeouts {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_secs(5),
        idle: Duration::from_secs(5),
        backoff: Duration::from_millis(1),
        patience: Duration::from_secs(60),
    };
    Settings { plain_http: PlainHttp::All, timeouts, ..Settings::default() }
}

pub fn remote() -> Remote {
    Remote::new(settings()).unwrap()
}

pub fn repository(server: &Server) -> Repository {
    Repository::new(&server.host(), "apps/web").unwrap()
}

pub fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCI_LAYER_GZIP, bytes)
}

/// Bytes that look random and are the same in every run.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..length.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(length).collect()
}
