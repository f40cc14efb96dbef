//! `dnsConfig`: what the API server refuses.

use super::pods::{Spec, fault};
use super::tree::Node;
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Mark};

/// What glibc reads, and the API server lets through.
const MOST_NAMESERVERS: usize = 3;

pub(super) fn judge(spec: &Spec<'_>, faults: &mut Vec<Fault>) {
    let mut push = |mark: Mark, says: String, change: &str| {
        faults.push(fault("dns", Outcome::Fail, mark, spec.subject(), [says, change.to_owned()]));
    };
    let config = spec.node.get("dnsConfig").filter(|config| config.is_map());
    let nameservers = config.and_then(|config| config.entry("nameservers"));
    let count = nameservers.map_or(0, |(_, list)| list.items().count());
    if let Some((key, _)) = nameservers.filter(|_| count > MOST_NAMESERVERS) {
        let says = format!("{count} nameservers: the API server refuses more than {MOST_NAMESERVERS}");
        push(key.mark(), says, "keep three of them");
    }
    if let Some(policy) = spec.node.get("dnsPolicy").filter(|policy| policy.text() == Some("None") && count == 0) {
        let says = "dnsPolicy None without a nameserver in dnsConfig: the API server refuses the pod".to_owned();
        push(policy.mark(), says, "name one in dnsConfig.nameservers");
    }
    let options = config.and_then(|config| config.get("options"));
    for option in options.into_iter().flat_map(Node::items).filter(|option| option.is_map()) {
        let name = option.get("name").and_then(Node::scalar).unwrap_or_default();
        if name.is_empty() {
            push(
                option.mark(),
                "an option without a name: the API server refuses it".to_owned(),
                "name it, or delete it",
            );
        }
        let value = option.get("value");
        if let Some(value) =
            value.filter(|value| value.scalar().is_none_or(|_| value.text().is_none() && !value.is_null()))
        {
            let shown = value.scalar().unwrap_or("what stands there");
            let says = format!(
                "the value of an option is text, and {} is not: the API server refuses it",
                super::shown(shown)
            );
            push(value.mark(), says, "put it in quotes");
        }
    }
}
