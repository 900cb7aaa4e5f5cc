#!/bin/bash
# provision.sh ROLE ROOT: configures one host of a set (ROLE client, server or ext) in the root file system ROOT.
#
# All that differs between hosts on purpose comes from the profile (environment, see profiles/*.env): the same services,
# other worker modes, TLS, sizes, storage. Nothing here starts a service; units are linked for the next boot.
set -u
ROLE=$1 R=$2 HERE=$(cd "$(dirname "$0")" && pwd)
c() { chroot "$R" "$@"; }
put() { mkdir -p "$(dirname "$R$1")"; cat > "$R$1"; }           # put PATH < text
unit() { printf '[Unit]\nAfter=network.target\n[Service]\nUser=%s\nExecStart=%s\nRestart=always\nRestartSec=3\n%s\n[Install]\nWantedBy=multi-user.target\n' "$3" "$2" "${4:-}" | put "/etc/systemd/system/$1.service"; }
IPC=$NET.10 IPS=$NET.20 IPE=$NET.30
case $ROLE in client) OTHER=server.lab;; server) OTHER=client.lab;; ext) OTHER=server.lab;; *) echo "provision.sh: role $ROLE?" >&2; exit 2;; esac

# --- names, users, keys
echo "$ROLE.lab" > "$R/etc/hostname"; echo "$ROLE.lab" > "$R/etc/mailname"
printf '127.0.0.1 localhost\n%s client.lab client\n%s server.lab server\n%s ext.lab ext\n' "$IPC" "$IPS" "$IPE" | put /etc/hosts
: > "$R/etc/resolv.conf"
rm -rf "$R/opt/lab"; mkdir -p "$R/opt/lab"; cp -r "$HERE"/inside/* "$R/opt/lab/"; chmod +x "$R"/opt/lab/*.sh "$R"/opt/lab/attack/*
gcc -O2 -pthread -o "$R/opt/lab/attack/hasher" "$HERE/inside/attack/hasher.c"
echo $OTHER > "$R/opt/lab/other"
printf '{"tls":%s,"slow":%s,"seed":"%s","weights":{%s}}\n' "$([ "$TLS" = on ] && echo true || echo false)" "$LOAD_SLOWDOWN" "$SET" "$LOAD_WEIGHTS" | put /opt/lab/load.json
for u in alice bob carol; do
  c id $u >/dev/null 2>&1 || c useradd -m -s /bin/bash $u; echo "$u:lab" | c chpasswd
  c install -d -o $u -g $u -m 700 /home/$u/Maildir /home/$u/Maildir/new /home/$u/Maildir/cur /home/$u/Maildir/tmp /home/$u/.ssh
done
for home in /home/alice /home/bob /root; do
  mkdir -p "$R$home/.ssh"; cp "$KEYS/id" "$R$home/.ssh/id"; cp "$KEYS/id.pub" "$R$home/.ssh/authorized_keys"; chmod 700 "$R$home/.ssh"; chmod 600 "$R$home/.ssh/id"
done
c chown -R alice:alice /home/alice/.ssh; c chown -R bob:bob /home/bob/.ssh
cp "$KEYS/tls.key" "$KEYS/tls.crt" "$R/etc/ssl/"; cat "$KEYS/tls.crt" "$KEYS/tls.key" > "$R/etc/ssl/tls.pem"; chmod 644 "$R"/etc/ssl/tls.*
sed -i 's/^#*PasswordAuthentication.*/PasswordAuthentication yes/; s/^#*MaxStartups.*/MaxStartups 100/' "$R/etc/ssh/sshd_config"
[ -n "$SSHD_EXTRA" ] && printf '%b' "$SSHD_EXTRA" | put /etc/ssh/sshd_config.d/lab.conf
c ssh-keygen -A >/dev/null

