//! Kernel and Kubernetes releases, compared by number.

use std::fmt;
use std::str::FromStr;

use databake::Bake;
use serde::{Deserialize, Serialize};

/// The newest Kubernetes release whose rules are known here; a newer one is judged as this one.
pub const NEWEST_KUBERNETES: Version = Version { major: 1, minor: 37, patch: 0 };

/// The leading numbers of a release such as `6.12.107+deb13-cloud-amd64` or `v1.29`.
#[derive(Bake, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[databake(path = crate::model::version)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number; zero if it is not given.
    pub minor: u32,
    /// Third number; zero if it is not given.
    pub patch: u32,
}

impl Version {
    /// Whether it is a later release than another one, and not only a later patch of it.
    pub fn is_later_release(self, than: Self) -> bool {
        (self.major, self.minor) > (than.major, than.minor)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut numbers = text.trim().trim_start_matches('v').splitn(3, '.').map(|part| {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part.get(..end).and_then(|digits| digits.parse::<u32>().ok())
        });
        match numbers.next().flatten() {
            Some(major) => Ok(Self {
                major,
                minor: numbers.next().flatten().unwrap_or(0),
                patch: numbers.next().flatten().unwrap_or(0),
            }),
            None => Err(format!("{text:?} does not start with a version number")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.patch > 0 { write!(f, ".{}", self.patch) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_by_number_not_by_text() {
        let v = |text: &str| text.parse::<Version>().unwrap();
        assert!(v("5.10.0-32-cloud-amd64") > v("5.9"));
        assert!(v("6.12.107+deb13") < v("6.18"));
        assert_eq!(v("v1.29"), v("1.29.0"));
        assert_eq!(v("7.2.12").to_string(), "7.2.12");
        assert!("linux".parse::<Version>().is_err());
        assert!("".parse::<Version>().is_err());
    }
}
