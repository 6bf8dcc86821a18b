# The recommender, without TensorFlow and without a compiler.

FROM python:3.11-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends g++ python3-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# For ANN=milvus: --build-arg LOCK=recommender-milvus.lock. It has pymilvus and pandas too, which take 97 MB.
ARG LOCK=recommender.lock
COPY pyproject.toml deploy/build.lock deploy/$LOCK LICENSE README.md ./
COPY console console
COPY protos protos
COPY events events
COPY object_storage object_storage
COPY recommender_service recommender_service
# annoy compiles with -march=native, and such code ends with SIGILL on an older CPU. These flags replace all of its own, and
# let the compiler vectorize the distances for any CPU (decision 2).
ARG ANNOY_COMPILER_ARGS=-O3,-ffast-math,-funroll-loops,-fvariable-expansion-in-unroller,-std=c++14,-DANNOYLIB_MULTITHREADED_BUILD
RUN python -m venv /opt/recommender \
    && pip="/opt/recommender/bin/pip install --no-cache-dir --disable-pip-version-check" \
    && $pip --require-hashes --requirement build.lock \
    && $pip --require-hashes --no-build-isolation --use-pep517 --no-binary annoy --requirement $LOCK \
    && $pip --no-deps --no-build-isolation . \
    && /opt/recommender/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
RUN useradd --system --uid 10001 recommender && mkdir /events && chown recommender /events
COPY --from=build /opt/recommender /opt/recommender
# For clients that do not use reflection: `grpcurl -protoset`, or any code generator.
COPY --from=build /src/protos/recommender/v1/recommender.proto /src/protos/recommender/v1/recommender.binpb /usr/share/movie-recommender/
ENV PATH=/opt/recommender/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LISTEN_ADDRESS=0.0.0.0:50051 \
    HEALTH_ADDRESS=127.0.0.1:50053
USER recommender
EXPOSE 50051
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
    CMD python -m recommender_service.client --address "$HEALTH_ADDRESS" health
ENTRYPOINT ["python", "-m", "recommender_service"]
# Last, so that another version or revision changes no layer.
ARG VERSION="" REVISION="" SOURCE=""
LABEL org.opencontainers.image.title="movie-recommender" org.opencontainers.image.description="Movie recommendations over gRPC" \
    org.opencontainers.image.licenses="Apache-2.0" org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" org.opencontainers.image.source="$SOURCE"
