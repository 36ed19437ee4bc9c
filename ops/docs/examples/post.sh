#!/bin/sh
# curl: sh post.sh report.json        (WEBHOOK, VAPI_SECRET)
set -eu
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
# Repeats do no harm, so everything that may pass is tried again: no connection, 408, 429, 5xx, by what Retry-After says.
status=$(curl --silent --show-error --retry 8 --retry-connrefused --max-time 30 --output "$answer" \
  --write-out '%{http_code}' --data-binary "@$1" --header "content-type: application/json" \
  --header "x-vapi-secret: ${VAPI_SECRET:-}" "${WEBHOOK:-http://127.0.0.1:8787/vapi}")
cat "$answer"
[ "$status" -lt 300 ]
