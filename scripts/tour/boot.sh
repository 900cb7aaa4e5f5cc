#!/bin/sh
# boot.sh ROOT URL: boots a root with systemd-nspawn, runs the tour `service` in it, and powers it off. What it may do is
# what a host may: the agent's unit gives away capabilities that nspawn would keep back.
set -u
at=$1 url=$2
log=$(mktemp)
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_USE_CGNS=1 systemd-nspawn --quiet --register=no --keep-unit -D "$at" \
  -M callsign-tour --resolv-conf=off --timezone=off --link-journal=no --capability=all --system-call-filter='bpf perf_event_open' \
  --bind="$at/tour:/tour" --bind-ro=/sys/kernel/btf --console=pipe -b >"$log" 2>&1 </dev/null &
nspawn=$!
leader=''
for _ in $(seq 100); do
  leader=$(pgrep -P "$nspawn" | head -n 1)
  [ -n "$leader" ] && [ "$(cat "/proc/$leader/comm" 2>/dev/null)" = systemd ] && break
  sleep 0.2
done
if [ -z "$leader" ]; then
  tail -n 5 "$log"
  echo 'FAIL  the root does not boot'
  exit 1
fi
inside() {
  nsenter -t "$leader" -a env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
    LC_ALL=C.UTF-8 "URL=$url/callsign" "$@"
}
for _ in $(seq 100); do
  case $(inside systemctl is-system-running 2>/dev/null) in running | degraded) break ;; esac
  sleep 0.3
done
inside sh /tour/inside/service.sh
code=$?
# Power off, by systemd's own signal.
kill -s RTMIN+4 "$leader"
for _ in $(seq 60); do
  kill -0 "$nspawn" 2>/dev/null || break
  sleep 0.5
done
kill -9 "$nspawn" 2>/dev/null
rm -f "$log"
exit $code
