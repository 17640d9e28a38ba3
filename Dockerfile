FROM python:3.13-slim-bookworm
# No compiler is needed: every dependency comes as a wheel.
RUN useradd --create-home --uid 1000 trunkline
WORKDIR /srv/trunkline
COPY requirements.txt pyproject.toml README.md ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.txt
# What is not embedded: "engines" (the libraries of the other engines), "gpu" (these, and CUDA's libraries for Whisper),
# "apertium" (translation, English and Spanish). Several: --build-arg EXTRAS="gpu apertium".
ARG EXTRAS=""
ARG CUDA_LIBRARIES="nvidia-cublas-cu12>=12.4,<13 nvidia-cudnn-cu12>=9,<10"
COPY requirements-engines.txt ./
RUN set -eu; for extra in ${EXTRAS}; do case "${extra}" in \
        engines) pip install --no-cache-dir --no-deps --require-hashes -r requirements-engines.txt ;; \
        gpu) pip install --no-cache-dir --no-deps --require-hashes -r requirements-engines.txt \
            && pip install --no-cache-dir ${CUDA_LIBRARIES} ;; \
        apertium) apt-get update && apt-get install -y --no-install-recommends apertium apertium-eng-spa \
            && rm -rf /var/lib/apt/lists/* ;; \
        *) echo "EXTRAS may name engines, gpu, apertium; not ${extra}" >&2; exit 1 ;; \
    esac; done
COPY alembic.ini ./
COPY config config
COPY telephony telephony
COPY app app
COPY bench bench
COPY migrations migrations
RUN pip install --no-cache-dir --no-deps --editable . && mkdir var && chown trunkline var
USER trunkline
ENV TRUNKLINE_HTTP__HOST=0.0.0.0 TRUNKLINE_LOG_JSON=true
# Where pip puts CUDA's libraries; without EXTRAS=gpu, nothing is there.
ENV LD_LIBRARY_PATH=/usr/local/lib/python3.13/site-packages/nvidia/cublas/lib:/usr/local/lib/python3.13/site-packages/nvidia/cudnn/lib
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
# SIGTERM drains; give it longer than TRUNKLINE_LIMITS__DRAIN_SECONDS before killing.
STOPSIGNAL SIGTERM
CMD ["trunkline", "run"]
