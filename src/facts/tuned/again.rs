//! What TuneD applies again after its profile: the lines of sysctl.d below /run and /etc, and those of /etc/sysctl.conf last
//! of all (`_apply_system_sysctl` of its plugin_sysctl.py).

use super::setting;
use crate::facts::text;
use crate::host::{Host, Refusal};
use crate::model::sysctl::pattern;

pub(super) const MAIN: &str = "/etc/tuned/tuned-main.conf";

/// What tuned-main.conf(5) says of it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::facts) struct Again {
    pub(super) is_on: bool,
    /// Patterns of names that are left alone (`reapply_sysctl_exclude`, since TuneD 2.27).
    except: Vec<String>,
}

impl Again {
    /// On and without exceptions where nothing is said.
    pub(super) fn of(host: &dyn Host) -> Result<Self, Refusal> {
        let mut again = Self { is_on: true, except: Vec::new() };
        let bytes = match host.read(MAIN) {
            Err(refusal) if refusal.is_absent() => return Ok(again),
            answer => answer?,
        };
        for (key, value) in text(&bytes).lines().filter_map(setting) {
            match key {
                "reapply_sysctl" => again.is_on = !is_off(value),
                "reapply_sysctl_exclude" => {
                    let names = value.split([',', ';']).map(str::trim).filter(|name| !name.is_empty());
                    again.except = names.map(str::to_owned).collect();
                }
                _ => {}
            }
        }
        Ok(again)
    }

    /// Whether a line of this name is applied again, if it lies where TuneD reads.
    pub(in crate::facts) fn takes(&self, name: &str) -> bool {
        self.is_on && !self.is_excepted(name)
    }

    fn is_excepted(&self, name: &str) -> bool {
        self.except.iter().any(|except| pattern::fits(except, name))
    }

    /// By which setting no line for a sysctl is applied again; none where one would be.
    pub(super) fn refused_by(&self, name: &str) -> Option<&'static str> {
        match self.is_on {
            false => Some("reapply_sysctl = 0"),
            true => self.is_excepted(name).then_some("reapply_sysctl_exclude"),
        }
    }
}

fn is_off(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "0" | "false" | "no" | "off" | "n")
}
