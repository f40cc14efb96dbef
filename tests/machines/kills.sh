#!/bin/sh
# Kills /fix.sh at chosen and at random moments in a booted machine. After each kill one command has to bring the state
# before or the one after. $1 is the seed of the random moments, $2 how many there are.
set -eu
seed=$1 kills=$2
cd /
keep_file=
eval "$(grep '^keep_file=' fix.sh)"

# Everything that an administrator or the script sets.
state() {
  (cd /proc/sys/net && find core ipv4 -type f ! -name '*random*' ! -name '*secret*' -exec grep -s . {} +) || true
  find /etc /var/lib -printf '%y %m %U:%G %p %l\n' | grep -v /var/lib/systemd | sort
  find /etc/sysctl.d /etc/modules-load.d /etc/systemd -type f -exec cksum {} +
  systemctl show -p LimitNOFILE -p LimitNOFILESoft -p NeedDaemonReload load
}

# What is remembered for undo is no part of the state after an apply.
changed_state() { state | grep -v /var/lib/tunecheck; }

fails() {
  echo "FAILED: $*"
  exit 1
}

# Runs a verb to its end, in this shell.
whole() {
  # shellcheck disable=SC2086
  $shell /fix.sh $1 >/tmp/said 2>&1 || fails "$1 after $2: $(cat /tmp/said)"
}

# Brings one of the two states after a kill, and holds it against the right one.
settled() {
  what=$2
  if [ "$1" = undo ]; then
    whole undo "$what"
    state >/tmp/now
    cmp -s /tmp/before /tmp/now || fails "undo after $what: $(diff /tmp/before /tmp/now | head -n 20)"
    there=
  else
    whole 'apply --persist' "$what"
    changed_state >/tmp/now
    cmp -s /tmp/after /tmp/now || fails "apply after $what: $(diff /tmp/after /tmp/now | head -n 20)"
    there=1
  fi
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

shell="sh"
mkdir -p /etc/sysctl.d
printf 'net.ipv4.tcp_rfc1337 = 1\n' >"$keep_file"
chown daemon:adm "$keep_file"
chmod 640 "$keep_file"
state >/tmp/before
start=$(now_ms)
whole 'apply --persist' nothing
lasts=$(($(now_ms) - start))
changed_state >/tmp/after
cmp -s /tmp/before /tmp/after && fails 'apply changed nothing'
start=$(now_ms)
settled undo 'a whole apply'
undo_lasts=$(($(now_ms) - start))
echo "an apply takes $lasts ms, an undo with a look at all of it $undo_lasts ms"

# Before each command of the script that writes: the shell counts them, and the Nth is not begun.
cat >/tmp/stops.sh <<'STOPS'
set -T
trap 'case $BASH_COMMAND in
  say*) ;;
  *"> \"\$"*|mkdir*|"mv "*|"rm "*|rmdir*|"cp "*|"dd if=/dev"*|"dd if=\"\$state"*|sync*|"systemctl daemon-reload"*)
    stops=$((${stops:-0} + 1))
    if [ "$stops" -ge "$STOP_AT" ]; then kill -s KILL 0; fi ;;
esac' DEBUG
STOPS
for verb in 'apply --persist' undo; do
  # Back to where it began.
  case $verb in undo) back='apply --persist' ;; *) back=undo ;; esac
  at=1
  # shellcheck disable=SC2086
  until STOP_AT=$at BASH_ENV=/tmp/stops.sh setsid -w bash /fix.sh $verb >/tmp/said 2>&1; do
    settled "$back" "$verb was killed at command $at"
    at=$((at + 1))
    [ "$at" -lt 300 ] || fails "$verb takes more commands each time that it was killed"
  done
  [ "$at" -gt 10 ] || fails "only $at commands of $verb write: $(cat /tmp/said)"
  echo "killed at each of $((at - 1)) commands of $verb that write"
done
settled undo 'every kill of both'

# At random moments, whatever runs then.
awk -v seed="$seed" -v kills="$kills" -v lasts="$lasts" -v undo="$undo_lasts" 'BEGIN {
  srand(seed)
  for (i = 0; i < kills; i++) { at = rand() / 1000; printf "%.3f %.3f %d\n", at * lasts, at * undo, int(rand() * 2) }
}' >/tmp/moments
there=
killed=0 missed=0
while read -r moment undo_moment way; do
  verb='apply --persist'
  if [ "$there" ]; then verb=undo moment=$undo_moment; fi
  # shellcheck disable=SC2086
  setsid sh /fix.sh $verb >/tmp/said 2>&1 &
  group=$!
  sleep "$moment"
  kill -s KILL -- "-$group" 2>/dev/null || missed=$((missed + 1))
  wait "$group" 2>/dev/null || true
  killed=$((killed + 1))
  if [ "$way" = 0 ]; then settled undo "$verb was killed after $moment s (number $killed)"; else settled 'apply --persist' "$verb was killed after $moment s (number $killed)"; fi
  # What was changed and taken back again and again is remembered once.
  kept=$(find /var/lib/tunecheck 2>/dev/null | wc -l)
  [ "$kept" -lt 40 ] || fails "$kept files of state after $killed kills"
done </tmp/moments
settled undo 'the last kill'
echo "killed $killed times at random, $missed of them after the end; seed $seed"
