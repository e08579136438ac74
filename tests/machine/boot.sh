#!/bin/sh
# boot.sh FOLDER ROOT: becomes systemd, the first process of a throw-away copy of the machine whose
# files are in ROOT: of this one, with `/`.
#
# To be run in new mount, process, IPC, host name and control group namespaces. The copy shows the
# machine's files, and keeps what changes in memory: /run/changes holds every file that differs.
# It shares the network, so that servers on loopback are in reach, and nothing else.
set -eu
folder=$1
from=$2

mount --make-rprivate /
mount -t tmpfs copy "$folder"
mkdir "$folder/changes" "$folder/work" "$folder/root"
mount -t overlay copy "$folder/root" \
    -o "lowerdir=$from,upperdir=$folder/changes,workdir=$folder/work"
cd "$folder/root"

# A container's policy that packages may start and stop nothing is not the copy's.
rm -f usr/sbin/policy-rc.d

# Kernel settings and devices are the machine's: not to be written, and not even seen.
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 dev dev
for device in null zero full random urandom tty; do
    : >dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/shm dev/pts
ln -s /proc/self/fd dev/fd
mount -t devpts -o newinstance,ptmxmode=666 pts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mount -t tmpfs -o mode=1777 tmp var/tmp
mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
mount -t cgroup2 cgroup sys/fs/cgroup
mkdir -p run/changes run/systemd/system run/old
mount --bind "$folder/changes" run/changes
# As far as it is needed: services start after sysinit.target, which they bring along.
printf '[Unit]\nDescription=A copy of this machine\n' >run/systemd/system/copy.target

pivot_root . run/old
cd /
umount -l run/old
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /usr/lib/systemd/systemd --system --unit=copy.target --show-status=false </dev/null
