//! The output of `sysctl -a`, as a host that knows nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use nix::errno::Errno;
use thiserror::Error;

use super::{Answer, Ask, Host, Query, Refusal};
use crate::model::bounds;
use crate::model::sysctl;

/// Families that a whole `sysctl -a` of any kernel has.
const FAMILIES: [&str; 4] = ["fs.", "kernel.", "net.", "vm."];
/// Fewer names than this are no whole dump: the smallest seen, of a 5.10 kernel in a network namespace, has some 600.
const WHOLE: usize = 300;
/// The name of one boot of one machine: two of them tell most plainly that there are two dumps.
const BOOT: &str = "kernel.random.boot_id";
/// How files begin that other programs packed.
const PACKED: [(&[u8], &str); 4] =
    [(b"\xfd7zXZ", "xz"), (b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"PK\x03\x04", "zip")];

/// A parsed dump. Lines that are not `name = value` are counted and left out, but for those in which sysctl(8) speaks
/// itself.
#[derive(Debug, Default)]
pub struct Dump {
    name: String,
    values: BTreeMap<String, String>,
    /// What sysctl(8) was not allowed to read.
    denied: BTreeSet<String>,
    odd_lines: usize,
    /// Whether what it lacks the kernel or the namespace lacks too.
    whole: bool,
}

/// Why bytes are no dump of a machine.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum NoDump {
    /// Two lines that are apart, counted from 1, give one name two values.
    #[error(
        "this is more than one dump: lines {} and {} give one name two values. Give each dump its own file",
        .0[0],
        .0[1]
    )]
    TwoDumps([usize; 2]),
    /// Packed by something that is not unpacked here.
    #[error("it is packed with {0}: unpack it first")]
    Packed(&'static str),
    /// Packed by gzip, and broken, or too large when unpacked.
    #[error("it is packed with gzip and cannot be unpacked: {0}")]
    Broken(String),
}

/// A line that stands for a value.
struct Line<'a> {
    number: usize,
    value: &'a str,
}

impl Dump {
    /// Parses a dump of any bytes: UTF-8 or UTF-16, as it is or packed by gzip. `name` is what the report calls it.
    ///
    /// # Errors
    /// [`NoDump`]: no one machine can have said this, or it cannot be unpacked here.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, NoDump> {
        let text = text(bytes)?;
        let mut dump = Self { name: name.to_owned(), ..Self::default() };
        let mut last: BTreeMap<&str, Line<'_>> = BTreeMap::new();
        let mut twice: Option<NoDump> = None;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            if let Some(said) = line.trim_start().strip_prefix("sysctl: ") {
                dump.denied.extend(denied(said).map(sysctl::path));
                continue;
            }
            let pair = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
            let Some((key, value)) = pair.filter(|(key, _)| !key.is_empty() && !key.contains(char::is_whitespace))
            else {
                dump.odd_lines += 1;
                continue;
            };
            let number = index + 1;
            let path = sysctl::path(key);
            let before = last.insert(key, Line { number, value });
            match before {
                // A value of several lines is printed as so many lines, one after the other.
                Some(before) if before.number + 1 == number => {
                    let whole = dump.values.entry(path).or_default();
                    whole.push('\n');
                    whole.push_str(value);
                }
                Some(before) if before.value != value && (twice.is_none() || key == BOOT) => {
                    twice = Some(NoDump::TwoDumps([before.number, number]));
                }
                _ => {
                    dump.values.insert(path, value.to_owned());
                }
            }
        }
        match twice {
            Some(twice) => return Err(twice),
            None => dump.whole = dump.missing().is_empty(),
        }
        Ok(dump)
    }

    /// Whether there is no value at all in it.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What was read at a path below /proc/sys, or was not allowed to be; none if the dump does not speak of it.
    pub(super) fn said(&self, path: &str) -> Option<Answer> {
        let denied = || self.denied.contains(path).then_some(Err(Refusal::Errno(Errno::EACCES as i32)));
        self.values.get(path).map(|value| Ok(value.clone().into_bytes())).or_else(denied)
    }

    /// What makes the dump look partial, if anything does.
    fn missing(&self) -> Vec<String> {
        let lacks = |family: &&&str| {
            let folder = format!("/proc/sys/{}/", family.trim_end_matches('.'));
            !self.values.keys().any(|path| path.starts_with(&folder))
        };
        let mut missing: Vec<String> =
            FAMILIES.iter().filter(lacks).map(|family| format!("it has no {family}* names")).collect();
        if self.values.len() < WHOLE {
            missing.push(format!("it has {} names where a whole dump has {WHOLE} and more", self.values.len()));
        }
        if self.odd_lines > 0 {
            missing.push(format!("{} lines are not NAME = VALUE", self.odd_lines));
        }
        missing
    }
}

impl Host for Dump {
    fn ask(&self, query: Query<'_>) -> Answer {
        match query.ask {
            Ask::Read if query.of.starts_with("/proc/sys/") => self.said(query.of).unwrap_or_else(|| {
                Err(match self.whole {
                    true => Refusal::Errno(Errno::ENOENT as i32),
                    false => Refusal::Unsupported("this dump does not hold it".into()),
                })
            }),
            _ => Err(Refusal::Unsupported("a sysctl dump cannot tell".into())),
        }
    }

