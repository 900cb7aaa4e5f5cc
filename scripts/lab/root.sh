#!/bin/sh
# root.sh RELEASE DIR [PACKAGES]: makes one Debian root file system with everything that the laboratory's hosts run.
#
# Why once per release and not per host: hosts are overlays of it, so a second host costs seconds.
# The archive is the one this machine itself uses (LAB_MIRROR, LAB_SECURITY override it); packages that a release
# does not have are left out by name in DIR.missing. Interrupted, it leaves no half-made DIR behind.
set -eu
release=$1 root=$2 packages=${3:-$(dirname "$0")/packages.txt}
[ -e "$root.done" ] && exit 0
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

archive() { # the machine's own archive with this label
  apt-get indextargets --format '$(LABEL)|$(ORIGIN)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F'|' -v label="$1" '$1 == label && $2 == "Debian" { print $3; exit }'
}
mirror=${LAB_MIRROR:-$(archive Debian)} security=${LAB_SECURITY:-$(archive Debian-Security)}
[ -n "$mirror" ] || { echo "root.sh: no Debian archive in this machine's apt sources; set LAB_MIRROR" >&2; exit 1; }

umounts() { for m in dev proc; do mountpoint -q "$root/$m" && umount -l "$root/$m"; done; return 0; }
trap 'umounts' EXIT
trap 'exit 130' INT TERM
umounts; rm -rf --one-file-system "$root"; mkdir -p "$root"

debootstrap --variant=minbase --components=main \
  --include=ca-certificates,systemd,systemd-sysv,dbus,libpam-systemd,adduser "$release" "$root" "$mirror"
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"; chmod +x "$root/usr/sbin/policy-rc.d"
echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/lab"
printf 'path-exclude=/usr/share/locale/*\n' >> "$root/etc/dpkg/dpkg.cfg.d/lab"
{ echo "deb $mirror $release main"; echo "deb $mirror $release-updates main"
  [ -z "$security" ] || echo "deb $security $release-security main"; } > "$root/etc/apt/sources.list"
printf 'Acquire::Languages "none";\nAPT::Install-Recommends "false";\n' > "$root/etc/apt/apt.conf.d/99lab"
cp /etc/resolv.conf "$root/etc/resolv.conf"; cp /etc/hosts "$root/etc/hosts"
mount -t proc proc "$root/proc"; mount --bind /dev "$root/dev"
chroot "$root" apt-get update
printf 'postfix postfix/main_mailer_type select No configuration\nman-db man-db/auto-update boolean false\n' |
  chroot "$root" debconf-set-selections
wanted='' missing=''
for p in $(grep -v '^#' "$packages"); do
  if chroot "$root" apt-cache show --no-all-versions "$p" 2>/dev/null | grep -q '^Filename:'; then wanted="$wanted $p"; else missing="$missing $p"; fi
done
echo "$missing" > "$root.missing"
# shellcheck disable=SC2086
chroot "$root" apt-get -y --no-install-recommends -o Dpkg::Options::=--force-confold install $wanted ||
  # One that conflicts with another spoils it for all: then one by one, and who comes first stays.
  for p in $wanted; do chroot "$root" apt-get -y --no-install-recommends -o Dpkg::Options::=--force-confold install "$p" || missing="$missing $p"; done
if [ $# -lt 3 ]; then
  # exim beside postfix: Debian lets only one of them be installed, so its program is unpacked and gets a port of its own.
  # shellcheck disable=SC2046
  chroot "$root" apt-get -y --no-install-recommends install $(chroot "$root" apt-cache depends exim4-daemon-light | awk '$1 == "Depends:" && $2 ~ /^lib/ { print $2 }')
  chroot "$root" sh -c 'cd /tmp && apt-get download exim4-daemon-light && dpkg-deb --fsys-tarfile exim4-daemon-light_*.deb | tar -x -C / ./usr/sbin/exim4 ./usr/lib/exim4 && rm exim4-daemon-light_*.deb'
  chroot "$root" useradd --badname --system --user-group --home-dir /var/spool/exim4 --shell /usr/sbin/nologin Debian-exim
fi
umounts
touch "$root.done"
echo "root.sh: $release is ready in $root; not in this release:$missing" >&2
