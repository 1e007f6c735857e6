#!/bin/sh
# require.sh PACKAGE...: makes sure that what these Debian packages provide is there.
#
# Missing packages are named, then installed with apt-get if that is possible (as root, or with sudo);
# otherwise the exit status is 1. Nothing is fetched when nothing is missing, so that a build works
# offline.

has_header() {
    printf '#include <%s>\n' stddef.h stdarg.h stdint.h stdio.h setjmp.h "$1" |
        "${CC:-cc}" -x c -fsyntax-only - 2>/dev/null
}

has_python_module() {
    [ -x /usr/bin/python3 ] && /usr/bin/python3 -c "import importlib.util, sys
sys.exit(importlib.util.find_spec('$1') is None)" 2>/dev/null
}

is_there() {
    case $1 in
    gcc) command -v "${CC:-cc}" ;;
    g++) command -v "${CXX:-c++}" ;;
    libc6-dev) has_header stdio.h ;;
    libstb-dev) has_header stb/stb_image.h ;;
    libcjson-dev) has_header cjson/cJSON.h ;;
    libjpeg62-turbo-dev) has_header jpeglib.h ;;
    zlib1g-dev) has_header zlib.h ;;
    liblbfgs-dev) has_header lbfgs.h ;;
    libcmocka-dev) has_header cmocka.h ;;
    libsimde-dev) has_header simde/simde-common.h ;;
    libclang-rt-dev) [ -e "$(clang -rtlib=compiler-rt -print-libgcc-file-name)" ] ;;
    libclang-rt-19-dev) [ -e "$(clang-19 -rtlib=compiler-rt -print-libgcc-file-name)" ] ;;
    llvm-19) command -v llvm-cov-19 ;;
    frama-c-base) command -v frama-c ;;
    libclang-rt-dev-wasm32) [ -e "$(clang --target=wasm32-wasi -print-libgcc-file-name)" ] ;;
    libclang-rt-16-dev-wasm32) [ -e "$(clang-16 --target=wasm32-wasi -print-libgcc-file-name)" ] ;;
    wasi-libc) [ -e /usr/lib/wasm32-wasi/libc.a ] ;;
    libc6-dev-arm64-cross) [ -e /usr/aarch64-linux-gnu/include/stdio.h ] ;;
    libc6-dev-armhf-cross) [ -e /usr/arm-linux-gnueabihf/include/stdio.h ] ;;
    libc6-dev-i386-cross) [ -e /usr/i686-linux-gnu/include/stdio.h ] ;;
    libc6-dev-ppc64el-cross) [ -e /usr/powerpc64le-linux-gnu/include/stdio.h ] ;;
    libc6-dev-riscv64-cross | libc6-dev-s390x-cross)
        machine=${1#libc6-dev-}
        [ -e "/usr/${machine%-cross}-linux-gnu/include/stdio.h" ]
        ;;
    gcc-*-linux-gnu | gcc-*-linux-gnueabihf) command -v "${1#gcc-}-gcc" ;;
    musl-tools) command -v musl-gcc ;;
    gcc-arm-none-eabi) command -v arm-none-eabi-gcc ;;
    gcc-riscv64-unknown-elf) command -v riscv64-unknown-elf-gcc ;;
    qemu-system-misc) command -v qemu-system-riscv32 ;;
    libnewlib-arm-none-eabi) [ -e "$(arm-none-eabi-gcc -print-file-name=librdimon.a)" ] ;;
    picolibc-riscv64-unknown-elf) [ -e /usr/lib/picolibc/riscv64-unknown-elf/lib/libc.a ] ;;
    qemu-user) command -v qemu-aarch64 ;;
    gcc-mingw-w64-x86-64) command -v x86_64-w64-mingw32-gcc ;;
    g++-mingw-w64-x86-64) command -v x86_64-w64-mingw32-g++ ;;
    gcc-mingw-w64-i686) command -v i686-w64-mingw32-gcc ;;
    libz-mingw-w64-dev) [ -e /usr/x86_64-w64-mingw32/include/zlib.h ] ;;
    xz-utils) command -v xz ;;
    wine64) command -v wine64 || [ -x /usr/lib/wine/wine64 ] ;;
    iproute2) command -v ip ;;
    openssh-client) command -v ssh-keygen ;;
    openssh-server) [ -x /usr/sbin/sshd ] ;;
    slurm-client) command -v sbatch ;;
    slurmctld | slurmd) [ -x "/usr/sbin/$1" ] ;;
    munge) [ -x /usr/sbin/munged ] ;;
    nodejs) command -v node ;;
    libopenblas0-openmp) [ -e "/usr/lib/$(uname -m)-linux-gnu/openblas-openmp" ] ;;
    liblapack3) ldconfig -p | grep -E 'liblapack[.]so[.]3|libopenblas[.]so[.]0' ;;
    dataset-fashion-mnist) [ -e /usr/share/datasets/fashion-mnist ] ;;
    build-essential) dpkg-query --status build-essential ;; # dpkg-buildpackage asks for it by name
    debhelper) command -v dh ;;
    dpkg-dev) command -v dpkg-buildpackage ;;
    bash-completion) [ -e /usr/share/bash-completion/bash_completion ] ;;
    python3-torch) has_python_module torch ;;
    python3-torchvision) has_python_module torchvision ;;
    python3-onnx) has_python_module onnx ;;
    python3-pil) has_python_module PIL ;;
    python3-numpy) has_python_module numpy ;;
    python3-jsonschema) has_python_module jsonschema ;;
    python3-clang) has_python_module clang ;;
    *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

missing=
for package in "$@"; do
    is_there "$package" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

echo "missing (as Debian names the packages):$missing" >&2
if ! command -v apt-get >/dev/null; then
    echo "This is no Debian: install what provides them and run make again." >&2
    exit 1
fi
root=
if [ "$(id -u)" != 0 ]; then
    root=sudo
    if ! command -v sudo >/dev/null; then
        echo "As root: apt-get install$missing" >&2
        exit 1
    fi
fi
echo "installing them with apt-get" >&2
install="apt-get install -y -q --no-install-recommends$missing"
export DEBIAN_FRONTEND=noninteractive
# The package lists may be missing or old: fetch them only if the installation fails without. One at a
# time: targets of make that run beside each other install too.
exec 9<"$0"
flock 9
$root $install >/dev/null 2>&1 || { $root apt-get update -q >/dev/null && $root $install >/dev/null; } || {
    echo "That failed. By hand: $root $install" >&2
    exit 1
}
