
# Whether something of this kind and name is in the state already.
remembered() { [ -f "$state_file" ] && grep -q "^$1|$2|" "$state_file"; }

# What the state holds last of this kind and name.
last() { if [ -f "$state_file" ]; then sed -n "s#^$1|$2|##p" "$state_file" | tail -n 1; fi; }

remember() { printf '%s\n' "$1" >>"$state_file" || die "cannot write $state_file"; }

# When a process began, in ticks since boot; its number is given again to another one.
began() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# One run at a time, of whatever plan: another one may change the same value or file. The lock of a run that was killed is taken over, by the one who is first to mark it.
lock() {
  lock_folder=$folder/lock
  until mkdir "$lock_folder" 2>/dev/null; do
    owner=$(cat "$lock_folder/owner" 2>/dev/null) || owner=
    if [ -z "$owner" ] && [ "${waited:-0}" -lt 2 ]; then
      waited=$((${waited:-0} + 1))
      sleep 1
      continue
    fi
    [ "$owner" ] || die "another run begins here; if there is none, remove $lock_folder"
    at=$(began "${owner%% *}")
    if [ "$at" ] && [ "$at $boot" = "${owner#* }" ]; then die "another run is at work here (process ${owner%% *})"; fi
    if mkdir "$lock_folder/after ${owner%% *}" 2>/dev/null; then
      if [ "$(cat "$lock_folder/owner" 2>/dev/null)" = "$owner" ]; then break; fi
      rmdir "$lock_folder/after ${owner%% *}"
    fi
    die "another run takes over here; if there is none, remove $lock_folder"
  done
  trap 'rm -rf "$lock_folder" "$state_file.new" "$state_file.text" "$state_file.lines" "$state_file.modules" "$state_file.files" ${new:+"$new"}
    if [ "$(ls -A "$folder" 2>/dev/null)" = .made ]; then rm -f "$folder/.made"; rmdir "$folder" 2>/dev/null || :; fi' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  printf '%s %s %s\n' "$$" "$(began $$)" "$boot" >"$lock_folder/owner"
}

# Keeps what is there now, before the first write, whole or not at all, and this script, which can take it back.
save() {
  umask 077
  # Without them no file could be merged, and one that is there would lose its lines.
  for tool in awk sort sed grep cmp; do
    command -v "$tool" >/dev/null 2>&1 || die "there is no $tool here"
  done
  made=
  if [ ! -d "$folder" ]; then made=1; fi
  mkdir -p "$folder" 2>/dev/null || die "cannot make $folder: be root, or let TUNECHECK_STATE name a folder of yours"
  [ -w "$folder" ] || die "cannot write to $folder: be root, or let TUNECHECK_STATE name a folder of yours"
  # A folder of somebody's is not taken away with the last state.
  if [ "$made" ]; then : >"$folder/.made"; fi
  lock
  mode=save
  { if [ -f "$state_file" ]; then grep -v '^undoing|' "$state_file" || :; fi && printf 'boot|%s|\n' "$boot"; } >"$state_file.new" || die "cannot write $state_file.new"
  steps >>"$state_file.new" || die "cannot write $state_file.new"
  mode=apply
  mv "$state_file.new" "$state_file" || die "cannot write $state_file"
  if [ -f "$0" ] && grep -qx "id=$id" "$0"; then cp "$0" "$state_file.sh"; fi
}

# Whether a file is still as it was written here.
is_ours() {
  ours=$(last ours "$1")
  [ "$ours" ] && cmp -s "$1" "$ours"
}

# Writes standard input to a file, whole or not at all. A file that was there is kept for undo.
put() {
  file=$1
  [ ! -L "$file" ] || die "$file is a link, and is not written over: keep the lines where it leads, or remove it"
  parent=${file%/*}
  if [ ! -d "$parent" ]; then
    (umask 022 && mkdir -p "$parent") || die "cannot make $parent"
    remember "folder|$parent|"
  fi
  new=$file.tunecheck-new
  umask 022
  # With the owner and the mode of the one that is there.
  if [ -e "$file" ]; then cp -p "$file" "$new" 2>/dev/null || die "cannot write to $parent"; fi
  cat >"$new" 2>/dev/null || die "cannot write to $parent"
  umask 077
  if [ -e "$file" ] && cmp -s "$file" "$new"; then
    rm -f "$new"
    return 0
  fi
  # Undo goes back to what is there now, unless that is what was written here before.
  if [ ! -e "$file" ] || ! is_ours "$file"; then
    if [ -e "$file" ]; then
      copies=$((${copies:-0} + 1))
      copy=$state_file.copy.$$.$copies
      cp -p "$file" "$copy" || die "cannot keep a copy of $file"
      remember "file|$file|$copy"
    else
      remember "file|$file|"
    fi
  fi
  copies=$((${copies:-0} + 1))
  ours=$state_file.ours.$$.$copies
  cp "$new" "$ours" || die "cannot keep a copy of what is written to $file"
  remember "ours|$file|$ours"
  mv "$new" "$file" || die "cannot write $file"
  changed=$((changed + 1))
  say "wrote      $file"
}
