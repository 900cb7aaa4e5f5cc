#!/bin/sh
# Runs a script as root of a copy of this system: an overlay whose upper layer is in memory and goes with the mount
# namespace. What it installs and removes touches nothing outside.
#   unshare --mount --pid --fork sh scratch-root.sh FOLDER SCRIPT: FOLDER is visible inside as /mnt/shared,
#   what differs from this system as /mnt/upper
set -eu
shared=$1 script=$2
work=$(mktemp -d)
mount -t tmpfs -o size=1g tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" overlay "$work/root"
mount -t proc proc "$work/root/proc"
mount --rbind /dev "$work/root/dev"
mkdir -p "$work/root/mnt/shared"
mount --bind "$shared" "$work/root/mnt/shared"
mkdir -p "$work/root/mnt/upper"
mount --bind "$work/upper" "$work/root/mnt/upper"
exec chroot "$work/root" /bin/sh "/mnt/shared/$script"
