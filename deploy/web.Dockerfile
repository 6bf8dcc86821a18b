# The page, which needs neither TensorFlow nor a compiler. It knows the recommender only by its gRPC client.

FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml deploy/build.lock deploy/web.lock LICENSE README.md ./
COPY clients/python clients/python
COPY web web
RUN python -m venv /opt/web \
    && pip="/opt/web/bin/pip install --no-cache-dir --disable-pip-version-check" \
    && $pip --require-hashes --requirement build.lock \
    && $pip --require-hashes --no-build-isolation --use-pep517 --requirement web.lock \
    && $pip --no-deps --no-build-isolation . ./clients/python \
    && /opt/web/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
RUN useradd --system --uid 10001 recommender
COPY --from=build /opt/web /opt/web
ENV PATH=/opt/web/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 WEB_ADDRESS=0.0.0.0:8080
USER recommender
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD python -c "import socket; socket.create_connection(('127.0.0.1', 8080), 2)"
ENTRYPOINT ["python", "-m", "web"]
# Last, so that another version or revision changes no layer.
ARG VERSION="" REVISION="" SOURCE=""
LABEL org.opencontainers.image.title="movie-recommender-web" org.opencontainers.image.description="The page of movie-recommender" \
    org.opencontainers.image.licenses="Apache-2.0" org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" org.opencontainers.image.source="$SOURCE"
