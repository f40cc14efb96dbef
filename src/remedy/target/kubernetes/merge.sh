set -eu
case ${1-} in '' | -*) echo "usage: sh pod-merge.sh deployment NAME [-n NAMESPACE]" >&2; exit 2 ;; esac
for tool in kubectl jq; do
  command -v "$tool" >/dev/null || { echo "pod-merge.sh: it needs $tool" >&2; exit 2; }
done
has=$(kubectl get "$@" -o json)
printf '%s\n' "$has" | jq -e '.spec.template.spec.containers' >/dev/null ||
  { echo "pod-merge.sh: $1 is no Deployment, StatefulSet, DaemonSet or other workload with a pod template" >&2; exit 2; }
# Entries of one name with another value.
differ=$(printf '%s\n' "$has" | jq -r --argjson want "$want" '
  def entries: [.securityContext.sysctls[]?, .dnsConfig.options[]?][] | .name |= gsub("/"; ".");
  .spec.template.spec | entries as $old | $want | entries
  | select(.name == $old.name and .value != $old.value) | "\(.name): it has \($old.value), the patch \(.value)"')
if [ -n "$differ" ]; then
  printf 'Nothing is merged, since the workload has values of its own:\n%s\n' "$differ" >&2
  echo "Take out what you do not want, there or in the line want= of this script." >&2
  exit 1
fi
# With the version that was looked at, so that a change in between is a conflict and not lost.
printf '%s\n' "$has" | jq --argjson want "$want" '
  def same: if .name then .name | gsub("/"; ".") else [.key, .operator, .value, .effect] end;
  def plus($ours): . // [] | . as $theirs | . + [$ours[] | select(same as $one | all($theirs[]; same != $one))];
  def joined($has; list): if list then list |= (. as $ours | $has | list | plus($ours)) else . end;
  { metadata: { resourceVersion: .metadata.resourceVersion } }
  + { spec: { template: { spec: (.spec.template.spec as $has | $want
    | joined($has; .securityContext.sysctls) | joined($has; .tolerations) | joined($has; .dnsConfig.options)) } } }
  | del(.. | nulls)' >pod-merged.json
after=$(kubectl patch "$@" --type merge --patch-file pod-merged.json --dry-run=server -o json)
printf '%s\n' "$after" | kubectl diff -f - || [ $? -eq 1 ]
echo "Nothing is changed yet. To change it: kubectl patch $* --type merge --patch-file pod-merged.json"
