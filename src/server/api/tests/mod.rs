//! Requests as clients send them, and as nobody should.

mod bodies;
mod desk;
mod reads;
mod writes;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use axum::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, PRAGMA, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use bytes::Bytes;
use jiff::Timestamp;

use super::*;
use crate::server::freshness::FreshnessOptions;
use crate::server::publication::PublisherOptions;
use crate::server::publication::tests::desk::TestKeys;
use crate::tuf::testing::{Repository, TestKey, days, now};
use desk::{BASE, Desk, MULTIPART, request};
