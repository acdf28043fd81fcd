#!/usr/bin/env bash
# Start a small Slurm cluster on this machine: munged, slurmctld and two slurmd, for trying launch=slurm and its tests.
#
#     scripts/start_slurm.sh DIR          # writes DIR/slurm.conf, starts the daemons, prints what to export
#     scripts/start_slurm.sh --stop DIR
#
# Needs Debian's packages slurmctld, slurmd, slurm-client and munge, and root. Where slurmdbd, slurm-wlm-mysql-plugin
# and mariadb-server-core are installed too, the cluster keeps accounts, which sacct shows. Each node has two CPUs on paper. There are
# two partitions: debug, and urgent, whose jobs take the place of those in debug, which are queued again. Nothing of the
# machine's own configuration is changed: everything is in DIR.
set -euo pipefail

# Slurm's own programs may be in a folder that is not searched
export PATH="/usr/sbin:/opt/slurm/bin:$PATH"

stop() {
  for name in slurmd-n1 slurmd-n2 slurmctld slurmdbd mariadbd munged; do
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
accounts=none
if command -v slurmdbd > /dev/null && command -v mariadbd > /dev/null; then accounts=slurmdbd; fi
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
AccountingStorageType=accounting_storage/$accounts
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((port + 3))
AccountingStoragePass=$dir/munge/socket
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

if [ "$accounts" = slurmdbd ]; then
  mariadb-install-db --no-defaults --datadir="$dir/db" --skip-test-db --user=root > "$dir/mariadb-install.log"
  mariadbd --no-defaults --datadir="$dir/db" --socket="$dir/db.sock" --pid-file="$dir/mariadbd.pid" --user=root \
    --bind-address=127.0.0.1 --port=$((port + 4)) --skip-grant-tables --log-error="$dir/mariadbd.log" \
    > /dev/null 2>&1 < /dev/null &
  cat > "$dir/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((port + 3))
SlurmUser=root
PidFile=$dir/slurmdbd.pid
LogFile=$dir/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((port + 4))
StorageUser=root
StorageLoc=slurm_accounts
CONF
  chmod 600 "$dir/slurmdbd.conf"
  for _ in $(seq 60); do [ -S "$dir/db.sock" ] && break; sleep 0.5; done
  slurmdbd
  for _ in $(seq 60); do sacctmgr --immediate add cluster attnbench > "$dir/sacctmgr.log" 2>&1 && break; sleep 0.5; done
fi

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
