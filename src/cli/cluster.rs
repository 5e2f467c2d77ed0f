//! Arguments that name a cluster, and the client made from them.

use super::environment::Environment;
use super::error::CliError;
use crate::cluster::{Chosen, Cluster, KubeconfigError, Kubeconfigs};
use std::path::PathBuf;

/// Which cluster is asked, and as whom. It is only read.
#[derive(clap::Args)]
pub struct Reaching {
    /// Ask a running cluster, through this kubeconfig [default: KUBECONFIG, or ~/.kube/config]
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "")]
    from_kubeconfig: Option<String>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME", requires = "from_kubeconfig")]
    context: Option<String>,
    /// Look at this namespace only; repeatable [default: all]
    #[arg(long = "namespace", value_name = "NAME", requires = "from_kubeconfig")]
    namespaces: Vec<String>,
    /// File with a token that is shown in place of the user's own login
    #[arg(long, value_name = "FILE", requires = "from_kubeconfig")]
    token_file: Option<PathBuf>,
}

/// A cluster with the name of its context.
pub struct Reached {
    /// Client.
    pub cluster: Cluster,
    /// Name of the context.
    pub context: String,
}

impl Reaching {
    /// Returns whether a cluster is named.
    pub const fn is_given(&self) -> bool {
        self.from_kubeconfig.is_some()
    }

    /// Makes the client.
    pub fn reach(&self, environment: &Environment) -> Result<Reached, CliError> {
        for name in &self.namespaces {
            let label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if name.is_empty() || name.len() > 63 || !name.bytes().all(label) {
                return Err(CliError::usage(format!("{name:?} is no name of a namespace")));
            }
        }
        let paths = self.paths(environment);
        if paths.is_empty() {
            return Err(CliError::usage("no kubeconfig is named, and there is no home folder to look in")
                .with_hint("name one: --from-kubeconfig FILE"));
        }
        let chosen = Chosen { context: self.context.clone(), token_file: self.token_file.clone() };
        let access = Kubeconfigs::read(&paths).and_then(|files| files.access(&chosen)).map_err(refused)?;
        let context = access.context.clone();
        let cluster = Cluster::new(access, self.namespaces.clone());
        let cluster = cluster.map_err(|fault| CliError::usage(fault.to_string()))?;
        Ok(Reached { cluster, context })
    }

    fn paths(&self, environment: &Environment) -> Vec<PathBuf> {
        match self.from_kubeconfig.as_deref() {
            Some("") | None => environment.kubeconfigs(),
            Some(path) => vec![PathBuf::from(path)],
        }
    }
}

fn refused(error: KubeconfigError) -> CliError {
    let hint = match &error {
        KubeconfigError::Program { .. } => {
            "`kubectl create token NAME --namespace NAMESPACE` makes a token of a service account that may list pods"
        }
        KubeconfigError::Read { .. } => "name a kubeconfig: --from-kubeconfig FILE",
        _ => "",
    };
    let told = CliError::usage(error.to_string());
    if hint.is_empty() { told } else { told.with_hint(hint) }
}
