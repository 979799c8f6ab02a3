#!/bin/sh
# Any pipeline that can run a shell: builds an image behind the gate, pushes it and signs its digest.
#
# Needs trustgate and docker on PATH, docker logged in to the registry, and:
#   IMAGE                the name to push, with its tag
#   SIGNER_KEY           file of the pipeline's private key (docs/signer-in-ci.md), readable by its owner only
#   SIGNER_PASSPHRASE    file of its passphrase
#   TRUST_POLICY         policy that pins the root key: a fresh agent has no cache that could
set -eu

: "${IMAGE:?name the image to push}"
: "${SIGNER_KEY:?name the file of the private key}"
: "${SIGNER_PASSPHRASE:?name the file of its passphrase}"
: "${TRUST_POLICY:?name the policy}"

# Keys and caches of this run only, beside whatever login the agent has.
trust=$(mktemp -d)
trap 'rm -rf "$trust"' EXIT

trustgate --trust-dir "$trust" key load "$SIGNER_KEY" --passphrase-file "$SIGNER_PASSPHRASE"
docker build --tag "$IMAGE" .
trustgate --trust-dir "$trust" --policy "$TRUST_POLICY" push --passphrase-file "$SIGNER_PASSPHRASE" "$IMAGE"

# Read back as a consumer would.
trustgate --trust-dir "$trust" --policy "$TRUST_POLICY" verify "$IMAGE"
