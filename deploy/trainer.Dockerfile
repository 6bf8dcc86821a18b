# The trainer, with TensorFlow. It publishes one release and ends, or watches the event store.

FROM python:3.11-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends g++ python3-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml deploy/build.lock deploy/trainer.lock LICENSE README.md ./
COPY console console
COPY protos protos
COPY events events
COPY object_storage object_storage
COPY trainer trainer
# annoy compiles with -march=native, and such code ends with SIGILL on an older CPU. These flags replace all of its own, and
# let the compiler vectorize the distances for any CPU (decision 2).
ARG ANNOY_COMPILER_ARGS=-O3,-ffast-math,-funroll-loops,-fvariable-expansion-in-unroller,-std=c++14,-DANNOYLIB_MULTITHREADED_BUILD
RUN python -m venv /opt/trainer \
    && pip="/opt/trainer/bin/pip install --no-cache-dir --disable-pip-version-check" \
    && $pip --require-hashes --requirement build.lock \
    && $pip --require-hashes --no-build-isolation --use-pep517 --no-binary annoy --requirement trainer.lock \
    && $pip --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --uid 10001 recommender && mkdir /artifacts /downloads /events && chown recommender /artifacts /downloads /events
COPY --from=build /opt/trainer /opt/trainer
ENV PATH=/opt/trainer/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER recommender
ENTRYPOINT ["python", "-m", "trainer"]
# Last, so that another version or revision changes no layer.
ARG VERSION="" REVISION="" SOURCE=""
LABEL org.opencontainers.image.title="movie-recommender-trainer" org.opencontainers.image.description="Learns embeddings from ratings, and publishes releases for movie-recommender" \
    org.opencontainers.image.licenses="Apache-2.0" org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" org.opencontainers.image.source="$SOURCE"
