# For scripts of many checks, which keep their files in $BUILD: each prints a line, with the whole output of
# one that fails.

# step NAME COMMAND...: whether the command succeeds, and the tests that it skipped
step() {
    local name=$1 log=$BUILD/log.$BASHPID
    shift
    if "$@" >"$log" 2>&1; then
        echo "ok      $name"
        grep -a 'SKIPPED \] test_' "$log" | sort -u
    else
        echo "FAILED  $name: $*"
        sed 's/^/        /' "$log"
        echo "$name" >>"$BUILD/failures"
    fi
}

# beside COMMAND...: runs it in the background, its lines together, as many at a time as there are processors
beside() {
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    { "$@" >"$BUILD/lines.$BASHPID"; cat "$BUILD/lines.$BASHPID"; } &
}

# finish WORDS: the verdict, and the end
finish() {
    [ ! -e "$BUILD/failures" ] || { echo "$(wc -l <"$BUILD/failures") failed"; exit 1; }
    echo "$*"
    exit
}

# node 20's fast calls of WASI keep the memory of before it grew, and then crash
NODE="node --no-warnings --no-turbo-fast-api-calls --experimental-wasi-unstable-preview1"
# with the stack below all else what is beyond its 64 KB ends the program, and is nobody's memory
WASM="--target=wasm32-wasi -Itests/emulated -Wl,--stack-first -Wno-unused-command-line-argument"
