# Sourced by each script in the guest: facts for the table, and expectations.

# fact NAME VALUE: one line of the result.
fact() { printf '%s\n' "$*" >>"${FACTS:?}"; }
ok() {
  echo "ok - $*"
  fact ok "$*"
}
not_ok() {
  echo "not ok - $*"
  fact not_ok "$*"
}
# expect WHAT COMMAND…: the command must succeed.
expect() {
  local what=$1
  shift
  if "$@"; then ok "$what"; else not_ok "$what"; fi
}

install_agent() {
  cp /host/agent /usr/local/bin/agent
  agent --version || not_ok 'the agent starts'
}

# start_agent OUT ERR COMMAND…: in the background, until its log says that it works; its pid is $AGENT.
start_agent() {
  local out=$1 err=$2
  shift 2
  agent "$@" >"$out" 2>"$err" &
  AGENT=$!
  for _ in $(seq 120); do
    grep -qE 'Recording|Watching' "$err" && break
    kill -0 "$AGENT" 2>/dev/null || break
    sleep 1
  done
  # Counting begins within the second after it.
  sleep 5
}

# stop_agent: waits for the seconds under way, stops it; its exit code is $CODE.
stop_agent() {
  sleep 3
  kill -INT "$AGENT"
  wait "$AGENT"
  # shellcheck disable=SC2034 # for who sourced this
  CODE=$?
}

# calls_in FRAMES NAME-PATTERN CALL: how many are counted. The pattern is a basic regular expression.
calls_in() {
  grep "\"name\":\"$2\"" "$1" | grep -o "\"$3\":[0-9]*" | awk -F: '{ s += $2 } END { print s + 0 }'
}

fact kernel "$(uname -r)"

MADE=0 COUNTED=0
# counted FRAMES NAME-PATTERN CALL MADE WHAT: one row of counted against made.
counted() {
  local got
  got=$(calls_in "$1" "$2" "$3")
  MADE=$((MADE + $4)) COUNTED=$((COUNTED + got))
  expect "$5: $got of $4 counted" [ "$got" = "$4" ]
}
