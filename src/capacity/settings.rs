//! How programs have to be set for their share of the traffic, in their own words.

use crate::model::sizing::Setting;
use crate::model::traffic::Traffic;

/// The settings of clients' pools and of servers.
pub fn settings(_traffic: &Traffic) -> Vec<Setting> {
    Vec::new()
}
