# Sourced before a check: control groups of version 1 in place of version 2.
umount /sys/fs/cgroup
mount -t tmpfs tmpfs /sys/fs/cgroup
for controller in cpu memory; do
  mkdir /sys/fs/cgroup/$controller
  mount -t cgroup -o $controller $controller /sys/fs/cgroup/$controller
done
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd systemd /sys/fs/cgroup/systemd
grep cgroup /proc/mounts
