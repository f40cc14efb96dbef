//! What containers and pods are called, from what runtimes and the kubelet keep on disk. No runtime is asked, and none of
//! these folders has to be there: names only make a report easier to read.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::processes::shown;
use super::{folder, input};
use crate::model::bounds;

const DOCKER: &str = "/var/lib/docker/containers";
const CONTAINERD: &str = "/run/containerd/io.containerd.runtime.v2.task";
/// Of Podman and CRI-O, by storage driver; the name of a container stands in a list in the same folder.
const STORAGE: [&str; 3] = [
    "/var/lib/containers/storage/overlay-containers",
    "/run/containers/storage/overlay-containers",
    "/var/lib/containers/storage/vfs-containers",
];
const LOGS: &str = "/var/log/pods";

/// Where names are looked for, for whoever finds none.
pub(super) const LOOKED_IN: &str = "/var/lib/docker/containers, /run/containerd, /var/lib/containers/storage";

/// Names as far as they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// The container's name.
    pub(super) container: Option<String>,
    /// Namespace and name of its pod.
    pub(super) pod: Option<(String, String)>,
    /// Whether it only holds the pod's namespaces.
    pub(super) sandbox: bool,
}

/// Names of everything on this machine, each looked up once.
#[derive(Debug)]
pub(super) struct Names {
    /// Namespace and name by pod uid.
    pods: BTreeMap<String, (String, String)>,
    /// Name by container id, of Podman and CRI-O.
    stored: BTreeMap<String, String>,
    /// Folders of containerd, one for each of its namespaces.
    tasks: Vec<String>,
}

impl Names {
    /// Reads the lists.
    pub(super) fn read() -> Self {
        let pods = folders(LOGS).iter().filter_map(|folder| pod_folder(folder)).collect();
        let lists = STORAGE.iter().filter_map(|folder| json(&format!("{folder}/containers.json")));
        Self { pods, stored: lists.flat_map(|list| stored(&list)).collect(), tasks: folders(CONTAINERD) }
    }

    /// Namespace and name of a pod.
    pub(super) fn pod(&self, uid: &str) -> Option<(String, String)> {
        self.pods.get(uid).cloned()
    }

    /// The names of a container, by its id.
    pub(super) fn container(&self, id: &str) -> Named {
        let task = || self.tasks.iter().find_map(|task| json(&format!("{CONTAINERD}/{task}/{id}/config.json")));
        let kept = || STORAGE.iter().find_map(|folder| json(&format!("{folder}/{id}/userdata/config.json")));
        let docker = || json(&format!("{DOCKER}/{id}/config.v2.json"));
        let mut named = docker().map(|config| of_docker(&config)).or_else(|| Some(of_bundle(&task().or_else(kept)?)));
        let named = named.get_or_insert_default();
        named.container = named.container.take().or_else(|| self.stored.get(id).cloned());
        std::mem::take(named)
    }
}

/// A folder of /var/log/pods: `NAMESPACE_NAME_UID`. Names of namespaces and pods hold no underscore.
fn pod_folder(folder: &str) -> Option<(String, (String, String))> {
    let mut parts = folder.split('_');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(namespace), Some(name), Some(uid), None) => Some((uid.to_owned(), (shown(namespace), shown(name)))),
        _ => None,
    }
}

/// Docker's config.v2.json. Under cri-dockerd its labels name the pod.
fn of_docker(config: &Value) -> Named {
    let labels = config.pointer("/Config/Labels");
    let label = |key: &str| Some(shown(labels?.get(key)?.as_str()?));
    let name = config.get("Name").and_then(Value::as_str).map(|name| shown(name.trim_start_matches('/')));
    Named {
        container: label("io.kubernetes.container.name").or(name),
        pod: label("io.kubernetes.pod.namespace").zip(label("io.kubernetes.pod.name")),
        sandbox: label("io.kubernetes.docker.type").as_deref() == Some("podsandbox"),
    }
}

/// The annotations of an OCI bundle: those of containerd's CRI, or those of CRI-O.
fn of_bundle(config: &Value) -> Named {
    let annotations = config.get("annotations");
    let first = |keys: [&str; 2]| keys.iter().find_map(|key| Some(shown(annotations?.get(key)?.as_str()?)));
    let kind = first(["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"]);
    Named {
        container: first(["io.kubernetes.cri.container-name", "io.kubernetes.container.name"]),
        pod: first(["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"])
            .zip(first(["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"])),
        sandbox: kind.as_deref() == Some("sandbox"),
    }
}

/// The containers.json of containers/storage: a list of ids, each with names.
fn stored(list: &Value) -> Vec<(String, String)> {
    let entry = |entry: &Value| {
        let id = entry.get("id")?.as_str()?.to_owned();
        Some((id, shown(entry.pointer("/names/0")?.as_str()?)))
    };
    list.as_array().into_iter().flatten().filter_map(entry).collect()
}

/// Takes any bytes as the state of each runtime.
#[cfg(fuzzing)]
pub(super) fn any(bytes: &[u8]) {
    if let Ok(state) = serde_json::from_slice(bytes) {
        let _ = (of_docker(&state), of_bundle(&state), stored(&state));
    }
    pod_folder(&String::from_utf8_lossy(bytes));
}

fn json(path: &str) -> Option<Value> {
    serde_json::from_slice(&input::read(Path::new(path), bounds::STATE_FILE.most).ok()?).ok()
}

fn folders(path: &str) -> Vec<String> {
    let entries = folder::entries(path).into_iter().flatten();
    entries.filter_map(|entry| Some(folder::name(&entry.ok()?).to_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_state_of_each_runtime_names_the_container() {
        let docker = of_docker(&json!({ "Name": "/web", "Config": { "Labels": {} } }));
        assert_eq!(docker, Named { container: Some("web".into()), ..Named::default() });
        let pod = Some(("shop".to_owned(), "cart-0".to_owned()));
        let containerd = of_bundle(&json!({ "annotations": {
            "io.kubernetes.cri.container-name": "app", "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.sandbox-name": "cart-0", "io.kubernetes.cri.sandbox-namespace": "shop" } }));
        assert_eq!(containerd, Named { container: Some("app".into()), pod: pod.clone(), sandbox: false });
        let crio = of_bundle(&json!({ "annotations": {
            "io.kubernetes.cri-o.ContainerType": "sandbox",
            "io.kubernetes.pod.name": "cart-0", "io.kubernetes.pod.namespace": "shop" } }));
        assert_eq!(crio, Named { container: None, pod, sandbox: true });
        let podman = stored(&json!([{ "id": "ab", "names": ["web"] }, { "id": "cd" }, 7]));
        assert_eq!(podman, [("ab".to_owned(), "web".to_owned())]);
    }

    #[test]
    fn state_of_any_other_form_names_nothing() {
        for odd in [json!(null), json!([]), json!({ "Name": 7, "annotations": [], "Config": "" })] {
            assert_eq!((of_docker(&odd), of_bundle(&odd), stored(&odd)), Default::default());
        }
    }

    #[test]
    fn a_hostile_name_is_made_harmless() {
        assert_eq!(of_docker(&json!({ "Name": "/a\u{1b}[2J\nb" })).container, Some("a?[2J?b".into()));
        assert_eq!(pod_folder("shop_cart\u{1b}-0_uid"), Some(("uid".into(), ("shop".into(), "cart?-0".into()))));
        assert_eq!((pod_folder("a_b"), pod_folder("a_b_c_d")), (None, None));
    }
}
