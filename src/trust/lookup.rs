//! lookup.
