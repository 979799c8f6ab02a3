//! Real engines, a registry and a trust server for tests, and how tests speak to them.
//!
//! [`lab()`] starts one lab a test process through `scripts/lab` and knows its addresses;
//! [`Engine`] builds with it; [`image`] makes, pushes and signs images; [`table`] reads cases
//! from `testdata`. Nothing here knows what trustgate should decide: that is the tests' part.

pub(crate) mod browser;
pub(crate) mod engine;
pub(crate) mod image;
pub(crate) mod lab;
pub(crate) mod mariadb;
pub(crate) mod person;
pub(crate) mod postgres;
pub(crate) mod server;
pub(crate) mod space;
pub(crate) mod table;
pub(crate) mod terminal;

pub(crate) use engine::Engine;
pub(crate) use image::Image;
pub(crate) use lab::{Lab, lab, skip};
