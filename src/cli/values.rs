//! Values of arguments: what is taken, and what is said of the rest.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::model::version::Version;
use crate::remedy::target::{KUBERNETES, TARGETS, is_service};

pub(super) fn targets() -> PossibleValuesParser {
    TARGETS.iter().map(|target| PossibleValue::new(target.name).help(target.about)).collect::<Vec<_>>().into()
}

/// A Kubernetes release that this tunecheck knows the rules of.
pub(super) fn release(text: &str) -> Result<Version, String> {
    let release: Version = text.parse()?;
    let (oldest, newest) = KUBERNETES;
    let of = |(major, minor)| Version { major, minor, patch: 0 };
    match (of(oldest)..of((newest.0, newest.1 + 1))).contains(&release) {
        true => Ok(release),
        false => Err(format!("known are {}.{} to {}.{}", oldest.0, oldest.1, newest.0, newest.1)),
    }
}

/// A systemd unit by its name; without an ending it is a service.
pub(super) fn unit(text: &str) -> Result<String, String> {
    const OTHERS: [&str; 10] =
        ["socket", "slice", "scope", "target", "timer", "mount", "automount", "path", "swap", "device"];
    if let Some((_, ending)) = text.rsplit_once('.').filter(|(_, ending)| OTHERS.contains(ending)) {
        return Err(format!("a .{ending} has no limit on open files: name the service"));
    }
    let name = if text.ends_with(".service") { text.to_owned() } else { format!("{text}.service") };
    match is_service(&name) && !name.ends_with(".service.service") {
        true => Ok(name),
        false => Err("the name of a service, such as gateway or gateway.service".to_owned()),
    }
}

/// The process to audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pid {
    /// tunecheck, as it was started.
    Own,
    /// The one of this number.
    Of(u32),
}

/// `self`, or the number of a process.
pub(super) fn pid(text: &str) -> Result<Pid, String> {
    match (text, text.parse()) {
        ("self", _) => Ok(Pid::Own),
        (_, Ok(pid @ 1..)) => Ok(Pid::Of(pid)),
        _ => Err("the number of a process, or self".to_owned()),
    }
}

/// A pod by its namespace and its name.
pub(super) fn pod(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(text.to_owned())
        }
        _ => Err("a namespace and a name, as in shop/cart-0 (kubectl get pods -A)".to_owned()),
    }
}

/// A time that can be waited for: `2s`, `500ms`, `1m 30s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}, as in 2s, 500ms or 1m"))?;
    match (Duration::from_millis(10)..=Duration::from_secs(86_400)).contains(&time) {
        true => Ok(time),
        false => Err("from 10ms to a day".to_owned()),
    }
}

/// Most connections anybody can mean.
const MOST: u64 = 1_000_000_000;

/// A number from 1 as people write it: `30000`, `30,000`, `30_000`, `30k`, `1m`.
pub(super) fn count(text: &str) -> Result<u64, String> {
    match count_or_none(text)? {
        0 => Err("it has to be 1 or more".to_owned()),
        number => Ok(number),
    }
}

pub(super) fn count_or_none(text: &str) -> Result<u64, String> {
    let plain = text.replace([',', '_'], "").to_lowercase();
    let (digits, unit) = match (plain.strip_suffix('k'), plain.strip_suffix('m')) {
        (Some(digits), _) => (digits, 1000),
        (_, Some(digits)) => (digits, 1_000_000),
        _ => (plain.as_str(), 1),
    };
    let number = digits.parse().ok().and_then(|number: u64| number.checked_mul(unit));
    number.filter(|&number| number <= MOST).ok_or_else(|| format!("a whole number up to {MOST}, such as 30000 or 30k"))
}

/// A time that something takes: `20s`, `1m 30s`, `5ms`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}, as in 20s, 1m 30s or 5ms"))?;
    match (Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&time) {
        true => Ok(time),
        false => Err("from 1ms to a day".to_owned()),
    }
}

/// The speed of a link as it is sold: `10G`, `2500M`, `100Mbit`.
pub(super) fn bits(text: &str) -> Result<u64, String> {
    let plain = text.to_lowercase();
    let plain = ["bit/s", "bps", "bit"].iter().find_map(|end| plain.strip_suffix(end)).unwrap_or(&plain).trim();
    let (digits, unit) = match (plain.strip_suffix('g'), plain.strip_suffix('m')) {
        (Some(digits), _) => (digits, 1_000_000_000),
        (_, Some(digits)) => (digits, 1_000_000),
        _ => (plain, 1),
    };
    let number = digits.trim().parse().ok().and_then(|number: u64| number.checked_mul(unit));
    let told = "a speed in bits per second, such as 10G or 2500M";
    number.filter(|number| (1..=100_000_000_000_000).contains(number)).ok_or_else(|| told.to_owned())
}
