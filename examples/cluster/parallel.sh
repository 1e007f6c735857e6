#!/bin/sh
# parallel.sh HOSTS LIST OUT.ndjson [OPTION OF vit-classify...]
#
# Classifies the pictures of LIST (a path on each line) on several machines, by GNU parallel over SSH, and
# writes a JSON line for each to OUT.ndjson, in LIST's order.
#
# HOSTS has a line for each machine: user@host, or 4/user@host for 4 jobs at a time (otherwise as many as it
# has processors); ":" is this one. Each has vit-classify (VIT_CLASSIFY, if it is not in the PATH), the model
# and the pictures under the same paths, and lets this machine log in with a key. Only this one needs parallel;
# they need perl.
#
# A machine that dies loses what it was at, and others do that again. If this script was ended, or says that
# lines are missing, the same command goes on where it was: OUT.ndjson.parts has what is done. Remove that
# folder after changing LIST or the options.
set -eu
[ $# -ge 3 ] || { sed -n '2s/^# /usage: /p' "$0" >&2; exit 2; }
hosts=$1 list=$2 out=$3
shift 3
merge=$(dirname "$0")/merge.sh
mkdir -p "$out.parts"

# A machine without power sends no goodbye: ssh gives it up after 15 seconds of silence.
export PARALLEL_SSH="${PARALLEL_SSH:-ssh} -o BatchMode=yes -o ConnectTimeout=10 \
-o ServerAliveInterval=5 -o ServerAliveCountMax=3"

# 100 pictures a job, whose number names its lines: 00001.ndjson. A picture that cannot be read (status 1) has a
# line, too; a job that failed otherwise is done again, on another machine first. What is missing then, merge.sh
# tells.
# shellcheck disable=SC2016 # the machine's shell expands that
job='lines=$("$@") || [ $? = 1 ] && printf "%s\n" "$lines" | grep .'
parallel --sshloginfile "$hosts" --workdir "$PWD" --arg-file "$list" --max-args 100 --quote \
    --retries 3 --joblog "$out.parts/log" --resume-failed \
    --results "$out.parts/{=1 \$_ = sprintf('%05d', seq()) =}.ndjson" \
    sh -c "$job" sh "${VIT_CLASSIFY:-vit-classify}" --jobs 1 --json "$@" '{}' >/dev/null || true

"$merge" "$out.parts" "$list" "$out"
