//! The words of the model's enums, for the schema only: the model knows nothing of schemas.

#![allow(dead_code)]

use schemars::JsonSchema;

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ScopeWord {
    Process,
    Netns,
    Pidns,
    Cgroup,
    Host,
}
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum IfAbsentWord {
    Unknown,
    Pass,
    NotApplicable,
}
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EffectWord {
    Now,
    NewSockets,
    Relisten,
    Restart,
    NewPods,
    Reboot,
}
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RoleWord {
    Client,
    Server,
    Gateway,
}
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SeverityWord {
    Warn,
    Fail,
}
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SafetyWord {
    Safe,
    Review,
    Manual,
}
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StageWord {
    Handshakes,
    Connections,
    Latency,
}
