//! How much a client may ask for: a bucket of tokens each, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Caller;
use crate::server::settings::{Limits, Network, Rate};

/// What clients may ask for in a while.
pub struct RateLimits {
    requests: Buckets<Client>,
    failures: Buckets<IpAddr>,
}

/// When to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

/// Who is counted as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Client {
    Address(IpAddr),
    Name(String),
}

impl RateLimits {
    /// Limits as the settings have them.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self { requests: Buckets::new(limits.requests), failures: Buckets::new(limits.failures) }
    }

    /// Takes a request of this client, or says when the next will be. A caller with a name counts by
    /// it, whatever the address; one without counts by address, an IPv6 network of /64 as one.
    pub fn admit(&self, peer: IpAddr, caller: &Caller, now: Timestamp) -> Result<(), RetryAfter> {
        let client = match &caller.name {
            Some(name) => Client::Name(name.clone()),
            None => Client::Address(household(peer)),
        };
        self.requests.take(client, now)
    }

    /// Whether this address may send credentials, or sent wrong ones too often: to be asked before
    /// [`Access::decide`](super::Access::decide).
    pub fn may_try(&self, peer: IpAddr, now: Timestamp) -> Result<(), RetryAfter> {
        self.failures.look(&household(peer), now)
    }

    /// Remembers that wrong credentials came from this address.
    pub fn failed(&self, peer: IpAddr, now: Timestamp) {
        // Who is over the limit stays over it.
        let _ = self.failures.take(household(peer), now);
    }
}

/// Who asks, as far as addresses say: the peer, or whom a proxy of ours names in `X-Forwarded-For`.
///
/// Each proxy adds whom it was asked by at the end, so it is read from there, and no further than to
/// the first that is not a proxy of ours: what stands before was written by that client.
#[must_use]
pub fn client_address(peer: IpAddr, forwarded: Option<&str>, proxies: &[Network]) -> IpAddr {
    let ours = |address: IpAddr| proxies.iter().any(|it| it.contains(address));
    let mut client = peer.to_canonical();
    for named in forwarded.unwrap_or_default().rsplit(',').take(PROXY_LIMIT) {
        if !ours(client) {
            break;
        }
        let Ok(address) = named.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    client
}

/// Buckets of one rate, by whoever is counted as one.
struct Buckets<K> {
    rate: Rate,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// Thousandths of a request that are left.
    left: i64,
    at: Timestamp,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::default() }
    }

    fn take(&self, key: K, now: Timestamp) -> Result<(), RetryAfter> {
        if self.rate.burst == 0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if BUCKET_LIMIT <= buckets.len() && !buckets.contains_key(&key) {
            self.make_room(&mut buckets, now);
        }
        let full = Bucket { left: self.full(), at: now };
        let bucket = buckets.entry(key).or_insert(full);
        *bucket = self.filled(*bucket, now);
        self.check(*bucket)?;
        bucket.left -= REQUEST;
        Ok(())
    }

    fn look(&self, key: &K, now: Timestamp) -> Result<(), RetryAfter> {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        match buckets.get(key) {
            Some(bucket) if self.rate.burst != 0 => self.check(self.filled(*bucket, now)),
            _ => Ok(()),
        }
    }

    fn full(&self) -> i64 {
        i64::from(self.rate.burst) * REQUEST
    }

    /// What is in a bucket by now. A clock that went back fills nothing, and takes nothing away.
    fn filled(&self, bucket: Bucket, now: Timestamp) -> Bucket {
        let passed = now.duration_since(bucket.at).as_micros().max(0);
        let rate = i128::from(self.rate.per_minute.max(1));
        let gained = passed.saturating_mul(rate) / MICROSECONDS_PER_THOUSANDTH;
        let left = bucket.left.saturating_add(i64::try_from(gained).unwrap_or(i64::MAX)).min(self.full());
        if left == self.full() || now < bucket.at {
            return Bucket { left, at: now };
        }
        // Time in which nothing whole was gained is counted again.
        let spent = (gained * MICROSECONDS_PER_THOUSANDTH + rate - 1) / rate;
        let spent = SignedDuration::from_micros(i64::try_from(spent).unwrap_or(i64::MAX));
        let at = bucket.at.checked_add(spent).unwrap_or(now);
        Bucket { left, at }
    }

    fn check(&self, bucket: Bucket) -> Result<(), RetryAfter> {
        if REQUEST <= bucket.left {
            return Ok(());
        }
        let missing = u64::try_from(REQUEST - bucket.left).unwrap_or(0);
        let seconds = (missing * 60).div_ceil(u64::from(self.rate.per_minute.max(1)) * 1000);
        Err(RetryAfter(Duration::from_secs(seconds.max(1))))
    }

    /// Forgets buckets that are full, since a new one is too; and all of them where there are none. Many
    /// strangers at once get a fresh start, rather than that memory grows.
    fn make_room(&self, buckets: &mut HashMap<K, Bucket>, now: Timestamp) {
        buckets.retain(|_, it| self.filled(*it, now).left < self.full());
        if BUCKET_LIMIT <= buckets.len() {
            buckets.clear();
        }
    }
}

