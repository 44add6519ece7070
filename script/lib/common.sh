# SPDX-License-Identifier: Apache-2.0
# What the scripts of this folder share: telling, checking the machine, making the environment.
# Source it: . "$(dirname "$0")/lib/common.sh". It sets REPO and changes nothing else.
# All words for the reader go to standard error, so a script may print a result on standard output.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# System packages, by what needs them.
PACKAGES_PYTHON=(python3 python3-venv)
PACKAGES_HOST=(qemu-system-x86 qemu-utils nftables iproute2 conntrack xmlsec1)
PACKAGES_GUEST_IMAGE=(qemu-utils syslinux syslinux-common mtools dosfstools e2fsprogs cpio kmod fdisk)

say() { printf '%s\n' "$*" >&2; }

# fail "one clear sentence with the remedy": ends the script.
fail() { printf '!!  %s\n' "$*" >&2; exit 1; }

# step "text" command...: runs the command (also a function; what it sets is lost), says how long it
# takes once that is over a second, keeps its output in STEP_LOG and shows the end of it on failure.
# Returns what the command returned. In `step ... || x` bash ignores `set -e` inside the command.
step() {
  local text=$1 began=$EPOCHREALTIME code=0 before=0 ticker errexit=
  shift
  [ -n "${STEP_LOG:-}" ] || STEP_LOG=$(mktemp "${TMPDIR:-/tmp}/skyhold-steps.XXXXXX")
  mkdir -p "$(dirname "$STEP_LOG")"; touch "$STEP_LOG"
  printf '\n== %s\n' "$text" >>"$STEP_LOG"; before=$(wc -c <"$STEP_LOG")
  _tick "$text" "$$" & ticker=$!
  [[ $- = *e* ]] && errexit=1
  set +e
  ( [ -z "$errexit" ] || set -e; "$@" ) >>"$STEP_LOG" 2>&1 </dev/null
  code=$?
  kill "$ticker" 2>/dev/null; wait "$ticker" 2>/dev/null
  [ -z "$errexit" ] || set -e
  _step_ended "$text" "$code" "$(_since "$began")" "$before"
  return "$code"
}

_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { d = b - a; if (d >= 1) printf " (%.1f s)", d }'; }

_step_ended() {
  local text=$1 code=$2 took=$3 before=$4 clear=
  [ ! -t 2 ] || clear=$'\r\033[K'
  if [ "$code" -eq 0 ]; then printf '%sok  %s%s\n' "$clear" "$text" "$took" >&2; return; fi
  printf '%s!!  %s%s failed; its last words (all are in %s):\n' "$clear" "$text" "$took" "$STEP_LOG" >&2
  tail -c "+$((before + 1))" "$STEP_LOG" | tail -n 15 | sed 's/^/    /' >&2
}

# A spinner for eyes, a line now and then for a log. Ends with the script, however that ends.
_tick() {
  local text=$1 owner=$2 marks='|/-\' n=0 began=$SECONDS pause
  # Waiting by `read` needs no child, which would outlive the step and hold its pipes and locks open.
  exec {pause}<> <(:)
  if [ -t 2 ]; then
    _pause 0.3
    while kill -0 "$owner" 2>/dev/null; do
      printf '\r%s   %s (%d s)\033[K' "${marks:n++%4:1}" "$text" $((SECONDS - began)) >&2; _pause 0.2
    done
  else
    _pause 1; printf '..  %s\n' "$text" >&2
    while _pause 15; kill -0 "$owner" 2>/dev/null; do
      printf '..  %s (%d s)\n' "$text" $((SECONDS - began)) >&2
    done
  fi
}

_pause() { read -r -t "$1" -u "$pause" || true; }

# need_packages name...: installs what is missing as root; otherwise ends with the line to run.
need_packages() {
  local missing=() name
  command -v dpkg-query >/dev/null || fail "This is no Debian system: install the equivalents of $*, then try again."
  for name in "$@"; do _installed "$name" || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" -eq 0 ] || fail "These packages are missing; as root run: apt-get install -y ${missing[*]}"
  step "Installing system packages: ${missing[*]}" _apt_install "${missing[@]}" ||
    fail "apt-get could not install ${missing[*]}; check the network and /etc/apt/sources.list."
}

_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

_apt_install() {
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@")
  # A fresh machine has no package lists, an old one lists of files that are gone.
  have_package_lists && "${install[@]}" || { apt-get update -q && "${install[@]}"; }
}

have_package_lists() { compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; }

# make_venv [dev]: REPO/.venv with the pinned requirements (dev: the tests' too) and the project
# itself on its path. Does nothing, in milliseconds, when the requirements are those of last time.
make_venv() {
  local kind=${1:-run} venv=$REPO/.venv file=$REPO/requirements.txt python stamp
  [ "$kind" = run ] || file=$REPO/requirements-dev.txt
  stamp=$(_venv_stamp "$file")
  ! _venv_current "$venv" "$stamp" "$kind" || return 0
  python=$(find_python) || fail "Python 3.11 or newer with its venv module is needed: apt-get install -y ${PACKAGES_PYTHON[*]}"
  step "Installing Python packages, pinned by hash" _fill_venv "$venv" "$python" "$file" "$stamp" "$kind" ||
    fail "The Python packages could not be installed; check the network, then try again."
}

