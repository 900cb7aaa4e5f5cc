# For the scripts of the tour, which run as root of a clean system. Not a program.
# Each step is said in one line, with what it printed below where it failed.
FAILED=0
OUT=/tour/out.txt

# step NAME COMMAND…: must succeed
step() {
  name=$1
  shift
  if "$@" >"$OUT" 2>&1; then
    echo "ok    $name"
  else
    echo "FAIL  $name (exit $?): $*"
    tail -n 15 "$OUT" | sed 's/^/      | /'
    FAILED=1
  fi
}

# says NAME PATTERN: the output of the step before has a line like that
says() {
  if grep -Eq -- "$2" "$OUT"; then
    echo "ok    $1"
  else
    echo "FAIL  $1: no line like $2"
    tail -n 15 "$OUT" | sed 's/^/      | /'
    FAILED=1
  fi
}

# shown: the output of the step before, for the reader of the transcript
shown() { sed 's/^/      > /' "$OUT"; }

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }

# until_true SECONDS COMMAND…: asked five times a second
until_true() {
  limit=$(($(date +%s) + $1))
  shift
  while ! "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$limit" ] || return 1
    sleep 0.2
  done
}

# record NAME: every file of this system and the content of /etc; not caches, logs, and the package managers' own lists
record() {
  {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /tour \
      -o -path /var/cache/apt -o -path /var/cache/debconf -o -path /var/cache/ldconfig -o -path /var/cache/dnf -o -path /var/log -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/rpm \
      -o -path /var/lib/dnf -o -path '/var/tmp/systemd-private-*' \) -prune -o -print
    find /etc -xdev -type f ! -name '*-' ! -name ld.so.cache ! -name .pwd.lock -exec sha256sum {} + 2>/dev/null
  } | sort >"/tour/$1.list"
}

# nothing_left NAME BEFORE AFTER
nothing_left() {
  if diff "/tour/$2.list" "/tour/$3.list" >"$OUT"; then
    echo "ok    $1"
  else
    echo "FAIL  $1"
    sed -n 's/^[<>]/      | &/p' "$OUT" | head -n 30
    FAILED=1
  fi
}
