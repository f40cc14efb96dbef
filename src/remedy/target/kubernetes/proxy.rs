//! The part of kube-proxy, which gives every node its conntrack limits at its start.

use serde_json::{Map, Value, json};

use super::super::kube_proxy::{Refused, Setting, habit, setting};
use super::super::{File, Order, Rendered, notes, yaml};
use crate::model::action::Site;

/// The fragment, if the plan asks for one.
pub(super) fn file(order: Order<'_>, rendered: &mut Rendered) -> Result<Option<File>, String> {
    let mut conntrack = Map::new();
    let mut told_only = Vec::new();
    let mut steps = String::new();
    for (step, edit) in order.plan.sysctls(&[Site::KubeProxy]) {
        let found = match setting(edit, order) {
            Ok(found) => found,
            Err(Refused::Ask(what)) => return Err(what),
            Err(Refused::LeftOut(why)) => {
                rendered.leave_out(step, why);
                continue;
            }
        };
        let settings = match found {
            Setting::Min(least) => vec![("min", json!(least as i64))],
            Setting::MinAlone(least) => vec![("maxPerCore", json!(1)), ("min", json!(least as i64))],
            Setting::Established(seconds) => vec![("tcpEstablishedTimeout", json!(format!("{seconds}s")))],
        };
        steps += &format!("#\n{}", notes::comment(step, "#"));
        steps.extend(found.note().map(|note| format!("#   {note}\n")));
        steps.extend(edit.overwritten.iter().map(|why| format!("#   boot     {}\n", notes::one_line(why))));
        match order.told_only(step) {
            None => conntrack.extend(settings.into_iter().map(|(key, value)| (key.to_owned(), value))),
            Some(why) => {
                for (key, value) in settings {
                    steps += &format!("#   left to you: conntrack.{key}: {value}: {why}\n");
                }
                told_only.push((step, why));
            }
        }
    }
    if conntrack.is_empty() {
        told_only.into_iter().for_each(|(step, why)| rendered.leave_out(step, why));
        return Ok(None);
    }
    let mut lines = Vec::new();
    notes::wrap(&mut lines, "", habit(order.options.kubernetes));
    notes::wrap(
        &mut lines,
        "",
        "--kubernetes-version is taken for kube-proxy's release too. Where kube-proxy is newer than the oldest \
         kubelet, that of kube-proxy decides here: kubectl -n kube-system get daemonset kube-proxy -o \
         jsonpath='{..image}'",
    );
    let text = format!(
        "# A part of the KubeProxyConfiguration, to merge in by hand. Do NOT apply or patch with this file: the \
         ConfigMap\n\
         # holds the whole configuration as one text (kubeadm: config.conf), and a patch would drop the rest of it.\n\
         #   1. kubectl -n kube-system get configmap kube-proxy -o yaml > before.yaml      what is there now\n\
         #   2. kubectl -n kube-system edit configmap kube-proxy      these keys, below conntrack:\n\
         #   3. kubectl -n kube-system rollout restart daemonset kube-proxy\n\
         # Keep a value there that is larger. nf_conntrack_max is the larger of maxPerCore x cores and min. Leave \
         maxPerCore\n\
         # as it is, unless it stands below. Where it is 0 kube-proxy ignores min and the node sets the value: keep \
         it 0 and\n\
         # raise the node's own line (sysctl.d).\n\
         # On K3s and RKE2 there is no such ConfigMap: kube-proxy-arg in config.yaml.d, fix --to k3s.\n\
         # On EKS the ConfigMap is kube-proxy-config, its text is in config, and the add-on that owns it may write \
         it again.\n\
         # Where no kube-proxy runs (Cilium and others in its place) the node keeps its own value: sysctl.d.\n\
         {}{steps}{}",
        notes::commented(&lines, "#"),
        yaml::document(&json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "conntrack": Value::Object(conntrack),
        })),
    );
    Ok(Some(File {
        path: "kube-proxy.yaml".to_owned(),
        text,
        apply:
            "to merge by hand into the kube-proxy ConfigMap, never to apply as it is: its first lines say how. Undo: \
                put the former values back and restart kube-proxy."
                .to_owned(),
    }))
}
