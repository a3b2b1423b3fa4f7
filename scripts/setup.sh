#!/usr/bin/env bash
# Prepare a Debian machine and the virtual environment in .venv.
#
# Usage: scripts/setup.sh [run|test]
#   run    what running a test needs
#   test   that, a browser for the tests of the reports, the databases that systems of ours drive, and
#          Toxiproxy where there is Go to build it with; the absence of each only warns (default: run)
#
# The script looks for the things themselves, not for packages. So it does not call apt, and needs no
# privileges, on a machine that has everything. A second call takes a fraction of a second, since
# .venv/.installed is then newer than all that it was made from. A call that was interrupted leaves
# nothing that the next one trusts: what it may have half-installed is made again.
#
# Packages of databases would start a service, now and at each boot. None of those that are installed
# here is started, and nothing that ran before is touched.
#
# Environment: PYTHON, the interpreter to use (3.11 or newer); DQLITE_LIB, a libdqlite of one's own;
# POLICY, where the policy of starting services stands (default: /usr/sbin/policy-rc.d).
# Exit status: 0 ready, 1 something is missing that cannot be installed.

set -euo pipefail
cd "$(dirname "$0")/.."

readonly STAMP=.venv/.installed
readonly UNFINISHED=.venv/.unfinished
readonly PURPOSE="${1:-run}"
readonly POLICY="${POLICY:-/usr/sbin/policy-rc.d}"
readonly POLICY_MARK="Written by dissever/scripts/setup.sh"
PATH="$PATH:/usr/sbin:/sbin"  # nft, ip and ldconfig stand where only root looks.

say() { printf 'setup: %s\n' "$*" >&2; }

has() { command -v "$1" >/dev/null 2>&1; }

# --- what is missing -----------------------------------------------------------------------------

# A name on PATH may be a shim that runs nothing, so each is tried.
is_python() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  local name
  for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if is_python "$name"; then
      command -v "$name"
      return
    fi
  done
}

# Debian splits venv and the headers from its own interpreter; others bring them along.
has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

has_headers() {
  "$1" -c 'import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())'
}

has_compiler() { printf '#include <stdlib.h>\n' | gcc -fsyntax-only -x c - 2>/dev/null; }

has_dqlite() { [[ -n "${DQLITE_LIB:-}" ]] || grep -q 'libdqlite\.so\.0 ' <(ldconfig -p); }

has_faketime() { [[ -n "$(find /usr/lib /usr/local/lib -name libfaketimeMT.so.1 -print -quit 2>/dev/null)" ]]; }

has_fuse() { has pkg-config && pkg-config --exists 'fuse3 >= 3.5'; }

has_browser() { has chromium || has chromium-browser || has google-chrome; }

has_toxiproxy() {
  [[ -n "${TOXIPROXY_BIN:-}" ]] || has toxiproxy-server ||
    compgen -G "${XDG_CACHE_HOME:-$HOME/.cache}/dissever/toxiproxy-server-*" >/dev/null
}

has_fonts() { [[ -n "$(find /usr/share/fonts /usr/local/share/fonts -name '*.[to]tf' -print -quit 2>/dev/null)" ]]; }

missing_for_build() {
  local python version
  python="$(find_python)"
  if [[ -z "$python" ]]; then
    echo python3 python3-venv python3-dev
  else
    version="$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')"
    has_venv "$python" || echo "$version-venv"
    has_headers "$python" || echo "$version-dev"
  fi
  has_compiler || echo gcc libc6-dev
}

missing_for_run() {
  has nft || echo nftables
  has ip || echo iproute2
  has_dqlite || dqlite_package
}

# Clocks and disks of nodes' own. Without these the faults that need them say so.
missing_for_faults() {
  has_faketime || echo libfaketime
  has pkg-config || echo pkg-config
  has_fuse || echo libfuse3-dev
}

missing_for_test() {
  [[ "$PURPOSE" == test ]] || return 0
  has_browser || echo chromium
  has_fonts || echo fonts-dejavu-core
}

# Servers that the tests of our systems start by themselves, each with the program that shows it is
# there. What this release does not have is left out: its tests are skipped.
readonly DATABASES=(
  etcd:etcd-server redis-server:redis-server redis-sentinel:redis-sentinel nats-server:nats-server
  pg_ctlcluster:postgresql docker-compose:docker-compose
)

missing_for_systems() {
  [[ "$PURPOSE" == test ]] || return 0
  local each
  for each in "${DATABASES[@]}"; do
    if [[ "$each" == docker-compose:* ]] && has docker && docker compose version >/dev/null 2>&1; then
      continue
    fi
    if ! has "${each%%:*}" && is_known "${each#*:}"; then echo "${each#*:}"; fi
  done
}

# --- apt -----------------------------------------------------------------------------------------

is_known() { [[ -n "$(apt-cache show --no-all-versions "$1" 2>/dev/null)" ]]; }

# The package carries the library's version, so another release may call it otherwise.
dqlite_package() {
  local other
  other="$(apt-cache search --names-only '^libdqlite[0-9][0-9.]*(-[0-9]+)?(t64)?$' 2>/dev/null |
    cut -d' ' -f1 | sort -V | tail -n 1)"
  echo "${other:-libdqlite0}"
}

