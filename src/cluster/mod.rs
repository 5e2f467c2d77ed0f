//! Floor 3: a live cluster, read only: which images its pods run, by digest.
//!
//! One kind of question is asked, the list of pods, in pages; nothing is ever written. Files, tokens and certificates
//! come from a kubeconfig; programs that a kubeconfig names are not run. Nothing here knows of locks or registries.
//!
//! | file | what it knows |
//! |---|---|
//! | `kubeconfig` | which server, how it is trusted, who asks |
//! | `http` | one question and its answer; the second door of the HTTP crate |
//! | `pods` | what a pod says about the images that it runs |
//! | `list` | pages, and what a server means when it refuses |

mod http;
mod kubeconfig;
mod list;
mod pods;

pub use kubeconfig::{Access, Chosen, KubeconfigError, Kubeconfigs};
pub use pods::parse as parse_pods;

use crate::model::Fault;
use crate::model::running::{RunningImage, RunningImages};
use http::Http;

/// A cluster that can be asked. Calls block the calling thread.
pub struct Cluster {
    http: Http,
    user: String,
    namespaces: Vec<String>,
    page: usize,
}

/// Pods in one page of an answer.
const PAGE: usize = 250;

impl Cluster {
    /// Makes a client. Asks nothing yet. No namespaces means all.
    pub fn new(access: Access, namespaces: Vec<String>) -> Result<Self, Fault> {
        let user = access.user.clone();
        Ok(Self { http: Http::new(access)?, user, namespaces, page: PAGE })
    }

    /// Asks for pages of `pods` pods.
    #[must_use]
    pub fn with_page(self, pods: usize) -> Self {
        Self { page: pods, ..self }
    }
}

impl RunningImages for Cluster {
    fn running(&self) -> Result<Vec<RunningImage>, Fault> {
        list::running(&self.http, &self.user, &self.namespaces, self.page)
    }
}