# --- mail: ext (IMAP) → fetchmail → procmail → postfix client → postfix server + amavis, milter, greylist → dovecot
{ printf 'compatibility_level = 3.6\nmyhostname = %s.lab\nmydomain = lab\nmyorigin = $myhostname\nmydestination = $myhostname, localhost\n' $ROLE
  printf 'mynetworks = 127.0.0.0/8\ninet_protocols = ipv4\ninet_interfaces = all\nmailbox_size_limit = 0\nmessage_size_limit = 30000000\nsmtp_host_lookup = native\n'
  printf 'disable_dns_lookups = yes\nalias_maps = hash:/etc/aliases\nalias_database = hash:/etc/aliases\nbiff = no\nappend_dot_mydomain = no\n'
  printf 'smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\nqueue_run_delay = 60s\nminimal_backoff_time = 60s\n'
  if [ "$MAILBOX" = lmtp ] && [ $ROLE = server ]; then printf 'mailbox_transport = lmtp:unix:private/dovecot-lmtp\n'; else printf 'home_mailbox = Maildir/\n'; fi
  [ "$TLS" = on ] && printf 'smtpd_tls_cert_file = /etc/ssl/tls.crt\nsmtpd_tls_key_file = /etc/ssl/tls.key\nsmtpd_tls_security_level = may\nsmtp_tls_security_level = may\nsmtp_tls_session_cache_database = btree:${data_directory}/smtp_scache\n'
  printf '%b' "$POSTFIX_EXTRA"
  [ $ROLE = server ] && printf 'content_filter = smtp-amavis:[127.0.0.1]:10024\nsmtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:10023, permit_mynetworks, reject_unauth_destination\nsmtpd_milters = inet:127.0.0.1:8891\nmilter_default_action = accept\n'
} | put /etc/postfix/main.cf
[ -e "$R/etc/postfix/master.cf" ] || cp "$R/usr/share/postfix/master.cf.dist" "$R/etc/postfix/master.cf"
printf 'root: bob\npostmaster: bob\n' | put /etc/aliases
if [ $ROLE = server ] && ! grep -q smtp-amavis "$R/etc/postfix/master.cf"; then cat >> "$R/etc/postfix/master.cf" <<E
smtp-amavis unix - - y - $AMAVIS_SERVERS smtp
  -o smtp_data_done_timeout=1200
  -o smtp_send_xforward_command=yes
  -o disable_dns_lookups=yes
  -o smtp_tls_security_level=none
127.0.0.1:10025 inet n - y - - smtpd
  -o content_filter=
  -o smtpd_milters=
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -o mynetworks=127.0.0.0/8
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
E
fi
c newaliases 2>/dev/null
c install -d -o postfix -g root -m 700 /var/spool/postfix/private   # dovecot's socket lies there, whoever starts first
lmtp='service lmtp {
  unix_listener /var/spool/postfix/private/dovecot-lmtp {
    mode = 0666
  }
}'
if [ "$(c dpkg-query -W -f '${Version}' dovecot-core | cut -d: -f2 | cut -c1-3)" = 2.4 ]; then
  ssl='ssl = no'; [ "$TLS" = on ] && ssl=$(printf 'ssl = yes\nssl_server_cert_file = /etc/ssl/tls.crt\nssl_server_key_file = /etc/ssl/tls.key')
  put /etc/dovecot/dovecot.conf <<E
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols = imap lmtp
listen = *
mail_driver = maildir
mail_path = ~/Maildir
auth_allow_cleartext = yes
auth_username_format = %{user | username | lower}
$ssl
passdb pam {
}
userdb passwd {
}
first_valid_uid = 500
$lmtp
$DOVECOT_EXTRA
E
else
  ssl='ssl = no'; [ "$TLS" = on ] && ssl=$(printf 'ssl = yes\nssl_cert = </etc/ssl/tls.crt\nssl_key = </etc/ssl/tls.key')
  put /etc/dovecot/dovecot.conf <<E
