# The server in a container:
#
#   docker build --tag resift .
#   docker run --publish 8080:8080 --env RESIFT_API_KEYS=shop=a-long-random-key resift
#
# docs/serving.md has the rest: keys, a configuration, and what an orchestrator should know.

FROM python:3.12-slim AS build
# Those of pyproject.toml: what serves, traces, and models on other servers.
ARG EXTRAS=server,tracing,remote
RUN python -m venv /opt/resift
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
RUN /opt/resift/bin/pip install --no-cache-dir ".[${EXTRAS}]"

FROM python:3.12-slim
COPY --from=build /opt/resift /opt/resift
# Numbers, so that Kubernetes can tell that it isn't root. Models from the hub are kept in the cache.
RUN groupadd --gid 10001 resift \
    && useradd --uid 10001 --gid 10001 --home-dir /var/cache/resift --create-home resift
ENV PATH=/opt/resift/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RESIFT_CACHE=/var/cache/resift/models
USER 10001:10001
WORKDIR /var/cache/resift
EXPOSE 8080
# Ready, not only alive: a model that can't rank is no use. The image has no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/health/ready', timeout=2)"]
ENTRYPOINT ["resift"]
# Beyond this machine, so it doesn't start without keys: see RESIFT_API_KEYS above.
CMD ["serve", "--host", "0.0.0.0"]
