#!/bin/sh
# A program finds volumes at their own paths: realpaths.sh PROGRAM.  77: this machine allows no namespace.
set -e
"$1" --check || exit 77
top=$(mktemp -d)
trap 'rm -r "$top"' EXIT
for name in telepresence-app/deep/key etc/telepresence.d/a etc/one.conf srv/b usr/share/telepresence-x/c; do
    mkdir -p "$(dirname "$top/$name")"
    echo "$name" > "$top/$name"
done
said=$("$1" "$top" /telepresence-app/deep /etc/telepresence.d /etc/one.conf /srv /usr/share/telepresence-x -- /bin/cat cat \
    /telepresence-app/deep/key /etc/telepresence.d/a /etc/one.conf /srv/b /usr/share/telepresence-x/c)
test "$(echo "$said" | wc -l)" = 5
if "$1" "$top" /no/such -- /bin/true true; then exit 1; fi
if "$1"; then exit 1; fi
test ! -e /etc/one.conf
