//! Where repositories come from: an archive, or a notary-server's database. One at a time, whichever it is.

use jiff::Timestamp;

use super::TransferError;
use super::archive::{Item, KeyMember, Reader};
use super::notary::NotaryFiles;
use crate::image::Gun;
use crate::server::storage::{ChangeRecord, Listed};
use crate::tuf::{PublicKey, RoleName};

/// A source, at some place in it.
pub(super) enum Source {
    Archive(Box<Archive>),
    Notary(Box<NotaryFiles>),
}

/// A repository as it is offered: nothing of it is believed yet.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) gun: Gun,
    /// In the order in which they were stored.
    pub(super) files: Vec<Listed>,
    pub(super) signing_keys: Vec<(RoleName, PublicKey, Timestamp)>,
}

/// What is offered next.
#[derive(Debug)]
pub(super) enum Offer {
    Repository(Offered),
    /// Something under a name that no repository has here.
    Nameless {
        name: String,
        reason: String,
    },
}

impl Source {
    /// From the start again.
    pub(super) fn again(&mut self) -> Result<(), TransferError> {
        match self {
            Self::Archive(archive) => **archive = Archive::over(archive.reader.again()?),
            Self::Notary(files) => files.again(),
        }
        Ok(())
    }

    /// The next repository.
    pub(super) async fn next(&mut self) -> Result<Option<Offer>, TransferError> {
        match self {
            Self::Archive(archive) => Ok(archive.next_repository()?.map(Offer::Repository)),
            Self::Notary(files) => files.next().await,
        }
    }

    /// The bytes of one of its files.
    pub(super) async fn content(&mut self, file: &Listed) -> Result<Vec<u8>, TransferError> {
        match self {
            Self::Archive(archive) => archive.reader.content(file),
            Self::Notary(files) => files.content(file).await,
        }
    }

    /// The next entry of the list of changes, once all repositories were seen.
    pub(super) async fn next_change(&mut self) -> Result<Option<ChangeRecord>, TransferError> {
        match self {
            Self::Archive(archive) => archive.next_change(),
            Self::Notary(files) => files.next_change().await,
        }
    }
}

/// An archive, one record ahead.
pub(super) struct Archive {
    reader: Reader,
    /// What was read and belongs to what comes next.
    ahead: Option<Item>,
}

impl Archive {
    pub(super) fn over(reader: Reader) -> Self {
        Self { reader, ahead: None }
    }

    /// The next sealed key, before all repositories.
    pub(super) fn next_key(&mut self) -> Result<Option<KeyMember>, TransferError> {
        match self.take()? {
            Some(Item::Key(key)) => Ok(Some(key)),
            other => {
                self.ahead = other;
                Ok(None)
            }
        }
    }

    fn next_repository(&mut self) -> Result<Option<Offered>, TransferError> {
        while self.next_key()?.is_some() {}
        let gun = match self.take()? {
            Some(Item::Repository(gun)) => gun,
            other => {
                self.ahead = other;
                return Ok(None);
            }
        };
        let mut offered = Offered { gun, files: Vec::new(), signing_keys: Vec::new() };
        loop {
            match self.take()? {
                Some(Item::File(file)) => offered.files.push(file),
                Some(Item::SigningKey(role, key, created)) => offered.signing_keys.push((role, key, created)),
                other => {
                    self.ahead = other;
                    return Ok(Some(offered));
                }
            }
        }
    }

    fn next_change(&mut self) -> Result<Option<ChangeRecord>, TransferError> {
        while let Some(item) = self.take()? {
            if let Item::Change(change) = item {
                return Ok(Some(change));
            }
        }
        Ok(None)
    }

    fn take(&mut self) -> Result<Option<Item>, TransferError> {
        match self.ahead.take() {
            Some(item) => Ok(Some(item)),
            None => self.reader.next(),
        }
    }
}