/// A household has an IPv6 network, and all addresses in it.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut bits = address.to_bits();
            bits &= u128::MAX << 64;
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        IpAddr::V4(address) => IpAddr::V4(address),
    }
}

/// A request, in thousandths.
const REQUEST: i64 = 1000;
/// Of a request, at one a minute.
const MICROSECONDS_PER_THOUSANDTH: i128 = 60_000;
/// Some ten megabytes at most.
const BUCKET_LIMIT: usize = 65_536;
/// Nobody has more proxies one behind the other.
const PROXY_LIMIT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(burst: u32, per_minute: u32) -> RateLimits {
        let rate = Rate { burst, per_minute };
        RateLimits::new(&Limits { requests: rate, failures: rate, ..Limits::usual() })
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn caller(name: &str) -> Caller {
        Caller { name: Some(name.to_owned()) }
    }

    #[test]
    fn a_bucket_empties_and_fills() {
        let limits = limits(3, 60);
        let peer = address("10.0.0.1");
        let ask = |time| limits.admit(peer, &Caller::default(), at(time));
        for _ in 0..3 {
            assert_eq!(ask(0), Ok(()));
        }
        assert_eq!(ask(0), Err(RetryAfter(Duration::from_secs(1))));
        assert_eq!(ask(999), Err(RetryAfter(Duration::from_secs(1))));
        assert_eq!(ask(1000), Ok(()));
        assert!(ask(1000).is_err());
        // Ten minutes fill no more than the bucket.
        for _ in 0..3 {
            assert_eq!(ask(600_000), Ok(()));
        }
        assert!(ask(600_000).is_err());
        // The clock goes back, then on.
        assert!(ask(0).is_err());
        assert_eq!(ask(1000), Ok(()));
    }

    #[test]
    fn many_small_steps_fill_as_much_as_a_great_one() {
        let limits = limits(1, 1);
        let peer = address("10.0.0.1");
        assert_eq!(limits.admit(peer, &Caller::default(), at(0)), Ok(()));
        let refused =
            (1..60_000).step_by(7).filter(|it| limits.admit(peer, &Caller::default(), at(*it)).is_err());
        assert_eq!(refused.count(), (1..60_000).step_by(7).count());
        assert_eq!(limits.admit(peer, &Caller::default(), at(60_100)), Ok(()));
    }

    #[test]
    fn clients_do_not_pay_for_others() {
        let limits = limits(1, 1);
        let admit = |peer: &str, caller: &Caller| limits.admit(address(peer), caller, at(0)).is_ok();
        let nobody = Caller::default();
        assert!(
            admit("10.0.0.1", &nobody) && !admit("10.0.0.1", &nobody) && !admit("::ffff:10.0.0.1", &nobody)
        );
        assert!(admit("10.0.0.2", &nobody));
        assert!(admit("fd00::1", &nobody) && !admit("fd00::2", &nobody) && admit("fd00:0:0:1::1", &nobody));
        assert!(admit("10.0.0.1", &caller("alice")) && !admit("10.0.0.9", &caller("alice")));
        assert!(admit("10.0.0.1", &caller("bob")));
    }

    #[test]
    fn wrong_credentials_are_counted_and_right_ones_not() {
        let limits = limits(2, 1);
        let peer = address("10.0.0.1");
        for _ in 0..5 {
            assert_eq!(limits.may_try(peer, at(0)), Ok(()));
        }
        limits.failed(peer, at(0));
        limits.failed(peer, at(0));
        assert_eq!(limits.may_try(peer, at(0)), Err(RetryAfter(Duration::from_mins(1))));
        assert_eq!(limits.may_try(address("10.0.0.2"), at(0)), Ok(()));
        assert_eq!(limits.may_try(peer, at(60_000)), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let limits = limits(1, 1);
        for number in 0..u32::try_from(BUCKET_LIMIT).unwrap() + 10 {
            let peer = IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
            assert_eq!(limits.admit(peer, &Caller::default(), at(0)), Ok(()));
        }
        assert!(limits.requests.buckets.lock().unwrap().len() <= BUCKET_LIMIT);
    }

    #[test]
    fn no_limit_is_none() {
        let limits = limits(0, 0);
        for _ in 0..1000 {
            assert_eq!(limits.admit(address("10.0.0.1"), &Caller::default(), at(0)), Ok(()));
        }
    }

    #[test]
    fn only_our_proxies_are_believed() {
        let proxies = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        let client = |peer: &str, forwarded| client_address(address(peer), forwarded, &proxies).to_string();
        assert_eq!(client("192.0.2.1", Some("198.51.100.1")), "192.0.2.1");
        assert_eq!(client("10.0.0.1", Some("198.51.100.1")), "198.51.100.1");
        assert_eq!(client("::1", Some("1.1.1.1, 198.51.100.1, 10.2.2.2")), "198.51.100.1");
        assert_eq!(client("10.0.0.1", Some("198.51.100.1, unknown")), "10.0.0.1");
        assert_eq!(client("10.0.0.1", None), "10.0.0.1");
        assert_eq!(client_address(address("10.0.0.1"), Some("1.1.1.1"), &[]), address("10.0.0.1"));
    }
}
