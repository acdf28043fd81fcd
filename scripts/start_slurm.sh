#!/usr/bin/env bash
# Start a small Slurm cluster on this machine: munged, slurmctld and two slurmd, for trying launch=slurm and its tests.
#
#     scripts/start_slurm.sh DIR          # writes DIR/slurm.conf, starts the daemons, prints what to export
#     scripts/start_slurm.sh --stop DIR
#
# Needs Debian's packages slurmctld, slurmd, slurm-client and munge, and root. Each node has two CPUs on paper. There are
# two partitions: debug, and urgent, whose jobs take the place of those in debug, which are queued again. Nothing of the
# machine's own configuration is changed: everything is in DIR.
set -euo pipefail

# Slurm's own programs may be in a folder that is not searched
export PATH="/usr/sbin:/opt/slurm/bin:$PATH"

stop() {
  for name in slurmd-n1 slurmd-n2 slurmctld munged; do
    [ -f "$1/$name.pid" ] && kill "$(cat "$1/$name.pid")" 2>/dev/null || true
  done
}

if [ "$1" = --stop ]; then
  stop "$2"
  exit 0
fi

mkdir -p "$1"
dir=$(cd "$1" && pwd)
host=$(hostname -s)
port=${ATTNBENCH_SLURM_PORT:-$((20000 + $$ % 10000))}
mkdir -p "$dir/state" "$dir/munge"
chmod 700 "$dir/munge"

head -c 1024 /dev/urandom > "$dir/munge/key"
chmod 400 "$dir/munge/key"
munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munged.pid" \
  --log-file="$dir/munge/log" --seed-file="$dir/munge/seed"

cat > "$dir/slurm.conf" <<CONF
ClusterName=attnbench
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$dir/state
SlurmctldPidFile=$dir/slurmctld.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdSpoolDir=$dir/spool-%n
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmdLogFile=$dir/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=10
MinJobAge=300
ReturnToService=2
SlurmdTimeout=60
MpiDefault=none
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=2 State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=2 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=60 PriorityTier=1 GraceTime=15 State=UP
PartitionName=urgent Nodes=ALL MaxTime=60 PriorityTier=10 PreemptMode=OFF State=UP
CONF

export SLURM_CONF="$dir/slurm.conf"
slurmctld -c
slurmd -c -N n1
slurmd -c -N n2
for _ in $(seq 60); do
  if [ "$(sinfo --noheader --Node --format=%T --partition=debug | grep -c idle)" = 2 ]; then
    echo "export SLURM_CONF=$SLURM_CONF"
    exit 0
  fi
  sleep 0.5
done
sinfo >&2 || true
tail -n 20 "$dir"/*.log >&2
exit 1
