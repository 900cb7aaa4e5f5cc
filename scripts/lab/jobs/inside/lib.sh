# What every job may use. SEED is the run's; AS is the name to hide under, where there is one.
set +m; RANDOM=${SEED:-1}
pick() { local n=$((RANDOM % $# + 1)); echo "${!n}"; }           # one of its arguments
within() { echo $(($1 + RANDOM % ($2 - $1 + 1))); }              # a number FROM..TO
nap() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }   # milliseconds
as() { # the program, or a copy of it under the name to hide under
  local p; p=$(command -v "$1")
  [ -n "${AS:-}" ] || { echo "$p"; return; }
  [ -e "/job/as/$AS" ] || { mkdir -p /job/as; cp -L "$p" "/job/as/$AS"; }
  echo "/job/as/$AS"
}
victims() { python3 /lab/src/victims.py "${1:-v}" "$SEED" "${2:-}"; } # files worth having
until_open() { local i; for i in {1..80}; do (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return; sleep .1; done; }
bin() { # a copy of one of our own compiled programs under a name that says nothing, or under the name to hide under
  local n=${AS:-$(pick worker x svc sync a.out run64 tool q9 update helper)}
  mkdir -p /job/as; cp -L "/lab/bin/$1" "/job/as/$n"; echo "/job/as/$n"
}
