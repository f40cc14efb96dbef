//! Generated unit files, loaded by the real systemd: what tunecheck says of them is what it gives, before and after its drop-ins.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::boot_trees::Dice;
use crate::harness::{MOUNTS_AND_PROCESSES, Need, Place, Scene, done, script};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[Place {
    name: "generated_units_have_what_is_said_of_them_and_no_drop_in_lowers_it",
    needs: &[Need::Root, Need::Machine, Need::Program("systemd-analyze"), Need::Program("setpriv"), Need::Minutes(4)],
    own: MOUNTS_AND_PROCESSES,
    trial: generated_units_have_what_is_said_of_them_and_no_drop_in_lowers_it,
}];

const TREES: usize = 30;
const FOLDERS: [&str; 12] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system.attached",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/run/systemd/generator.late",
];
/// While it tests, systemd has folders of its own for generators and transient units, beside each other: a generator brings
/// there what was planted where a boot has them.
const GENERATOR: &str = "/etc/systemd/system-generators/planted";
const PLANTED: &str = "#!/bin/sh
cp -a /run/systemd/generator/. \"$1\"
cp -a /run/systemd/generator.early/. \"$2\"
cp -a /run/systemd/generator.late/. \"$3\"
mkdir -p \"${1%/*}/transient\"
cp -a /run/systemd/transient/. \"${1%/*}/transient\"
";
/// Files of units, of which one is a template.
const FILES: [&str; 3] = ["gw-a.service", "plain.service", "gw-t@.service"];
/// What is started, aliases and instances among them.
const UNITS: [&str; 6] =
    ["gw-a.service", "plain.service", "gw-t@x.service", "other.service", "gw-s@x.service", "gw-t@y.service"];
const DROP_INS: [&str; 14] = [
    "gw-a.service.d",
    "gw-.service.d",
    "service.d",
    "plain.service.d",
    "gw-t@.service.d",
    "gw-t@x.service.d",
    "gw-@.service.d",
    "gw-@x.service.d",
    "gw-t@y.service.d",
    "other.service.d",
    "gw-s@.service.d",
    "gw-s@x.service.d",
    "gw-t.service.d",
    "gw.service.d",
];
const NAMES: [&str; 7] =
    ["10-a.conf", "50-b.conf", "override.conf", "zz-z.conf", ".60-hidden.conf", "70-c.conf~", "50-tunecheck.conf"];
/// Lines as people write them.
const LINES: [&str; 28] = [
    "LimitNOFILE=4096",
    "LimitNOFILE=65536",
    "LimitNOFILE=1048576",
    "LimitNOFILE=infinity",
    "LimitNOFILE=1024:2048",
    "LimitNOFILE=1024:1048576",
    "LimitNOFILE=100000:200000",
    "LimitNOFILE=1024:infinity",
    "LimitNOFILE=infinity:infinity",
    "LimitNOFILE=200000:100",
    "LimitNOFILE=",
    "LimitNOFILE=65536 # more",
    "LimitNOFILE=64k",
    "LimitNOFILE=0x10000",
    "LimitNOFILE=010000",
    "LimitNOFILE=-1",
    "LimitNOFILE=+7000",
    "LimitNOFILE=7: 8000",
    "LimitNOFILE=7 :8000",
    "LimitNOFILE=\"9000\"",
    "LimitNOFILE = 9001\r",
    "# LimitNOFILE=9002",
    "; LimitNOFILE=9003",
    "LimitNOFILE= \\\n# between\n  9004",
    "[Install]\nLimitNOFILE=9005\n[Service]",
    "limitNOFILE=9006",
    "LimitNOFILESoft=9007",
    "[Service\nLimitNOFILE=9008",
];

type Limits = (u64, u64);

fn text(dice: &mut Dice) -> String {
    (0..1 + dice.below(3)).map(|_| format!("{}\n", LINES[dice.below(LINES.len())])).collect()
}

