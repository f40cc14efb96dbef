//! `dnsPolicy` and `dnsConfig`: what the API server refuses, and what resolves other names than are meant.

use std::net::IpAddr;

use super::pods::{Spec, fault};
use super::tree::Node;
use super::{is_filled_in_later, shown};
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Mark};

/// What glibc reads, and the API server lets through.
const MOST_NAMESERVERS: usize = 3;
/// Search domains, and their characters with the blanks between them, that the API server lets through (since 1.28).
const MOST_SEARCHES: usize = 32;
const MOST_CHARACTERS: usize = 2048;

pub(super) fn judge(spec: &Spec<'_>, faults: &mut Vec<Fault>) {
    let mut push = |outcome, mark: Mark, says: String, change: &str| {
        faults.push(fault("dns", outcome, mark, spec.subject(), [says, change.to_owned()]));
    };
    let config = spec.node.get("dnsConfig").filter(|config| config.is_map());
    let nameservers = config.and_then(|config| config.entry("nameservers"));
    let count = nameservers.map_or(0, |(_, list)| list.items().count());
    if let Some((key, _)) = nameservers.filter(|_| count > MOST_NAMESERVERS) {
        let says = format!("{count} nameservers: the API server refuses more than {MOST_NAMESERVERS}");
        push(Outcome::Fail, key.mark(), says, "keep three of them");
    }
    for server in nameservers.into_iter().flat_map(|(_, list)| list.items()) {
        let text = server.scalar().unwrap_or_default();
        if text.parse::<IpAddr>().is_err() && !is_filled_in_later(text) {
            let says = format!("{} is no IP address: the API server refuses it as a nameserver", shown(text));
            push(Outcome::Fail, server.mark(), says, "write its address");
        }
    }
    let policy = spec.node.get("dnsPolicy");
    if let Some(policy) = policy.filter(|policy| policy.text() == Some("None") && count == 0) {
        let says = "dnsPolicy None without a nameserver in dnsConfig: the API server refuses the pod".to_owned();
        push(Outcome::Fail, policy.mark(), says, "name one in dnsConfig.nameservers");
    }
    if let Some((key, _)) = spec.node.entry("hostNetwork").filter(|(_, host)| host.is_true())
        && policy.is_none_or(|policy| policy.is_null() || policy.text() == Some("ClusterFirst"))
        && spec.is_whole()
    {
        let mark = policy.filter(|policy| !policy.is_null()).map_or(key.mark(), Node::mark);
        let says = "with hostNetwork: true, dnsPolicy ClusterFirst, the default, is taken as Default: the pod has the \
                    node's resolv.conf and resolves no names of the cluster"
            .to_owned();
        push(Outcome::Warn, mark, says, "dnsPolicy: ClusterFirstWithHostNet, or Default if it needs no such name");
    }
    searches(config, &mut push);
    options(config, &mut push);
}

fn searches(config: Option<Node<'_>>, push: &mut impl FnMut(Outcome, Mark, String, &str)) {
    let Some((key, list)) = config.and_then(|config| config.entry("searches")) else { return };
    let domains: Vec<(&str, Mark)> = list.items().filter_map(|item| Some((item.scalar()?, item.mark()))).collect();
    let characters = domains.iter().map(|(domain, _)| domain.len() + 1).sum::<usize>().saturating_sub(1);
    if domains.len() > MOST_SEARCHES || characters > MOST_CHARACTERS {
        let says = format!(
            "{} search domains of {characters} characters: the API server refuses more than {MOST_SEARCHES}, or \
             {MOST_CHARACTERS} characters",
            domains.len()
        );
        push(Outcome::Fail, key.mark(), says, "keep those that are needed: each is asked for in turn");
    }
    for (domain, mark) in domains.into_iter().filter(|(domain, _)| !is_domain(domain) && !is_filled_in_later(domain)) {
        let says = format!("{} is no domain: the API server refuses it", shown(domain));
        push(Outcome::Fail, mark, says, "lower-case words with dots between them, one domain an entry");
    }
}

/// Whether some release lets it through: names with an underscore, and a single dot, since 1.33.
fn is_domain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let word = |word: &str| {
        let inner = |byte: u8| plain(byte) || b"-_".contains(&byte);
        !word.is_empty() && word.bytes().all(inner) && !word.starts_with('-') && !word.ends_with('-')
    };
    text == "." || (text.len() <= 254 && text.strip_suffix('.').unwrap_or(text).split('.').all(word))
}

fn options(config: Option<Node<'_>>, push: &mut impl FnMut(Outcome, Mark, String, &str)) {
    let options = config.and_then(|config| config.get("options"));
    for option in options.into_iter().flat_map(Node::items).filter(|option| option.is_map()) {
        let name = option.get("name").and_then(Node::scalar).unwrap_or_default();
        if name.is_empty() {
            let says = "an option without a name: the API server refuses it".to_owned();
            push(Outcome::Fail, option.mark(), says, "name it, or delete it");
        }
        let Some(value) = option.get("value").filter(|value| !value.is_null()) else { continue };
        let Some(text) = value.text() else {
            let says = format!(
                "the value of an option is text, and {} is not: the API server refuses it",
                shown(value.scalar().unwrap_or("what stands there"))
            );
            push(Outcome::Fail, value.mark(), says, "put it in quotes");
            continue;
        };
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if ["ndots", "timeout", "attempts"].contains(&name) && !is_number && !is_filled_in_later(text) {
            let says = format!("{name}:{} is no number: glibc reads it as 0", shown(text));
            push(Outcome::Warn, value.mark(), says, "write a number, in quotes");
        }
    }
}
