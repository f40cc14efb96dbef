//! Open files.

use super::{Have, Limit, Most, UNTOLD, n, sockets};
use crate::model::fact::{Cause, Gap, Unit};
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::Traffic;
use crate::model::workload::SPARE_FILES as SPARE;

/// Most that fs.nr_open takes, and so most that a limit on open files can be.
const NR_OPEN: u128 = 2_147_483_584;

pub(super) const LIMITS: &[Limit] = &[
    Limit {
        name: "open files of the process",
        per: Per::Process,
        unit: Unit::Count,
        rule: Some("files/nofile-soft"),
        need: of_process,
        have: Have::IfAny(
            |facts| {
                let soft = "serving.nofile.soft";
                match (facts.number("serving.files"), facts.number(soft)) {
                    (Ok(0), _) => Err(Gap::new(Cause::Absent, "it is that of each process alone")),
                    // That it could not be found is no proof that there is none.
                    (_, Err(gap)) if gap.cause == Cause::Absent => Err(Gap::new(Cause::Unsupported, gap.why)),
                    (_, number) => Ok((number?.unsigned_abs(), soft.to_owned())),
                }
            },
            "this program starts a process for each connection, so its own limit holds none of them",
        ),
        most: Most::Number(NR_OPEN),
        change: "LimitNOFILE= of the unit, --ulimit nofile of the container, or the program raises its soft limit to the hard one",
        ..UNTOLD
    },
    Limit {
        name: "fs.nr_open",
        per: Per::Process,
        unit: Unit::Count,
        rule: Some("files/nr-open"),
        need: |traffic| match of_process(traffic) {
            Amount::Of(files, _) => Amount::Of(files, "no process's limit on open files can be above it".to_owned()),
            other => other,
        },
        have: Have::Fact("sysctl.fs.nr_open"),
        most: Most::Number(NR_OPEN),
        change: "fs.nr_open of the node, before the limit of the unit",
        ..UNTOLD
    },
    Limit {
        name: "connections of nginx's workers",
        per: Per::Process,
        unit: Unit::Count,
        rule: Some("runtime/nginx-connections"),
        need: |traffic| {
            let share = traffic.pod();
            Amount::Of(share.sockets().into(), format!("{}; those to upstreams count too", sockets(share)))
        },
        have: Have::OfProgram(|facts| {
            let capacity = "runtime.nginx.capacity";
            let of_nginx = facts.text("runtime.name") == Some("nginx");
            let number = || facts.number(capacity).map(|number| (number.unsigned_abs(), capacity.to_owned()));
            of_nginx.then(number)
        }),
        change: "worker_connections of nginx, and worker_rlimit_nofile above it",
        ..UNTOLD
    },
    Limit {
        name: "open files of the node",
        per: Per::Node,
        unit: Unit::Count,
        rule: Some("files/file-max"),
        need: |traffic| {
            let (share, pods) = (traffic.node(), traffic.pods_on_a_node());
            let words = match pods {
                1 => format!("{}, and {SPARE} more in a process", sockets(share)),
                pods => format!("{}, and {SPARE} more in each of {} processes", sockets(share), n(pods)),
            };
            Amount::Of(u128::from(share.sockets()) + u128::from(pods) * u128::from(SPARE), words)
        },
        have: Have::Fact("file.max"),
        change: "fs.file-max of the node",
        ..UNTOLD
    },
];

fn of_process(traffic: &Traffic) -> Amount {
    let share = traffic.pod();
    let words = format!("{}, and {SPARE} for files, pipes, epoll and name lookups", sockets(share));
    Amount::Of(u128::from(share.sockets()) + u128::from(SPARE), words)
}
