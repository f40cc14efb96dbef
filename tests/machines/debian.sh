#!/bin/sh
# A Debian 12 root file system with a kernel, in the folder $1. It is there when it is complete.
set -eu
new=$1.new
rm -rf --one-file-system "$new"
# The kernel is unpacked only: installed it would bring udev and an initramfs. And /lib is a link, which has to stay one.
# shellcheck disable=SC2016 # what the hook expands is its own
mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Retries "3"' \
  --include=systemd,systemd-sysv,dbus,openssh-server,procps,iproute2,kmod,conntrack \
  --customize-hook='
    cd "$1"
    export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
    kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n "s/ *Depends: //p")
    apt-get -qq -o APT::Sandbox::User=root download "$kernel"
    dpkg-deb --fsys-tarfile "$kernel"_*.deb | tar -x --keep-directory-symlink
    rm "$kernel"_*.deb
    chroot . depmod "${kernel#linux-image-}"' \
  bookworm "$new"
mv "$new" "$1"
