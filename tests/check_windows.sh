#!/bin/bash
# The programs for Windows, run by wine: they do what those of this machine do. BUILD, where both are.
set -eu

windows=$PWD/$BUILD/windows
here=$PWD/$BUILD
work=$(mktemp -d)
. tests/wine.sh
model=$PWD/examples/models/fashion-mnist.vit
boot=$PWD/examples/images/9-ankle-boot-1.jpg
failures=0

trap 'stop_wine; rm -rf "$work"' EXIT

failed() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

on_windows() { # PROGRAM ARGUMENT...
    local program=$1
    shift
    "$wine" "$windows/$program.exe" "$@"
}

# A path as Windows has it.
windows_path() {
    local path=Z:$1
    echo "${path//\//\\}"
}

# Both print the same to stdout and end with the same status.
check_same() { # PROGRAM ARGUMENT...
    local status=0 status_here=0
    on_windows "$@" >"$work/out" 2>"$work/err" || status=$?
    "$here/$1" "${@:2}" >"$work/out_here" 2>"$work/err_here" || status_here=$?
    [ $status = $status_here ] || failed "$* ended with $status, here with $status_here: $(cat "$work/err")"
    cmp -s "$work/out" "$work/out_here" || failed "$* printed something else: $(diff "$work/out" "$work/out_here")"
}

# Both write the same file.
check_conversion() { # ARGUMENT...
    rm -f "$work"/*.vit
    on_windows vit-convert "$@" "$(windows_path "$work/out.vit")" 2>"$work/err" ||
        failed "vit-convert $*: $(cat "$work/err")"
    "$here/vit-convert" "$@" "$work/here.vit" 2>"$work/err_here"
    cmp "$work/out.vit" "$work/here.vit" || failed "vit-convert $* wrote something else"
    diff "$work/err" "$work/err_here" || failed "vit-convert $* said something else"
}

check_converter() {
    check_conversion tests/golden/tiny_timm
    check_conversion --dtype int8 "$model"
    for name in zip.pth before_1_6.pt deflated.npz plain.safetensors shards; do
        check_conversion --heads 2 "tests/golden/containers/$name"
    done
    check_same vit-convert --heads 2 tests/golden/nothing.pth "$work/none.vit"
    [ ! -e "$work/none.vit" ] || failed "a failed conversion leaves a file"
}

# Class and score of the best, which may differ by rounding.
answer() {
    sed -n 's/.*"top":\[{"index":\([0-9]*\),"label":"\([^"]*\)","score":\([0-9.]\{5\}\).*/\1 \2 \3/p'
}

# The pictures, named as Windows names them.
check_classifier() {
    local picture got want
    for picture in "$PWD"/examples/images/*.jpg; do
        got=$(on_windows vit-classify -m "$(windows_path "$model")" --json "$(windows_path "$picture")" | answer)
        want=$("$here/vit-classify" -m "$model" --json "$picture" | answer)
        if [ -z "$got" ] || [ "$got" != "$want" ]; then failed "$picture: '$got' instead of '$want'"; fi
    done
    got=$(on_windows vit-classify -m "$model" --json - <"$boot" | answer)
    want=$("$here/vit-classify" -m "$model" --json - <"$boot" | answer)
    [ "$got" = "$want" ] || failed "standard input: '$got' instead of '$want'"
}

# A folder and files with names in UTF-8, * that the program expands, a picture of attention.
check_paths() {
    local folder="$work/Bilder 写真" count
    mkdir "$folder"
    cp "$boot" "$folder/Stiefel ä.jpg"
    cp "$boot" "$folder/ботинок.jpg"
    count=$(on_windows vit-classify -m "$model" --json "$(windows_path "$folder")\\*.jpg" |
        grep -c '"label":"Ankle boot"') || true
    [ "$count" = 2 ] || failed "*.jpg finds $count pictures of 2"
    (cd "$folder" && on_windows vit-classify -m "$model" --heatmap gesehen 'Stiefel ä.jpg' >"$work/out")
    [ -s "$folder/gesehen/Stiefel ä.jpg.png" ] || failed "no picture in $(find "$folder")"
}

# Two classes of the sample pictures, learned on Windows; the head is used there and here.
check_teacher() {
    mkdir -p "$work/photos/Schuhe ä" "$work/photos/clothes"
    cp "$PWD"/examples/images/[579]-*.jpg "$work/photos/Schuhe ä"
    cp "$PWD"/examples/images/[0-4]-*.jpg "$work/photos/clothes"
    on_windows vit-teach -m "$(windows_path "$model")" -o "$(windows_path "$work/mine.vit")" \
        "$(windows_path "$work/photos")" >"$work/out" 2>"$work/err" || failed "vit-teach: $(cat "$work/err")"
    grep -q '^10 pictures of 2 classes' "$work/out" || failed "vit-teach says $(cat "$work/out")"
    on_windows vit-classify -m "$work/mine.vit" --json "$boot" | grep -q 'top":\[{"index":0,"label":"Schuhe ä"' ||
        failed "a boot is no shoe to the model of vit-teach"
    check_same vit-info "$work/mine.vit"
}

# The model that ships is found where the program lies.
check_installation() {
    mkdir -p "$work/vit/bin" "$work/vit/share/vit"
    cp "$windows/vit-classify.exe" "$work/vit/bin"
    cp "${model%/*}/cifar10.vit" "$work/vit/share/vit"
    "$wine" "$work/vit/bin/vit-classify.exe" --json "$(windows_path "$boot")" 2>"$work/err" |
        grep -q '"model":"cifar10.vit"' || failed "the model is not found: $(cat "$work/err")"
}

"$wine" wineboot -i >"$work/log" 2>&1 || { cat "$work/log"; failed "wine does not start"; }
for program in vit-convert vit-info vit-teach vit-classify; do check_same $program --version; done
check_converter
check_same vit-info "$model"
check_same vit-info tests/golden/tiny.vit
check_classifier
check_paths
check_teacher
check_installation

[ "$failures" = 0 ] || exit 1
echo "the programs for Windows do what those for this machine do"
