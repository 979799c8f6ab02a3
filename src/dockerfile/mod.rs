//! Dockerfiles: bytes in, every image use with its place out, pinned bytes back; knows nothing of trust.
