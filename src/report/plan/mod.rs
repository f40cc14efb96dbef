//! What traffic takes of each limit and what a machine carries of it: as text, as a page, and as a workload file.

mod document;
mod html;
mod table;
mod words;

pub use document::{json, schema, yaml};
pub use html::print as html;
pub use table::print as table;
