//! Values of sysctls that are no value of that sysctl: the kernel refuses them, and the pod's sandbox is never made.

use super::pods::{Spec, fault};
use super::shown;
use super::sysctls::Sysctl;
use crate::model::finding::Outcome;
use crate::model::manifest::Fault;
use crate::model::pod_sysctl::RESERVED;
use crate::model::ports::Ports;

/// Sysctls below net.ipv4.tcp_ that are not one number.
const OTHERS: [&str; 6] = [
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_allowed_congestion_control",
    "net.ipv4.tcp_fastopen_key",
];

pub(super) fn judge(spec: &Spec<'_>, sysctls: &[Sysctl<'_>], faults: &mut Vec<Fault>) {
    for sysctl in sysctls.iter().filter(|sysctl| !sysctl.value.trim().is_empty()) {
        let wanted = match sysctl.name.as_str() {
            RESERVED if sysctl.value.parse::<Ports>().is_err() => {
                "ports and ranges of them up to 65535, such as \"8080,9000-9010\""
            }
            "net.ipv4.ip_unprivileged_port_start" if !is_in(sysctl.value, 0, 65_535) => "a port from 0 to 65535",
            name if is_number(name) && !is_in(sysctl.value, i64::from(i32::MIN), i64::from(u32::MAX)) => {
                "one whole number"
            }
            _ => continue,
        };
        let says = format!("{} is no value of {}: the kernel refuses it", shown(sysctl.value), sysctl.name);
        faults.push(fault("sysctl-value", Outcome::Fail, sysctl.mark, spec.subject(), [says, wanted.to_owned()]));
    }
}

fn is_number(name: &str) -> bool {
    name == "net.core.somaxconn" || (name.starts_with("net.ipv4.tcp_") && !OTHERS.contains(&name))
}

/// Whether the first word is a number within these bounds, as the kernel reads numbers: decimal, 0x or 0.
fn is_in(value: &str, least: i64, most: i64) -> bool {
    let word = value.split_ascii_whitespace().next().unwrap_or_default();
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
    let number = match (digits.strip_prefix("0x"), digits.strip_prefix('0').filter(|rest| !rest.is_empty())) {
        (Some(hex), _) => i64::from_str_radix(hex, 16),
        (None, Some(octal)) => i64::from_str_radix(octal, 8),
        (None, None) => digits.parse(),
    };
    // A second sign would be taken by parse().
    digits.starts_with(|c: char| c.is_ascii_digit())
        && number.is_ok_and(|number| (least..=most).contains(&(sign * number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_kernel_reads_them() {
        for good in ["60", "-1", "0x10", "010", " 7 extra", "4294967295"] {
            assert!(is_in(good, i64::from(i32::MIN), i64::from(u32::MAX)), "{good}");
        }
        for bad in ["abc", "70000", "1.5", "--1", "0x", "9".repeat(30).as_str()] {
            assert!(!is_in(bad, 0, 65_535), "{bad}");
        }
    }
}
