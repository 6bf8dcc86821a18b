# The stand-in of serving/ under the name of the real program, for machines that cannot run tensorflow/serving: machines
# with another processor than x86-64, or without access to its registry. With the tag tensorflow/serving:2.21.0,
# docker-compose.yml runs without a change.

FROM python:3.11-slim
WORKDIR /src
COPY pyproject.toml deploy/build.lock deploy/model-server-stand-in.lock LICENSE README.md ./
COPY console console
COPY protos protos
COPY serving serving
RUN python -m venv /opt/serving \
    && pip="/opt/serving/bin/pip install --no-cache-dir --disable-pip-version-check" \
    && $pip --require-hashes --requirement build.lock \
    && $pip --require-hashes --no-build-isolation --use-pep517 --requirement model-server-stand-in.lock \
    && $pip --no-deps --no-build-isolation . \
    && printf '#!/bin/sh\nexec /opt/serving/bin/python -m serving --host=0.0.0.0 "$@"\n' >/usr/local/bin/tensorflow_model_server \
    && chmod +x /usr/local/bin/tensorflow_model_server
RUN useradd --system --uid 10001 recommender
USER recommender
WORKDIR /
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["tensorflow_model_server"]
# Last, so that another version or revision changes no layer.
ARG VERSION="" REVISION="" SOURCE=""
LABEL org.opencontainers.image.title="movie-recommender-model-server-stand-in" org.opencontainers.image.description="A stand-in for TensorFlow Serving, for movie-recommender" \
    org.opencontainers.image.licenses="Apache-2.0" org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" org.opencontainers.image.source="$SOURCE"
