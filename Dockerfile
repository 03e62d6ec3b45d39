# The image of Callboard: one for every process, and a second target for the hosted SFTP service.
#
#   docker build --target callboard -t callboard:0.1.0 .
#   docker build --target hosting -t callboard-hosting:0.1.0 .
#
# The tag names Python's exact version and Debian's release; pin it by digest where your rules ask for it:
# docs/deploy/compose.md. Nothing is compiled, every locked package is a wheel.

FROM python:3.11.15-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_LINK_MODE=copy
WORKDIR /build
COPY requirements.txt .
# As include/platform/bootstrap.sh does: uv by the hash of the lock, then the whole lock by its hashes, compiled here,
# because the processes may not write beside the code.
RUN python -m venv /opt/venv \
    && awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' requirements.txt > uv.txt \
    && /opt/venv/bin/python -m pip install --no-deps --require-hashes -r uv.txt \
    && /opt/venv/bin/python -m uv pip install --python /opt/venv/bin/python --no-cache --no-build --compile-bytecode \
       --require-hashes -r requirements.txt


FROM python:3.11.15-slim-bookworm AS code
COPY callboard /opt/callboard/
COPY config /opt/callboard/config
COPY dags /opt/callboard/dags
COPY include /opt/callboard/include
COPY plugins /opt/callboard/plugins
COPY sandbox /opt/callboard/sandbox
COPY requirements.txt /opt/callboard/
# Compiled by content, so that no time stamp of a file decides whether it is compiled again. Readable by everybody,
# writable by nobody but root, however the checkout was made.
RUN python -m compileall -q --invalidation-mode unchecked-hash /opt/callboard \
    && chmod -R a+rX,go-w /opt/callboard


FROM python:3.11.15-slim-bookworm AS callboard
LABEL org.opencontainers.image.title="Callboard" \
      org.opencontainers.image.description="Delivers a hospital's provider schedules to every system that depends on them." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11.15-slim-bookworm"
# The account has the numbers of Airflow's official image and chart. Everything it may write belongs to group 0 and is
# open to it, so that any other number in that group may run the image, too (OpenShift gives each project its own).
# /opt/programs comes first in PATH: there `airflow` and `callboard` read the settings before they start, so that
# `docker compose exec worker callboard ...` has them. /entrypoint is the name by which the chart's probes do the same.
RUN useradd --uid 50000 --gid 0 --home-dir /var/lib/callboard --no-create-home --shell /usr/sbin/nologin callboard \
    && install -d -o callboard -g root -m 0770 /var/lib/callboard \
       /var/lib/callboard/artifacts /var/lib/callboard/airflow /var/lib/callboard/airflow/logs \
       /var/lib/callboard/sftp /var/lib/callboard/mail /var/lib/callboard/sandbox \
    && mkdir /opt/programs \
    && for program in airflow callboard; do \
         printf '#!/bin/sh\nexec python -m include.platform.with_settings %s "$@"\n' "$program" \
           > "/opt/programs/$program"; \
       done \
    && printf '#!/bin/sh\nexec python -m include.platform.with_settings "$@"\n' > /entrypoint \
    && chmod 0755 /opt/programs/airflow /opt/programs/callboard /entrypoint
COPY --from=packages /opt/venv /opt/venv
COPY --from=code /opt/callboard /opt/callboard
ENV PATH=/opt/programs:/opt/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/callboard PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8 \
    HOME=/var/lib/callboard CALLBOARD_VAR=/var/lib/callboard
WORKDIR /opt/callboard
USER 50000:0
ENTRYPOINT ["python", "-m", "include.platform.with_settings"]
CMD ["callboard", "--help"]


# sshd needs root to change into the customers' accounts; which of root's rights it keeps is said in docker-compose.yaml.
# The accounts are users of the system, in a file that can be written where /etc cannot.
FROM callboard AS hosting
LABEL org.opencontainers.image.title="Callboard hosted SFTP"
USER 0:0
RUN apt-get update \
    && apt-get install -y --no-install-recommends libnss-extrausers openssh-server \
    && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \
    && sed -i 's/^passwd:.*/passwd: files extrausers/' /etc/nsswitch.conf \
    && install -d -m 0755 /srv/sftp /srv/keys
ENTRYPOINT []
CMD ["python", "-m", "include.hosting"]


# What `docker build .` without a target makes.
FROM callboard
