//! `tunecheck watch` where only a whole machine will do: a conntrack table that is really full, and a quota of cgroup
//! version 2.

use serde_json::Value;

use crate::debian::Root;
use crate::harness::{Place, Scene};
use crate::vm::{self, Vm};

pub(crate) const PLACES: &[Place] = &[Place {
    name: "watch_names_a_full_conntrack_table_and_a_quota_of_cgroup_version_2",
    needs: vm::NEEDS,
    own: crate::harness::MOUNTS,
    trial: watch_names_a_full_conntrack_table_and_a_quota,
}];

/// A load waits until a reading has seen what it did: the first one to come may have begun before.
const LOAD: &str = r#"
use Socket; use Fcntl; use Errno;
sub content { open(my $file, '<', $_[0]) or die "$_[0]: $!"; local $/; <$file> }
sub readings { content('/root/readings') =~ tr/\n// }
sub seen { my $enough = readings() + 2; select(undef, undef, undef, 0.01) while readings() < $enough }
"#;
/// A hundred clients of a server on the same machine, and a datagram.
const CONNECT: &str = r#"
socket(my $server, PF_INET, SOCK_STREAM, 0) or die;
bind($server, sockaddr_in(0, INADDR_LOOPBACK)) or die;
listen($server, 128) or die;
my @clients;
for (1 .. 100) {
    socket(my $client, PF_INET, SOCK_STREAM, 0) or die;
    fcntl($client, F_SETFL, O_NONBLOCK);
    connect($client, getsockname($server)) or $!{EINPROGRESS} or die;
    push @clients, $client;
}
socket(my $datagrams, PF_INET, SOCK_DGRAM, 0) or die;
my $refused = send($datagrams, 'x', 0, sockaddr_in(9, INADDR_LOOPBACK)) ? 'sent' : $!{EPERM} ? 'EPERM' : "$!";
seen();
my $waiting = () = content('/proc/net/tcp') =~ /^ *\d+: \S+ \S+ 02 /mg;
my $entries = content('/proc/sys/net/netfilter/nf_conntrack_count') + 0;
print "$refused $waiting $entries\n";
"#;
/// Works until the quota has stopped it twenty times.
const WORK: &str = r#"
my ($group) = content('/proc/self/cgroup') =~ /^0::(\S+)$/m;
sub throttled { content("/sys/fs/cgroup$group/cpu.stat") =~ /^nr_throttled (\d+)/m; $1 }
while (throttled() < 20) { my $sum = 0; $sum += $_ for 1 .. 10000 }
seen();
print throttled(), "\n";
"#;
const WATCH: &str = "tunecheck watch --interval 50ms --settle 100ms --format ndjson --output /root/readings -- perl";

/// The verdict, which is the last line of the readings, and its only hit.
fn only_hit(vm: &Vm, limit: &str) -> Value {
    let verdict: Value = serde_json::from_str(&vm.run("tail -n 1 /root/readings")).unwrap();
    let hit = verdict["hit"].as_array().unwrap();
    assert!(hit.len() == 1 && hit[0]["limit"] == limit, "{limit}: {verdict:#}");
    hit[0].clone()
}

fn rise(hit: &Value, fact: &str) -> u64 {
    let mut rises = hit["rises"].as_array().unwrap().iter();
    rises.find(|rise| rise["fact"] == fact).unwrap_or_else(|| panic!("{hit:#}"))["by"].as_u64().unwrap()
}

fn watch_names_a_full_conntrack_table_and_a_quota(scene: &Scene) {
    let root = Root::new(scene);
    root.put("/root/connect.pl", [LOAD, CONNECT].concat());
    root.put("/root/work.pl", [LOAD, WORK].concat());
    let vm = Vm::boot(scene, &root);
    a_full_table(&vm);
    a_quota(&vm);
}

fn a_full_table(vm: &Vm) {
    let drops = || -> u64 {
        let text = vm.run("conntrack -S");
        let counts = text.split_whitespace().filter_map(|word| word.strip_prefix("drop="));
        counts.map(|count| count.parse::<u64>().unwrap()).sum()
    };
    // Everything is tracked, as if a rule asked for it.
    vm.run("modprobe nf_conntrack enable_hooks=1; modprobe nf_conntrack_netlink; sysctl -qw net.netfilter.nf_conntrack_max=50");
    let before = drops();
    let told = vm.run(&format!("{WATCH} /root/connect.pl"));
    let table = only_hit(vm, "conntrack table");
    let words: Vec<&str> = told.split_whitespace().collect();
    let [refused, waiting, entries] = words[..] else { panic!("{told}") };
    assert_eq!((refused, entries), ("EPERM", "50"));
    // The connection of this trial itself is among those that are tracked.
    let waiting: u64 = waiting.parse().unwrap();
    assert!((50..60).contains(&waiting), "{told}");
    assert_eq!(table["rule"], "conntrack/fill");
    let figures = ["peak", "peak_of", "peak_share_percent"].map(|key| table[key].as_u64().unwrap());
    assert_eq!(figures, [50, 50, 100]);
    let dropped = drops() - before;
    assert_eq!(rise(&table, "conntrack.full_drops"), dropped);
    assert!(dropped > waiting, "{dropped} packets, {waiting} connections and a datagram");
    vm.run("sysctl -qw net.netfilter.nf_conntrack_max=65536");
}

fn a_quota(vm: &Vm) {
    assert!(!vm.run("cat /proc/self/cgroup").contains(":cpu"), "the controller is that of version 2");
    let told = vm.run(&format!("systemd-run --quiet --wait --pipe -p CPUQuota=40% {WATCH} /root/work.pl"));
    let quota = only_hit(vm, "CPU quota");
    let counted: u64 = told.trim().parse().unwrap();
    let rose = rise(&quota, "cgroup.cpu.throttled");
    // Those before the first reading are not seen, and some come after the load has counted.
    assert!(counted >= 20 && rose >= 10 && rose < counted + 50, "{rose}, {counted}");
}
