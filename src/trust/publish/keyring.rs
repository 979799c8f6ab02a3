//! The keys of one publication: found in the key store, opened at most once, made where one is missing.

use std::collections::BTreeMap;

use super::workspace::Base;
use super::{Part, PublishError};
use crate::image::Gun;
use crate::keys::{KeyError, KeyRole, KeyStore, PassphraseSource, PrivateKey, StoredKey};
use crate::tuf::author::{PartialDocument, Signer, UnsignedDocument};
use crate::tuf::{KeyId, PublicKey, RoleKeys, RoleName};

/// The keys at hand.
pub(super) struct Keyring<'a> {
    store: &'a KeyStore,
    passphrases: &'a mut dyn PassphraseSource,
    stored: Vec<StoredKey>,
    opened: BTreeMap<KeyId, PrivateKey>,
    made: Vec<KeyId>,
}

/// Keys that were opened for a document.
struct Opened {
    ids: Vec<KeyId>,
    /// Whether they are enough for it.
    suffice: bool,
}

impl<'a> Keyring<'a> {
    pub(super) fn new(
        store: &'a KeyStore,
        passphrases: &'a mut dyn PassphraseSource,
    ) -> Result<Self, PublishError> {
        let stored = store.list()?.keys;
        Ok(Self { store, passphrases, stored, opened: BTreeMap::new(), made: Vec::new() })
    }

    pub(super) fn store(&self) -> &KeyStore {
        self.store
    }

    /// Sees keys that other processes stored meanwhile.
    pub(super) fn look_again(&mut self) -> Result<(), PublishError> {
        self.stored = self.store.list()?.keys;
        Ok(())
    }

    /// Forgets keys that were made for a repository which has others. Root keys stay: they may be in use
    /// for another one by now.
    pub(super) fn discard_unnamed(&mut self, base: &Base) {
        let names = |id: &KeyId, role: &RoleName| {
            let keys = base.chain().keys(role).map(|it| it.keys.as_slice()).unwrap_or_default();
            keys.iter().any(|it| it.canonical_id() == id)
        };
        let (root, made) = std::mem::take(&mut self.made).into_iter().partition(|id| {
            let stored = self.stored.iter().find(|it| it.id == *id);
            stored.is_none_or(|it| !it.role.needs_gun())
                || [RoleName::TARGETS, RoleName::SNAPSHOT].iter().any(|role| names(id, role))
        });
        self.made = made;
        self.discard_made();
        self.made = root;
    }

    /// Whether the key store has this key.
    pub(super) fn has(&self, key: &PublicKey) -> bool {
        self.stored.iter().any(|it| it.id == *key.canonical_id())
    }

    /// Whether the key store has one of these keys.
    pub(super) fn has_any(&self, keys: &RoleKeys) -> bool {
        keys.keys.iter().any(|it| self.has(it))
    }

    /// The first stored key of this role, and of this repository where such keys belong to one.
    pub(super) fn first(&self, role: &KeyRole, gun: Option<&Gun>) -> Option<KeyId> {
        let found = self.stored.iter().find(|it| it.role == *role && it.gun.as_ref() == gun);
        found.map(|it| it.id.clone())
    }

    /// The key of this role that this publication made already, before others were faster.
    pub(super) fn made(&self, role: &KeyRole) -> Option<PublicKey> {
        let of_role = |id: &&KeyId| self.stored.iter().any(|it| it.id == **id && it.role == *role);
        Some(self.opened.get(self.made.iter().find(of_role)?)?.public().clone())
    }

    /// The key of this ID; its passphrase is asked for when it is opened first.
    pub(super) fn open(&mut self, id: &KeyId) -> Result<&PrivateKey, KeyError> {
        if !self.opened.contains_key(id) {
            let key = self.store.read(id, self.passphrases)?;
            self.opened.insert(id.clone(), key);
        }
        let missing = || KeyError::NotFound { key_id: id.clone(), folder: self.store.folder().to_owned() };
        self.opened.get(id).ok_or_else(missing)
    }

    /// Stores a new key before anything is published that needs it.
    pub(super) fn keep(
        &mut self,
        key: PrivateKey,
        role: &KeyRole,
        gun: Option<&Gun>,
    ) -> Result<PublicKey, PublishError> {
        self.store.write(&key, role, gun, self.passphrases)?;
        let public = key.public().clone();
        self.made.push(key.id().clone());
        self.stored.extend(self.store.find(key.id())?);
        self.opened.insert(key.id().clone(), key);
        Ok(public)
    }

    /// Forgets the keys that were made, where nothing that needs them was published.
    pub(super) fn discard_made(&mut self) {
        for id in std::mem::take(&mut self.made) {
            // One that stays is of no use, and of no harm.
            let _ = self.store.remove(&id);
            self.opened.remove(&id);
            self.stored.retain(|it| it.id != id);
        }
    }

    /// Signs with as many keys as are needed and here.
    pub(super) fn sign(&mut self, document: UnsignedDocument, gun: &Gun) -> Result<Part, PublishError> {
        let opened = self.open_for(document.demands(), document.welcome())?;
        self.sign_with(document.into_partial(gun), &opened)
    }

    /// The same for a document that others may have signed.
    pub(super) fn sign_partial(
        &mut self,
        document: PartialDocument,
        demands: &[RoleKeys],
    ) -> Result<Part, PublishError> {
        let opened = Opened { suffice: false, ..self.open_for(demands, &[])? };
        self.sign_with(document, &opened)
    }

    fn sign_with(&self, mut document: PartialDocument, opened: &Opened) -> Result<Part, PublishError> {
        let signers: Vec<&dyn Signer> =
            opened.ids.iter().filter_map(|it| self.opened.get(it)).map(|it| it as &dyn Signer).collect();
        // What is missing costs a pass over all that the file says; a complete one is checked anyway.
        let missing = |it: &PartialDocument| if opened.suffice { Ok(Vec::new()) } else { it.missing() };
        let signed = document.sign(&signers).and_then(|_| missing(&document));
        match signed {
            Ok(missing) => Ok(Part { document, missing }),
            Err(source) => Err(PublishError::Author { gun: document.gun().clone(), source }),
        }
    }

    /// Opens as many keys as each of these demands, where they are here, and the welcome ones.
    fn open_for(&mut self, demands: &[RoleKeys], welcome: &[PublicKey]) -> Result<Opened, PublishError> {
        let mut ids: Vec<KeyId> = Vec::new();
        let mut suffice = true;
        for demand in demands {
            let mut here: Vec<KeyId> = Vec::new();
            for key in demand.keys.iter().filter(|it| self.has(it)) {
                if !here.contains(key.canonical_id()) {
                    here.push(key.canonical_id().clone());
                }
            }
            // Those that are open already cost no passphrase.
            here.sort_by_key(|it| !self.opened.contains_key(it));
            let mut refused = None;
            let mut open = 0;
            for id in here {
                if demand.threshold <= open {
                    break;
                }
                match self.open(&id) {
                    Ok(_) => {
                        open += 1;
                        if !ids.contains(&id) {
                            ids.push(id);
                        }
                    }
                    Err(error @ KeyError::Interrupted) => return Err(error.into()),
                    Err(error) => refused = refused.or(Some(error)),
                }
            }
            if open < demand.threshold {
                suffice = false;
                if let Some(error) = refused {
                    return Err(error.into());
                }
            }
        }
        for key in welcome {
            let id = key.canonical_id();
            if self.has(key) && !ids.contains(id) {
                self.open(id)?;
                ids.push(id.clone());
            }
        }
        Ok(Opened { ids, suffice })
    }
}
