#!/bin/sh
# libraries.sh FOLDER: cJSON and liblbfgs for Windows, and stb's headers, into FOLDER/include and FOLDER/lib.
# Debian has their sources, but no packages of them for mingw-w64; zlib's is libz-mingw-w64-dev. CC, AR.
set -eu
mkdir -p "$1/include/cjson" "$1/lib" "$1/source/lists/partial" "$1/source/parts"
cd "$1"
cp -R /usr/include/stb include

# Where Debian's sources are: apt's own lists may have none, and stay as they are.
parts=$PWD/source/parts
for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
    [ ! -e $file ] || sed 's/^deb /deb-src /; s/^Types: .*/Types: deb-src/' $file >"$parts/${file##*/}"
done
[ ! -e "$parts/sources.list" ] || mv "$parts/sources.list" "$parts/sources.list.list"
apt() {
    apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$parts" \
        -o Dir::State::Lists="$PWD/lists" -o APT::Sandbox::User=root "$@"
}
get() { # of cJSON with Debian's corrections, of liblbfgs the source itself
    apt update && apt source cjson && apt source --tar-only liblbfgs && tar xf liblbfgs_*.orig.tar.gz
}
(cd source && get) >source/log 2>&1 || {
    cat source/log
    exit 1
}

cp source/cjson-*/cJSON.h include/cjson
cp source/liblbfgs-*/include/lbfgs.h include
$CC -O2 -c -o source/cJSON.o source/cjson-*/cJSON.c
$CC -O2 -c -Iinclude -o source/lbfgs.o source/liblbfgs-*/lib/lbfgs.c
rm -f lib/*.a
$AR rcs lib/libcjson.a source/cJSON.o
$AR rcs lib/liblbfgs.a source/lbfgs.o