# compile_project: what Python would else compile at every start, where it may not keep what it compiled
# (PYTHONDONTWRITEBYTECODE, as in many containers). Only what changed is compiled; a read-only checkout does without.
compile_project() { "$REPO/.venv/bin/python" -m compileall -q "$REPO/skyhold" >/dev/null 2>&1 || true; }

# make_clients: REPO/.venv-clients with the unmodified OpenStack client, for the end-to-end tests.
make_clients() {
  local venv=$REPO/.venv-clients file=$REPO/requirements-clients.txt python stamp
  stamp=$(_venv_stamp "$file")
  ! _venv_current "$venv" "$stamp" clients || return 0
  python=$(find_python) || fail "Python 3.11 or newer with its venv module is needed: apt-get install -y ${PACKAGES_PYTHON[*]}"
  step "Installing the OpenStack client" _fill_clients "$venv" "$python" "$file" "$stamp" ||
    fail "The OpenStack client could not be installed; check the network, then try again."
}

# make_conformance: REPO/.venv-conformance with Tempest, for script/conformance.
make_conformance() {
  local venv=$REPO/.venv-conformance file=$REPO/requirements-conformance.txt python stamp
  stamp=$(_venv_stamp "$file")
  ! _venv_current "$venv" "$stamp" clients || return 0
  python=$(find_python) || fail "Python 3.11 or newer with its venv module is needed: apt-get install -y ${PACKAGES_PYTHON[*]}"
  step "Installing Tempest, pinned by hash" _fill_clients "$venv" "$python" "$file" "$stamp" ||
    fail "Tempest could not be installed; check the network, then try again."
}

_fill_clients() {
  local venv=$1 python=$2 file=$3 stamp=$4
  "$python" -m venv --clear "$venv" || return
  "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --require-hashes -r "$file" || return
  printf '%s\n' "$stamp" >"$venv/stamp-clients"
}

_venv_stamp() { { printf '%s\n' "$REPO"; cat "$1"; } | sha256sum | cut -d' ' -f1; }

_venv_current() {
  local venv=$1 stamp=$2 kind=$3
  [ "$(cat "$venv/stamp-$kind" 2>/dev/null)" = "$stamp" ] && "$venv/bin/python" -c '' 2>/dev/null
}

# The system's own Python first: one that lives in a home directory may be gone tomorrow.
find_python() {
  local name
  for name in ${PYTHON:+"$PYTHON"} /usr/bin/python3 python3.11 python3.12 python3.13 python3.14 python3; do
    "$name" -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    printf '%s\n' "$name"; return 0
  done
  return 1
}

_fill_venv() {
  local venv=$1 python=$2 file=$3 stamp=$4 kind=$5
  # Two runs at once on one checkout take turns; the second finds the work done.
  exec 8<"$REPO"; flock 8
  ! _venv_current "$venv" "$stamp" "$kind" || return 0
  _venv_here "$venv" || "$python" -m venv --clear "$venv" || return
  rm -f "$venv/stamp-$kind"
  "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
    --require-hashes -r "$file" || return
  _link_project "$venv" || return
  printf '%s\n' "$stamp" >"$venv/stamp-$kind"
  [ "$kind" = run ] || _venv_stamp "$REPO/requirements.txt" >"$venv/stamp-run"
}

# A moved checkout leaves an environment whose commands still name the old place.
_venv_here() {
  "$1/bin/python" -c '' 2>/dev/null && [ "$(cat "$1/place" 2>/dev/null)" = "$REPO" ]
}

# A .pth file and a command: an editable install would fetch a build tool that nothing pins.
_link_project() {
  local venv=$1 site
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))') || return
  printf '%s\n' "$REPO" >"$site/skyhold.pth"
  printf '#!%s/bin/python\nimport sys\n\nfrom skyhold.cmd.main import main\n\nsys.exit(main())\n' "$venv" \
    >"$venv/bin/skyhold"
  chmod 755 "$venv/bin/skyhold"
  printf '%s\n' "$REPO" >"$venv/place"
}

# port_free PORT: true when nothing on this machine listens on that TCP port.
port_free() {
  local hex; hex=$(printf '%04X' "$1")
  ! cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port=":$hex" \
    '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 } END { exit !found }'
}

# disk_free_mb PATH: MiB that may be written below PATH, which needn't exist yet.
disk_free_mb() {
  local path=$1
  until [ -e "$path" ]; do path=$(dirname "$path"); done
  df -Pm "$path" | awk 'NR == 2 { print $4 }'
}
