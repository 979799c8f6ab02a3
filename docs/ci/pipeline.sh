#!/bin/sh
# Any pipeline that can run a shell (Jenkins: `sh './ci/trust.sh'`): every image that a Dockerfile
# names is signed and pinned to the signed digest, and the build itself passes the gate.
#
# Needs trustgate, git and docker with buildx on PATH, and:
#   TRUSTGATE_FRONTEND   your frontend image, with its digest: registry.example/trustgate-frontend@sha256:…
#   IMAGE                the name to build
set -eu

: "${TRUSTGATE_FRONTEND:?name the frontend image with its digest}"
: "${IMAGE:?name the image to build}"

# ci/trust-policy.toml pins the root keys: a fresh agent has no cache that could.
set +e
git ls-files -z -- '*Dockerfile*' ':!*.dockerignore' | xargs -0 -r trustgate --policy ci/trust-policy.toml pin --check
outcome=$?
set -e
case $outcome in
    0) ;;
    # xargs answers 123 when the command answered anything from 1 to 125.
    *) echo "the pins do not hold; to see what would be written: trustgate pin" >&2; exit "$outcome" ;;
esac

# BUILDKIT_SYNTAX outranks a `# syntax=` line, so the Dockerfile can't choose its own frontend.
docker buildx build --build-arg BUILDKIT_SYNTAX="$TRUSTGATE_FRONTEND" --tag "$IMAGE" .
