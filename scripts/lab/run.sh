#!/bin/sh
# run.sh: the laboratory from nothing to frames, on one Debian machine, as root. See README.md beside it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
usage() {
  cat <<'U'
usage: sh scripts/lab/run.sh --profile a|b|…[,…] --minutes N [options]

Makes Debian root file systems, boots three hosts per profile (client, server, and an outside one that drives load) in
network namespaces without uplink, records one count vector per process and second, and stops everything it started.

  --profile LIST    profiles of scripts/lab/profiles, comma-separated: they run side by side
  --minutes N       minutes of ordinary life to record
  --attacks [M]     then M minutes (default 25) with labelled attacks, masquerades and novelties between ordinary life
  --out DIR         where the recordings go (default ./lab-recordings)
  --work DIR        root file systems and logs (default /var/lib/callsign-lab; 3 GB per Debian release)
  --cpu PERCENT     cap for all hosts together, per cent of one core (default 60)
  --seed N          of the attacks' order (default 1)
  --recorder WHO    agent (default: its own kernel source) or bpftrace (the independent witness)
  --reuse           keep the provisioned hosts of the last run in --work and boot them again
  -h, --help        this text

Output per profile P: lab-P-normal.frames.ndjson.zst, lab-P-attacks.frames.ndjson.zst, lab-P-attacks.scenarios.ndjson,
their figures as .json; lab.ledger.json for all: what was counted, for whom, what was lost. Needs: debootstrap,
systemd-nspawn, zstd, gcc, python3, openssl, ssh-keygen, iproute2, for --recorder bpftrace bpftrace. The agent is
LAB_AGENT, else dist/agent of this checkout, else built by install.sh. The archive is this machine's own (LAB_MIRROR and
LAB_SECURITY name another).
U
}
die() { echo "run.sh: $*" >&2; exit 1; }

profiles='' minutes='' attacks=0 out=lab-recordings work=${LAB_WORK:-/var/lib/callsign-lab} cpu=60 seed=1 reuse=no by=agent
while [ $# -gt 0 ]; do
  case $1 in
  --profile) profiles=${2:?}; shift 2 ;; --minutes) minutes=${2:?}; shift 2 ;; --out) out=${2:?}; shift 2 ;;
  --attacks) shift; case ${1:-} in [0-9]*) attacks=$1; shift ;; *) attacks=25 ;; esac ;;
  --work) work=${2:?}; shift 2 ;; --cpu) cpu=${2:?}; shift 2 ;; --seed) seed=${2:?}; shift 2 ;; --reuse) reuse=yes; shift ;;
  --recorder) by=${2:?}; shift 2 ;;
  -h | --help) usage; exit 0 ;; *) usage >&2; exit 2 ;;
  esac
done
case $profiles in '') usage >&2; exit 2 ;; esac
case $minutes in '' | *[!0-9]*) echo "run.sh: --minutes takes a whole number" >&2; exit 2 ;; esac
case $by in agent) witness='' ;; bpftrace) witness=bpftrace:bpftrace ;; *) echo "run.sh: --recorder takes agent or bpftrace" >&2; exit 2 ;; esac
sets=$(echo "$profiles" | tr , ' ')
for s in $sets; do [ -e "$here/profiles/$s.env" ] || { echo "run.sh: no profile $s; there are: $(cd "$here/profiles" && echo *.env)" >&2; exit 2; }; done
[ "$(id -u)" = 0 ] || die "must be root (namespaces, containers, bpf)"
missing=
for tool in debootstrap:debootstrap systemd-nspawn:systemd-container $witness zstd:zstd gcc:gcc python3:python3 openssl:openssl ssh-keygen:openssh-client ip:iproute2 nsenter:util-linux pgrep:procps; do
  command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool##*:}"
done
[ -z "$missing" ] || die "missing:$missing; apt-get install$missing"
[ "$(df --output=avail -k "$(dirname "$work")" | tail -1)" -gt 8000000 ] || die "less than 8 GB free for $work (--work DIR)"
mkdir -p "$work/keys" "$work/logs" "$work/roots" "$work/run" "$out"; work=$(cd "$work" && pwd) out=$(cd "$out" && pwd)
exec 9> "$work/lock"; flock -n 9 || die "another run uses $work"
agent=${LAB_AGENT:-$here/../../dist/agent}
if [ $by = agent ] && [ ! -x "$agent" ]; then
  agent=$work/bin/agent
  sh "$here/../../install.sh" --prefix "$work" > "$work/logs/agent.log" 2>&1 || die "no agent to record with: $work/logs/agent.log; LAB_AGENT names one, --recorder bpftrace needs none"
fi
[ $by = agent ] || mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing || die "tracefs cannot be mounted at /sys/kernel/tracing"
export LAB_WORK=$work LAB_CPU_PERCENT=$cpu KEYS=$work/keys
[ -e "$KEYS/id" ] || ssh-keygen -q -t ed25519 -N '' -f "$KEYS/id"
[ -e "$KEYS/tls.key" ] || openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=lab -keyout "$KEYS/tls.key" -out "$KEYS/tls.crt" 2>/dev/null

