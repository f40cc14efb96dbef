//! Report to bytes: one file per format. Pure.

mod details;
mod diff;
mod explain;
mod fleet;
mod groups;
mod json;
mod limits;
mod manifest;
mod manual;
mod peer;
mod plan;
mod style;
mod table;
mod text;
mod verdict;

pub use diff::{markdown as diff_markdown, table as diff_table};
pub use explain::{Beside, catalogue as facts_table, causes, page, rule as explain, rule_list, topics};
pub use fleet::print as fleet;
pub use json::{
    Unreadable, diff as diff_json, diff_schema, fleet as fleet_json, fleet_schema, manifest as manifest_json,
    manifest_schema, peers as peers_json, peers_schema, print as json, read as recorded, schema as json_schema,
    tick as tick_json, tick_schema, verdict as verdict_json, verdict_schema,
};
pub use limits::print as limits;
pub use manifest::{github as manifest_github, table as manifest_table};
pub use manual::print as manual;
pub use peer::table as peers;
pub use plan::{html as plan_html, json as plan_json, schema as plan_schema, table as plan, yaml as plan_yaml};
pub use style::Style;
pub use table::print as table;
pub use text::{hanging, sanitized};
pub use verdict::{markdown as verdict_markdown, print as verdict};
