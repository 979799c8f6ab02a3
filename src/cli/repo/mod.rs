//! `trustgate repo`: the trust data of whole repositories.

pub(super) mod known;
