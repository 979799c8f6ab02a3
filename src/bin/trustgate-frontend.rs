//! `trustgate-frontend`, the image that `BuildKit` runs.

fn main() {}
