"""nginx before the webhook, as ops/docs/proxies.md has it: it ends TLS, and hands reports on in plain HTTP.

It can also answer by itself, once a body has come: what the load and the way alone take, with nobody behind.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from certificates import Authority

from benchmarks.processes import Group, wait_until
from benchmarks.servers import free_port, is_listening

_CONFIG = """
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/nginx-errors.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-bodies;
    proxy_temp_path {folder}/nginx-proxied;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port}{tls};
        ssl_certificate     {certificate};
        ssl_certificate_key {key};
        location = /vapi {{
            client_max_body_size 30m;
            client_body_buffer_size 1m;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Connection "";
            proxy_pass http://webhook;
        }}
    }}
    upstream webhook {{ server {behind}; keepalive 256; keepalive_requests 1000000; }}
    server {{ listen 127.0.0.1:{idle}; location / {{ return 200; }} }}
}}
"""


@dataclass(frozen=True)
class Terminator:
    """nginx, and where it takes reports."""

    group: Group
    url: str


@contextmanager
def terminator(folder: Path, url: str = "") -> Iterator[Terminator]:
    """Run nginx over TLS before `url` for as long as the block lasts; without one it answers itself, in plain HTTP."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists():
        raise RuntimeError("nginx is not installed (Debian: apt install nginx-light)")
    authority, port, idle = Authority(folder), free_port(), free_port()
    behind = url.split("/")[2] if url else f"127.0.0.1:{idle}"
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder,
            port=port,
            idle=idle,
            tls=" ssl" if url else "",
            certificate=authority.certificate,
            key=authority.key,
            behind=behind,
        )
    )
    with Group([program, "-c", str(config), "-p", str(folder)], env=os.environ, log=folder / "nginx.log") as group:
        wait_until(lambda: is_listening(port), "nginx listens", 10)
        yield Terminator(group, f"http{'s' if url else ''}://127.0.0.1:{port}/vapi")
