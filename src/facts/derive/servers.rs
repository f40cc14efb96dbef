//! How many connections a server's own configuration admits, cut to what its limit on open files leaves.

use super::{Formula, entry};
use crate::model::catalogue::Entry;
use crate::model::fact::{Gap, Scope, Unit, Value};
use crate::model::facts::Facts;

const SOFT: &str = "limit.nofile.soft";

const fn of_server(name: &'static str, read: &'static str, meaning: &'static str) -> Entry {
    entry(name, Unit::Count, Scope::Process, read, meaning)
}

pub(super) const FORMULAS: &[Formula] = &[
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

fn within_files(facts: &Facts, name: &str, reserved: i128) -> Result<i128, Gap> {
    let files = facts.number(SOFT)?.saturating_sub(reserved).max(0);
    Ok(facts.number(name)?.min(files))
}

fn product(facts: &Facts, one: &str, other: &str) -> Result<i128, Gap> {
    Ok(facts.number(one)?.saturating_mul(facts.number(other)?))
}
