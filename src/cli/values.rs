//! Values of arguments: what is taken, and what is said of the rest.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use http::Uri;

use crate::model::peer::Origin;
use crate::model::version::Version;
use crate::remedy::target::{KUBERNETES, TARGETS, is_service};

pub(super) fn targets() -> PossibleValuesParser {
    TARGETS.iter().map(|target| PossibleValue::new(target.name).help(target.about)).collect::<Vec<_>>().into()
}

/// A Kubernetes release from the oldest on whose rules are known here. Of one that is newer than the newest
/// [`target::newer`](crate::remedy::target::newer) says so.
pub(super) fn release(text: &str) -> Result<Version, String> {
    let release: Version = text.parse()?;
    let ((major, minor), newest) = KUBERNETES;
    // What begins with another number is more likely a slip than a release.
    match release.major == major && release.minor >= minor {
        true => Ok(release),
        false => Err(format!("known are {major}.{minor} to {}.{}; a newer one counts as the last", newest.0, newest.1)),
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

/// Where a URL leads; a bare host is one of https. Path and query are passed over: no request is sent.
pub(super) fn origin(text: &str) -> Result<Origin, String> {
    const WANTED: &str = "https://HOST, https://HOST:PORT, or http://HOST:PORT for HTTP/2 in cleartext";
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let uri: Uri = whole.parse().map_err(|_| match text.is_ascii() {
        true => WANTED.to_owned(),
        false => "a name with other letters than ASCII is written as in DNS: xn--...".to_owned(),
    })?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(WANTED.to_owned()),
    };
    let authority = uri.authority().ok_or(WANTED)?;
    if authority.as_str().contains('@') {
        return Err("nothing but host and port is used: leave user and password out".to_owned());
    }
    let (host, port) = (authority.host(), authority.port().map(|port| port.as_u16()));
    if host.is_empty() {
        return Err(WANTED.to_owned());
    }
    // A port that is none leaves a colon behind.
    if (port.is_none() && authority.as_str().len() > host.len()) || port == Some(0) {
        return Err("its port is wrong: behind the colon stands a number from 1 to 65535".to_owned());
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    Ok(Origin { tls, host, port: port.unwrap_or(if tls { 443 } else { 80 }) })
}

/// A literal address, with a port or without.
pub(super) fn address(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match (bare.parse(), text.parse::<SocketAddr>()) {
        (Ok(address), _) => Ok((address, None)),
        (_, Ok(socket)) if socket.port() > 0 => Ok((socket.ip(), Some(socket.port()))),
        _ => Err("an address such as 203.0.113.7, 203.0.113.7:8443 or [2001:db8::7]:8443; names are not looked up"
            .to_owned()),
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

/// A rate per second in thousandths: `500`, `0.5`, `20k`.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    if let Ok(whole) = count(text) {
        return Ok(whole * 1000);
    }
    let told = || format!("a number per second from 0.001 to {MOST}, such as 500, 0.5 or 20k");
    let (whole, part) = text.split_once('.').filter(|(whole, _)| whole.len() < 10).ok_or_else(told)?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (digits(whole), digits(part), whole.parse::<u64>(), format!("{part:0<3}").get(..3).map(str::parse::<u64>)) {
        (true, true, Ok(whole), Some(Ok(part))) if whole + part > 0 => Ok(whole * 1000 + part),
        _ => Err(told()),
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
    // Nobody means 10 bits per second by 10.
    number.filter(|number| (1_000_000..=100_000_000_000_000).contains(number)).ok_or_else(|| told.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_scheme_host_and_port_count() {
        let shown = |text: &str| origin(text).map(|origin| origin.to_string());
        assert_eq!(shown("api.example.com").as_deref(), Ok("https://api.example.com:443"));
        assert_eq!(shown("API.example.com:8443/v1?key=1").as_deref(), Ok("https://api.example.com:8443"));
        assert_eq!(shown("http://[::1]:8080/").as_deref(), Ok("http://[::1]:8080"));
        assert_eq!(shown("10.0.0.1").as_deref(), Ok("https://10.0.0.1:443"));
        for wrong in
            ["", "ftp://x", "https://", "https://u:p@x", "x:0", "x:99999", "x:", "http://ä.example", "a b", "/x"]
        {
            assert!(shown(wrong).is_err(), "{wrong}: {:?}", shown(wrong));
        }
        for wrong in ["https://localhost:99999", "x:0", "x:", "http://[::1]:http/"] {
            assert!(shown(wrong).is_err_and(|why| why.contains("from 1 to 65535")), "{wrong}: {:?}", shown(wrong));
        }
    }

    #[test]
    fn an_address_is_literal() {
        assert_eq!(address("10.0.0.1"), Ok(("10.0.0.1".parse().unwrap(), None)));
        assert_eq!(address("[::1]:8443"), Ok(("::1".parse().unwrap(), Some(8443))));
        assert_eq!(address("[::1]"), Ok(("::1".parse().unwrap(), None)));
        for wrong in ["", "localhost", "10.0.0.1:0", "10.0.0.1:x", "::1]:1"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
