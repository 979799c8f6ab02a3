//! One repository's trust data: remote, cache, refresh, look-up of a tag.