fn plant(dice: &mut Dice) {
    for folder in FOLDERS {
        done(script("find \"$1\" -mindepth 1 -delete", &[Path::new(folder)]));
    }
    let etc = Path::new(FOLDERS[0]);
    let wants: String = UNITS.map(|unit| format!("Wants={unit}\n")).concat();
    fs::write(etc.join("default.target"), format!("[Unit]\nDefaultDependencies=no\n{wants}")).unwrap();
    let limits = ["", "DefaultLimitNOFILE=\n", "DefaultLimitNOFILE=3000\n", "DefaultLimitNOFILE=9:8\n"][dice.below(4)];
    // Without being process 1 it takes its own configuration from the user's file, which is of the same form.
    for file in ["/etc/systemd/system.conf", "/etc/systemd/user.conf"] {
        fs::write(file, format!("[Manager]\nDefaultLimitNOFILE=2048:300000\n{limits}")).unwrap();
    }
    for file in FILES {
        for folder in FOLDERS.iter().rev() {
            let path = Path::new(folder).join(file);
            // A header that is none keeps a unit from being loaded at all.
            let text = text(dice).replace("[Service\n", "");
            match dice.below(if *folder == FOLDERS[3] { 2 } else { 24 }) {
                0 | 1 => {
                    let head = "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/true\n";
                    fs::write(path, format!("{head}{text}")).unwrap();
                }
                2 => symlink("/dev/null", path).unwrap(),
                3 => fs::write(path, "").unwrap(),
                _ => {}
            }
        }
    }
    let alias = |of: &str, name: &str| symlink(of, etc.join(name)).unwrap();
    match dice.below(3) {
        0 => alias("/usr/lib/systemd/system/plain.service", "other.service"),
        1 => alias("plain.service", "other.service"),
        _ => {}
    }
    match dice.below(3) {
        0 => alias("../../../usr/lib/systemd/system/gw-t@.service", "gw-s@.service"),
        1 => alias("/usr/lib/systemd/system/gw-t@x.service", "gw-s@x.service"),
        _ => {}
    }
    for folder in FOLDERS {
        for drop_ins in DROP_INS {
            if dice.below(10) > 0 {
                continue;
            }
            let drop_ins = Path::new(folder).join(drop_ins);
            fs::create_dir(&drop_ins).unwrap();
            for name in NAMES {
                let path = drop_ins.join(name);
                match dice.below(9) {
                    0..3 => fs::write(path, format!("[Service]\n{}", text(dice))).unwrap(),
                    3 => symlink("/dev/null", path).unwrap(),
                    4 => fs::write(path, "").unwrap(),
                    5 => fs::create_dir(path).unwrap(),
                    6 => symlink("/nowhere", path).unwrap(),
                    _ => {}
                }
            }
        }
    }
}

/// The limits of units as systemd loads them, and the name of each, by every name that it has.
fn loaded() -> BTreeMap<String, (String, Limits)> {
    // It refuses to be asked by root.
    let dump = done(script(
        "exec setpriv --reuid 65534 --regid 65534 --clear-groups env XDG_CONFIG_HOME=/nonexistent SYSTEMD_LOG_LEVEL=err \
         /usr/lib/systemd/systemd --test --system --unit=default.target --no-pager",
        &[],
    ));
    let mut units = BTreeMap::new();
    for unit in dump.split("-> Unit ").skip(1) {
        let value = |key: &str| unit.lines().find_map(|line| line.trim_start_matches('\t').strip_prefix(key));
        let limit = |key: &str| value(key).and_then(|value| value.trim().parse::<u64>().ok());
        let (Some("loaded"), Some(soft), Some(hard)) =
            (value("Unit Load State: "), limit("LimitNOFILESoft: "), limit("LimitNOFILE: "))
        else {
            continue;
        };
        let own = unit.lines().next().unwrap_or_default().trim_end_matches(':');
        let aliases = unit.lines().filter_map(|line| line.trim_start_matches('\t').strip_prefix("Alias: "));
        for name in std::iter::once(own).chain(aliases) {
            units.insert(name.to_owned(), (own.to_owned(), (soft, hard)));
        }
    }
    units
}

fn limits(line: &str) -> Limits {
    let number = |text: &str| if text == "infinity" { u64::MAX } else { text.parse().unwrap() };
    let (soft, hard) = line.split_once(':').unwrap();
    (number(soft), number(hard))
}

