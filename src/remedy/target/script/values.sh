
# What was there before is kept in this folder until `undo`.
folder=${TUNECHECK_STATE:-/var/lib/tunecheck}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
persist=
forgets=
lost=
also=
skipped=
failed=0
changed=0
untold=

usage() {
  cat <<'USAGE'
usage: sh fix.sh [plan]              show what would change; changes nothing
       sh fix.sh apply [--persist]   change it; --persist also writes the files that keep it over a reboot
       sh fix.sh check               see whether every value holds (exit 1 if one does not)
       sh fix.sh undo [--forget]     put back what was there before, and take away the files that apply made; --forget
                                     leaves for good what somebody else changed since
A run that was ended half-way, by a kill or a power cut: undo goes back to before it, the same apply to its end.
TUNECHECK_STATE names another folder than /var/lib/tunecheck for what has to be remembered until undo.
USAGE
}

# A reader that went away stops no change half-way; a full disk is told of at the end.
say() { printf '%s\n' "$*" 2>/dev/null || untold=1; }

die() {
  printf 'fix.sh: %s\n' "$*" >&2
  case $mode$changed in
    apply0 | save0) printf 'Nothing was changed.\n' >&2 ;;
    apply* | keep*) printf 'Stopped after %s change(s): sh fix.sh undo takes them back.\n' "$changed" >&2 ;;
  esac
  exit 1
}

number() {
  case ${1#-} in '' | *[!0-9]*) return 1 ;; esac
  [ "${#1}" -le 19 ]
}

# The live value of a sysctl, its words with one blank between them, in $live. A long list is whole in one read alone: a
# second one is told that nothing is left.
look() {
  live=$(dd if="$1" bs=262144 count=1 2>/dev/null) || return 1
  # shellcheck disable=SC2086
  set -- $live
  live=$*
}

# Writes a value to a sysctl. The pieces in which a shell writes a long one would be taken for lists of their own, and end
# within a number.
write() {
  if [ "${#2}" -lt 1000 ]; then
    { printf '%s\n' "$2" >"$1"; } 2>/dev/null
  else
    { printf '%s\n' "$2" >"$state_file.text"; } 2>/dev/null && dd if="$state_file.text" of="$1" bs=262144 2>/dev/null
  fi
}

# Whether every port of the list $2 is in the list $1. The kernel prints neighbours as one range.
covers() {
  printf '%s\n' "$1" "$2" | awk -F , '
    { for (i = 1; i <= NF; i++) {
        split($i, end, "-")
        for (port = end[1]; port <= (end[2] == "" ? end[1] : end[2]); port++)
          if (NR == 1) held[port + 0] = 1; else if (!((port + 0) in held)) exit missing = 1
    } }
    END { exit missing }'
}

# Whether $live is as good as what is asked for: how, then the value.
holds() {
  case $1 in
    raise)
      number "$live" || die "$name is no number here: $live"
      # To conntrack 0 stands for no limit at all.
      if [ "$name" = net.netfilter.nf_conntrack_max ] && [ "$live" -eq 0 ]; then return 0; fi
      [ "$live" -ge "$2" ]
      ;;
    set) [ "$live" = "$2" ] ;;
    widen) [ "${live%% *}" -le "$2" ] && [ "${live##* }" -ge "$3" ] ;;
    add) covers "$live" "$2" ;;
  esac
}

# What to write, from $live and what is asked for, in $want. Never less than what is there.
work_out() {
  case $1 in
    raise | set) want=$2 ;;
    add) want=${live:+$live,}$2 ;;
    widen)
      low=${live%% *} high=${live##* }
      if ! number "$low" || ! number "$high"; then die "$name is no range here: $live"; fi
      if [ "$2" -lt "$low" ]; then low=$2; fi
      if [ "$3" -gt "$high" ]; then high=$3; fi
      want="$low $high"
      ;;
  esac
}
