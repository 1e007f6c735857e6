#!/bin/bash
# What `make install` and `make deb` make, used as its users do. BUILD is where the programs are built,
# VERSION that of vit.h; CC, CXX. As root the Debian packages are also installed, run and removed.
set -eu

top=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root # takes the place of /
PATH=$root/usr/bin:$PATH
model=share/vit/fashion-mnist.vit
boot=examples/images/9-ankle-boot-1.jpg
programs="vit-convert vit-info vit-teach vit-classify"
failures=0

failed() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

# Runs a command, which must end with success, and print a text if one is given.
expect() { # TEXT COMMAND...
    local text=$1 output
    shift
    output=$("$@" 2>&1) || { failed "$* ended with $?: $output"; return; }
    [[ $output == *"$text"* ]] || failed "$* does not say '$text', but: $output"
}

make_quietly() {
    make --no-print-directory "$@" >"$work/log" 2>&1 || { failed "make $*"; cat "$work/log"; }
}

install_it() {
    make_quietly "$1" BUILD="$BUILD/package" PREFIX=/usr DESTDIR="$root"
}

# ---- what is installed ----

check_version() {
    grep -q "^/[*] vit.h - v$VERSION - " vit.h || failed "vit.h's first line has another version"
    for program in $programs; do
        expect "$program $VERSION" "$root/usr/bin/$program" --version
    done
    PKG_CONFIG_PATH=$root/usr/share/pkgconfig expect "$VERSION" pkg-config --modversion vit
}

check_programs() {
    for program in $programs; do
        if nm "$root/usr/bin/$program" 2>/dev/null | grep -q .; then failed "$program is not stripped"; fi
    done
    expect "airplane, automobile" "$root/usr/bin/vit-classify" $boot
    cp "$root/usr/bin/vit-classify" "$work"
    expect "" grep -q /usr/share/vit "$work/vit-classify"
}

# A build that exists for one PREFIX is made anew for another.
check_prefix() {
    make_quietly "$BUILD/package/vit-classify" BUILD="$BUILD/package" PREFIX=/opt/vit
    expect "" grep -q /opt/vit/share/vit "$BUILD/package/vit-classify"
}

check_uninstall() {
    mkdir -p "$root/usr/share/vit"
    touch "$root/usr/share/vit/mine.vit"
    install_it uninstall
    local left
    left=$(find "$root" -type f)
    [ "$left" = "$root/usr/share/vit/mine.vit" ] || failed "uninstall leaves or takes away: $left"
    rm "$left"
    install_it uninstall
    left=$(find "$root" -path '*vit*')
    [ -z "$left" ] || failed "uninstall leaves: $left"
}

# ---- options in man pages and completions ----

options_of() { # PROGRAM: all options that --help shows, one a line
    "$root/usr/bin/$1" --help | sed -n 's/^ \+\(-[a-z0-9], \)\?\(--[a-z-]\+\).*/\1\2/p' |
        tr -s ', ' '\n' | sort
}

options_in_page() { # PROGRAM
    sed -n 's/ Ar .*//; s/^[.]It Fl //p' "tools/package/man/$1.1" | tr -s ', ' '\n' | sed 's/^/-/' | sort
}

