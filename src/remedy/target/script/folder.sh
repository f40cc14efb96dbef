
# Whether nobody but root and the caller can change what is at a path: each folder on the way belongs to one of them, and
# nobody else may write there, unless only the owner of an entry may take it away, as in /tmp; what is there belongs to one
# of them as well, and is no link. Where it fails, $why says so.
is_guarded() {
  self=$(id -u) at='' rest=${1#/} open=''
  while :; do
    # A link is followed only where nobody else can have made it.
    if [ "$open" ]; then look_at=$at; else look_at=$at/.; fi
    # shellcheck disable=SC2046
    set -- $(ls -ldn "$look_at" 2>/dev/null)
    case ${1:-} in
      d*) ;;
      l*) why="$at is a link where others can write"; return 1 ;;
      *) why="$at is no folder, or cannot be read"; return 1 ;;
    esac
    case $3 in 0 | "$self") ;; *) why="${at:-/} belongs to user $3"; return 1 ;; esac
    case $1 in
      ????????w[tT]* | ?????w???[tT]*) open=1 ;;
      # The plus stands for an access list, of which the letters of the group are the most that it allows.
      ????????w* | ?????w????+*) why="others can write to ${at:-/}"; return 1 ;;
      ?????w*)
        [ "$4" = 0 ] || { why="group $4 can write to ${at:-/}"; return 1; }
        open=
        ;;
      *) open= ;;
    esac
    [ "$rest" ] || return 0
    at=$at/${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
  done
}

unguarded() {
  die "the state in $folder is not trusted: $why. Let TUNECHECK_STATE name a folder in one where only root or you can write"
}

# Whether the folder is there, and what is in it is what was written here; stops where somebody else could have done that.
has_folder() {
  while case $folder in ?*/) ;; *) false ;; esac do folder=${folder%/}; done
  above=${folder%/*}
  if [ ! -d "$above/" ]; then return 1; fi
  is_guarded "$above" || unguarded
  # By the path without links, so that none is followed later.
  above=$(cd -P "$above/" && pwd -P) || die "cannot enter $above"
  above=${above%/}
  folder=$above/${folder##*/}
  state_file=$folder/$id$space
  is_guarded "${above:-/}" || unguarded
  if [ -L "$folder" ]; then why="$folder is a link" && unguarded; fi
  if [ ! -e "$folder" ]; then return 1; fi
  [ -r "$folder" ] || die "cannot read $folder: be root"
  is_guarded "$folder" || unguarded
  # shellcheck disable=SC2046
  set -- $(ls -ldn "$folder")
  case $1 in drwx------*) ;; *) why="its mode is $1 and not drwx------ (chmod 700)" && unguarded ;; esac
}

# Makes the folder, if no other run is faster or takes it away: it has its own name only while it is whole.
make_folder() {
  if [ ! -d "$above/" ] || [ ! -w "$above/" ]; then
    die "cannot make $folder: be root, or let TUNECHECK_STATE name a folder of yours"
  fi
  if [ ! -d "$folder.tunecheck-new" ]; then mkdir -m 700 "$folder.tunecheck-new" 2>/dev/null; fi
  if ! is_guarded "$folder.tunecheck-new"; then
    [ ! -e "$folder.tunecheck-new" ] || unguarded
    return
  fi
  # A folder of somebody's is not taken away with the last state.
  { printf '' >"$folder.tunecheck-new/.made"; } 2>/dev/null || return
  mv "$folder.tunecheck-new" "$folder" 2>/dev/null
  # Another run was faster, and this one moved into it.
  rm -rf "$folder/${folder##*/}.tunecheck-new"
}

# When a process that still runs began, in ticks since boot; its number is given again to another one.
began() { sed -n 's/.*) [^ZX] //p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 19; }

# One run at a time, of whatever plan: another one may change the same value or file. Each leaves its name, which no other
# process ever has, and then looks for others: of two, at least one sees the other. Fails if there is no folder.
lock() {
  me=$$.$(began $$).$boot
  attempt=0
  until [ -e "$folder/lock.$me" ]; do
    [ "$attempt" -lt 5 ] || die "cannot write to $folder: is the disk full, or read-only?"
    attempt=$((attempt + 1))
    if ! has_folder; then
      [ "$mode" = apply ] || return 1
      make_folder
    fi
    if [ -d "$folder" ] && [ ! -w "$folder" ]; then
      die "cannot write to $folder: be root, or let TUNECHECK_STATE name a folder of yours"
    fi
    { printf '' >"$folder/lock.$me"; } 2>/dev/null || continue
    set +f
    for other in "$folder"/lock.*; do
      of=${other##*/lock.} pid=${other##*/lock.}
      pid=${pid%%.*}
      if [ "$of" = "$me" ]; then continue; fi
      if [ "$of" = "$pid.$(began "$pid").$boot" ]; then
        rm -f "$folder/lock.$me"
        die "another run is at work here (process $pid): wait until it has ended"
      fi
      rm -f "$other"
    done
    set -f
  done
  trap leave EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  clear
  mend
}

# Takes away what a run keeps only while it runs, its own or that of one that was killed.
clear() {
  set +f
  rm -rf "$folder.tunecheck-new" "$folder"/*.new "$folder"/*.text "$folder"/*.lines "$folder"/*.modules "$folder"/*.files "$folder"/*.room
  set -f
  if [ ! -f "$state_file" ]; then forget; fi
}

# A last line that the disk had no room for, or that a kill cut off, was never acted upon.
mend() {
  if [ -f "$state_file" ] && [ "$(tail -c 1 "$state_file")" ]; then
    dd if=/dev/null of="$state_file" bs=1 seek="$(sed '$d' "$state_file" | wc -c)" 2>/dev/null || die "cannot write $state_file"
  fi
  for new in $(files); do rm -f "$new.tunecheck-new"; done
  new=
}

# The files that this plan has written, or meant to.
files() { if [ -f "$state_file" ]; then sed -n 's/^file|\([^|]*\)|.*/\1/p' "$state_file"; fi; }

# The state goes first: what is left of it without that means nothing.
forget() {
  rm -f "$state_file"
  set +f
  rm -f "$state_file.sh" "$state_file".copy.* "$state_file".ours.*
  set -f
}

# At the end, however it comes.
leave() {
  clear
  if [ "$(ls -A "$folder" 2>/dev/null)" = ".made
lock.$me" ]; then
    mv "$folder" "$folder.tunecheck-new" && rm -rf "$folder.tunecheck-new"
  else
    rm -f "$folder/lock.$me"
  fi
}
