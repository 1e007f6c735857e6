#!/bin/sh
# libraries.sh FOLDER: cJSON for Windows, and stb's headers, into FOLDER/include and FOLDER/lib. Debian has
# cJSON's source, but no package of it for mingw-w64; zlib's is libz-mingw-w64-dev. CC, AR.
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
(cd source && apt update && apt source cjson) >source/log 2>&1 || { cat source/log; exit 1; }

cp source/cjson-*/cJSON.h include/cjson
$CC -O2 -c -o source/cJSON.o source/cjson-*/cJSON.c
rm -f lib/libcjson.a
$AR rcs lib/libcjson.a source/cJSON.o
