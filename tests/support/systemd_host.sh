# Become systemd, as PID 1 of a host of its own: /proc, /run and control groups are new, files are an overlay in memory.
# Run in new mount, pid, uts, ipc and cgroup namespaces. $1: an empty directory.
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
rm -rf var/lib/taskmaster var/log/taskmaster etc/taskmaster # of the overlay: what this machine has is not that host's
for unit in systemd-tmpfiles-setup.service tmp.mount; do # both would empty /tmp, where this tree may be
    ln -sf /dev/null "etc/systemd/system/$unit"
done
mount -t proc proc proc
mount -t sysfs sysfs sys
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
else
    mount -t tmpfs tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
fi
mount --rbind /dev dev
mount -t tmpfs tmpfs run
exec chroot . env -i container=test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=basic.target --show-status=no
