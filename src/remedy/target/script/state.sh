
# Whether something of this kind and name is in the state already.
remembered() { [ -f "$state_file" ] && grep -q "^$1|$2|" "$state_file"; }

# What the state holds last of this kind and name.
last() { if [ -f "$state_file" ]; then sed -n "s#^$1|$2|##p" "$state_file" | tail -n 1; fi; }

# Before what it is about is done: whatever ends this run, undo knows of it.
remember() {
  { printf '%s\n' "$1" >>"$state_file"; } 2>/dev/null || die "cannot write $state_file: is the disk full?"
}

# Sees to it that it is on the disk, for a machine that loses its power.
on_disk() { sync "$@" 2>/dev/null || sync; }

# Whether an apply or an undo of this plan did not come to its end.
unfinished() {
  [ -r "$state_file" ] && case $(grep -e '^applying|' -e '^applied|' -e '^undoing|' "$state_file" | tail -n 1) in
    applying*) what='an apply' ;;
    undoing*) what='an undo' ;;
    *) false ;;
  esac
}

# Whether a file that was written here still keeps a sysctl over a boot.
is_kept() {
  for kept_by in $(files); do
    case $kept_by in
      /etc/sysctl.d/*) if [ -f "$kept_by" ] && grep -q "^$1 = " "$kept_by"; then return 0; fi ;;
    esac
  done
  return 1
}

# The state that an apply goes on from, without what a boot has taken back: whoever gave such a value since is not this plan.
carried() {
  [ -f "$state_file" ] || return 0
  if remembered boot "$boot"; then
    # What was written or made before and again since is said once: however often a run is ended, the state does not grow.
    awk '/^boot[|]/ || /^undoing[|]/ || /^appl/ { next }
      { line[++count] = $0; again[$0] = count }
      END { for (at = 1; at <= count; at++) if (line[at] !~ /^(wr|folder)/ || again[line[at]] == at) print line[at] }' "$state_file"
    return
  fi
  while IFS= read -r line; do
    one=${line#*|}
    one=${one%%|*}
    case ${line%%|*} in
      value | writing | wrote | highest) is_kept "$one" || continue ;;
      file | ours | folder) ;;
      *) continue ;;
    esac
    printf '%s\n' "$line" || return 1
  done <"$state_file"
}

# Keeps what is there now, before the first write, whole or not at all, and this script, which can take it back.
save() {
  umask 077
  # Without them no file could be merged, and one that is there would lose its lines.
  for tool in awk sort sed grep cmp; do
    command -v "$tool" >/dev/null 2>&1 || die "there is no $tool here"
  done
  if [ "$persist" ]; then for file in $persists; do is_writable "$file"; done; fi
  lock
  if unfinished; then say "note: $what was not finished here, and is taken up"; fi
  mode=save
  if [ -f "$0" ] && grep -qx "id=$id" "$0"; then
    { cp "$0" "$state_file.new" && cmp -s "$0" "$state_file.new" && mv "$state_file.new" "$state_file.sh"; } 2>/dev/null ||
      die "cannot keep this script in $folder: is the disk full?"
  fi
  { carried && printf 'boot|%s|\napplying||\n' "$boot"; } 2>/dev/null >"$state_file.new" || die "cannot write to $folder: is the disk full?"
  steps >>"$state_file.new"
  # shellcheck disable=SC2086
  room "$state_file.new" ${persist:+$persists} 2>/dev/null >"$state_file.room" || die "cannot write to $folder: is the disk full?"
  rm -f "$state_file.room"
  set +f
  on_disk "$state_file"*
  set -f
  mv "$state_file.new" "$state_file" || die "cannot write $state_file"
  on_disk "$folder"
  mode=apply
}

# As much as may be remembered later, and copies of those files.
room() {
  for file; do
    if [ -f "$file" ]; then cat "$file" "$file" "$file" "$file" || return 1; fi
    dd if=/dev/zero bs=4096 count=6 || return 1
  done
}

# A line of the state that is being saved.
saved() { printf '%s\n' "$1" 2>/dev/null || die "cannot write to $folder: is the disk full?"; }

# Whether a file, or the text in $2, is what was written to that file here, by the last apply or one before that.
is_ours() {
  [ "$(sed -n "s#^ours|$1|##p" "$state_file" | while IFS= read -r ours; do
    if cmp -s "${2:-$1}" "$ours"; then echo yes; fi
  done)" ]
}

# Whether the state would put a file back as it is now. An undo that was ended has put it back already.
is_kept_copy() {
  remembered file "$1" || return 1
  copy=$(last file "$1")
  if [ ! -e "$1" ]; then [ -z "$copy" ]; return; fi
  [ "$copy" ] && cmp -s "$copy" "$1" && [ "$(rights "$copy")" = "$(rights "$1")" ]
}

# Mode and owner of a file. The find of busybox cannot print them.
# shellcheck disable=SC2012
rights() { ls -ldn "$1" 2>/dev/null | awk '{ print $1, $3, $4 }'; }

# Stops where a file could not be written.
is_writable() {
  [ ! -L "$1" ] || die "$1 is a link, and is not written over: keep the lines where it leads, or remove it"
  there=${1%/*}
  while [ ! -e "${there:-/}" ]; do there=${there%/*}; done
  [ -w "${there:-/}" ] || die "cannot write to ${there:-/}: be root; is it read-only?"
}

# Makes a folder, and those above it.
make() {
  if [ -d "$1" ]; then return 0; fi
  if [ ! -d "${1%/*}/" ]; then (make "${1%/*}") || exit 1; fi
  remember "folder|$1|"
  (umask 022 && mkdir "$1") 2>/dev/null || die "cannot make $1"
}

# A name for a copy that no copy has.
copy_name() {
  number=1
  while [ -e "$state_file.$1.$number" ]; do number=$((number + 1)); done
  copy=$state_file.$1.$number
}

# Writes $state_file.text to a file, whole or not at all. A file that was there is kept for undo.
put() {
  file=$1
  is_writable "$file"
  if [ -e "$file" ] && cmp -s "$file" "$state_file.text"; then return 0; fi
  # Undo goes back to what is there now, unless that is what was written here before.
  if is_kept_copy "$file"; then
    :
  elif [ ! -e "$file" ]; then
    remember "file|$file|"
  elif ! is_ours "$file"; then
    copy_name copy
    { cp -p "$file" "$copy" && cmp -s "$file" "$copy"; } 2>/dev/null || die "cannot keep a copy of $file: is the disk full?"
    remember "file|$file|$copy"
  fi
  if ! is_ours "$file" "$state_file.text"; then
    copy_name ours
    { cp "$state_file.text" "$copy" && cmp -s "$state_file.text" "$copy"; } 2>/dev/null ||
      die "cannot keep a copy of what is written to $file: is the disk full?"
    remember "ours|$file|$copy"
  fi
  set +f
  on_disk "$state_file"* "$folder"
  set -f
  make "${file%/*}"
  replace "$file" "$state_file.text" || die "cannot write $file: is the disk full, or read-only?"
  changed=$((changed + 1))
  say "wrote      $file"
}

# Puts the text of $2 in the place of a file, at once. It has the owner and the mode of $3, or else of the file that is there.
replace() {
  new=$1.tunecheck-new
  like=${3:-$1}
  rm -f "$new"
  if [ -e "$like" ]; then cp -p "$like" "$new" 2>/dev/null; else (umask 022 && set -C && printf '' >"$new") 2>/dev/null; fi &&
    if [ -z "${3:-}" ]; then { cat "$2" >"$new"; } 2>/dev/null; fi &&
    cmp -s "$2" "$new" && on_disk "$new" && mv "$new" "$1" 2>/dev/null && on_disk "${1%/*}" && return 0
  rm -f "$new"
  return 1
}
