//! Parts of a server that have ports and a limit of their own: frontends of `HAProxy`, pools of PHP-FPM.
//!
//! A part leaves as `PORTS=NUMBER`: `80,8000-8010=500`, `80=` where it has no number, `80=?` where that is no number here.

use std::collections::BTreeMap;

/// What is carried from one file to the next: the defaults of `HAProxy`, by their name, and the ones that count.
#[derive(Default)]
pub(super) struct Defaults {
    named: BTreeMap<String, Number>,
    last: Number,
}

/// A number as it is written; none where it is not.
type Number = Option<String>;

/// The frontends in a file of `HAProxy`.
pub(super) fn frontends(text: &str, defaults: &mut Defaults) -> Vec<String> {
    enum Section {
        Defaults(String),
        Frontend,
        Other,
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut section = Section::Other;
    for line in text.lines() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        let after = |mark: &str| {
            let at = words.iter().position(|word| *word == mark)?;
            words.get(at + 1).map(|word| (*word).to_owned())
        };
        match (words.first().copied().unwrap_or_default(), &section) {
            ("defaults", _) => {
                let inherited = after("from").and_then(|name| defaults.named.get(&name).cloned()).flatten();
                let name = words.get(1).filter(|name| **name != "from").copied().unwrap_or_default().to_owned();
                defaults.last = inherited;
                section = Section::Defaults(name);
            }
            ("frontend" | "listen", _) => {
                let from = after("from").and_then(|name| defaults.named.get(&name).cloned());
                let limit = from.unwrap_or_else(|| defaults.last.clone());
                parts.push(Part { limit, ..Part::default() });
                section = Section::Frontend;
            }
            (
                "global" | "backend" | "peers" | "resolvers" | "userlist" | "program" | "cache" | "mailers" | "ring"
                | "log-forward" | "http-errors" | "fcgi-app",
                _,
            ) => section = Section::Other,
            ("maxconn", Section::Defaults(name)) => {
                defaults.last = after("maxconn");
                defaults.named.insert(name.clone(), defaults.last.clone());
            }
            ("maxconn", Section::Frontend) => {
                if let Some(part) = parts.last_mut() {
                    part.limit = after("maxconn");
                }
            }
            ("bind", Section::Frontend) => {
                if let Some(part) = parts.last_mut() {
                    let addresses = words.get(1).copied().unwrap_or_default();
                    part.ports.extend(addresses.split(',').filter_map(port));
                    part.of_binds.push(after("maxconn"));
                }
            }
            _ => {}
        }
    }
    parts.iter().filter_map(Part::told).collect()
}

/// The pools in a file of PHP-FPM, of its sections, keys and values.
pub(super) fn pools<'a>(pairs: impl Iterator<Item = &'a (&'a str, &'a str, &'a str)>) -> Vec<String> {
    let mut pools: BTreeMap<&str, Part> = BTreeMap::new();
    for (section, key, value) in pairs {
        match *key {
            "listen" => pools.entry(section).or_default().ports = port(value).into_iter().collect(),
            "pm.max_children" => pools.entry(section).or_default().limit = Some((*value).to_owned()),
            _ => {}
        }
    }
    pools.values().filter_map(Part::told).collect()
}

#[derive(Default)]
struct Part {
    ports: Vec<String>,
    limit: Number,
    /// The limits of its binds, each of them.
    of_binds: Vec<Number>,
}

impl Part {
    /// None where it has no port: a socket in the file system.
    fn told(&self) -> Option<String> {
        let number = |text: &String| text.parse::<u64>().ok();
        let own = self.limit.as_ref().map(number);
        let binds: Option<Vec<Option<u64>>> = self.of_binds.iter().map(|limit| limit.as_ref().map(number)).collect();
        let together = binds
            .filter(|binds| !binds.is_empty())
            .map(|binds| binds.into_iter().try_fold(0_u64, |sum, one| Some(sum.saturating_add(one?))));
        let least = match (own, together) {
            (Some(Some(one)), Some(Some(other))) => one.min(other).to_string(),
            (Some(Some(one)), None) | (None, Some(Some(one))) => one.to_string(),
            (None, None) => String::new(),
            _ => "?".to_owned(),
        };
        (!self.ports.is_empty()).then(|| format!("{}={least}", self.ports.join(",")))
    }
}

/// The port of an address, or its range of ports: `:80`, `*:80`, `[::]:8000-8010`, `9000`.
fn port(address: &str) -> Option<String> {
    let port = address.rsplit(':').next()?;
    let ends: Vec<&str> = port.split('-').collect();
    (ends.len() <= 2 && ends.iter().all(|end| end.parse::<u16>().is_ok())).then(|| port.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        frontends(text, &mut Defaults::default())
    }

    #[test]
    fn a_frontend_has_its_own_limit_or_that_of_its_defaults() {
        let text = "global\n  maxconn 1500\ndefaults\n  maxconn 900\nfrontend a\n  bind :8082 # x\n  maxconn 100\n\
                    frontend b\n  bind *:80,[::]:443 ssl crt /x\nbackend c\n  maxconn 7\n  server s 127.0.0.1:1 maxconn 50\n\
                    defaults bare\nlisten d\n  bind 10.0.0.1:8000-8010\nlisten e from bare\n  bind /run/x.sock\n  bind :5 maxconn 3\n";
        assert_eq!(of(text), ["8082=100", "80,443=900", "8000-8010=", "5="]);
        assert_eq!(of("frontend a\nbind :80 maxconn 5\nbind :81 maxconn 6\n"), ["80,81=11"]);
        assert_eq!(of("frontend a\nbind :80\nmaxconn \"${MAX}\"\n"), ["80=?"]);
        assert_eq!(of("frontend a\nbind unix@/run/a.sock\nbind fd@3\nmaxconn 5\n"), Vec::<String>::new());
    }

    #[test]
    fn a_pool_has_the_port_that_it_listens_on() {
        let pairs = [
            ("www", "listen", "127.0.0.1:9000"),
            ("www", "pm.max_children", "5"),
            ("own", "pm.max_children", "50"),
            ("own", "listen", "/run/php.sock"),
            ("b", "listen", "9001"),
        ];
        assert_eq!(pools(pairs.iter()), ["9001=", "9000=5"]);
    }
}
