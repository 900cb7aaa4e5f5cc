#!/bin/bash
# operate.sh: one thing that operators do: reload, restart or rotate. Cron starts it every few minutes; without it a
# model learns services only in their steady state.
sleep $((RANDOM % 50))
running() { systemctl list-units --type=service --state=running --no-legend --plain | awk '{print $1}' | grep -vE 'dbus|journald|logind|user@|cron' | shuf -n "$1"; }
case $((RANDOM % 6)) in
0 | 1) for s in nginx apache2 haproxy squid dovecot postfix unbound rsyslog snmpd lighttpd php*-fpm spamd mosquitto named; do systemctl is-active -q "$s" && [ $((RANDOM % 3)) = 0 ] && systemctl reload "$s"; done ;;
2) for s in $(running 1); do systemctl restart "$s"; done ;;
3) for s in $(running 2); do systemctl restart "$s"; sleep $((RANDOM % 8)); done ;;
4) logrotate -f /etc/logrotate.conf ;;
5) for s in $(running 3); do systemctl status "$s" >/dev/null; journalctl -n 200 -u "$s" >/dev/null; done; systemctl daemon-reload ;;
esac
exit 0
