FROM python:3.13-slim-bookworm
# No compiler is needed: every dependency comes as a wheel.
RUN useradd --create-home --uid 1000 trunkline
WORKDIR /srv/trunkline
COPY requirements.txt pyproject.toml README.md ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.txt
COPY alembic.ini ./
COPY config config
COPY telephony telephony
COPY app app
COPY bench bench
COPY migrations migrations
RUN pip install --no-cache-dir --no-deps --editable . && mkdir var && chown trunkline var
USER trunkline
ENV TRUNKLINE_HTTP__HOST=0.0.0.0 TRUNKLINE_LOG_JSON=true
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
# SIGTERM drains; give it longer than TRUNKLINE_LIMITS__DRAIN_SECONDS before killing.
STOPSIGNAL SIGTERM
CMD ["trunkline", "run"]