fn described() -> String {
    let show = "cat /etc/systemd/system.conf; cd /; find etc/systemd run/systemd usr/local/lib/systemd usr/lib/systemd/system -type l -ls
        grep -rn '' etc/systemd run/systemd usr/local/lib/systemd usr/lib/systemd/system || true";
    done(script(show, &[]))
}

fn generated_units_have_what_is_said_of_them_and_no_drop_in_lowers_it(scene: &Scene) {
    done(script(
        "for of in /etc/systemd /run /usr/local/lib /usr/lib/systemd/system; do mount -t tmpfs none $of; done
         mkdir -p \"$@\"",
        &FOLDERS.map(Path::new),
    ));
    fs::create_dir_all(Path::new(GENERATOR).parent().unwrap()).unwrap();
    fs::write(GENERATOR, PLANTED).unwrap();
    fs::set_permissions(GENERATOR, fs::Permissions::from_mode(0o755)).unwrap();
    let mut dice = Dice(7);
    let (mut written, mut enough) = (0, 0);
    for nth in 0..TREES {
        plant(&mut dice);
        let before = loaded();
        let out = scene.folder.join(format!("out-{nth}"));
        let units = UNITS.map(|unit| format!("--unit {unit}")).join(" ");
        let fix = "fix --to systemd --connections 15000";
        let run = Run::of(script(
            &format!("ulimit -Sn 1024; sleep 9 >/dev/null 2>&1 & exec \"$1\" {fix} {units} --pid $! --output \"$2\""),
            &[&scene.tunecheck, &out],
        ));
        let told = fs::read_to_string(out.join("README.md")).unwrap_or_default() + &run.stderr;
        let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut promised = BTreeMap::new();
        for unit in UNITS {
            let before = before.get(unit);
            let own = before.map_or(unit, |(own, _)| own);
            let before = before.map(|(_, limits)| *limits);
            let folder = out.join(format!("systemd/{own}.d"));
            let told = format!("tree {nth}: {unit}, {:?}\n{told}\n", before);
            let said = words.split(&format!("{own} has LimitNOFILE=")).nth(1).map(str::to_owned);
            if let Some(said) = said {
                let has = limits(said.split_whitespace().next().unwrap());
                assert_eq!(before, Some(has), "{told}{}", described());
                enough += 1;
                continue;
            }
            let file = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{told}{error}")).next().unwrap().unwrap();
            let text = fs::read_to_string(file.path()).unwrap();
            let Some(line) = text.lines().find_map(|line| line.strip_prefix("LimitNOFILE=")) else {
                assert!(before.is_none(), "{told}{text}{}", described());
                continue;
            };
            let now = text.lines().find_map(|line| line.strip_prefix("#   now      LimitNOFILE=")).unwrap();
            let now = limits(now.split_once(';').unwrap().0);
            assert_eq!(before, Some(now), "{told}{text}{}", described());
            let then = limits(line);
            assert!(then.0 >= now.0 && then.1 >= now.1 && then != now, "{told}{text}");
            promised.insert(own, (file.path(), then));
        }
        for (unit, (file, then)) in &promised {
            let folder = Path::new(FOLDERS[0]).join(format!("{unit}.d"));
            let place = folder.join(file.file_name().unwrap());
            let kept = folder.join("kept");
            fs::create_dir_all(&folder).unwrap();
            let _ = fs::rename(&place, &kept);
            // What is written for root alone is to be read by the user who asks systemd.
            fs::write(&place, fs::read(file).unwrap()).unwrap();
            let after = loaded();
            assert_eq!(
                after.get(*unit).map(|(_, limits)| limits),
                Some(then),
                "tree {nth}: {unit}\n{}\n{}",
                fs::read_to_string(&place).unwrap(),
                described()
            );
            written += 1;
            fs::remove_file(&place).unwrap();
            let _ = fs::rename(&kept, &place);
        }
    }
    assert!(written > 30 && enough > 10, "{written} drop-ins were written, {enough} units had enough");
}
