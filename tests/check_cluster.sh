#!/bin/bash
# The scripts of examples/cluster on machines that are namespaces of this one, each with its own network,
# processes and name: two hosts with sshd for GNU parallel, and a Slurm controller with two nodes. One of the
# two is killed half-way; what comes out has to be what one machine writes, to the byte. BUILD, where
# vit-classify is.
set -eu

skip() {
    echo "SKIPPED: machines in namespaces: $*"
    exit 0
}
[ "$(id -u)" = 0 ] || skip "only root can make them"
unshare --net --pid --uts --mount --fork --mount-proc true 2>/dev/null || skip "this system lets nobody make them"

work=$(mktemp -d /tmp/vit-cluster.XXXXXX)
tag=vit${work##*.} # in the names of the namespaces
tag=${tag:0:7}
pictures=2000
model=$PWD/examples/models/fashion-mnist.vit
scripts=$PWD/examples/cluster
options=(-m "$model" --size 40) # more patches, so that there is a half-way
export VIT_CLASSIFY=$PWD/$BUILD/vit-classify
declare -A address=([front]=10.77.0.254 [one]=10.77.0.1 [two]=10.77.0.2)

# The processes of a machine, with all their children; its network.
kill_machine() { # NAME
    local pid
    ip -n "$tag-$1" link set eth0 down 2>/dev/null || true
    for pid in $(ip netns pids "$tag-$1" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
}

clean_up() {
    local name
    for name in "${!address[@]}"; do
        kill_machine "$name"
        ip netns del "$tag-$name" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    [ ! -e "$work/munge/pid" ] || kill "$(cat "$work/munge/pid")" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

failed() {
    echo "FAILED: $*" >&2
    exit 1
}

until_true() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || failed "waited in vain for: $*"
        sleep 0.1
    done
}

make_networks() {
    local name
    for name in "${!address[@]}"; do
        ip netns add "$tag-$name" || skip "ip netns add fails"
        ip -n "$tag-$name" link set lo up
    done
    ip -n "$tag-front" link add bridge type bridge || skip "there is no bridge"
    ip -n "$tag-front" addr add "${address[front]}/24" dev bridge
    ip -n "$tag-front" link set bridge up
    for name in one two; do
        ip -n "$tag-$name" link add eth0 type veth peer name "$name" netns "$tag-front"
        ip -n "$tag-front" link set "$name" master bridge up
        ip -n "$tag-$name" addr add "${address[$name]}/24" dev eth0
        ip -n "$tag-$name" link set eth0 up
    done
}

# Runs a command on a machine, in processes of its own: they die with the first.
on() { # NAME COMMAND...
    local name=$1
    shift
    nsenter --net="/run/netns/$tag-$name" unshare --pid --uts --mount --fork --kill-child --mount-proc \
        sh -c 'hostname "$1" && shift && exec "$@"' sh "$name" "$@"
}

# 2,000 pictures that are all different, one of them damaged, and names that a shell could trip over.
make_pictures() {
    mkdir "$work/pictures"
    /usr/bin/python3 - "$work/pictures" $pictures <<'END'
import random, sys
folder, count = sys.argv[1], int(sys.argv[2])
for i in range(count):
    noise = random.Random(i)
    left, top, right, bottom = (noise.randrange(*r) for r in ((2, 13), (2, 13), (15, 27), (15, 27)))
    pixels = bytes((noise.randrange(90, 256) if left <= x < right and top <= y < bottom else noise.randrange(30))
                   for y in range(28) for x in range(28))
    with open(f"{folder}/{i:04d} it's $HOME; ä.pgm" if i % 100 == 7 else f"{folder}/{i:04d}.pgm", "wb") as file:
        file.write(b"P5 28 28 255\n" + pixels[:None if i != 1234 else 100])
END
    find "$work/pictures" -name '*.pgm' | LC_ALL=C sort >"$work/list.txt"
    "$VIT_CLASSIFY" "${options[@]}" --json "@$work/list.txt" >"$work/one.ndjson" 2>"$work/err" || true
    [ "$(wc -l <"$work/one.ndjson")" = $pictures ] || failed "one machine: $(cat "$work/err")"
    [ "$(sort -u "$work/one.ndjson" | wc -l)" = $pictures ] || failed "the pictures are not distinct"
}

lines_in() { # FOLDER
    cat "$1"/*.ndjson 2>/dev/null | wc -l
}

has_half() { # FOLDER
    [ "$(lines_in "$1")" -ge $((pictures * 2 / 5)) ]
}

# Stops vit-classify on machine one in the middle of its pictures, if it runs there.
one_is_caught() {
    local pid
    for pid in $(ip netns pids "$tag-one"); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = vit-classify ] || continue
        kill -STOP "$pid" 2>/dev/null || continue
        sleep 0.2
        if grep -qs '^State:.*T' "/proc/$pid/status"; then return 0; fi
    done
    return 1
}

# That it was killed half-way, and what has become of it.
check_half() { # FOLDER
    local lines
    lines=$(lines_in "$1")
    [ "$lines" -lt $((pictures * 4 / 5)) ] || failed "killed too late: there were $lines lines"
    echo "  killed one of two machines at $lines of $pictures pictures"
}

check_merged() { # FILE SECONDS
    cmp "$1" "$work/one.ndjson" || failed "${1##*/} is not what one machine writes"
    echo "  $pictures lines, the same as one machine's, to the byte; $2 s"
}

start_sshd() {
    local name
    mkdir -p "$work/ssh" "$work/parallel" /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/user"
    ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/host"
    printf '%s\n' "HostKey $work/ssh/host" "AuthorizedKeysFile $work/ssh/user.pub" "PidFile none" "UsePAM no" \
        "StrictModes no" "PasswordAuthentication no" "PermitRootLogin prohibit-password" >"$work/ssh/sshd"
    printf '%s\n' "IdentityFile $work/ssh/user" "User root" "StrictHostKeyChecking no" "LogLevel ERROR" \
        "UserKnownHostsFile $work/ssh/known" >"$work/ssh/config"
    for name in one two; do
        on "$name" /usr/sbin/sshd -D -e -f "$work/ssh/sshd" 2>"$work/ssh/$name.log" &
        until_true 20 on front ssh -F "$work/ssh/config" "${address[$name]}" true 2>"$work/ssh/err"
        echo "1/${address[$name]}" >>"$work/hosts"
    done
}

# What the one machine did when it was killed, the other did again.
check_parallel() {
    local start=$SECONDS out=$work/parallel.ndjson run
    echo "GNU parallel, two hosts with sshd:"
    start_sshd
    export PARALLEL_HOME=$work/parallel PARALLEL_SSH="ssh -F $work/ssh/config"
    on front "$scripts/parallel.sh" "$work/hosts" "$work/list.txt" "$out" "${options[@]}" 2>"$work/parallel.err" &
    run=$!
    until_true 280 has_half "$out.parts"
    until_true 60 one_is_caught
    kill_machine one
    check_half "$out.parts"
    wait $run || failed "$(cat "$work/parallel.err")"
    for name in one two; do
        grep -q "${address[$name]}" "$out.parts/log" || failed "host $name did nothing"
    done
    check_merged "$out" $((SECONDS - start))

    echo "the same, ended half-way and started again with the host that is left:"
    check_parallel_again
    kill_machine two
}

# The script itself is ended, with the machine it runs on.
check_parallel_again() {
    local start=$SECONDS out=$work/again.ndjson
    grep "${address[two]}" "$work/hosts" >"$work/hosts_left"
    on front "$scripts/parallel.sh" "$work/hosts_left" "$work/list.txt" "$out" "${options[@]}" 2>"$work/parallel.err" &
    until_true 280 has_half "$out.parts"
    kill_machine front
    check_half "$out.parts"
    on front "$scripts/parallel.sh" "$work/hosts_left" "$work/list.txt" "$out" "${options[@]}" 2>"$work/parallel.err" ||
        failed "$(cat "$work/parallel.err")"
    check_merged "$out" $((SECONDS - start))
}

write_slurm_conf() {
    local name
    cat <<END
ClusterName=test
SlurmctldHost=front(${address[front]})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket,cred_expire=30
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
StateSaveLocation=$work/slurm/state
SlurmdSpoolDir=$work/slurm/%n
SlurmctldPidFile=$work/slurm/front.pid
SlurmdPidFile=$work/slurm/%n.pid
SlurmctldLogFile=$work/slurm/front.log
SlurmdLogFile=$work/slurm/%n.log
SlurmctldTimeout=10
SlurmdTimeout=10
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PartitionName=all Nodes=one,two Default=YES MaxTime=INFINITE State=UP
END
    for name in one two; do echo "NodeName=$name NodeAddr=${address[$name]} CPUs=1 RealMemory=500"; done
}

nodes_are_idle() {
    [ "$(on front sinfo --noheader --states=idle --Format=nodes 2>"$work/slurm/err" | tr -d ' ')" = 2 ]
}

start_slurm() {
    local name
    mkdir -p "$work/munge" "$work/slurm/state" "$work/slurm/one" "$work/slurm/two"
    chmod 755 "$work"
    head -c 128 /dev/urandom >"$work/munge/key"
    chmod 600 "$work/munge/key"
    /usr/sbin/munged --force --key-file="$work/munge/key" --socket="$work/munge/socket" \
        --pid-file="$work/munge/pid" --log-file="$work/munge/log" --seed-file="$work/munge/seed" 2>"$work/munge/err" ||
        failed "munged: $(cat "$work/munge/err")"
    export SLURM_CONF=$work/slurm/slurm.conf
    write_slurm_conf >"$SLURM_CONF"
    on front slurmctld -D 2>"$work/slurm/front.err" &
    for name in one two; do on "$name" slurmd -D 2>"$work/slurm/$name.err" & done
    until_true 60 nodes_are_idle
}

is_over() { # JOB
    [ -z "$(on front squeue --noheader --jobs="$1" 2>"$work/slurm/err")" ]
}

check_slurm() {
    local start=$SECONDS parts=$work/parts out=$work/slurm.ndjson job last
    echo "a Slurm job array, two nodes:"
    start_slurm
    cd "$work"
    job=$(on front sbatch --parsable --array=1-8 "$scripts/array.sbatch" 250 "$work/list.txt" "$parts" "${options[@]}")
    last=$(on front sbatch --parsable --dependency="afterany:$job" "$scripts/merge.sh" "$parts" "$work/list.txt" "$out")
    until_true 280 has_half "$parts"
    until_true 60 one_is_caught
    kill_machine one
    check_half "$parts"
    until_true 280 is_over "$last"
    [ -e "$out" ] || failed "$(cat "$work"/slurm-*.out)"
    grep -q 'requeue job .* due to failure of node one' "$work/slurm/front.log" || failed "no task was started again"
    check_merged "$out" $((SECONDS - start))
}

make_pictures
make_networks
check_parallel
for name in one two; do ip -n "$tag-$name" link set eth0 up; done
check_slurm
echo "two machines, one of them killed, write what one writes"
