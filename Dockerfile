# regcache from a checkout:  docker build -t regcache .
#
#   docker run -d --name regcache -p 127.0.0.1:5000:5000 -v regcache:/var/lib/regcache regcache
#
# The configuration is /etc/regcache/regcache.yml: mount a folder there for one of your own.
# `docker exec regcache regcachectl status` asks the daemon.

FROM debian:trixie-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-pip python3-setuptools python3-wheel
WORKDIR /source
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY etc etc
COPY regcache regcache
COPY twisted twisted
# Libraries come from Debian, below: nothing is fetched here.
RUN pip install --no-deps --no-build-isolation --no-compile --break-system-packages \
        --prefix /usr --root /installed .

FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates \
        python3-bcrypt \
        python3-cronsim \
        python3-cryptography \
        python3-h2 \
        python3-jwt \
        python3-openssl \
        python3-prometheus-client \
        python3-rich \
        python3-service-identity \
        python3-treq \
        python3-twisted \
        python3-yaml \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 5000 regcache \
    && useradd --system --uid 5000 --gid regcache --home-dir /var/lib/regcache regcache \
    && install -d -o regcache -g regcache -m 750 /var/lib/regcache /run/regcache
COPY --from=build /installed/usr/ /usr/
COPY etc/container.yml /etc/regcache/regcache.yml
# Bytecode, and the cache of Twisted's plugins: the user of the daemon cannot write them.
RUN python3 -m compileall -q "$(python3 -c 'import regcache; print(*regcache.__path__)')" \
    && python3 -c 'from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))'

USER regcache
WORKDIR /var/lib/regcache
VOLUME /var/lib/regcache
EXPOSE 5000
ENV PYTHONUNBUFFERED=1
# It stops within limits.drain: give it that, with docker stop --time 40.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/healthz', timeout=4)"]
ENTRYPOINT ["twistd3", "--nodaemon", "--pidfile=", "regcache"]
CMD ["--config", "/etc/regcache/regcache.yml"]
