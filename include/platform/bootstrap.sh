#!/bin/sh
# Build .venv from the lock: bootstrap.sh requirements.txt [requirements-dev.txt]
#
# .venv/callboard.installed holds the hash of the lock that was installed: a second run costs a few milliseconds, an
# interrupted one starts over, a changed lock is noticed. Needs nothing but Python 3.11 with its venv module.
set -eu
cd "$(dirname "$0")/../.."
stamp=.venv/callboard.installed
place=.venv/callboard.place

fail() {
    echo "callboard: $1" >&2
    exit 1
}
hash_of() { cat "$@" | sha256sum | cut -d ' ' -f 1; }
at_its_place() { [ ! -f $place ] || [ "$(cat $place)" = "$(pwd -P)" ]; }

[ -x .venv/bin/python ] && at_its_place && grep -qsx "$(hash_of "$@")" $stamp && exit 0

python=
for candidate in ${PYTHON:-python3.11 python3 python}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Python 3.11 was not found (the lock is made for it). Install it, or say where it is: make run PYTHON=/path/to/python3.11"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "This Python 3.11 has no venv module. Install it (Debian: apt-get install python3.11-venv)."

log=$(mktemp "${TMPDIR:-/tmp}/callboard-install.XXXXXX") || fail "Cannot write to ${TMPDIR:-/tmp}: is the disk full?"
explain() { # the one line for a failed step, from what the tool said
    if grep -qiE 'no space left|disk quota' "$log"; then
        fail "The disk is full: .venv needs about 1.5 GB (log: $log)."
    elif grep -qiE 'permission denied|read-only file system' "$log"; then
        fail "$(pwd -P) is not writable (log: $log)."
    elif grep -qiE 'resolve|connect|network|timed out|dns|unreachable|no matching distribution' "$log"; then
        fail "Packages could not be downloaded: check network and proxy, or name a mirror in PIP_INDEX_URL (log: $log)."
    fi
    fail "$1 (log: $log)."
}

# The scripts in .venv name the place that it was made at: one that was copied or moved is made anew.
at_its_place || rm -rf .venv
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    echo "Creating .venv ..."
    "$python" -m venv --clear .venv >"$log" 2>&1 || explain "Could not create .venv"
fi
pwd -P >$place

if ! .venv/bin/python -m uv --version >/dev/null 2>&1; then
    awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' requirements.txt >.venv/uv.txt
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --retries 1 --no-deps --require-hashes \
        -r .venv/uv.txt >"$log" 2>&1 || explain "Could not install uv"
fi

# uv does not read pip's configuration, and a hospital's mirror is usually named there and nowhere else.
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    mirror=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
    [ -z "$mirror" ] || export UV_DEFAULT_INDEX="$mirror"
fi
echo "Installing $(cat "$@" | grep -c "^[A-Za-z0-9].*==") locked packages into .venv (once; about half a minute) ..."
# The first lock is compiled here, once: where Python may not write its own cache, every process would compile what it
# imports. What only tests need is not: one of its packages has 16,000 modules, of which they use forty.
compile=--compile-bytecode
for file in "$@"; do
    if [ -t 2 ]; then # a person watches: uv's own progress
        .venv/bin/python -m uv pip install $compile --require-hashes -r "$file" || fail "Could not install the locked packages: see above."
    else
        .venv/bin/python -m uv pip install $compile --require-hashes -r "$file" >"$log" 2>&1 || explain "Could not install the locked packages"
    fi
    compile=
done

rm -f "$log"
{
    hash_of "$1"
    [ $# = 1 ] || hash_of "$1" "$2" # with the tests' needs, those of a run are there too
} >$stamp
