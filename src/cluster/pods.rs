//! What a pod says about the images that it runs.

use crate::model::running::{Merged, RunningDigest, RunningPlace};
use crate::model::{Digest, ImageRef};
use serde::Deserialize;

/// One page of a list of pods.
#[derive(Debug)]
pub struct Page {
    /// Pods.
    pub pods: Vec<Pod>,
    /// Where the next page begins; absent behind the last one.
    pub more: Option<String>,
}

#[derive(Deserialize)]
struct List {
    kind: Option<String>,
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default)]
    items: Option<Vec<Pod>>,
}

#[derive(Deserialize, Default)]
struct ListMeta {
    #[serde(rename = "continue")]
    more: Option<String>,
}

/// A pod, as far as images go.
#[derive(Debug, Deserialize)]
pub struct Pod {
    metadata: Meta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    labels: Option<std::collections::BTreeMap<String, String>>,
    #[serde(default)]
    owner_references: Option<Vec<Owner>>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    kind: String,
    name: String,
    #[serde(default)]
    controller: Option<bool>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    containers: Option<Vec<Container>>,
    #[serde(default)]
    init_containers: Option<Vec<Container>>,
    #[serde(default)]
    ephemeral_containers: Option<Vec<Container>>,
    #[serde(default)]
    volumes: Option<Vec<Volume>>,
}

#[derive(Debug, Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    image: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Volume {
    name: String,
    #[serde(default)]
    image: Option<VolumeImage>,
}

#[derive(Debug, Deserialize)]
struct VolumeImage {
    #[serde(default)]
    reference: Option<String>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    container_statuses: Option<Vec<ContainerStatus>>,
    #[serde(default)]
    init_container_statuses: Option<Vec<ContainerStatus>>,
    #[serde(default)]
    ephemeral_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Deserialize)]
struct ContainerStatus {
    name: String,
    #[serde(default, rename = "imageID")]
    image_id: String,
}

/// Reads one page of a list of pods.
pub fn parse(bytes: &[u8]) -> Result<Page, String> {
    let list: List =
        serde_json::from_slice(bytes).map_err(|error| format!("the answer is no list of pods: {error}"))?;
    match list.kind.as_deref() {
        None | Some("PodList" | "List") => {}
        Some(other) => {
            return Err(format!("the answer is a {:?}, not a list of pods", crate::model::fault::printable(other)));
        }
    }
    Ok(Page { pods: list.items.unwrap_or_default(), more: list.metadata.more.filter(|more| !more.is_empty()) })
}

impl Pod {
    /// Adds every image of the pod: of its containers of all three kinds, and of image volumes.
    pub fn images(&self, into: &mut Merged) {
        let spec = &self.spec;
        for (containers, statuses, kind) in [
            (&spec.init_containers, &self.status.init_container_statuses, "init container"),
            (&spec.containers, &self.status.container_statuses, "container"),
            (&spec.ephemeral_containers, &self.status.ephemeral_container_statuses, "ephemeral container"),
        ] {
            for container in containers.iter().flatten() {
                let status = statuses.iter().flatten().find(|status| status.name == container.name);
                let id = status.map_or("", |status| status.image_id.as_str());
                let image = container.image.as_deref().unwrap_or_default();
                into.add(image, &digest(image, id), self.place(kind, &container.name));
            }
        }
        for volume in spec.volumes.iter().flatten() {
            if let Some(image) = volume.image.as_ref().and_then(|image| image.reference.as_deref()) {
                into.add(image, &digest(image, ""), self.place("volume", &volume.name));
            }
        }
    }

    /// Names what keeps the pod, without the part of its name that changes from run to run.
    fn place(&self, kind: &str, container: &str) -> RunningPlace {
        let owners = self.metadata.owner_references.iter().flatten();
        let owner = owners.clone().find(|owner| owner.controller == Some(true)).or_else(|| owners.clone().next());
        let hash = self.metadata.labels.as_ref().and_then(|labels| labels.get("pod-template-hash"));
        let workload = match (owner, hash) {
            (Some(Owner { kind, name, .. }), Some(hash)) if kind == "ReplicaSet" => {
                match name.strip_suffix(hash).and_then(|name| name.strip_suffix('-')) {
                    Some(name) => format!("Deployment/{name}"),
                    None => format!("ReplicaSet/{name}"),
                }
            }
            (Some(Owner { kind, name, .. }), _) => format!("{kind}/{name}"),
            (None, _) => format!("Pod/{}", self.metadata.name),
        };
        RunningPlace { namespace: self.metadata.namespace.clone(), workload, container: format!("{kind} {container}") }
    }
}

/// Says which content a container runs. The runtime's word counts before the digest in the image's name.
fn digest(image: &str, id: &str) -> RunningDigest {
    let bare = ["docker-pullable://", "docker://", "containerd://", "cri-o://"]
        .iter()
        .find_map(|scheme| id.strip_prefix(scheme));
    let bare = bare.unwrap_or(id);
    if let Some((_, digest)) = bare.rsplit_once('@')
        && let Ok(digest) = digest.parse::<Digest>()
    {
        return RunningDigest::Document(digest);
    }
    if let Some(digest) = image.parse::<ImageRef>().ok().and_then(|image| image.digest) {
        return RunningDigest::Document(digest);
    }
    // A digest alone is that of the image's configuration: no registry knows it.
    match bare.parse::<Digest>() {
        Ok(configuration) => RunningDigest::Configuration(configuration),
        Err(_) => RunningDigest::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_an_image_id_says_what_it_says() {
        let sum = format!("sha256:{}", "a".repeat(64));
        let document = RunningDigest::Document(sum.parse().unwrap());
        for id in [
            "docker.io/library/web@SUM",
            "docker-pullable://web@SUM",
            "h.example:5000/a/web@SUM",
            "docker-pullable://h.example/web@SUM",
        ] {
            assert_eq!(digest("web:1", &id.replace("SUM", &sum)), document, "{id}");
        }
        for id in ["SUM", "docker://SUM"] {
            let found = digest("web:1", &id.replace("SUM", &sum));
            assert_eq!(found, RunningDigest::Configuration(sum.parse().unwrap()), "{id}");
        }
        assert_eq!(digest(&format!("web:1@{sum}"), ""), document);
        let other = format!("web:1@sha256:{}", "b".repeat(64));
        assert_eq!(digest(&other, &format!("web@{sum}")), document);
        for id in ["", "web:1", "docker-pullable://web@sha256:00"] {
            assert_eq!(digest("web:1", id), RunningDigest::Unknown, "{id}");
        }
    }

    #[test]
    fn an_answer_that_is_no_list_of_pods_is_refused() {
        assert!(parse(b"{\"kind\":\"NodeList\",\"items\":[]}").unwrap_err().contains("NodeList"));
        assert!(parse(b"<html>").unwrap_err().contains("no list of pods"));
        assert!(
            parse(b"{\"kind\":\"PodList\",\"items\":null,\"metadata\":{\"continue\":\"\"}}").unwrap().more.is_none()
        );
    }

    proptest! {
        #[test]
        fn any_image_and_id_give_a_digest_without_a_panic(image in "\\PC{0,30}", id in "[a-z0-9:@/.-]{0,90}") {
            let _ = digest(&image, &id);
        }
    }
}
