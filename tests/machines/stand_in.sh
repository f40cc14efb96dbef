# shellcheck shell=sh
state=/var/lib/tunecheck
conf=/etc/sysctl.d/90-tunecheck.conf
modules=/etc/modules-load.d/tunecheck.conf
dropin=/etc/systemd/system/load.service.d/50-tunecheck.conf
want='net.core.somaxconn=65535
net.netfilter.nf_conntrack_buckets=65536
net.netfilter.nf_conntrack_max=262144
fs.nr_open=1078576'
case $1 in
plan) echo "$want" ;;
apply)
  mkdir -p $state
  for line in $want; do
    key=${line%%=*}
    echo "$key=$(sysctl -n "$key")" >>$state/before
    sysctl -qw "$line"
  done
  [ "${2-}" = --persist ] || exit 0
  mkdir -p ${dropin%/*}
  echo "$want" >$conf
  echo nf_conntrack >$modules
  printf '[Service]\nLimitNOFILE=65536:1048576\n' >$dropin
  systemctl daemon-reload
  ;;
check)
  code=0
  for line in $want; do
    [ "$(sysctl -n "${line%%=*}")" = "${line#*=}" ] || code=1
  done
  exit $code
  ;;
undo)
  while read -r line; do sysctl -qw "$line"; done <$state/before
  rm -rf $state $conf $modules $dropin
  systemctl daemon-reload
  ;;
esac