protocols = imap lmtp
listen = *
mail_location = maildir:~/Maildir
disable_plaintext_auth = no
auth_username_format = %Ln
$ssl
auth_mechanisms = plain login
passdb {
  driver = pam
}
userdb {
  driver = passwd
}
first_valid_uid = 500
$lmtp
$DOVECOT_EXTRA
E
fi
if [ "$TLS" = on ]; then how2="ssl nosslcertck"; port=993; else how2="sslproto ''"; port=143; fi
printf 'set daemon %s\npoll ext.lab protocol imap port %s username alice password lab %s no keep mda "/usr/bin/procmail -d alice"\n' "$FETCH_S" $port "$how2" | put /home/alice/.fetchmailrc
printf 'set daemon %s\npoll server.lab protocol imap port %s username alice password lab %s no keep mda "/usr/bin/procmail -d bob"\n' $((FETCH_S + 7)) $port "$how2" | put /home/bob/.fetchmailrc
put /home/alice/.procmailrc <<'E'
MAILDIR=$HOME/Maildir
DEFAULT=$HOME/Maildir/
LOGFILE=$HOME/procmail.log
:0
* ^Subject:.*digest
| gzip -c >> $HOME/digest.gz
:0 c
* < 40000
* ^Subject:.*(sale|offer|news)
promo/
:0
! alice@server.lab
E
put /home/bob/.procmailrc <<'E'
MAILDIR=$HOME/Maildir
DEFAULT=$HOME/Maildir/
:0 fw
* > 200000
| cat
:0
* ^X-Spam-Flag: YES
spam/
E
for u in alice bob; do c chown $u:$u /home/$u/.fetchmailrc /home/$u/.procmailrc; chmod 600 "$R/home/$u/.fetchmailrc"
  unit fetchmail-$u "/usr/bin/fetchmail --nodetach -f /home/$u/.fetchmailrc --pidfile /home/$u/.fetchmail.pid" $u; done
put /etc/amavis/conf.d/50-user <<E
use strict;
\$myhostname = 'server.lab';
@bypass_virus_checks_maps = (\\%bypass_virus_checks, \\@bypass_virus_checks_acl, \\\$bypass_virus_checks_re);
@bypass_spam_checks_maps = (\\%bypass_spam_checks, \\@bypass_spam_checks_acl, \\\$bypass_spam_checks_re);
@local_domains_maps = (['server.lab','client.lab']);
\$sa_local_tests_only = 1;
\$final_virus_destiny = D_DISCARD; \$final_banned_destiny = D_PASS; \$final_spam_destiny = D_PASS; \$final_bad_header_destiny = D_PASS;
\$sa_tag_level_deflt = -999; \$sa_tag2_level_deflt = 4; \$sa_kill_level_deflt = 1000;
\$virus_admin = undef; \$spam_admin = undef; \$bad_header_admin = undef; \$banned_admin = undef; \$enable_dkim_verification = 1;
\$max_servers = $AMAVIS_SERVERS; 1;
E
c adduser -q clamav amavis 2>/dev/null; c adduser -q amavis clamav 2>/dev/null
mkdir -p "$R/var/lib/clamav"; { printf 'Lab.Test-1:0:*:4c41422d56495255532d53494721\n'; for i in $(seq "$CLAM_SIGNATURES"); do printf 'Lab.Gen-%d:0:*:%s\n' "$i" "$(printf '%032x' $((i * 7919 * 104729)))"; done; } > "$R/var/lib/clamav/lab.ndb"
printf '44d88612fea8a8f36de82e1278abb02f:68:Eicar-Lab\n' > "$R/var/lib/clamav/lab.hdb"; c chown -R clamav:clamav /var/lib/clamav
printf '[Unit]\nConditionPathExistsGlob=\n' | put /etc/systemd/system/clamav-daemon.service.d/lab.conf
sed -i 's#^Socket.*#Socket inet:8891@localhost#' "$R/etc/opendkim.conf"; grep -q '^Mode' "$R/etc/opendkim.conf" || printf 'Mode v\n' >> "$R/etc/opendkim.conf"
echo 'POSTGREY_OPTS="--inet=10023 --delay=5"' > "$R/etc/default/postgrey"
[ -n "$SPAMD_OPTIONS" ] && for f in "$R/etc/default/spamd" "$R/etc/default/spamassassin"; do [ -e "$f" ] && sed -i "s/^OPTIONS=.*/OPTIONS=\"$SPAMD_OPTIONS\"/" "$f"; done

# exim on port 2525, beside postfix: the client relays to the server, the server delivers to carol
put /etc/exim4/exim4.conf <<E
primary_hostname = $ROLE.lab
daemon_smtp_ports = 2525
local_interfaces = 0.0.0.0
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
keep_environment =
never_users = root
acl_smtp_rcpt = take
$(if [ "$TLS" = on ]; then printf 'tls_advertise_hosts = *\ntls_certificate = /etc/ssl/tls.crt\ntls_privatekey = /etc/ssl/tls.key'; else printf 'tls_advertise_hosts ='; fi)
$EXIM_EXTRA
begin acl
take:
  accept
