#!/bin/sh
# enter.sh ROOT SHARED RELEASES INSIDE TOUR URL [PACKAGES…]: runs one tour in an overlay of a root, in a mount namespace
# that the caller made. SHARED/tour is /tour inside. `service` is booted by systemd-nspawn.
set -eu
root=$1 shared=$2 releases=$3 inside=$4 tour=$5 url=$6
shift 6
mkdir -p "$shared/upper" "$shared/overlay" "$shared/root" "$shared/tour/inside"
mount -t overlay -o "lowerdir=$root,upperdir=$shared/upper,workdir=$shared/overlay" overlay "$shared/root"
cp "$inside"/*.sh "$shared/tour/inside/"
at=$shared/root
mkdir -p "$at/tour"
mount --bind "$shared/tour" "$at/tour"
mkdir -p "$at/tour/releases"
mount --bind "$releases" "$at/tour/releases"
clean() { env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8 "URL=$url/callsign" "$@"; }

if [ "$tour" = service ]; then
  exec sh "$inside/../boot.sh" "$at" "$url"
fi
mount -t proc proc "$at/proc"
mount --rbind /sys "$at/sys"
mount --rbind /dev "$at/dev"
mount -t tmpfs tmpfs "$at/run"
if [ $# -gt 0 ]; then
  clean DEBIAN_FRONTEND=noninteractive chroot "$at" apt-get -y -qq -o APT::Install-Recommends=false install "$@" >"$shared/packages.log" 2>&1 ||
    { tail -n 20 "$shared/packages.log"; echo "FAIL  cannot install $*"; exit 1; }
fi
clean chroot "$at" sh "/tour/inside/$tour.sh"
