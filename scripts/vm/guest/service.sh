# The life of the service on a machine with systemd, before its first reboot: installed, running, killed, hung.
. /host/service-lib.sh

all_files >/root/before.txt
sh /host/release-1/install.sh --from /host/release-1 --service
expect 'install.sh --service ends with 0' [ $? = 0 ]
becomes 'the service is active' 60 systemctl is-active -q callsign
becomes 'it counts' 60 counts
systemctl show callsign -p Type,NotifyAccess,StatusText,WatchdogUSec,User,NRestarts,MemoryCurrent
expect 'the unit is told when the agent is ready' [ "$(systemctl show -p Type --value callsign)" = notify ]
exposure=$(systemd-analyze security callsign --no-pager 2>/dev/null | sed -n 's/.*Overall exposure level.*: \([0-9.]*\).*/\1/p')
fact note "systemd-analyze security: $exposure"
expect 'its exposure is at most 2.0' awk -v level="${exposure:-10}" 'BEGIN { exit level > 2.0 }'
old=$(main_pid)
mkdir -p /etc/callsign
echo 'cpu_max = 7' >/etc/callsign/agent.toml
systemctl reload callsign
expect 'systemctl reload ends with 0' [ $? = 0 ]
becomes 'the settings were read again' 20 sh -c 'journalctl -u callsign -o cat --no-pager | grep -q "read again.*cpu"'
expect 'by the same process' [ "$(main_pid)" = "$old" ]
expect 'which is still active' systemctl is-active -q callsign
rm -r /etc/callsign
agent simulate attack masquerade --seconds 60
expect 'the simulated masquerade is alerted' [ $? = 0 ]

old=$(main_pid)
kill -9 "$old"
becomes 'restarted after kill -9 of the agent' 60 is_other_than "$old"
becomes 'and counts again' 60 counts
old=$(main_pid)
kill -9 "$(pgrep -f collect-kernel | head -n 1)"
becomes 'restarted after kill -9 of its collector' 60 is_other_than "$old"
old=$(main_pid)
kill -STOP "$old"
becomes 'restarted by the watchdog when it hangs' 150 is_other_than "$old"
expect 'the watchdog is said to be the cause' \
  sh -c 'journalctl -u callsign --no-pager | grep -q "Watchdog timeout"'
expect 'and no crash' sh -c '! journalctl -u callsign --no-pager | grep -q "has crashed"'
expect 'no orphan is left' no_orphan
journalctl -u callsign --no-pager -o short | tail -n 30
expect 'journal lines have one timestamp' \
  [ "$(journalctl -u callsign -o cat --no-pager | grep -cE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T')" = 0 ]
systemctl show -p NRestarts --value callsign
