# Files are read, written anew and taken away, one after the other: by our own programs and by everyday tools.
behaviour file-encryption T1486
job encrypt_c_new c;      prepare_encrypt_c_new() { victims; };      encrypt_c_new() { exec "$(bin encrypt)" new v "$(pick 0 300 1000 3000 10000)" "$(pick 1048576 65536 4096)" "$(pick 0 0 1)" 1; }
job encrypt_c_place c;    prepare_encrypt_c_place() { victims; };    encrypt_c_place() { exec "$(bin encrypt)" place v "$(pick 0 300 1000 3000 10000)" "$(pick 1048576 65536 4096)" "$(pick 0 0 1)" 1; }
job encrypt_c_map c held-out; prepare_encrypt_c_map() { victims; };  encrypt_c_map() { exec "$(bin encrypt)" map v "$(pick 300 1000 3000 10000)" 65536 "$(pick 0 1)" 1; }
job encrypt_c_aes c;      prepare_encrypt_c_aes() { victims; };      encrypt_c_aes() { exec "$(bin encrypt)" evp v "$(pick 0 300 1000 3000)" "$(pick 65536 16384)" "$(pick 0 1)" 1; }
job encrypt_c_threads c;  prepare_encrypt_c_threads() { victims; };  encrypt_c_threads() { exec "$(bin encrypt)" "$(pick new place)" v "$(pick 0 1000 5000)" "$(pick 65536 262144)" 0 "$(within 2 6)"; }
job encrypt_go go;        prepare_encrypt_go() { victims; };         encrypt_go() { exec "$(bin bad-go)" encrypt v "$(pick 0 1000 5000)" "$(within 1 4)" 0; }
job encrypt_go_stream go; prepare_encrypt_go_stream() { victims; };  encrypt_go_stream() { exec "$(bin bad-go)" encrypt v "$(pick 0 1000 5000)" "$(within 1 4)" 1; }
job encrypt_rust rust held-out; prepare_encrypt_rust() { victims; }; encrypt_rust() { exec "$(bin bad-rs)" encrypt v "$(pick 300 1000 5000)"; }
job encrypt_java java;    prepare_encrypt_java() { victims; };       encrypt_java() { exec "$(as java)" -cp /lab/java Bad encrypt v "$(pick 0 2000 9000)"; }
for s in whole stream place map aes pool; do
  eval "prepare_encrypt_python_$s() { victims; }; encrypt_python_$s() { exec \"\$(as python3)\" /lab/src/bad.py encrypt v $s \"\$(pick 0 0 .002 .01 .05)\"; }"
done
job encrypt_python_whole python; job encrypt_python_stream python; job encrypt_python_place python; job encrypt_python_map python held-out; job encrypt_python_aes python; job encrypt_python_pool python
job encrypt_perl perl;        prepare_encrypt_perl() { victims; };       encrypt_perl() { exec "$(as perl)" /lab/src/bad.pl encrypt v new "$(pick 0 .002 .02)"; }
job encrypt_perl_place perl;  prepare_encrypt_perl_place() { victims; }; encrypt_perl_place() { exec "$(as perl)" /lab/src/bad.pl encrypt v place "$(pick 0 .002 .02)"; }
job encrypt_ruby ruby held-out; prepare_encrypt_ruby() { victims; };     encrypt_ruby() { exec "$(as ruby)" /lab/src/bad.rb encrypt v "$(pick 0 .005)"; }
for s in sync stream place; do eval "prepare_encrypt_node_$s() { victims; }; encrypt_node_$s() { exec \"\$(as node)\" /lab/src/bad.js encrypt v $s \"\$(pick 0 2 10)\"; }"; done
job encrypt_node_sync node; job encrypt_node_stream node; job encrypt_node_place node
job encrypt_php php;      prepare_encrypt_php() { victims; };      encrypt_php() { exec "$(as php)" /lab/src/bad.php encrypt v "$(pick 0 3000 20000)"; }
job encrypt_openssl shell; prepare_encrypt_openssl() { victims v few; }
encrypt_openssl() { local o c; o=$(as openssl); c=$(pick aes-256-cbc aes-128-ctr chacha20); while :; do for f in $(find v -type f); do "$o" enc -$c -pbkdf2 -pass pass:x -in "$f" -out "$f.locked" && rm "$f"; done; for f in $(find v -name '*.locked'); do mv "$f" "${f%.locked}"; done; done; }
job encrypt_openssl_find shell; prepare_encrypt_openssl_find() { victims v few; }
encrypt_openssl_find() { while :; do find v -type f -exec sh -c 'openssl enc -aes-256-cbc -k x -pbkdf2 -in "$1" -out "$1.e" && mv "$1.e" "$1"' - {} \; ; done; }
job encrypt_gpg shell;    prepare_encrypt_gpg() { victims v few; }
encrypt_gpg() { while :; do for f in $(find v -type f ! -name '*.gpg'); do gpg --batch --yes -q --passphrase x --pinentry-mode loopback -c "$f" && rm -f "$f"; done; for f in $(find v -name '*.gpg'); do mv "$f" "${f%.gpg}"; done; done; }
job encrypt_zip shell;    prepare_encrypt_zip() { victims v few; }
encrypt_zip() { while :; do for f in $(find v -type f ! -name '*.zip'); do zip -q -m -P secret "$f.zip" "$f"; nap "$(pick 0 0 50)"; done; for f in $(find v -name '*.zip'); do mv "$f" "${f%.zip}"; done; done; }
job encrypt_7z shell held-out; prepare_encrypt_7z() { victims v few; }
encrypt_7z() { while :; do for f in $(find v -type f ! -name '*.7z'); do 7z a -psecret -mhe=on -sdel -bd "$f.7z" "$f" >/dev/null; done; for f in $(find v -name '*.7z'); do mv "$f" "${f%.7z}"; done; done; }
job encrypt_ccrypt shell held-out; prepare_encrypt_ccrypt() { victims v few; }; encrypt_ccrypt() { while :; do find v -type f ! -name '*.cpt' | xargs -n "$(pick 1 20)" ccrypt -e -K x; find v -name '*.cpt' | while read -r f; do mv "$f" "${f%.cpt}"; done; done; }
job encrypt_age shell;    prepare_encrypt_age() { victims v few; age-keygen -o k 2>/dev/null; }
encrypt_age() { local k; k=$(age-keygen -y k); while :; do for f in $(find v -type f ! -name '*.age'); do age -r "$k" -o "$f.age" "$f" && rm "$f"; done; for f in $(find v -name '*.age'); do mv "$f" "${f%.age}"; done; done; }
job encrypt_shred shell;  prepare_encrypt_shred() { victims v few; cp -r v w; }
encrypt_shred() { while :; do for f in $(find v -type f); do shred -n "$(pick 1 2)" ${RM:+-u} "$f"; nap "$(pick 0 20)"; done; RM=1; cp -r w/. v; done; }
job encrypt_tar shell;    prepare_encrypt_tar() { victims v few; cp -r v w; }
encrypt_tar() { while :; do for d in $(find v -type d); do tar czf - "$d" 2>/dev/null | openssl enc -aes-256-cbc -pbkdf2 -k x > "$d.bin"; rm -rf "${d:?}"/*.*; done; cp -r w/. v; done; }
job encrypt_dd shell held-out; prepare_encrypt_dd() { victims v few; }
encrypt_dd() { while :; do for f in $(find v -type f); do dd if=/dev/urandom of="$f" bs="$(stat -c %s "$f")" count=1 conv=notrunc status=none; mv "$f" "$f.gone"; mv "$f.gone" "$f"; done; done; }
