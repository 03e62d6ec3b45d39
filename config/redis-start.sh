#!/bin/sh
# Redis reads no password from a file: it gets it as a line of its settings, on standard input, where neither `ps` nor
# the description of the container shows it. Arguments are settings of Redis, as it takes them itself.
set -eu
exec redis-server - "$@" <<EOF
requirepass $(cat "${REDIS_PASSWORD_FILE:-/run/secrets/redis_password}")
EOF