begin routers
here:
  driver = accept
  condition = $([ $ROLE = server ] && echo yes || echo no)
  transport = maildir
there:
  driver = manualroute
  route_list = * server.lab byname
  transport = relay
begin transports
maildir:
  driver = appendfile
  directory = /home/carol/Maildir
  maildir_format
  user = carol
relay:
  driver = smtp
  port = 2525
begin retry
* * F,20m,1m
E
# named exim: postfix.service conflicts with exim4.service
c install -d -o Debian-exim -g Debian-exim -m 750 /var/spool/exim4 /var/log/exim4; chmod u+s "$R/usr/sbin/exim4"
unit exim "/usr/sbin/exim4 -bdf $EXIM_QUEUE" root

# --- web
W=$R/var/www/html; mkdir -p "$W/php"; [ -e "$W/doc" ] || cp -rL "$R/usr/share/doc/git" "$W/doc" 2>/dev/null
for k in 1 10 100 2000; do head -c $((k * FILE_SCALE))0 /dev/urandom > "$W/f$k.bin"; done; echo '<h1>lab</h1>' > "$W/index.html"
cp "$HERE/inside/page.php" "$W/php/i.php"
PHP=$(ls "$R/etc/php" | head -1)
listen='listen 80 default_server;'; [ "$TLS" = on ] && listen="$listen listen 443 ssl; ssl_certificate /etc/ssl/tls.crt; ssl_certificate_key /etc/ssl/tls.key;"
put /etc/nginx/sites-available/default <<E
server { $listen root /var/www/html; autoindex on; index index.html; $NGINX_SERVER
 location /doc/ { autoindex on; }
 location /app/ { proxy_pass http://127.0.0.1:8000/; }
 location /node/ { proxy_pass http://127.0.0.1:3000/; }
 location ~ \.php\$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php$PHP-fpm.sock; } }
E
sed -i "s/^worker_processes.*/worker_processes $NGINX_WORKERS;/" "$R/etc/nginx/nginx.conf"
sed -i "s/^pm = .*/pm = $PHP_PM/; s/^pm.max_children.*/pm.max_children = $PHP_CHILDREN/" "$R/etc/php/$PHP/fpm/pool.d/www.conf"
sed -i 's/^Listen 80$/Listen 8080/; s/^\(\s*\)Listen 443/\1Listen 8443/' "$R/etc/apache2/ports.conf"; sed -i 's/\*:80>/*:8080>/' "$R/etc/apache2/sites-enabled/000-default.conf"
echo "ServerName $ROLE.lab" > "$R/etc/apache2/conf-enabled/sn.conf"
c a2dismod -q -f mpm_event mpm_prefork mpm_worker >/dev/null 2>&1; c a2enmod -q "mpm_$APACHE_MPM" >/dev/null 2>&1
if [ "$TLS" = on ]; then c a2enmod -q ssl >/dev/null 2>&1; printf '<VirtualHost *:8443>\nDocumentRoot /var/www/html\nSSLEngine on\nSSLCertificateFile /etc/ssl/tls.crt\nSSLCertificateKeyFile /etc/ssl/tls.key\n</VirtualHost>\n' | put /etc/apache2/sites-enabled/lab-tls.conf; fi
put /etc/lighttpd/lighttpd.conf <<E
server.modules = ( "mod_accesslog", "mod_dirlisting" )
server.document-root = "/var/www/html"
server.port = 8082
server.username = "www-data"
server.groupname = "www-data"
index-file.names = ( "index.html" )
dir-listing.activate = "enable"
accesslog.filename = "/var/log/lighttpd/access.log"
$LIGHTTPD_EXTRA
E
bind='bind *:8081'; [ "$TLS" = on ] && bind=$(printf 'bind *:8081\n bind *:8444 ssl crt /etc/ssl/tls.pem')
put /etc/haproxy/haproxy.cfg <<E
global
 user haproxy
 group haproxy
 daemon
 nbthread $HAPROXY_THREADS
defaults
 mode $HAPROXY_MODE
 timeout connect 5s
 timeout client 20s
 timeout server 20s
frontend f
 $bind
 default_backend b
backend b
 balance $HAPROXY_BALANCE
 server a 127.0.0.1:80 check inter $HAPROXY_CHECK
 server o $OTHER:80 check inter $HAPROXY_CHECK
E
printf 'http_port 3128\nacl all src all\nhttp_access allow all\n%bshutdown_lifetime 1 seconds\npinger_enable off\ndns_nameservers 127.0.0.1\nhosts_file /etc/hosts\n' "$SQUID_CACHE" | put /etc/squid/squid.conf
put /etc/samba/smb.conf <<E
[global]
 map to guest = bad user
 log level = 1
 load printers = no
 disable netbios = yes
 smb ports = 445
$SAMBA_EXTRA
[lab]
 path = /srv/smb
 guest ok = yes
 read only = no
 force user = carol
E
mkdir -p "$R/srv/smb"; c chown carol: /srv/smb
mkdir -p "$R/var/lib/tomcat10/webapps/ROOT"; cp "$HERE/inside/page.jsp" "$R/var/lib/tomcat10/webapps/ROOT/"
sed -i 's/port="8080"/port="8083" maxThreads="'"$TOMCAT_THREADS"'"/' "$R/etc/tomcat10/server.xml"
sed -i "s/^#*JAVA_OPTS=.*/JAVA_OPTS=\"-Djava.awt.headless=true $JAVA_EXTRA\"/" "$R/etc/default/tomcat10"
unit node-app "/usr/bin/node /opt/lab/app.js" alice "Environment=NODE_MODE=$NODE_MODE"
unit flask "/usr/bin/gunicorn $GUNICORN -b 0.0.0.0:8000 --chdir /opt/lab flaskapp:app" alice
unit pyhttp "/usr/bin/python3 $PYHTTP" alice
unit mqsub "/usr/bin/mosquitto_sub -h 127.0.0.1 -t # -F %%j -q $MQTT_QOS -c -i sub1" alice
unit monit "/usr/bin/monit -I -c /etc/monit/monitrc" root
unit rsyncd "/usr/bin/rsync --daemon --no-detach --config=/etc/rsyncd.conf" root
printf 'uid=nobody\n[doc]\npath=/usr/share/doc\nread only=yes\n' | put /etc/rsyncd.conf

sed -i 's/^listen-address  *127.0.0.1:8118/listen-address 0.0.0.0:8118/; /^listen-address  *\[::1\]/d' "$R/etc/privoxy/config"
sed -i 's/^Listen localhost:631/Listen 0.0.0.0:631/; s/Order allow,deny/Order allow,deny\n  Allow all/; $aDefaultEncryption Never' "$R/etc/cups/cupsd.conf"

# --- data stores
sed -i 's/^bind .*/bind 0.0.0.0/; s/^protected-mode.*/protected-mode no/' "$R/etc/redis/redis.conf"; printf '%b' "$REDIS_EXTRA" >> "$R/etc/redis/redis.conf"
sed -i 's/^-l .*/-l 0.0.0.0/' "$R/etc/memcached.conf"; printf '%b' "$MEMCACHED_EXTRA" >> "$R/etc/memcached.conf"
printf 'listener 1883 0.0.0.0\nallow_anonymous true\n%b' "$MOSQUITTO_EXTRA" | put /etc/mosquitto/conf.d/lab.conf
PG=$(ls "$R/etc/postgresql" | tail -1)
echo "host all all $NET.0/24 trust" >> "$R/etc/postgresql/$PG/main/pg_hba.conf"; sed -i 's/^local *all *all *peer/local all all trust/;s/^local *all *postgres *peer/local all postgres trust/' "$R/etc/postgresql/$PG/main/pg_hba.conf"
printf "listen_addresses='*'\n%b" "$POSTGRES_EXTRA" | put "/etc/postgresql/$PG/main/conf.d/lab.conf"
printf '[mysqld]\nbind-address=0.0.0.0\n%b' "$MARIADB_EXTRA" | put /etc/mysql/mariadb.conf.d/99-lab.cnf
printf 'ETCD_LISTEN_CLIENT_URLS=http://0.0.0.0:2379\nETCD_ADVERTISE_CLIENT_URLS=http://127.0.0.1:2379\n%b' "$ETCD_EXTRA" | put /etc/default/etcd
echo "BEANSTALKD_LISTEN_ADDR=0.0.0.0" >> "$R/etc/default/beanstalkd"; [ -n "$BEANSTALKD_EXTRA" ] && { mkdir -p "$R/var/lib/beanstalkd"; c chown beanstalkd /var/lib/beanstalkd; echo "BEANSTALKD_EXTRA=\"$BEANSTALKD_EXTRA\"" >> "$R/etc/default/beanstalkd"; }

# --- watching, naming, time
printf 'agentaddress udp:161\nrocommunity public\nview all included .1\n' | put /etc/snmp/snmpd.conf
sed -i 's/^host .*/host */; s/^allow .*//' "$R/etc/munin/munin-node.conf"; echo "cidr_allow $NET.0/24" >> "$R/etc/munin/munin-node.conf"
c munin-node-configure --shell 2>/dev/null | grep -E 'cpu|load|memory|df|processes|netstat|vmstat|uptime|open_files' | c sh >/dev/null 2>&1
printf 'listen=YES\nlocal_enable=YES\nwrite_enable=YES\npam_service_name=vsftpd\nsecure_chroot_dir=/var/run/vsftpd/empty\nxferlog_enable=YES\nseccomp_sandbox=NO\n%b' "$VSFTPD_EXTRA" | put /etc/vsftpd.conf
put /etc/unbound/unbound.conf <<E
server:
 do-not-query-localhost: no
 interface: 0.0.0.0
 access-control: $NET.0/24 allow
 access-control: 127.0.0.0/8 allow
 local-zone: "lab." static
 local-data: "server.lab. A $IPS"
 local-data: "client.lab. A $IPC"
 num-threads: $UNBOUND_THREADS
 module-config: "iterator"
 chroot: ""
$UNBOUND_EXTRA
forward-zone:
 name: "."
 forward-addr: 127.0.0.1@5353
 forward-first: no
E
printf 'port=5353\nno-resolv\naddress=/#/%s.99\nlocal-ttl=1\n%b' "$NET" "$DNSMASQ_EXTRA" | put /etc/dnsmasq.d/lab.conf
put /etc/bind/named.conf <<E
options { directory "/var/cache/bind"; listen-on port 5354 { any; }; listen-on-v6 { none; }; recursion yes; allow-query { any; }; forward only; forwarders { 127.0.0.1 port 5353; }; dnssec-validation no; empty-zones-enable no; };
zone "lab" { type primary; file "/etc/bind/lab.zone"; };
E
printf '$TTL 60\n@ IN SOA ns.lab. root.lab. 1 60 60 60 60\n@ IN NS ns.lab.\nns IN A %s\nserver IN A %s\nclient IN A %s\n* IN A %s.99\n' "$IPS" "$IPS" "$IPC" "$NET" | put /etc/bind/lab.zone
printf '%s\nallow all\nlocal stratum 8\nmakestep 1 3\ndriftfile /var/lib/chrony/drift\n' "$([ $ROLE = client ] && echo "server server.lab iburst minpoll $CHRONY_POLL maxpoll $CHRONY_POLL" || echo "server client.lab minpoll 3 maxpoll 4")" | put /etc/chrony/chrony.conf
# -x: never sets the clock, which the hosts share with the machine
printf '[Service]\nExecStart=\nExecStart=/usr/sbin/chronyd -d -x -F 0\nType=exec\nPIDFile=\n' | put /etc/systemd/system/chrony.service.d/lab.conf
printf 'set daemon %s\nset log syslog\ncheck system $HOST\n if loadavg (1min) > 90 then alert\ncheck process cron with pidfile /run/crond.pid\ncheck process sshd with pidfile /run/sshd.pid\ncheck filesystem root with path /\n if space usage > 99%% then alert\ncheck host lo with address 127.0.0.1\n if failed port 80 protocol http then alert\n' "$MONIT_S" | put /etc/monit/monitrc; chmod 600 "$R/etc/monit/monitrc"
printf '[DEFAULT]\nbackend = polling\n[sshd]\nenabled = true\nlogpath=/var/log/auth.log\nbantime=1\nbanaction=noop\nmaxretry=1000\n%b' "$FAIL2BAN_EXTRA" | put /etc/fail2ban/jail.local
printf '[Definition]\nactionban=\nactionunban=\n' | put /etc/fail2ban/action.d/noop.conf; rm -f "$R"/etc/fail2ban/jail.d/*
{ echo "Interval $COLLECTD_S"; for p in syslog cpu memory df disk interface load processes users $COLLECTD_PLUGINS; do echo "LoadPlugin $p"; done
  printf '<Plugin csv>\n DataDir "/var/lib/collectd/csv"\n</Plugin>\n'; } | put /etc/collectd/collectd.conf
printf "global:\n  scrape_interval: %s\nscrape_configs:\n  - job_name: node\n    static_configs: [{targets: ['client.lab:9100','server.lab:9100','localhost:9090','localhost:2379']}]\n" "$PROMETHEUS_SCRAPE" | put /etc/prometheus/prometheus.yml
printf '/var/log/lab/*.log {\n rotate 3\n compress\n missingok\n copytruncate\n}\n' | put /etc/logrotate.lab
mkdir -p "$R/var/log/lab"; for i in 1 2 3 4; do head -c 300000 /dev/urandom | base64 > "$R/var/log/lab/$i.log"; done
[ -n "$RSYSLOG_EXTRA" ] && printf '%b' "$RSYSLOG_EXTRA" | put /etc/rsyslog.d/lab.conf
[ -n "$JOURNALD_EXTRA" ] && printf '[Journal]\n%b' "$JOURNALD_EXTRA" | put /etc/systemd/journald.conf.d/lab.conf

# --- jobs of cron: utilities, and the operator's reloads, restarts and rotations
{ printf 'SHELL=/bin/bash\nPATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin\n'
  for _ in $(seq "$JOBS_A_MINUTE"); do echo '* * * * * root /opt/lab/jobs.sh'; done
  echo '*/2 * * * * bob /opt/lab/jobs.sh'; echo '*/3 * * * * root /usr/lib/sysstat/sa1 1 1'
  for _ in $(seq "$OPERATORS"); do echo "*/$OPERATOR_EVERY_MIN * * * * root /opt/lab/operate.sh"; done; } | put /etc/cron.d/lab

