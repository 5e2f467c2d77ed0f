//! Floor 3: Helm charts, read and rendered without a network.
//!
//! A [`Chart`] is read from an archive or a folder, within limits and with no path that leads outside. A [`Renderer`]
//! turns it and the values of a cluster into the Kubernetes documents that would be installed: [`HelmProgram`] asks
//! the `helm` program, [`OwnRenderer`] needs none. Both follow Helm 3; `docs/adr/0011` says where the own one differs.
//!
//! | file | what it knows |
//! |---|---|
//! | `metadata` | `Chart.yaml` |
//! | `archive` `folder` `ignore` | where the files of a chart come from |
//! | `load` | what each file of a chart is |
//! | `values` | values as Helm reads and lays them over one another |
//! | `coalesce` `enabled` | which subcharts count, and which values each of them sees |
//! | `version` | versions and ranges as Helm reads them |
//! | `schema` | what a chart says that values have to be |
//! | `render` | what is asked for and what comes out |
//! | `program` | the `helm` program |
//! | `own` `template` `functions` | the own renderer: scope of a chart, the template language, its functions |
//! | `fuzzing` | a hidden door to the own renderer, for its fuzz target |
//!
//! This room knows `document` and `model` only. It opens no socket and reads no clock, no environment and no home
//! folder. A chart is untrusted: what it can cost in time and memory is bounded.

mod archive;
mod coalesce;
mod enabled;
mod folder;
mod functions;
#[doc(hidden)]
pub mod fuzzing;
mod ignore;
mod load;
mod metadata;
mod own;
mod program;
mod render;
mod schema;
mod template;
mod values;
mod version;

pub use load::{Chart, ChartError};
pub use metadata::{ChartKind, Dependency, ImportValues, Metadata};
pub use own::OwnRenderer;
pub use program::HelmProgram;
pub use render::{KubernetesVersion, RenderError, Rendered, RenderedFile, Renderer, Request};
pub use schema::not_checked;
pub use values::{ValuesError, load_values};
pub use version::{Constraint, Version, in_range};
