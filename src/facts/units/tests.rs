use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::host::{Answer, Ask, Query, Refusal};

/// Files by path; folders follow from them.
struct Files(BTreeMap<&'static str, &'static str>);

impl Host for Files {
    fn ask(&self, query: Query<'_>) -> Answer {
        let absent = Err(Refusal::Errno(2));
        match query.ask {
            Ask::Read => self.0.get(query.of).map_or(absent, |text| Ok(text.as_bytes().to_vec())),
            Ask::List => {
                let below = |path: &&'static str| path.strip_prefix(query.of)?.strip_prefix('/')?.split('/').next();
                let names: BTreeSet<&str> = self.0.keys().filter_map(below).collect();
                let names: Vec<&str> = names.into_iter().collect();
                if names.is_empty() { absent } else { Ok(names.join("\0").into_bytes()) }
            }
            Ask::Link if self.0.contains_key(query.of) => Err(Refusal::Errno(22)),
            _ => absent,
        }
    }

    fn source(&self) -> String {
        "files".into()
    }
}

fn limits(files: &[(&'static str, &'static str)], unit: &str) -> Result<(i128, i128), Gap> {
    nofile(&Files(files.iter().copied().collect()), unit).map(|has| (has.soft, has.hard))
}

#[test]
fn a_service_that_says_nothing_gets_the_default() {
    let plain = ("/usr/lib/systemd/system/a.service", "[Service]\nExecStart=/bin/a\n");
    assert_eq!(limits(&[plain], "a.service"), Ok((1024, 524_288)));
    let manager = ("/etc/systemd/system.conf", "[Manager]\n#DefaultLimitNOFILE=1:2\nDefaultLimitNOFILE=2048:4096\n");
    assert_eq!(limits(&[plain, manager], "a.service"), Ok((2048, 4096)));
    assert!(limits(&[plain], "b.service").is_err());
}

#[test]
fn the_last_drop_in_counts_and_an_earlier_folder_hides_a_name() {
    let unit = ("/lib/systemd/system/a.service", "[Service]\nLimitNOFILE=1048576\n");
    assert_eq!(limits(&[unit], "a.service"), Ok((1_048_576, 1_048_576)));
    let files = [
        unit,
        ("/etc/systemd/system/a.service.d/50-x.conf", "[Service]\nLimitNOFILE=100:200\n"),
        ("/run/systemd/system/a.service.d/50-x.conf", "[Service]\nLimitNOFILE=7\n"),
        ("/etc/systemd/system/a.service.d/override.conf", "[Service]\nLimitNOFILE=4096:infinity\n"),
    ];
    assert_eq!(limits(&files, "a.service"), Ok((4096, i128::MAX)));
}

#[test]
fn drop_ins_for_many_units_and_joined_lines_count() {
    let unit = ("/lib/systemd/system/gw-a.service", "[Service]\nExecStart=/bin/a\n");
    let of = |path: &'static str, text: &'static str| limits(&[unit, (path, text)], "gw-a.service");
    let high = Ok((1_048_576, 1_048_576));
    assert_eq!(of("/etc/systemd/system/service.d/x.conf", "[Service]\nLimitNOFILE=1048576\n"), high);
    assert_eq!(of("/etc/systemd/system/gw-.service.d/x.conf", "[Service]\nLimitNOFILE=1048576\n"), high);
    assert_eq!(of("/etc/systemd/system/gw-a.service.d/x.conf", "[Service]\nLimitNOFILE= \\\n 1048576\n"), high);
}

#[test]
fn what_systemd_cannot_parse_changes_nothing() {
    let of = |text: &str| assigned(&format!("[Service]\n{text}\n"), "Service", "LimitNOFILE", Some((1, 2)));
    for idle in [
        "LimitNOFILE=",
        "LimitNOFILE=65536 # more",
        "LimitNOFILE=1M",
        "LimitNOFILE=-1",
        "LimitNOFILE=++5",
        "LimitNOFILE=9:8",
        "LimitNOFILE=5:",
        "LimitNOFILE=\"65536\"",
        "LimitNOFILE=99999999999999999999",
        "# \\\n; LimitNOFILE=5",
        "limitnofile=5",
        "[Service\nLimitNOFILE=5",
    ] {
        assert_eq!(of(idle), Some((1, 2)), "{idle}");
    }
    for (text, limits) in [
        ("LimitNOFILE=0x400:infinity", (1024, i128::MAX)),
        ("LimitNOFILE=010", (8, 8)),
        ("LimitNOFILE=5: 6", (5, 6)),
        (" LimitNOFILE = \\\n# no\n 7 \r", (7, 7)),
    ] {
        assert_eq!(of(text), Some(limits), "{text}");
    }
}

#[test]
fn the_unit_that_asks_for_most_is_told_and_infinity_asks_for_nothing() {
    let most = |files: &[(&'static str, &'static str)]| most_asked(&Files(files.iter().copied().collect()));
    assert_eq!(most(&[]), Ok((524_288, "systemd's default".into())));
    let files = [
        ("/usr/lib/systemd/system/containerd.service", "[Service]\nLimitNOFILE=infinity\n"),
        ("/usr/lib/systemd/system/db.service", "[Service]\nLimitNOFILE=1024\n"),
        ("/etc/systemd/system/db.service.d/o.conf", "[Service]\nLimitNOFILE=2000000\n"),
        ("/etc/systemd/system/web.service", "[Service]\nLimitNOFILE=1048576\n"),
    ];
    assert_eq!(most(&files), Ok((2_000_000, "db.service".into())));
    assert_eq!(most(&files[..1]), Ok((524_288, "systemd's default".into())));
}

#[test]
fn a_template_serves_its_instances() {
    let files = [(
        "/etc/systemd/system/a@.service",
        "[Service]\nLimitNOFILE=5000:6000\nLimitNOFILE=\nLimitNOFILE=7000 # more\n[Install]\nX=1\n",
    )];
    assert_eq!(limits(&files, "a@one.service"), Ok((5000, 6000)));
}

/// Files, but for one folder or file that is not answered for.
struct Without(&'static str, Refusal);

impl Host for Without {
    fn ask(&self, query: Query<'_>) -> Answer {
        let big = ("/run/systemd/transient/big.service", "[Service]\nLimitNOFILE=2000000\n");
        match query.of == self.0 {
            true => Err(self.1.clone()),
            false => Files(BTreeMap::from([big])).ask(query),
        }
    }

    fn source(&self) -> String {
        "files".into()
    }
}

#[test]
fn what_could_not_be_read_is_not_taken_for_empty() {
    let beyond = || Refusal::Unsupported("it has more than 10,000 names".to_owned());
    let most = |of, refusal| most_asked(&Without(of, refusal));
    assert_eq!(most("/nowhere", beyond()), Ok((2_000_000, "big.service".into())));
    for of in ["/run/systemd/transient", "/run/systemd/transient/big.service", "/etc/systemd/system"] {
        let gap = most(of, beyond()).unwrap_err();
        assert_eq!((gap.cause, gap.why.as_str()), (Cause::Unsupported, "it has more than 10,000 names"), "{of}");
    }
    // A recording of an earlier version did not ask for the folders of programs.
    assert_eq!(most("/run/systemd/transient", Refusal::NotRecorded), Ok((524_288, "systemd's default".into())));
    assert!(most("/etc/systemd/system", Refusal::NotRecorded).is_err());
}
