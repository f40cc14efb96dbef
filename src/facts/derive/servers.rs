//! How many connections a server's own configuration admits, cut to what its limit on open files leaves.

use super::{Formula, entry};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use crate::model::facts::Facts;
use crate::model::ports::Ports;

const SOFT: &str = "limit.nofile.soft";

const fn of_server(name: &'static str, read: &'static str, meaning: &'static str) -> Entry {
    entry(name, Unit::Count, Scope::Process, read, meaning)
}

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: of_server(
            "runtime.haproxy.connections",
            "runtime.haproxy.maxconn, and maxconn of the frontends on the declared ports, or of all where none is declared",
            "connections that HAProxy takes of this load",
        ),
        needs: &["runtime.haproxy.maxconn", "runtime.haproxy.parts"],
        compute: |facts, _| of_parts(facts, "runtime.haproxy.maxconn", "runtime.haproxy.parts"),
    },
    Formula {
        entry: of_server(
            "runtime.php-fpm.children",
            "runtime.php-fpm.max_children, and pm.max_children of the pools on the declared ports",
            "processes of PHP-FPM that this load can have",
        ),
        needs: &["runtime.php-fpm.max_children", "runtime.php-fpm.parts"],
        compute: |facts, _| match facts.ports("workload.ports").is_ok_and(|ports| !ports.is_empty()) {
            true => of_parts(facts, "runtime.php-fpm.max_children", "runtime.php-fpm.parts"),
            false => facts.value("runtime.php-fpm.max_children").cloned(),
        },
    },
    Formula {
        entry: of_server(
            "runtime.redis.clients",
            "the lesser of maxclients and limit.nofile.soft less 32",
            "clients that Redis takes: it keeps 32 descriptors for itself (CONFIG_MIN_RESERVED_FDS)",
        ),
        needs: &["runtime.redis.maxclients", SOFT],
        compute: |facts, _| within_files(facts, "runtime.redis.maxclients", 32).map(Value::Number),
    },
    Formula {
        entry: of_server(
            "runtime.pgbouncer.clients",
            "the lesser of max_client_conn and limit.nofile.soft",
            "clients that PgBouncer can take: each has a descriptor, those to the servers come on top",
        ),
        needs: &["runtime.pgbouncer.max_client_conn", SOFT],
        compute: |facts, _| within_files(facts, "runtime.pgbouncer.max_client_conn", 0).map(Value::Number),
    },
    Formula {
        entry: of_server(
            "runtime.postgres.connections",
            "max_connections less those that are reserved",
            "connections that PostgreSQL takes of a role without privileges",
        ),
        needs: &["runtime.postgres.max_connections", "runtime.postgres.reserved"],
        compute: |facts, _| {
            let reserved = facts.number("runtime.postgres.reserved")?;
            Ok(Value::Number(facts.number("runtime.postgres.max_connections")?.saturating_sub(reserved)))
        },
    },
    Formula {
        entry: of_server(
            "runtime.gunicorn.requests",
            "workers x what one has in hand at once",
            "requests that gunicorn works at; further ones wait in its accept queue",
        ),
        needs: &["runtime.gunicorn.workers", "runtime.gunicorn.at_once"],
        compute: |facts, _| product(facts, "runtime.gunicorn.workers", "runtime.gunicorn.at_once").map(Value::Number),
    },
    Formula {
        entry: of_server(
            "runtime.uvicorn.connections",
            "workers x --limit-concurrency",
            "connections beyond which uvicorn answers 503",
        ),
        needs: &["runtime.uvicorn.workers", "runtime.uvicorn.limit_concurrency"],
        compute: |facts, _| {
            product(facts, "runtime.uvicorn.workers", "runtime.uvicorn.limit_concurrency").map(Value::Number)
        },
    },
];

