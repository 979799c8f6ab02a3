//! Docker credentials.
