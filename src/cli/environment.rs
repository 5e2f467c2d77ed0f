//! What the program was started with: variables, terminal, the wish to stop. Collected once, by `main`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Surroundings of the program.
pub struct Environment {
    /// Environment variables that are valid text.
    pub variables: BTreeMap<String, String>,
    /// Whether standard error is a terminal.
    pub terminal: bool,
    /// Set once the program was asked to stop.
    pub stop: Arc<AtomicBool>,
}

impl Environment {
    /// Returns the variable `name`; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns the program that `variable` names, or the first file called `name` in the search path.
    pub fn program(&self, variable: &str, name: &str) -> Option<PathBuf> {
        if let Some(named) = self.get(variable) {
            return Some(PathBuf::from(named));
        }
        std::env::split_paths(self.get("PATH")?)
            .filter(|folder| !folder.as_os_str().is_empty())
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
    }

    /// Returns the variable `name` in upper case or in lower case, as proxies are named both ways.
    pub fn either(&self, name: &str) -> Option<&str> {
        self.get(&name.to_lowercase()).or_else(|| self.get(name))
    }

    /// Returns the places where a kubeconfig is kept: those that `KUBECONFIG` lists, or the one in the home folder.
    pub fn kubeconfigs(&self) -> Vec<PathBuf> {
        match (self.get("KUBECONFIG"), self.get("HOME")) {
            (Some(list), _) => std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty()).collect(),
            (None, Some(home)) => vec![PathBuf::from(home).join(".kube/config")],
            (None, None) => Vec::new(),
        }
    }

    /// Returns the places where container tools keep credentials, in the order of their precedence.
    pub fn auth_files(&self) -> Vec<PathBuf> {
        let home = self.get("HOME").map(PathBuf::from);
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let below = |name: &str, path: &str| self.get(name).map(|folder| PathBuf::from(folder).join(path));
        let candidates = [
            self.get("AIRLIFT_AUTH_FILE").map(PathBuf::from),
            self.get("REGISTRY_AUTH_FILE").map(PathBuf::from),
            below("XDG_RUNTIME_DIR", "containers/auth.json"),
            below("XDG_CONFIG_HOME", "containers/auth.json").or_else(|| below_home(".config/containers/auth.json")),
            below("DOCKER_CONFIG", "config.json").or_else(|| below_home(".docker/config.json")),
        ];
        candidates.into_iter().flatten().collect()
    }
}