    fn source(&self) -> String {
        format!("sysctl dump {}", self.name)
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "A sysctl dump holds settings only: limits, listeners, counters, usage, cgroups and boot configuration are unknown."
                .to_owned(),
        ];
        let missing = self.missing();
        if !missing.is_empty() {
            notes.push(format!("The dump looks partial: {}.", missing.join("; ")));
        }
        notes
    }
}

/// The text in the bytes of a file.
fn text(bytes: &[u8]) -> Result<String, NoDump> {
    if let Some((_, program)) = PACKED.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(NoDump::Packed(program));
    }
    if !bytes.starts_with(b"\x1f\x8b") {
        return Ok(decoded(bytes));
    }
    let mut unpacked = Vec::new();
    let packed = flate2::read::MultiGzDecoder::new(bytes);
    match packed.take(bounds::DUMP.most + 1).read_to_end(&mut unpacked) {
        Ok(_) if unpacked.len() as u64 > bounds::DUMP.most => {
            Err(NoDump::Broken(format!("larger than {}", bounds::DUMP)))
        }
        Ok(_) => Ok(decoded(&unpacked)),
        Err(error) => Err(NoDump::Broken(error.to_string())),
    }
}

/// UTF-8, or UTF-16 as PowerShell writes it: told by its mark, or by the zero in its first character.
fn decoded(bytes: &[u8]) -> String {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.as_chunks().0.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [1..=0xff, 0, ..] => wide(bytes, u16::from_le_bytes),
        [0, 1..=0xff, ..] => wide(bytes, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The name that sysctl(8) was not allowed to read, if that is what it says: procps and busybox quote it differently.
fn denied(said: &str) -> Option<&str> {
    let refused = said.to_ascii_lowercase().contains("permission denied");
    let mut words = said
        .split(|c: char| c.is_whitespace() || "'\"\u{2018}\u{2019}".contains(c))
        .map(|word| word.trim_end_matches(':').trim_start_matches("/proc/sys/"));
    words.rfind(|word| refused && (sysctl::is_name(word) || word.contains('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], name: &str) -> Answer {
        Dump::parse("d", bytes).unwrap().ask(Query { ask: Ask::Read, of: name })
    }

    const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";

    #[test]
    fn any_encoding_that_a_dump_is_saved_in_is_read() {
        const TEXT: &str = "net.core.somaxconn = 128\nnet.ipv4.tcp_syncookies = 1\n";
        let wide = |unit: fn(u16) -> [u8; 2]| TEXT.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let (little, big) = (wide(u16::to_le_bytes), wide(u16::to_be_bytes));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, TEXT.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let all = [
            TEXT.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", TEXT.as_bytes()].concat(),
            [b"\xff\xfe".as_slice(), &little].concat(),
            [b"\xfe\xff".as_slice(), &big].concat(),
            little,
            big,
            [packed.clone(), packed.clone()].concat(),
            TEXT.replace('\n', "\r\n").into_bytes(),
        ];
        for bytes in all {
            assert_eq!(read(&bytes, SOMAXCONN), Ok(b"128".to_vec()), "{bytes:x?}");
        }
        assert!(matches!(Dump::parse("d", packed.get(..30).unwrap()), Err(NoDump::Broken(_))));
        assert_eq!(Dump::parse("d", b"\xfd7zXZ\0\0").unwrap_err(), NoDump::Packed("xz"));
    }

    #[test]
    fn what_two_machines_said_is_no_dump() {
        let two = |text: &str| Dump::parse("d", text.as_bytes()).unwrap_err().to_string();
        let said = two(
            "kernel.hostname = a\nkernel.random.boot_id = x\nvm.a = 1\nkernel.hostname = b\n\nkernel.random.boot_id = y\n",
        );
        assert!(said.contains("lines 2 and 6 give one name two values"), "{said}");
        assert!(two("vm.a = 1\nvm.b = 1\nvm.a = 2\n").contains("lines 1 and 3 "));
        // Said twice, and a value of several lines.
        assert_eq!(read(b"vm.a = 1\nvm.b = 2\nvm.a = 1\n", "/proc/sys/vm/a"), Ok(b"1".to_vec()));
        let modes = b"kernel.core_modes = file\nkernel.core_modes = pipe\nkernel.core_modes = socket\n";
        assert_eq!(read(modes, "/proc/sys/kernel/core_modes"), Ok(b"file\npipe\nsocket".to_vec()));
    }

    #[test]
    fn what_sysctl_was_not_allowed_to_read_is_denied_and_no_odd_line() {
        for said in [
            "sysctl: permission denied on key 'net.core.somaxconn'",
            "sysctl: permission denied on key \"net.core.somaxconn\", ignoring",
            "sysctl: reading key \"net.core.somaxconn\": Permission denied",
            "sysctl: error reading key 'net.core.somaxconn': Permission denied",
            "sysctl: cannot stat /proc/sys/net/core/somaxconn: Permission denied",
        ] {
            let dump = Dump::parse("d", format!("vm.a = 1\n{said}\n").as_bytes()).unwrap();
            assert_eq!(dump.odd_lines, 0);
            let answer = dump.ask(Query { ask: Ask::Read, of: SOMAXCONN });
            assert!(answer.is_err_and(|refusal| refusal.is_denied()), "{said}");
        }
        let other = "sysctl: reading key \"net.ipv6.conf.all.stable_secret\": Input/output error\n";
        assert_eq!(Dump::parse("d", other.as_bytes()).unwrap().denied.len(), 0);
    }
}
