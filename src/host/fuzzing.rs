//! The parsers of bytes of others that nothing outside of `host` calls, for tests/fuzz. No build but that one has them.

use super::member::Member;
use super::{fd_use, names, peer, redacted, runtime};

/// Takes any bytes.
pub type Parser = fn(&[u8]);

/// Every one of them, by name.
pub fn parsers() -> impl Iterator<Item = (&'static str, Parser)> {
    const HERE: [(&str, Parser); 4] = [
        ("cgroup", |bytes| drop(Member::of(&String::from_utf8_lossy(bytes)))),
        ("container-state", names::any),
        ("limits", |bytes| assert!(fd_use::soft_in(bytes).is_none() || bytes.len() > 14)),
        ("redacted", redact),
    ];
    HERE.into_iter().chain(runtime::PARSERS).chain(peer::PARSERS)
}

/// What a recording keeps of a unit, of a boot file and of the kernel's command line holds no byte that was not there, and
/// each line where it was.
fn redact(bytes: &[u8]) {
    for path in ["/etc/systemd/system/a.service", "/etc/sysctl.d/a.conf", "/proc/cmdline"] {
        let kept = redacted::kept(path, bytes);
        assert!(kept.len() <= bytes.len());
    }
}
