//! One gated build inside `BuildKit`.
