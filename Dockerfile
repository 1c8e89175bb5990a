# Two images: `auth-server`, which is what runs for you, and `demo`, which adds the stand-in for Cognito and the example
# MCP servers. docker-compose.yml says which of them a container runs.

ARG PYTHON_IMAGE=python:3.13-slim

# What the product stands on. Changes with the lock alone.
FROM ${PYTHON_IMAGE} AS dependencies
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/venv && \
    pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock

FROM dependencies AS demo-dependencies
COPY requirements/demo.lock ./
RUN pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes --only-binary :all: -r demo.lock

FROM dependencies AS wheel
COPY requirements/build.lock ./
RUN python -m venv --without-pip /opt/build && \
    pip --python /opt/build/bin/python install --no-cache-dir --require-hashes --only-binary :all: -r build.lock
COPY pyproject.toml README.md LICENSE scopes.yml ./
COPY nginx nginx
COPY auth_server auth_server
RUN /opt/build/bin/hatchling build -t wheel && \
    pip --python /opt/venv/bin/python install --no-cache-dir --no-index --no-deps --target /opt/auth-server dist/*.whl && \
    install -d /opt/demo/auth_server && \
    mv /opt/auth-server/auth_server/demo /opt/demo/auth_server/

FROM ${PYTHON_IMAGE} AS sidecar
LABEL org.opencontainers.image.title="mcp-auth-server" \
      org.opencontainers.image.description="An nginx auth_request sidecar for MCP servers: AWS Cognito in, exactly the granted tools out" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin auth-server && \
    install -d -m 1777 /var/lib/auth-server
COPY deploy/container-entrypoint /usr/local/bin/container-entrypoint
COPY deploy/healthcheck.py /usr/local/bin/healthcheck
COPY deploy/forward.py /usr/local/bin/forward
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=wheel /opt/auth-server /opt/auth-server
ENV PATH=/opt/auth-server/bin:/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/auth-server \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /config
HEALTHCHECK --interval=2s --timeout=4s --retries=5 \
    CMD ["healthcheck", "/run/auth-server/1.sock", "/readyz"]
ENTRYPOINT ["container-entrypoint"]
CMD ["serve", "--uds", "/run/auth-server/1.sock", "--inner", "unix:/run/inner/nginx.sock"]

FROM sidecar AS demo
COPY --from=demo-dependencies /opt/venv /opt/venv
COPY --from=wheel /opt/demo /opt/auth-server

# Last, so that `docker build .` makes the one without the demo.
FROM sidecar AS auth-server
