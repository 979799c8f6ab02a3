//! The token dance.
