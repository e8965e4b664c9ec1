FROM python:3.11-slim-bookworm AS build
# Not empty: only the wheels of wheelhouse/ (see scripts/wheelhouse) and no network.
ARG PIP_NO_INDEX=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/meshbox
WORKDIR /src
# What it needs, in a layer of its own that a change of the code leaves as it is.
COPY pyproject.toml ./
COPY requirements requirements
RUN --mount=type=bind,source=wheelhouse,target=/wheelhouse --mount=type=cache,target=/root/.cache/pip \
    python3 -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*p["dependencies"], *p["optional-dependencies"]["cassandra"], sep="\n")' >needed.txt \
    && PIP_FIND_LINKS=/wheelhouse /opt/meshbox/bin/pip install --constraint requirements/lock.txt --requirement needed.txt
COPY README.md LICENSE ./
COPY meshbox meshbox
RUN --mount=type=bind,source=wheelhouse,target=/wheelhouse --mount=type=cache,target=/root/.cache/pip \
    PIP_FIND_LINKS=/wheelhouse /opt/meshbox/bin/pip install --no-deps .

# The virtual environment is copied whole: where packages go differs between builds of Python.
FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /data --no-create-home meshbox \
    && install --directory --owner meshbox --group meshbox --mode 0700 /data
COPY --from=build /opt/meshbox /opt/meshbox
ENV PATH=/opt/meshbox/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER meshbox
VOLUME /data
# Apps over HTTP and HTTPS, and the other nodes.
EXPOSE 3000 3443 3001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --start-interval=1s \
    CMD ["meshbox", "status", "--data-dir", "/data", "--opened", "--json"]
ENTRYPOINT ["meshbox"]
CMD ["run", "--data-dir", "/data"]
