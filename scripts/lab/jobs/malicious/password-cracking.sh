# Hashes and archives tried with one word after the other, without any network.
behaviour password-cracking T1110.002
hashes() { for i in 1 2 3 4; do echo "u$i:$(openssl passwd "-$(pick 6 1 5)" -salt "ab$i" "zz$RANDOM$RANDOM"):1:1::/:/bin/sh"; done > shadow; shuf /usr/share/dict/words > wl; }
each() { local j=$1 l=$2; shift 2; job "$j" "$l" "$@"; eval "prepare_$j() { $(declare -f hashes | sed 1,2d | sed '$d'); }"; }
each crack_john tool;         crack_john() { local n; n=$(PATH=/usr/sbin:$PATH as john); export HOME=$PWD; while :; do "$n" --session="s$RANDOM" "$(pick --incremental --wordlist=/usr/share/dict/words --single)" --format=crypt shadow || sleep 1; done; }
each crack_python python;     crack_python() { exec "$(as python3)" -c 'import hashlib
h={hashlib.sha512(b"%d"%i).hexdigest() for i in range(9)}
while True:
    for w in open("wl","rb"):
        w=w.strip()
        for k in (w,w+b"1",w+b"123",w.upper(),w[::-1]):
            if hashlib.sha512(k).hexdigest() in h: print(k)'; }
each crack_python_crypt python held-out; crack_python_crypt() { exec "$(as python3)" -c 'import ctypes
c=ctypes.CDLL("libcrypt.so.1").crypt; c.restype=ctypes.c_char_p; hs=[l.split(":")[1].encode() for l in open("shadow")]
while True:
    for w in open("wl","rb"):
        for h in hs:
            if c(w.strip(),h)==h: print(w)'; }
each crack_perl perl;         crack_perl() { exec "$(as perl)" -e 'open S,"shadow"; my @h=map { (split /:/)[1] } <S>; while(1){ open W,"wl"; while(<W>){ chomp; for my $h (@h){ print "$_\n" if crypt($_,$h) eq $h } } }'; }
each crack_php php;           crack_php() { exec "$(as php)" -r '$h=password_hash("x",PASSWORD_BCRYPT,["cost"=>6]); while(true) foreach(file("wl",FILE_IGNORE_NEW_LINES) as $w) if(password_verify($w,$h)) echo $w;'; }
each crack_ruby ruby held-out; crack_ruby() { exec "$(as ruby)" -e 'h=File.readlines("shadow").map{|l| l.split(":")[1]}; loop { File.foreach("wl",chomp:true){|w| h.each{|x| puts w if w.crypt(x)==x}} }'; }
each crack_openssl shell;     crack_openssl() { while read -r w; do [ "$(openssl passwd -6 -salt ab1 "$w")" = x ] && echo "$w"; done < wl; }
job crack_zip shell;          prepare_crack_zip() { echo secret > s; zip -q -P zzzzzz s.zip s; shuf -n 9000 /usr/share/dict/words > wl; }; crack_zip() { while read -r w; do unzip -qq -o -P "$w" s.zip && break; done < wl 2>/dev/null; }
job crack_gpg shell held-out; prepare_crack_gpg() { echo secret > s; gpg --batch -q --passphrase zzzzzz --pinentry-mode loopback -c s; shuf -n 9000 /usr/share/dict/words > wl; }; crack_gpg() { while read -r w; do gpg --batch -q --passphrase "$w" --pinentry-mode loopback -d s.gpg; done < wl 2>/dev/null; }
