#!/bin/bash
# hosts.sh up|wait|in|down|net|net-down SET ...: networks and containers of one set of hosts (client, server, ext).
#
# Each host is a systemd-nspawn container in a network namespace of its own on a bridge without uplink: own processes,
# own systemd, real services; nothing leaves the machine. All hosts of the laboratory share one CPU cap, in a cgroup
# of version 1 or 2, whichever this machine has. Every process that is ended here is one whose pid was noted here.
set -eu
action=$1 set=$2; shift 2
work=${LAB_WORK:?}; run=$work/run/$set
roles=${LAB_ROLES:-client server ext}
netns() { echo "lab-$set-$1"; }

net() {
  ip netns add "lab-$set"; ip -n "lab-$set" link add br0 type bridge; ip -n "lab-$set" link set br0 up
  local n=10
  for role in $roles; do
    ip netns add "$(netns $role)"
    ip -n "lab-$set" link add "p-$role" type veth peer name host0 netns "$(netns $role)"
    ip -n "lab-$set" link set "p-$role" master br0 up
    ip -n "$(netns $role)" addr add "$NET.$n/24" dev host0
    ip -n "$(netns $role)" link set host0 up; ip -n "$(netns $role)" link set lo up
    n=$((n + 10))
  done
}
net_down() { for role in $roles; do ip netns del "$(netns $role)" 2>/dev/null || :; done; ip netns del "lab-$set" 2>/dev/null || :; }

# A cgroup of our own in every hierarchy, capped at LAB_CPU_PERCENT of one core for all hosts together.
join_cgroup() { # join_cgroup HOST: moves this shell
  local d quota=$((LAB_CPU_PERCENT * 1000))
  for d in unified systemd pids memory cpu cpuacct cpu,cpuacct; do
    d=/sys/fs/cgroup/$d; [ -d "$d" ] || continue
    mkdir -p "$d/callsign-lab/$1"
    [ -e "$d/callsign-lab/cpu.cfs_quota_us" ] && { echo 100000 > "$d/callsign-lab/cpu.cfs_period_us"; echo "$quota" > "$d/callsign-lab/cpu.cfs_quota_us"; echo 1024 > "$d/callsign-lab/cpu.shares"; }
    echo $BASHPID > "$d/callsign-lab/$1/cgroup.procs"
  done
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    d=/sys/fs/cgroup/callsign-lab; mkdir -p "$d/$1"; echo +cpu > "$d/cgroup.subtree_control" 2>/dev/null || :
    [ -e "$d/cpu.max" ] && echo "$quota 100000" > "$d/cpu.max"
    echo $BASHPID > "$d/$1/cgroup.procs"
  fi
}

up() {
  local role
  for role in $roles; do
    ( join_cgroup "$set-$role"
      export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_USE_CGNS=1
      exec nice -n 15 setsid systemd-nspawn --quiet --register=no --keep-unit -D "$run/$role/root" -M "lab-$set-$role" \
        --network-namespace-path="/run/netns/$(netns $role)" --resolv-conf=off --timezone=off --link-journal=no \
        --capability=CAP_NET_ADMIN,CAP_NET_RAW,CAP_SYS_PTRACE,CAP_SYS_NICE --console=pipe -b
    ) > "$run/$role/boot.log" 2>&1 < /dev/null &
    echo $! > "$run/$role/pid"
  done
  for role in $roles; do
    local leader=
    for _ in $(seq 100); do
      leader=$(pgrep -P "$(cat "$run/$role/pid")" | head -1 || :); [ -n "$leader" ] && [ "$(cat "/proc/$leader/comm")" = systemd ] && break; sleep 0.2
    done
    [ -n "$leader" ] || { echo "hosts.sh: $set $role did not start: $(tail -3 "$run/$role/boot.log")" >&2; return 1; }
    echo "$leader" > "$run/$role/leader"
    local name="$set${role:0:1}"; [ $role = ext ] && name=-
    printf '%s\t%s\n' "$(readlink "/proc/$leader/ns/pid" | tr -dc 0-9)" "$name" >> "$work/hosts.tsv"
    echo "hosts.sh: $set $role is up, pid $leader" >&2
  done
}
enter() { local role=$1; shift; nsenter -t "$(cat "$run/$role/leader")" -a "$@"; }
down() {
  local role pid
  for role in $roles; do [ -e "$run/$role/leader" ] && kill -s RTMIN+4 "$(cat "$run/$role/leader")" 2>/dev/null || :; done   # systemd: power off
  for role in $roles; do
    [ -e "$run/$role/pid" ] || continue
    pid=$(cat "$run/$role/pid")
    for _ in $(seq 60); do kill -0 "$pid" 2>/dev/null || break; sleep 0.5; done
    if kill -0 "$pid" 2>/dev/null; then kill -9 "$(cat "$run/$role/leader" 2>/dev/null || echo "$pid")" "$pid" 2>/dev/null || :; fi
    rm -f "$run/$role/pid" "$run/$role/leader"
  done
}
case $action in
net) net ;; net-down) net_down ;; up) up ;; down) down ;; in) enter "$@" ;;
*) echo "usage: hosts.sh net|up|in|down|net-down SET" >&2; exit 2 ;;
esac
