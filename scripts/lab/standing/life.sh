#!/bin/bash
# life.sh SEED BUSY: what people and cron do on a host between times; small things, with long pauses.
RANDOM=$1; export LC_ALL=C.UTF-8 TERM=xterm
nap() { sleep "$((RANDOM % $1)).$((RANDOM % 10))"; }
cd /root || exit; git init -q r 2>/dev/null
while :; do
  case $((RANDOM % 26)) in
  0) ls -la /etc /var/log ;; 1) df -h; free -m ;; 2) ps aux | sort -nk3 | tail -3 ;; 3) ss -tlnp ;; 4) journalctl -n 30 --no-pager ;; 5) tail -20 /var/log/dpkg.log ;;
  6) grep -c . /etc/services; wc -l /etc/passwd ;; 7) find /etc -name '*.conf' | head -50 ;; 8) tar czf /var/tmp/etc.tgz /etc ;; 9) dpkg -l | tail -3 ;; 10) systemctl status --no-pager ;; 11) systemctl list-units --no-pager | tail -5 ;;
  12) cd r || exit; echo $RANDOM >> f; git add f; git commit -qm x; git log | tail -1; cd .. ;; 13) python3 -c 'print(sum(range(10**6)))' ;; 14) perl -e 'print join ",", map { $_ * 2 } 1 .. 999' ;; 15) curl -s -m 2 http://127.0.0.1/ ;; 16) vim -es -c 'wq' /root/notes ;; 17) top -b -n 2 -d 1 ;;
  18) rsync -a --delete /etc/ /var/tmp/etc/ ;; 19) logger "note $RANDOM" ;; 20) logrotate -f /etc/logrotate.conf ;; 21) (cd /usr/share/doc || exit; du -s . ) ;; 22) getent passwd root; id ;; 23) systemctl restart "$(systemctl list-units --type=service --state=running --plain --no-legend | awk '{print $1}' | grep -vE 'systemd|dbus|getty|life' | shuf -n 1)" ;;
  24) apt-cache policy bash; apt-get -s upgrade | tail -2 ;; 25) for _ in 1 2 3; do uptime; sleep 1; done ;;
  esac >/dev/null 2>&1
  nap "$((60 / ${2:-1}))"
done
