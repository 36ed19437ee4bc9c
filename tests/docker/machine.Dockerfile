# A machine with systemd, for the units in ops/systemd. As on a real one, / is shared: credentials are mounted through it.
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends systemd systemd-sysv dbus sudo redis-server python3-venv \
 && rm -rf /var/lib/apt/lists/*
CMD ["sh", "-c", "mount --make-rshared / && exec /sbin/init"]
