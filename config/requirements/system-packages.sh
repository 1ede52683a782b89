#!/bin/sh
# Installs the real servers and clients that the tests run against, where they are missing.
# Debian package : the command it brings. The servers are never left running: the tests start their own.
set -eu

missing=""
need() { command -v "$2" >/dev/null 2>&1 || [ -x "/usr/sbin/$2" ] || missing="$missing $1"; }

need redis-server redis-server
need postfix postfix
need swaks swaks
need nodejs node
need npm npm
need prometheus promtool

[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "Please install with your package manager:$missing" >&2
    exit 1
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
# Packages of servers would start them at once; a policy of "no" for the time of the install keeps them down.
policy=/usr/sbin/policy-rc.d
made_policy=""
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod +x "$policy"
    made_policy=1
fi
trap '[ -z "$made_policy" ] || $sudo rm -f "$policy"' EXIT
echo "Installing:$missing" >&2
$sudo apt-get update -qq
# shellcheck disable=SC2086 # one word per package is meant
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
