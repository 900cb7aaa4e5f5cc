# Sourced by the scripts about the service.
. /host/lib.sh
all_files() {
  find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/tmp -o -path /host -o -path /var/log \
    -o -path /root -o -path /var/lib/systemd \) -prune -o -print | sort
}
main_pid() { systemctl show -p MainPID --value callsign; }
# becomes WHAT SECONDS COMMAND…: it must hold within so many seconds.
becomes() {
  local what=$1 left=$2
  shift 2
  until "$@"; do
    left=$((left - 1))
    [ $left -gt 0 ] || break
    sleep 1
  done
  expect "$what" "$@"
}
counts() { agent status --json 2>/dev/null | grep -q '"counted":[1-9]'; }
is_other_than() { [ "$(main_pid)" != "$1" ] && [ "$(main_pid)" != 0 ] && systemctl is-active -q callsign; }
no_orphan() { [ "$(pgrep -xc agent)" -le 3 ]; }
