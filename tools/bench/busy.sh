#!/bin/sh
# Seconds that vit-classify takes for 5,000 small pictures, with one thread and with two, idle and beside
# a program that keeps one processor busy. Run from the top folder: tools/bench/busy.sh BUILD [ROUNDS]
BUILD=$1
FOLDER=$(mktemp -d)
trap 'kill $BUSY 2>/dev/null; rm -r "$FOLDER"' EXIT
trap 'exit 130' INT TERM
{ printf 'P5 28 28 255\n' && head -c 784 /dev/urandom; } >"$FOLDER/picture.pgm"
yes "$FOLDER/picture.pgm" | head -n 5000 >"$FOLDER/list.txt"

# seconds THREADS
seconds() {
    start=$(date +%s%N)
    "$BUILD/vit-classify" -m examples/models/fashion-mnist.vit -t "$1" --csv "@$FOLDER/list.txt" \
        >"$FOLDER/out" || exit 1
    echo "$start $(date +%s%N)" | awk '{ printf "%.2f", ($2 - $1) / 1e9 }'
}

echo "idle, 1 thread  2 threads  busy, 1 thread  2 threads"
for round in $(seq "${2:-5}"); do
    idle="$(seconds 1)            $(seconds 2)"
    while :; do :; done &
    BUSY=$!
    echo "$idle       $(seconds 1)            $(seconds 2)"
    kill $BUSY
    wait $BUSY 2>/dev/null
done