# Prints the words to put before a command that needs root; fails when there are none.
privilege() {
  if [[ "$(id -u)" == 0 ]]; then
    echo env
  elif has sudo && sudo -n true 2>/dev/null; then
    echo sudo -n
  elif has sudo && [[ -t 0 ]]; then
    echo sudo
  else
    return 1
  fi
}

apt_install() {
  local as_root=$1
  shift
  say "installing $*"
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 \
    install -y --no-install-recommends "$@" >/dev/null
}

# Runs a command while no package may start its service. A policy of somebody else's stays as it is.
# One that a killed call left allows everything, because it asks for that call, and is replaced.
without_services() {
  local as_root=$1 unit before status=0
  shift
  before="$(units)"
  if [[ ! -e "$POLICY" ]] || grep -q "$POLICY_MARK" "$POLICY"; then
    printf '#!/bin/sh\n# %s for one installation. It may be removed.\nif [ -e /proc/%s ]; then exit 101; fi\n' \
      "$POLICY_MARK" "$$" | $as_root tee "$POLICY" >/dev/null
    $as_root chmod 755 "$POLICY"
    # shellcheck disable=SC2064  # The word is known now, and not at the end.
    trap "forget_policy '$as_root'" EXIT
  fi
  "$@" || status=$?
  forget_policy "$as_root"
  for unit in $(comm -13 <(echo "$before") <(units)); do
    $as_root systemctl disable --quiet "$unit" || true  # Or it would start at the next boot.
  done
  return "$status"
}

forget_policy() { ! grep -qs "$POLICY_MARK" "$POLICY" || $1 rm -f "$POLICY"; }

# The services that systemd starts at boot, one a line; none where there is no systemd.
units() {
  [[ -d /run/systemd/system ]] || return 0
  systemctl list-unit-files --type=service --state=enabled --no-legend 2>/dev/null |
    cut -d' ' -f1 | sort
}

install_databases() {
  local as_root
  [[ -n "$(missing_for_systems)" ]] || return 0
  as_root="$(privilege)" || as_root=
  if [[ -z "$as_root" ]]; then install_missing missing_for_systems; return; fi
  without_services "$as_root" install_missing missing_for_systems
}

# Installs what a function prints. Lists of packages that are absent or too old are fetched once.
install_missing() {
  local missing as_root package
  missing="$("$1" | xargs)"
  [[ -n "$missing" ]] || return 0
  if ! has apt-get || ! as_root="$(privilege)"; then
    missing="$({ missing_for_build; missing_for_run; missing_for_faults; missing_for_test; missing_for_systems; } | xargs)"
    say "missing: $missing. Install them as root:" \
      "apt-get update && apt-get install -y --no-install-recommends $missing"
    return 1
  fi
  for package in $missing; do
    if ! is_known "$package"; then
      update "$as_root"
      missing="$("$1" | xargs)"  # Now that the names are known.
      break
    fi
  done
  # shellcheck disable=SC2086  # One word for each package.
  apt_install "$as_root" $missing || { update "$as_root" && apt_install "$as_root" $missing; }
  missing="$("$1" | xargs)"
  [[ -z "$missing" ]] || { say "still missing after the installation: $missing"; return 1; }
}

UPDATED=no

update() {
  [[ "$UPDATED" == no ]] || return 1
  UPDATED=yes
  say "fetching the lists of packages"
  $1 apt-get -qq -o DPkg::Lock::Timeout=120 update
}

# --- the virtual environment ---------------------------------------------------------------------

# One C file may be newer than the library that was built from it, and an environment can outlive
# its interpreter.
is_installed() {
  [[ -e "$STAMP" && ! -e "$UNFINISHED" ]] && is_python .venv/bin/python &&
    [[ -z "$(find pyproject.toml setup.py scripts/setup.sh -newer "$STAMP")" ]]
}

is_built() {
  local library
  library="$(find native -name '_*.so' -print -quit)"
  [[ -n "$library" && -z "$(find native -name '*.[ch]' ! -name '_*' ! -path '*/faultfs/*' -newer "$library")" &&
    ! native/build.py -nt "$library" ]] || return 1
  ! has_fuse || [[ -x native/faultfs/faultfs &&
    -z "$(find native/faultfs -name '*.[ch]' -newer native/faultfs/faultfs)" ]]
}

# pip takes a package for installed of which an interrupted call has left but the metadata.
is_sound() {
  [[ ! -e "$UNFINISHED" ]] && is_python .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1
}

install_project() {
  local python
  is_sound || {
    python="$(find_python)"
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
  }
  say "installing dissever and its tools into .venv"
  touch "$UNFINISHED"
  rm -f "$STAMP" native/_*.so
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
  touch "$STAMP"
  rm "$UNFINISHED"
}

# --- all of it -----------------------------------------------------------------------------------

install_missing missing_for_build
install_missing missing_for_run
install_missing missing_for_faults || say "faults of disks or clocks will not be available"
install_missing missing_for_test || say "tests that need a browser will be skipped"
install_databases || say "tests of databases that are missing will be skipped"
is_installed || install_project
if ! is_built; then
  say "building native/"
  rm -f native/_*.so
  .venv/bin/python native/build.py >/dev/null
fi
if [[ "$PURPOSE" == test ]] && has go && ! has_toxiproxy; then
  say "building the Toxiproxy server"
  .venv/bin/python -m dissever.nemesis.toxiproxy >/dev/null || say "its tests will be skipped"
fi
