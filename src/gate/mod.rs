//! Image uses, policy and trust data in; decisions and their report out. Nothing outside decides.