number() { printf '%d' "'$1" | awk '{ print $1 - 96 }'; }   # a → 1: the third octet of the set's network
profile() { SET=$1 NET=10.77.$(number "$1"); set -a; . "$here/profiles/$1.env"; set +a; export SET NET; }
recorder='' attacker='' nap=''
cleanup() {
  trap '' INT TERM; set +e
  [ -n "$nap" ] && kill "$nap" 2>/dev/null
  [ -n "$attacker" ] && kill "$attacker" 2>/dev/null && wait "$attacker" 2>/dev/null
  [ -n "$recorder" ] && kill "$recorder" 2>/dev/null && wait "$recorder" 2>/dev/null
  for s in $sets; do
    profile "$s"; "$here/hosts.sh" down "$s"; "$here/hosts.sh" net-down "$s"
    for role in client server ext; do mountpoint -q "$work/run/$s/$role/root" && umount -l "$work/run/$s/$role/root"; mountpoint -q "$work/run/$s/$role/disk" && umount -l "$work/run/$s/$role/disk"; done
  done
  find /sys/fs/cgroup -depth -type d -path '*/callsign-lab*' -exec rmdir {} + 2>/dev/null
}
trap cleanup EXIT
trap 'echo "run.sh: stopped; what was recorded lies in $work/recording.*" >&2; exit 130' INT TERM

: > "$work/hosts.tsv"
for s in $sets; do
  profile "$s"
  nice -n 10 "$here/root.sh" "$RELEASE" "$work/roots/$RELEASE" > "$work/logs/root-$RELEASE.log" 2>&1 || die "root file system of $RELEASE failed: $work/logs/root-$RELEASE.log"
  for role in client server ext; do
    h=$work/run/$s/$role; mkdir -p "$h/root" "$h/disk"
    mountpoint -q "$h/root" && umount -l "$h/root"
    if [ "$STORAGE" = tmpfs ]; then mountpoint -q "$h/disk" || mount -t tmpfs -o size=3g tmpfs "$h/disk"; elif [ "$reuse" = no ]; then rm -rf "$h/disk"; fi
    fresh=no; [ -d "$h/disk/upper" ] || fresh=yes
    mkdir -p "$h/disk/upper" "$h/disk/work"
    mount -t overlay overlay -o "lowerdir=$work/roots/$RELEASE,upperdir=$h/disk/upper,workdir=$h/disk/work" "$h/root"
    if [ $fresh = yes ]; then nice -n 10 "$here/provision.sh" "$role" "$h/root" > "$work/logs/provision-$s-$role.log" 2>&1 || die "provisioning failed: $work/logs/provision-$s-$role.log"; fi
  done
  "$here/hosts.sh" net-down "$s"; "$here/hosts.sh" net "$s"
done

record() {
  case $by in
  agent) exec nice -n 2 "$agent" record --source kernel --hosts "$work/hosts.tsv" --tree "$work/recording.tree.tsv" --out "$work/recording.frames.ndjson" --json ;;
  bpftrace) exec nice -n 2 python3 "$here/record.py" --out "$work/recording" --hosts "$work/hosts.tsv" ;;
  esac
}
record 2> "$work/logs/recorder.log" & recorder=$!
sleep 4; kill -0 $recorder 2>/dev/null || die "the recorder did not start: $(cat "$work/logs/recorder.log")"
for s in $sets; do profile "$s"; "$here/hosts.sh" up "$s"; done
for s in $sets; do timeout 300 "$here/hosts.sh" in "$s" server bash /opt/lab/setup.sh > "$work/logs/setup-$s.log" 2>&1 || echo "run.sh: setup of $s: see $work/logs/setup-$s.log" >&2; done
echo "run.sh: recording $minutes minutes of ordinary life" >&2
sleep $((minutes * 60)) & nap=$!
wait $nap; nap=''
split=$(date +%s)
if [ "$attacks" -gt 0 ]; then
  echo "run.sh: $attacks minutes with attacks" >&2
  python3 "$here/attack.py" --sets "$(echo $sets | tr ' ' ,)" --out "$work/happenings.tsv" --seed "$seed" --minutes "$attacks" & attacker=$!
  wait $attacker || echo "run.sh: attacks ended early" >&2
  attacker=''; sleep 20
else
  rm -f "$work/happenings.tsv"
fi
kill $recorder; wait $recorder || :; recorder=''
# The agent's ledger is its last line; record.py writes its own file.
[ $by = bpftrace ] || tail -n 1 "$work/logs/recorder.log" > "$work/recording.ledger.json"
cp "$work/recording.ledger.json" "$out/lab.ledger.json"
python3 "$here/finish.py" --recording "$work/recording" --happenings "$work/happenings.tsv" --split "$split" --out "$out" --sets "$(echo $sets | tr ' ' ,)"
