//! How many connections there may be: all together, and of one client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::server::settings::{Limits, Network};

/// The places that there are.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<HashMap<IpAddr, u32>>,
    of_one: u32,
    /// Proxies speak for many.
    proxies: Vec<Network>,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let all = usize::try_from(limits.connections).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            free: Arc::new(Semaphore::new(all)),
            taken: Mutex::default(),
            of_one: limits.connections_per_client,
            proxies: limits.proxies.clone(),
        })
    }

    /// Waits until there is a place for somebody.
    pub(super) async fn wait(self: &Arc<Self>) -> FreePlace {
        // Nobody closes it; and if somebody did, there would be no bound to keep.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok();
        FreePlace { places: Arc::clone(self), permit }
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that nobody has yet.
pub(super) struct FreePlace {
    places: Arc<Places>,
    permit: Option<OwnedSemaphorePermit>,
}

impl FreePlace {
    /// The place, taken; nothing, where this client has as many as one may have.
    pub(super) fn of(self, address: IpAddr) -> Option<Place> {
        let Self { places, permit } = self;
        let address = address.to_canonical();
        if places.proxies.iter().any(|it| it.contains(address)) {
            return Some(Place { places, client: None, _permit: permit });
        }
        let client = network(address);
        let mut taken = places.taken();
        let count = taken.entry(client).or_insert(0);
        if places.of_one <= *count {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Place { places, client: Some(client), _permit: permit })
    }
}

/// A place that a connection has until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    client: Option<IpAddr>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&client);
            }
        }
    }
}

/// Whoever has one address of IPv6 has a whole network of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK_MASK)),
    }
}

/// The first 64 bits.
const NETWORK_MASK: u128 = !0 << 64;
