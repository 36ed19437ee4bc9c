#!/bin/sh
# Makes the secrets that docker-compose.yml mounts, each a file in secrets/. What is there already stays as it is.
#
#   sh ops/docker/secrets.sh                     the token of your Roark project is asked for
#   ROARK_API_BEARER_TOKEN=… VAPI_API_KEY=… sh ops/docker/secrets.sh
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
# A user of Redis for each part, and one for people. What each may do stands in users.acl; the server learns of the
# passwords only.
users="$(grep -v '^#' ops/docker/users.acl)"
for role in producer worker viewer operator; do
    keep "redis_url_$role" "redis://$role:$(random)@redis:6379/0"
    password="$(sed "s,^redis://$role:\\([^@]*\\)@.*,\\1," "secrets/redis_url_$role")"
    users="$(echo "$users" | sed "s/^user $role reset on >PASSWORD /user $role reset on >$password /")"
done
# Written each time: what a role may do changes with the version.
rm -f secrets/redis_conf
keep redis_conf "$users
"
keep roark_api_bearer_token "${ROARK_API_BEARER_TOKEN:-}"
keep vapi_secret "$(random)"
# Vapi's private key is optional: an empty file means that calls are not compared with Vapi's list.
if [ -e secrets/vapi_api_key ]; then
    echo "kept  secrets/vapi_api_key"
else
    printf %s "${VAPI_API_KEY:-}" > secrets/vapi_api_key
    chmod 444 secrets/vapi_api_key
    echo "made  secrets/vapi_api_key"
fi
keep flower_basic_auth "flower:$(random)"
keep console_password "$(random)"
keep grafana_password "$(random)"
