#!/bin/sh
# Makes the secrets that docker-compose.yml mounts, each a file in secrets/. What is there already stays as it is.
#
#   sh ops/docker/secrets.sh                     the token of your Roark project is asked for
#   ROARK_API_BEARER_TOKEN=… sh ops/docker/secrets.sh
#
# The containers run as user 10001, so the files are readable for all; the folder is not, so nobody else on this
# machine gets at them.
set -eu
cd "$(dirname "$0")/../.."
umask 077
mkdir -p secrets
chmod 700 secrets

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

keep() {
    if [ -s "secrets/$1" ]; then
        echo "kept  secrets/$1"
        return
    fi
    printf %s "$2" > "secrets/$1"
    chmod 444 "secrets/$1"
    echo "made  secrets/$1"
}

if [ ! -s secrets/roark_api_bearer_token ] && [ -z "${ROARK_API_BEARER_TOKEN:-}" ]; then
    printf 'The token of your Roark project (for the sandbox, any word): '
    read -r ROARK_API_BEARER_TOKEN
fi
password="$(random)"
if [ -s secrets/redis_conf ]; then password="$(cut -d ' ' -f 2 secrets/redis_conf)"; fi
keep redis_conf "requirepass $password
"
keep redis_url "redis://:$password@redis:6379/0"
keep roark_api_bearer_token "${ROARK_API_BEARER_TOKEN:-}"
keep vapi_secret "$(random)"
keep flower_basic_auth "flower:$(random)"
keep console_password "$(random)"
keep grafana_password "$(random)"
