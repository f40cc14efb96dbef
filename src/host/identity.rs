//! Who and what the machine is, for the person who opens a recording later.

use serde::{Deserialize, Serialize};
use sysinfo::System;

/// Identity and vitals of the live machine. Informs the reader of a recording; no rule rests on it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Identity {
    /// Host name.
    pub(super) host_name: Option<String>,
    /// Operating system with its version.
    pub(super) os: Option<String>,
    /// Kernel release.
    pub(super) kernel: Option<String>,
    /// Processor architecture.
    pub(super) architecture: String,
    /// Seconds since boot.
    pub(super) uptime: u64,
    /// Bytes of memory.
    pub(super) memory: u64,
    /// Load averages over 1, 5 and 15 minutes.
    pub(super) load: [f64; 3],
}

impl Identity {
    /// Of the machine tunecheck runs on.
    pub(super) fn live() -> Self {
        let memory = System::new().map_or(0, |mut system| {
            system.refresh_memory();
            system.total_memory()
        });
        let load = System::load_average().map_or([0.0; 3], |load| [load.one, load.five, load.fifteen]);
        Self {
            host_name: System::host_name().ok(),
            os: System::long_os_version().ok(),
            kernel: System::kernel_version().ok(),
            architecture: System::cpu_arch(),
            uptime: System::uptime().unwrap_or(0),
            memory,
            load,
        }
    }
}
