#!/bin/sh
# install.sh install|uninstall: puts the library and the programs under $DESTDIR$PREFIX, or takes them
# away; `make install` and `make uninstall` set the variables.
#
# BUILD has the programs, VERSION is that of vit.h. STRIP strips the programs; empty: they stay as built.
# DOCDIR is under PREFIX.
set -eu
action=$1
target=$DESTDIR$PREFIX

# MODE SOURCE DESTINATION, for each file. Those that end in .in are templates.
files() {
    echo "644 vit.h include/vit.h"
    echo "644 tools/package/vit.pc.in share/pkgconfig/vit.pc"
    echo "644 tools/package/cmake/vitConfig.cmake share/cmake/vit/vitConfig.cmake"
    echo "644 tools/package/cmake/vitConfigVersion.cmake.in share/cmake/vit/vitConfigVersion.cmake"
    for name in cifar10 fashion-mnist; do echo "644 examples/models/$name.vit share/vit/$name.vit"; done
    for name in picture.h picture.c camera.h camera.c minimal.c; do echo "644 examples/$name $DOCDIR/examples/$name"; done
    for program in vit-convert vit-info vit-teach vit-classify; do
        echo "755 $BUILD/$program bin/$program"
        echo "644 tools/package/man/$program.1 share/man/man1/$program.1"
        echo "644 tools/package/completions/vit.bash share/bash-completion/completions/$program"
        echo "644 tools/package/completions/vit.fish share/fish/vendor_completions.d/$program.fish"
    done
    echo "644 tools/package/completions/_vit share/zsh/site-functions/_vit"
}

fill_in() {
    sed -e "s|@PREFIX@|$PREFIX|g" -e "s|@VERSION@|$VERSION|g" "$1"
}

install_file() {
    mkdir -p "$(dirname "$target/$3")"
    case $2 in
    *.in) fill_in "$2" >"$target/$3" && chmod "$1" "$target/$3" ;;
    *) install -m "$1" "$2" "$target/$3" ;;
    esac
    if [ "$1" = 755 ] && [ -n "$STRIP" ]; then "$STRIP" "$target/$3"; fi
}

uninstall_file() {
    rm -f "$target/$3"
}

files | while read -r mode source destination; do
    "${action}_file" "$mode" "$source" "$destination"
done

if [ "$action" = uninstall ]; then # the folders that are this project's own
    for folder in share/cmake/vit share/vit "$DOCDIR/examples" "$DOCDIR"; do
        rmdir "$target/$folder" 2>/dev/null || true # not empty: it has files of others
    done
fi
