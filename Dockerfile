# The image that steps run in: Debian, git, Python, and the tools of the checks. `sandstone image build` builds it
# (sandbox/docker/image.py) from a context of this file, the lock files of sandbox/docker/runner/ and `wheels/`:
# what the locks name, fetched on the host, because a build container may have no way to an index.
#
# Two environments: /opt/tools checks the code, /opt/run runs it and is where `environment.setup` installs a
# project's packages, so that no project's pins can break the checks. Plain instructions only: it builds with the
# classic builder of engine 20.10 and with BuildKit.
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS packages
LABEL sandstone.stage=packages
ARG DEBIAN_FRONTEND=noninteractive

# A base made by mmdebstrap has the packages already, and needs no mirror here.
RUN set -eu; \
    if ! command -v git >/dev/null || ! command -v python3 >/dev/null; then \
        apt-get update; \
        apt-get install -y --no-install-recommends ca-certificates git python3; \
    fi; \
    groupadd --gid 60990 sandbox; \
    useradd --uid 60990 --gid 60990 --home-dir /home/sandbox --create-home --shell /bin/bash sandbox; \
    mkdir -p /workspace; \
    git config --system safe.directory '*'

COPY tools.lock run.lock /build/
COPY wheels /build/wheels/
RUN set -eu; \
    pip=$(echo /build/wheels/pip-*.whl)/pip; \
    for name in tools run; do \
        python3 -m venv --without-pip "/opt/$name"; \
        "/opt/$name/bin/python" "$pip" install --quiet --no-index --no-deps --no-cache-dir \
            --root-user-action=ignore --disable-pip-version-check \
            --find-links /build/wheels --require-hashes -r "/build/$name.lock"; \
    done; \
    for package in /build/wheels/typescript-linux-*.tgz; do \
        mkdir /opt/tools/lib/typescript; \
        tar -xzf "$package" -C /opt/tools/lib/typescript --strip-components=2 --no-same-owner package/lib; \
        ln -s ../lib/typescript/tsc /opt/tools/bin/tsc; \
    done; \
    ln -s /opt/tools/bin/ruff /opt/tools/bin/bandit /opt/tools/bin/oxlint /opt/tools/bin/tsc /usr/local/bin/; \
    printf '#!/bin/sh\n# Types are those of the packages that the code runs with.\nexec /opt/tools/bin/mypy --python-executable /opt/run/bin/python "$@"\n' \
        > /usr/local/bin/mypy; \
    chmod 755 /usr/local/bin/mypy

# What no step needs; then no file that lends its owner's rights.
RUN set -eu; \
    rm -rf /build /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* /tmp/* \
        /usr/share/doc/* /usr/share/man/* /usr/share/locale/* /usr/share/info/* /usr/share/lintian /usr/share/bug \
        /usr/share/gitweb /root/.cache /usr/lib/*/perl/5.*/CORE; \
    cd /usr/lib/git-core; \
    rm -f git-daemon git-http-backend git-http-push git-imap-send git-shell scalar /usr/bin/git-shell /usr/bin/scalar; \
    ln -sf ../../bin/git git; \
    mkdir -p /var/cache/apt/archives/partial /var/lib/apt/lists/partial /var/log/apt; \
    find / -xdev -type f -perm /6000 -exec chmod a-s {} +

# One layer, without what the steps above removed.
FROM scratch AS runner
COPY --from=packages / /
# Caches go where they die with the sandbox, not into the project.
ENV PATH=/opt/run/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTEST_ADDOPTS="-o cache_dir=/tmp/.pytest_cache" \
    MYPY_CACHE_DIR=/tmp/.mypy_cache \
    RUFF_CACHE_DIR=/tmp/.ruff_cache \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /workspace
USER sandbox
CMD ["/bin/sh"]