in_bash() { # FILE WORD...: completions of the last word, one a line
    bash -c '. /usr/share/bash-completion/bash_completion; . "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
        _vit "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}

in_fish() { # PROGRAM LINE
    fish --no-config -c "set -p fish_complete_path $root/usr/share/fish/vendor_completions.d
        complete -C '$1 $2'" | cut -f1
}

in_zsh() { # PROGRAM: what is given to _arguments
    zsh -f -c 'words=($1); _call_program() { shift; eval "$@" }; _arguments() { print -l -- "$@" }
        complete() { . $2 }; complete "$@"' zsh "$1" "$root/usr/share/zsh/site-functions/_vit"
}

same() { # WHAT WANTED GOT
    [ "$2" = "$3" ] || { failed "$1: wanted <, got >"; diff <(echo "$2") <(echo "$3") >&2 || true; }
}

check_names() { # PROGRAM OPTION: the names that may follow it, in each shell
    local bash_file=$root/usr/share/bash-completion/completions/$1 names
    names=$(in_bash "$bash_file" "$1" "$2" "" | sort)
    same "fish, $1 $2" "$names" "$(in_fish "$1" "$2 " | sort)"
    same "zsh, $1 $2" "$names" "$(in_zsh "$1" | sed -n "s/^[*]$2\[.*:(\(.*\))$/\1/p" | tr ' ' '\n' | sort)"
    for name in $names; do
        "$root/usr/bin/$1" --help | grep -q -w -e "$name" || failed "$1 $2: there is no $name"
    done
}

check_options() { # PROGRAM
    local options long bash_file=$root/usr/share/bash-completion/completions/$1
    options=$(options_of "$1")
    long=$(echo "$options" | grep -e '^--')
    [ "$(echo "$long" | wc -l)" -ge 2 ] || failed "$1 --help shows no options"
    same "man page of $1" "$options" "$(options_in_page "$1")"
    same "bash, $1" "$long" "$(in_bash "$bash_file" "$1" -- | sort)"
    same "fish, $1" "$long" "$(in_fish "$1" -- | sort)"
    same "zsh, $1" "$options" "$(in_zsh "$1" | sed -n 's/^[*]\(-[a-z0-9-]*\)\[.*/\1/p' | sort)"
    for option in $long; do
        if "$root/usr/bin/$1" --help | grep -q -e "$option NAME "; then
            check_names "$1" "$option"
        fi
    done
}

check_pages() {
    local own='referenced manual not found: Xr vit-\(convert\|info\|teach\|classify\) 1' problems
    problems=$(mandoc -Tlint tools/package/man/*.1 | grep -v "$own" || true)
    [ -z "$problems" ] || failed "mandoc: $problems"
}

# ---- programs of others ----

check_pkg_config() {
    local flags
    export PKG_CONFIG_PATH=$root/usr/share/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
    read -r -a flags < <(PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 pkg-config --cflags --libs vit)
    $CC -std=c99 -D_POSIX_C_SOURCE=200809L -o "$work/user_c" tests/package/user.c "${flags[@]}"
    $CXX -std=c++11 -o "$work/user_cpp" -x c++ tests/package/user.c -x none "${flags[@]}"
    for language in c cpp; do
        expect "$VERSION, 10 classes" "$work/user_$language" "$root/usr/$model"
    done
    cd "$root/usr/share/doc/vit/examples"
    $CC -o "$work/minimal" minimal.c "${flags[@]}"
    $CC -fwrapv -c -o "$work/picture.o" picture.c "${flags[@]}"
    cd "$top"
    expect "Ankle boot" "$work/minimal" "$root/usr/$model" $boot
}

configure() { # VERSION
    cmake -S tests/package -B "$work/cmake" -DCMAKE_PREFIX_PATH="$root/usr" -DWANTED="$1" \
        -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" >"$work/log" 2>&1
}

check_cmake() {
    for wanted in "" "${VERSION%.*}" "$VERSION"; do
        configure "$wanted" || { failed "find_package(vit $wanted)"; cat "$work/log"; }
        rm -f "$work/cmake/CMakeCache.txt"
    done
    for wanted in 99 "${VERSION%.*}.99"; do
        if configure "$wanted"; then failed "find_package(vit $wanted) finds $VERSION"; fi
        rm -f "$work/cmake/CMakeCache.txt"
    done
    configure "" && expect "" cmake --build "$work/cmake"
    for language in c cpp; do
        expect "$VERSION, 10 classes" "$work/cmake/user_$language" "$root/usr/$model"
    done
}

# ---- Debian's packages ----

check_debs() {
    make_quietly deb BUILD="$BUILD"
    expect "" lintian --fail-on error,warning,info "$BUILD"/deb/*.changes
    if [ "$(id -u)" != 0 ]; then
        echo "SKIPPED installing the Debian packages: not root"
        return
    fi
    if dpkg -s vit-tools libvit-dev >"$work/log" 2>&1; then
        echo "SKIPPED installing the Debian packages: they are installed already"
        return
    fi
    expect "" dpkg -i "$BUILD"/deb/libvit-dev_*.deb "$BUILD"/deb/vit-tools_*.deb
    expect "vit-classify $VERSION" /usr/bin/vit-classify --version
    expect "airplane, automobile" /usr/bin/vit-classify $boot
    $CC -std=c99 -D_POSIX_C_SOURCE=200809L -o "$work/user_c" tests/package/user.c -lm -pthread
    expect "$VERSION, 10 classes" "$work/user_c" /usr/$model
    expect "" dpkg -r vit-tools libvit-dev
    expect "" dpkg -P vit-tools libvit-dev
    local left
    left=$(find /usr/bin /usr/include /usr/share \( -name 'vit-*' -o -name vit.h -o -name vit \) \
        -newer "$work/root" 2>/dev/null)
    [ -z "$left" ] || failed "dpkg -P leaves $left"
}

install_it install
check_version
check_programs
check_pages
for program in $programs; do check_options "$program"; done
check_pkg_config
check_cmake
check_uninstall
check_prefix
check_debs

[ "$failures" = 0 ] || exit 1
echo "the packages are good"
