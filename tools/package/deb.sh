#!/bin/sh
# deb.sh FOLDER: makes Debian packages there, of a copy of the sources. VERSION is that of vit.h.
set -eu
source=$1/vit-h-$VERSION
seconds=${SOURCE_DATE_EPOCH:-$(date +%s)}

rm -rf "$1"
mkdir -p "$source"
cp -R vit.h examples tools Makefile README.md LICENSE "$source"
cp -R tools/package/debian "$source"
cat >"$source/debian/changelog" <<END
vit-h ($VERSION) unstable; urgency=medium

  * vit.h $VERSION.

 -- $(sed -n 's/^Maintainer: //p' tools/package/debian/control)  $(date -R -d "@$seconds")
END
cd "$source"
dpkg-buildpackage --build=binary --no-sign
ls -1 ../*.deb
