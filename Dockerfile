# One image for all processes: web (the default), worker, scheduler, and commands such as `doctor`.
#   docker build -t skymailing .
# compose.yaml runs the image with the services that it needs; see docs/operations.md.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /opt/skymailing
COPY requirements.lock ./
# The virtualenv, which the last stage copies, has no pip. Only wheels are installed, so nothing is compiled.
RUN python -m venv --without-pip .venv \
    && pip --python .venv/bin/python install --require-hashes --no-deps --only-binary :all: --no-binary crontab -r requirements.lock
COPY wsgi.py config.py ./
COPY migrations ./migrations
COPY skymailing ./skymailing
# The root file system is read-only at run time, so Python's bytecode is written now.
RUN .venv/bin/pybabel -q compile -d skymailing/translations \
    && .venv/bin/python -m compileall -q wsgi.py config.py skymailing migrations .venv

FROM python:3.11-slim-bookworm
# pg_dump and pg_restore, for `backup` and `restore`, of the same PostgreSQL version as in compose.yaml.
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-client-15 \
    && rm -rf /var/lib/apt/lists/* \
    && pip uninstall -y -q --root-user-action=ignore setuptools wheel pip \
    && useradd --system --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin skymailing \
    && install -d -o skymailing -g skymailing -m 700 /data
COPY --from=build /opt/skymailing /opt/skymailing
ENV PATH=/opt/skymailing/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FLASK_APP=wsgi \
    SKYMAILING_ENV=production \
    DATA_DIR=/data \
    HOST=0.0.0.0 \
    PORT=8000
WORKDIR /opt/skymailing
USER skymailing
VOLUME /data
EXPOSE 8000
# A graceful stop: a worker finishes the letters that it has started.
STOPSIGNAL SIGTERM
# For the web server; compose.yaml has the checks of the other processes.
HEALTHCHECK --interval=15s --timeout=5s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["flask"]
CMD ["web"]
