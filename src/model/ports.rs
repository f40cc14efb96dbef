//! Sets of port numbers, in the kernel's own notation (`22,8080,30000-32767`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A set of ports as sorted, disjoint, inclusive ranges.
///
/// The notation is that of `net.ipv4.ip_local_reserved_ports`
/// (<https://docs.kernel.org/networking/ip-sysctl.html>).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports(Vec<(u16, u16)>);

impl Ports {
    /// The set of all ports from `low` to `high`, both included; empty if `low > high`.
    pub fn range(low: u16, high: u16) -> Self {
        Self::merged(vec![(low, high)])
    }

    /// The ranges, ascending and disjoint.
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.0
    }

    /// Whether no port is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a port is in the set.
    pub fn contains(&self, port: u16) -> bool {
        let above = self.0.partition_point(|&(low, _)| low <= port);
        above.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|&(_, high)| port <= high)
    }

    /// How many ports are in the set.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|&(low, high)| u32::from(high) - u32::from(low) + 1).sum()
    }

    /// Ports in either set.
    pub fn union(&self, other: &Self) -> Self {
        Self::merged(self.0.iter().chain(&other.0).copied().collect())
    }

    /// Ports in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut common = Vec::new();
        while let (Some(&&(a, b)), Some(&&(c, d))) = (ours.peek(), theirs.peek()) {
            common.push((a.max(c), b.min(d)));
            // The one that ends first meets nothing more.
            if b < d {
                ours.next()
            } else {
                theirs.next()
            };
        }
        Self::merged(common)
    }

    /// Ports of this set that `other` lacks.
    pub fn difference(&self, other: &Self) -> Self {
        self.intersection(&other.complement())
    }

    /// Every other port.
    fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut next = Some(0);
        for &(low, high) in &self.0 {
            gaps.extend(next.zip(low.checked_sub(1)));
            next = high.checked_add(1);
        }
        gaps.extend(next.map(|next| (next, u16::MAX)));
        Self::merged(gaps)
    }

    fn merged(mut ranges: Vec<(u16, u16)>) -> Self {
        ranges.retain(|&(low, high)| low <= high);
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if u32::from(low) <= u32::from(last.1) + 1 => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        Self(merged)
    }
}

impl FromIterator<(u16, u16)> for Ports {
    fn from_iter<I: IntoIterator<Item = (u16, u16)>>(ranges: I) -> Self {
        Self::merged(ranges.into_iter().collect())
    }
}

impl FromIterator<u16> for Ports {
    fn from_iter<T: IntoIterator<Item = u16>>(ports: T) -> Self {
        Self::merged(ports.into_iter().map(|port| (port, port)).collect())
    }
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |s: &str| s.trim().parse::<u16>().map_err(|_| format!("{s:?} is not a port"));
        let mut ranges = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let (low, high) = (port(low)?, port(high)?);
            if low > high {
                return Err(format!("range {part:?} runs backwards"));
            }
            ranges.push((low, high));
        }
        Ok(Self::merged(ranges))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, &(low, high)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if low == high { write!(f, "{comma}{low}")? } else { write!(f, "{comma}{low}-{high}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> Ports {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_prints_the_kernels_notation() {
        assert_eq!(ports("10-10,1,2-4\n").to_string(), "1-4,10");
        assert_eq!(ports("").to_string(), "");
        assert!("65536".parse::<Ports>().is_err());
        assert!("9-3".parse::<Ports>().is_err());
    }

    #[test]
    fn set_arithmetic_keeps_the_ends() {
        let range = ports("32768-60999");
        assert_eq!(range.difference(&ports("40000-40009,60999")).to_string(), "32768-39999,40010-60998");
        assert_eq!(range.intersection(&ports("22,60000-65535")).to_string(), "60000-60999");
        assert_eq!(ports("1-5").union(&ports("6-9")).to_string(), "1-9");
        assert_eq!(ports("0-65535").count(), 65536);
        assert!(["22", "60000", "65535"].iter().all(|port| ports("22,60000-65535").contains(port.parse().unwrap())));
        assert!(["21", "23", "59999"].iter().all(|port| !ports("22,60000-65535").contains(port.parse().unwrap())));
        assert!(ports("5-6").difference(&ports("0-65535")).is_empty());
        let even: Ports = (0..=u16::MAX).step_by(2).collect();
        let odd = ports("0-65535").difference(&even);
        assert_eq!((even.count(), odd.count(), even.intersection(&odd).count()), (32_768, 32_768, 0));
        assert_eq!(
            (odd.contains(65535), odd.contains(0), odd.difference(&ports("0-9")).count()),
            (true, false, 32_763)
        );
        assert_eq!(even.intersection(&ports("5-11,65534")).to_string(), "6,8,10,65534");
    }
}
