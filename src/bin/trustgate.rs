//! `trustgate`, the command for people and CI.

fn main() {}
