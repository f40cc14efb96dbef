
# Every file that sets sysctls at boot, in the order of sysctl.d(5): by name over all folders, a name in an earlier folder
# hides the same one in a later one, and a link to /dev/null masks it.
boot_files() {
  {
    set +f
    for from in /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d /lib/sysctl.d; do
      for other in "$from"/*.conf "$from"/.*.conf; do
        # systemd passes over a name that begins with a dot.
        case ${other##*/} in .*) [ ! -d /run/systemd/system ] || continue ;; esac
        # Behind the name, which no slash is in, the path.
        if [ -e "$other" ] || [ -L "$other" ]; then printf '%s/%s\n' "${other##*/}" "$other"; fi
      done
    done
    set -f
  } | awk -F / '!seen[$1]++' | sort -t / -k 1,1 | sed 's#^[^/]*/##'
  # Only sysctl --system reads it: systemd-sysctl does not, or by a name that is in the list above.
  if [ ! -d /run/systemd/system ]; then printf '%s\n' /etc/sysctl.conf; fi
}

# The value that a file gives a sysctl under the first name or one of the others, in $live; fails if it gives none. A minus
# is no value: to systemd, a line with the name alone behind a minus takes out what files before it set under that name.
set_by() {
  read_file=$1
  shift
  [ -f "$read_file" ] || return 1
  commands=
  if [ -d /run/systemd/system ]; then
    commands="s/^[[:space:]]*-[[:space:]]*[.\/]*$(printf '%s' "$1" | sed 's/[./]/[.\/]/g')[[:space:]]*\$/-/p"
  fi
  for known in "$@"; do
    pattern=$(printf '%s' "$known" | sed 's/[./]/[.\/]/g')
    commands="$commands
s/^[[:space:]]*-\{0,1\}[[:space:]]*[.\/]*${pattern}[[:space:]]*=[[:space:]]*//p"
  done
  live=$(sed -n "$commands" "$read_file" | tail -n 1)
  # shellcheck disable=SC2086
  set -- $live
  # The kernel takes as many numbers as there are, each up to a blank; what stands behind them is left alone.
  case $how in
    raise) live=${1:-} ;;
    widen) live=${1:-}${2:+ $2} ;;
    *) live=$* ;;
  esac
  [ "$live" ]
}

# The same under every name.
# shellcheck disable=SC2086
set_as_any() { set_by "$1" "$name" $also; }

# Sees to it that a value is there after a boot too. What a file keeps already is left to it, and nothing is kept that was
# not written here: a value that somebody else gave is theirs to keep.
keep_value() {
  if ! remembered writing "$name"; then
    say "not kept   $name = $live: it was not set by this script, and is left to whoever set it"
    return 0
  fi
  if [ "$lost" ]; then
    say "NOT KEPT   $name: what is set in a network namespace is lost with it: whoever makes it has to set it"
    failed=1
    return 0
  fi
  now=$live last_file='' gone_by=''
  while IFS= read -r other; do
    if set_as_any "$other"; then
      if [ "$live" = - ]; then gone_by=$other; else last_file=$other last_value=$live gone_by=; fi
    fi
  done <"$state_file.files"
  if [ "$gone_by" ] && later "$gone_by" "$keep_file"; then
    say "NOT KEPT   $name: $gone_by is read later and takes it out (-$name); change that line"
    failed=1
    return 0
  fi
  if [ "$last_file" ]; then
    live=$last_value
    # A comment behind a number, or another word: nobody can say what a boot makes of it.
    if ! readable "$how"; then
      say "NOT KEPT   $name: $last_file sets \"$live\", which cannot be held against $now"
      failed=1
      return 0
    fi
    # What was taken out under one name may still be set under another one.
    if [ "$gone_by" ]; then
      if [ "$how" = raise ] && [ "$live" -gt "$now" ]; then now=$live; fi
    elif holds "$how" "$@"; then
      if [ "$last_file" != "$keep_file" ]; then say "kept       $name: $last_file sets $live"; fi
      return 0
    fi
    if [ "$last_file" != "$keep_file" ] && { [ "$last_file" = /etc/sysctl.conf ] || later "$last_file" "$keep_file"; }; then
      say "NOT KEPT   $name: $last_file is read later and sets $live; change that line"
      failed=1
      return 0
    fi
  fi
  if [ "$last_file" ]; then
    live=$last_value
    join_live
  fi
  if [ "$last_file" != "$keep_file" ] && set_as_any "$keep_file" && readable "$how"; then
    join_live
  fi
  want=$now
  printf '%s = %s\n' "$name" "$want" >>"$state_file.lines" || die "cannot write $state_file.lines"
  # systemd-sysctl leaves a line in the place of an earlier one with the same value: then another name has the last word.
  for one in $also; do
    while IFS= read -r other; do
      if set_by "$other" "$one"; then
        printf '%s = %s\n' "$one" "$want" >>"$state_file.lines"
        break
      fi
    done <"$state_file.files"
  done
  if set_as_any /etc/sysctl.conf && [ "$live" != - ] && { ! readable "$how" || ! holds "$how" "$@"; }; then
    say "but        $name: sysctl --system reads /etc/sysctl.conf last and sets $live; change that line too"
  fi
}

# Adds what a file gives, in $live, to the value that is to be kept: a list keeps its entries, a range its ends.
join_live() {
  # shellcheck disable=SC2086
  case $how in
    add) work_out add "$now" && now=$want ;;
    widen) work_out widen $now && now=$want ;;
  esac
}

# Whether $live is of the form that a sysctl of this kind has.
readable() {
  case $1 in
    raise) number "$live" ;;
    widen) number "${live%% *}" && number "${live##* }" && [ "$live" = "${live%% *} ${live##* }" ] ;;
    add) case $live in *[!0-9,-]*) return 1 ;; esac ;;
  esac
}

# Whether the first of two files sorts after the second.
later() { [ "$(printf '%s\n%s\n' "${1##*/}" "${2##*/}" | sort | tail -n 1)" = "${1##*/}" ]; }

# A file without its lines about the sysctls of the lines in $2, and then those.
merged() {
  if [ -f "$1" ]; then
    awk 'function key(line) { sub(/=.*/, "", line); gsub(/[[:space:]]/, "", line); sub(/^-/, "", line); gsub("/", ".", line); sub(/^[.]+/, "", line); return line }
      NR == FNR { ours[key($0)] = 1; next }
      /^[[:space:]]*[#;]/ || !/=/ || !(key($0) in ours)' "$2" "$1" || return 1
  fi
  cat "$2"
}

keep() {
  rm -f "$state_file.lines" "$state_file.modules"
  boot_files >"$state_file.files" || die "cannot write $state_file.files"
  mode=keep
  steps
  mode=apply
  if [ -f "$state_file.modules" ]; then
    file=/etc/modules-load.d/tunecheck.conf
    if [ ! -e "$file" ]; then set -- "$state_file.modules"; else set -- "$file" "$state_file.modules"; fi
    awk '!seen[$0]++' "$@" >"$state_file.text" || die "cannot write $state_file.text"
    put "$file"
  fi
  if [ -f "$state_file.lines" ]; then
    merged "$keep_file" "$state_file.lines" >"$state_file.text" || die "cannot write $state_file.text"
    put "$keep_file"
  fi
}
