//! Manifests read, stored and tagged.

use bytes::Bytes;

use super::{Child, Insecure, MediaType, RegistryError};
use crate::http::HttpClient;
use crate::image::{Digest, Reference, Tag};

/// What is asked of registries; clones share connections and tokens.
#[derive(Clone, Debug)]
pub struct Registry {
    http: HttpClient,
    insecure: Insecure,
}

/// What a manifest is known by.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Manifest {
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// What it is.
    pub media_type: MediaType,
}

/// A manifest and its bytes, which were hashed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What the bytes are known by.
    pub manifest: Manifest,
    /// The bytes, as the registry has them.
    pub bytes: Bytes,
}

impl Registry {
    /// Asks through this client; `insecure` are the registries that may be asked without TLS.
    #[must_use]
    pub fn new(http: HttpClient, insecure: Insecure) -> Self {
        Self { http, insecure }
    }

    /// What the registry *says* of a manifest, without reading it; `None` where it has none.
    ///
    /// Good for "is it there"; what is signed comes from [`Registry::get`].
    pub async fn head(&self, reference: &Reference) -> Result<Option<Manifest>, RegistryError> {
        let _ = (&self.http, &self.insecure, reference);
        todo!()
    }

    /// A manifest, by digest where the reference has one, else by tag.
    pub async fn get(&self, reference: &Reference) -> Result<Content, RegistryError> {
        let _ = reference;
        todo!()
    }

    /// The manifests of an index with their platforms, those of indexes in it, too; none for a
    /// manifest of one platform. `repository` is where the nested ones are read from.
    pub async fn children(
        &self,
        repository: &Reference,
        content: &Content,
    ) -> Result<Vec<Child>, RegistryError> {
        let _ = (repository, content);
        todo!()
    }

    /// Stores a manifest: under the digest that the reference names, else under its tag.
    pub async fn put(&self, reference: &Reference, content: &Content) -> Result<(), RegistryError> {
        let _ = (reference, content);
        todo!()
    }

    /// Makes `tag` name the manifest with this digest, which the repository has already.
    pub async fn tag(
        &self,
        repository: &Reference,
        digest: &Digest,
        tag: &Tag,
    ) -> Result<Manifest, RegistryError> {
        let _ = (repository, digest, tag);
        todo!()
    }
}