/// The least of what the whole admits and what its parts do that serve the declared ports: of those each has its own.
fn of_parts(facts: &Facts, whole: &str, parts: &str) -> Reading {
    let whole = facts.number(whole);
    let least = |of_parts: i128| whole.as_ref().map_or(of_parts, |whole| of_parts.min(*whole));
    let parts = match (facts.text(parts), facts.value(parts)) {
        (Some(parts), _) => parts,
        // A part that is not known can only admit less.
        (None, gap)
            if whole.as_ref().is_ok_and(|whole| facts.number("workload.incoming").is_ok_and(|load| *whole >= load)) =>
        {
            return Err(gap.err().unwrap_or_else(|| Gap::new(Cause::Unparsable, "its parts are no text")));
        }
        _ => return whole.map(Value::Number),
    };
    let declared = facts.ports("workload.ports").ok().filter(|ports| !ports.is_empty());
    let serves = |ports: &str| {
        let own = ports.parse::<Ports>().unwrap_or_default();
        declared.is_none_or(|declared| !declared.is_empty() && declared.difference(&own).count() < declared.count())
    };
    let serving = parts.split(' ').filter_map(|part| part.split_once('=')).filter(|(ports, _)| serves(ports));
    let numbers: Vec<&str> = serving.map(|(_, number)| number).collect();
    // One without a number of its own takes as many as the whole.
    if numbers.is_empty() || numbers.contains(&"") {
        return whole.map(Value::Number);
    }
    let sum = numbers.iter().try_fold(0_i128, |sum, number| Some(sum.saturating_add(number.parse::<i128>().ok()?)));
    sum.map(|sum| Value::Number(least(sum)))
        .ok_or_else(|| Gap::new(Cause::Unparsable, "the limit of a part of it is not a number"))
}

fn within_files(facts: &Facts, name: &str, reserved: i128) -> Result<i128, Gap> {
    let files = facts.number(SOFT)?.saturating_sub(reserved).max(0);
    Ok(facts.number(name)?.min(files))
}

fn product(facts: &Facts, one: &str, other: &str) -> Result<i128, Gap> {
    Ok(facts.number(one)?.saturating_mul(facts.number(other)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::derive;
    use crate::model::workload::{Role, Workload};

    fn admitted(whole: Option<i128>, parts: Result<&str, Cause>, ports: &[u16]) -> Result<i128, Cause> {
        let mut facts = Facts::default();
        let whole = whole.map(Value::Number).ok_or_else(|| Gap::new(Cause::Absent, "not set"));
        facts.put("runtime.haproxy.maxconn", whole, "");
        let parts = parts.map(|parts| Value::Text(parts.into())).map_err(|cause| Gap::new(cause, ""));
        facts.put("runtime.haproxy.parts", parts, "");
        let load = Workload { connections: 1000, ports: ports.to_vec(), ..Workload::none(Role::Server) };
        crate::facts::declare(&mut facts, &load);
        derive(&mut facts);
        facts.number("runtime.haproxy.connections").map_err(|gap| gap.cause)
    }

    #[test]
    fn the_part_that_serves_the_declared_port_is_what_admits() {
        let parts = Ok("8082=100 8443,9000-9010=5000 7000=");
        assert_eq!(admitted(Some(1500), parts, &[8082]), Ok(100));
        assert_eq!(admitted(Some(1500), parts, &[9001]), Ok(1500), "the whole has less");
        assert_eq!(admitted(Some(1500), parts, &[8082, 8443]), Ok(1500));
        assert_eq!(admitted(Some(1500), parts, &[7000]), Ok(1500), "it has no limit of its own");
        assert_eq!(admitted(Some(1500), parts, &[22]), Ok(1500));
        assert_eq!(admitted(None, parts, &[8082]), Ok(100));
        assert_eq!(admitted(None, parts, &[]), Err(Cause::Absent));
        assert_eq!(admitted(None, Ok("1=7"), &[]), Ok(7));
        assert_eq!(admitted(Some(1500), Ok("80=?"), &[80]), Err(Cause::Unparsable));
        // What stands in a file that is not read can only be less.
        assert_eq!(admitted(Some(1500), Err(Cause::Unsupported), &[80]), Err(Cause::Unsupported));
        assert_eq!(admitted(Some(500), Err(Cause::Unsupported), &[80]), Ok(500));
    }
}
