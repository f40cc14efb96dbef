//! What is typed to judge manifests.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Color, FailOn, LoadArgs, PodSecurity};
use crate::cli::values::release;
use crate::model::version::Version;

pub(super) const EXAMPLES: &str = "\
Examples:
  tunecheck manifest deploy/                                 every .yaml, .yml and .json at or below it
  helm template CHART | tunecheck manifest -
  kubectl kustomize overlays/production | tunecheck manifest - --kubernetes-version 1.34 --pod-security baseline
  tunecheck manifest deploy/ --burst 2000 --connections 30000     also whether sysctls carry this load
  tunecheck manifest deploy/ --format github                 annotations of a pull request

Pods are judged wherever they lie in an object, of whatever kind; kinds without one are counted, and so are files that
are no manifests. Templates are unknown until they are filled in.
No value of an environment variable and no argument is printed but the JVM's heap options.

Exit codes: 0 the gate holds; 1 the gate trips; 2 a file could not be read.";

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct ManifestArgs {
    /// Files, folders, or - for standard input
    #[arg(required = true, value_name = "FILE|-")]
    pub(in crate::cli) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) load: LoadArgs,
    /// The oldest kubelet that may run the pods: it decides which sysctls are safe (kubectl get nodes)
    #[arg(long, value_name = "RELEASE", help_heading = "Cluster", value_parser = release)]
    pub(in crate::cli) kubernetes_version: Option<Version>,
    /// The Pod Security level that the pods' namespace enforces
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL", help_heading = "Cluster")]
    pub(in crate::cli) pod_security: PodSecurity,
    /// What the kubelets of the pods' nodes allow, as in their configuration (net.core.somaxconn, net.*)
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = "Cluster")]
    pub(in crate::cli) allowed_unsafe_sysctls: Vec<String>,

    /// table for people, json for programs, github for a workflow's annotations
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub(in crate::cli) format: ManifestFormat,
    /// Colour: auto asks the terminal and NO_COLOR
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = "Output")]
    pub(in crate::cli) color: Color,
    /// Exit 1 on: a fail; warn, also a warn; unknown, also what could not be told; never
    #[arg(long, value_enum, default_value_t, value_name = "OUTCOME", help_heading = "Output")]
    pub(in crate::cli) fail_on: FailOn,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ManifestFormat {
    #[default]
    Table,
    Json,
    Github,
}
