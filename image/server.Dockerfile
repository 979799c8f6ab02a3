# The trust server and its signer: static programs, the public CAs, and state folders of a user's own.
# Settings are mounted at /etc/trustgate; docs/deploying.md tells how.
FROM scratch
COPY root /
COPY --chown=65532:65532 state /var/lib
ENV TRUSTGATE_SERVER_STATE=/var/lib/trustgate-server
VOLUME /var/lib/trustgate-server /var/lib/trustgate-signer
EXPOSE 4443 7899
USER 65532:65532
LABEL org.opencontainers.image.title="trustgate-server" org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/usr/bin/trustgate-server"]
