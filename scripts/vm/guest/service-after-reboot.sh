# And after it: started by itself, upgraded, rolled back, removed with everything.
. /host/service-lib.sh
becomes 'the service runs after a reboot' 60 systemctl is-active -q callsign
becomes 'and counts' 60 counts
installed=$(stat -c %i /usr/local/bin/agent)
old=$(main_pid)
sh /host/release-2/install.sh --from /host/release-2 --service
expect 'the upgrade ends with 0' [ $? = 0 ]
becomes 'the service runs the new file' 60 is_other_than "$old"
expect 'the file was replaced' [ "$(stat -c %i /usr/local/bin/agent)" != "$installed" ]
becomes 'and counts' 60 counts
sh /host/release-0/install.sh --from /host/release-0 --service
expect 'an older release is refused' [ $? != 0 ]
old=$(main_pid)
sh /host/release-0/install.sh --from /host/release-0 --service --downgrade
expect 'and taken with --downgrade' [ $? = 0 ]
becomes 'the service runs after the rollback' 60 is_other_than "$old"
becomes 'and counts' 60 counts
sh /host/release-0/install.sh --uninstall --purge
expect 'uninstall --purge ends with 0' [ $? = 0 ]
all_files >/root/after.txt
diff /root/before.txt /root/after.txt | grep '^[<>]' >/root/left.txt
cat /root/left.txt
# The list of users is edited by adduser, which keeps backups of it.
left=$(grep -vcE '/etc/(passwd|shadow|group|gshadow|subuid|subgid)-$' /root/left.txt)
expect 'every file that was there is there, and no other' [ "$left" = 0 ]
expect 'no process is left' [ "$(pgrep -xc agent)" = 0 ]
expect 'no user is left' sh -c '! id callsign 2>/dev/null'
