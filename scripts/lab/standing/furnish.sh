#!/bin/sh
# furnish.sh ROOT FROM: gives a root file system of the standing laboratory what jobs need, from one that jobs/run.py has furnished.
set -eu
root=$1 from=$2
mkdir -p "$root/lab" "$root/var/www"
for part in bin src crowd data java lib.sh init.sh; do cp -a "$from/lab/$part" "$root/lab/"; done
for home in alice bob carol deploy oracle git backup erin; do cp -a "$from/home/$home" "$root/home/"; done
cp -a "$from/var/www/." "$root/var/www/"
cp -a "$from/root/.ssh" "$from/root/.gitconfig" "$root/root/"
for user in dev alice bob carol; do
  chroot "$root" id "$user" >/dev/null 2>&1 || chroot "$root" useradd -M -s /bin/bash "$user"
  echo "$user:$user-secret-9" | chroot "$root" chpasswd
done