# --- units
base="cron rsyslog ssh postfix exim redis-server memcached mosquitto mqsub prometheus-node-exporter chrony snmpd munin-node fail2ban monit nginx node-app flask collectd atd"
case $ROLE in
client) on="$base fetchmail-alice fetchmail-bob haproxy unbound dnsmasq beanstalkd rsyncd privoxy $CLIENT_MORE" ;;
server) on="$base dovecot amavis spamd clamav-daemon opendkim postgrey apache2 php$PHP-fpm postgresql mariadb squid vsftpd prometheus rabbitmq-server etcd lighttpd pyhttp unbound dnsmasq named smbd tomcat10 $SERVER_MORE" ;;
ext) on="dovecot load" ;;
esac
unit load "/usr/bin/python3 /opt/lab/load.py" root
rm -f "$R"/etc/systemd/system/multi-user.target.wants/* "$R"/etc/systemd/system/sockets.target.wants/{clamav,epmd,uuidd,cups,dropbear}*
for u in $on; do
  f=$(ls "$R/etc/systemd/system/$u.service" "$R/usr/lib/systemd/system/$u.service" "$R/lib/systemd/system/$u.service" 2>/dev/null | head -1)
  [ -n "$f" ] || { echo "provision.sh: no unit $u in $RELEASE" >&2; continue; }
  ln -sf "${f#"$R"}" "$R/etc/systemd/system/multi-user.target.wants/$u.service"
done
for u in apt-daily.timer apt-daily-upgrade.timer apache-htcacheclean.service e2scrub_all.timer clamav-freshclam.service fstrim.timer console-getty.service getty.target systemd-udevd.service systemd-networkd.service systemd-resolved.service; do ln -sf /dev/null "$R/etc/systemd/system/$u"; done
echo "provision.sh: $SET $ROLE ready" >&2
