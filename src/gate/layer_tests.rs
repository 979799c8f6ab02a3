//! What several policies let in together, each would let in: random policies against random worlds.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use proptest::prelude::*;

use super::testing::target;
use super::*;
use crate::image::{Digest, Gun, Reference};
use crate::policy::{Policy, PolicySet, no_files};
use crate::trust::{RepositoryTerms, RoleChoice, SignedTarget, TrustError, TrustSource, Want};
use crate::tuf::RootPins;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The first policy and each later one, completed by those before it, let in what they let in
    /// together; and they mean the same digest.
    #[test]
    fn no_layer_is_passed_over(
        world in world(),
        first in keys(),
        later in prop::collection::vec(keys(), 0..3),
        reference in reference(),
    ) {
        let together = decide(&world, [&first].into_iter().chain(&later), &reference);
        prop_assume!(together.refusal().is_none());
        let mut alone = vec![first.clone()];
        for keys in &later {
            let completed = alone.last().map(|before| keys.completed_by(before));
            alone.extend(completed);
        }
        for keys in alone {
            let decided = decide(&world, [&keys], &reference);
            prop_assert!(decided.refusal().is_none(), "{:?} refuses {:?}", keys, together.decision);
            if let (Some(one), Some(all)) = (decided.signed(), together.signed()) {
                prop_assert_eq!(&one.digest, &all.digest);
            }
            // an image that nobody vouches for needs every policy's leave
            if let Decision::Exempt { .. } = together.decision {
                let exempt = matches!(decided.decision, Decision::Exempt { .. });
                prop_assert!(exempt, "{:?}", decided.decision);
            }
        }
    }

    /// Their order says whose pins speak for whom, and nothing else.
    #[test]
    fn the_order_of_later_policies_and_repeating_one_change_nothing(
        world in world(),
        first in keys(),
        mut a in keys(),
        mut b in keys(),
        reference in reference(),
    ) {
        (a.first_use, b.first_use) = (true, true);
        let outcome = |policies: &[&Keys]| {
            let decided = decide(&world, policies.iter().copied(), &reference);
            (decided.refusal().is_some(), decided.digest().cloned())
        };
        let expected = outcome(&[&first, &a, &b]);
        prop_assert_eq!(&outcome(&[&first, &b, &a]), &expected);
        prop_assert_eq!(&outcome(&[&first, &a, &b, &a]), &expected);
    }

    /// One more policy only ever takes away.
    #[test]
    fn adding_a_demand_never_lets_more_in(
        world in world(),
        first in keys(),
        later in keys(),
        more in keys(),
        reference in reference(),
    ) {
        let passes = |policies: &[&Keys]| {
            decide(&world, policies.iter().copied(), &reference).refusal().is_none()
        };
        prop_assert!(!passes(&[&first, &later, &more]) || passes(&[&first, &later]));
    }
}

#[test]
fn the_properties_meet_builds_that_pass() {
    let signed = BTreeMap::from([("targets".to_owned(), Digest::of(b"0"))]);
    let server = Server { root: 0, vouched: true, fresh: true, signed };
    let world = World(BTreeMap::from([(0, server.clone()), (1, server)]));
    let open = Keys { first_use: true, ..Keys::default() };
    let strict = Keys {
        server: Some(1),
        roots: Some(vec![0]),
        roles: Some(vec!["targets".to_owned()]),
        ..Keys::default()
    };
    let reference: Reference = "acme/base:1".parse().unwrap();
    let decided = decide(&world, [&open, &strict], &reference);
    assert!(matches!(decided.decision, Decision::Pinned(_)), "{:?}", decided.decision);
}

/// What a policy sets for the one repository of these tests.
#[derive(Clone, Debug, Default)]
struct Keys {
    trust: Option<&'static str>,
    digest: Option<&'static str>,
    server: Option<u8>,
    roots: Option<Vec<u8>>,
    first_use: bool,
    fresh: bool,
    roles: Option<Vec<String>>,
    signers: Vec<String>,
}

impl Keys {
    /// What this policy sets, and what `other` sets where this one is silent.
    fn completed_by(&self, other: &Self) -> Self {
        Self {
            trust: self.trust.or(other.trust),
            digest: self.digest.or(other.digest),
            server: self.server.or(other.server),
            roots: self.roots.clone().or_else(|| other.roots.clone()),
            first_use: self.first_use,
            fresh: self.fresh,
            roles: self.roles.clone().or_else(|| other.roles.clone()),
            signers: self.signers.clone(),
        }
    }

    fn text(&self) -> String {
        let mut lines =
            vec!["version = 1".to_owned(), "[[repository]]".to_owned(), "pattern = '**'".to_owned()];
        lines.extend(self.trust.map(|trust| format!("trust = '{trust}'")));
        lines.extend(self.digest.map(|digest| format!("digest = '{digest}'")));
        lines.extend(self.server.map(|server| format!("server = 'https://server-{server}.example'")));
        lines.extend(self.roots.as_ref().map(|roots| {
            let keys: Vec<String> = roots.iter().map(|root| key_id(*root)).collect();
            format!("root-keys = {keys:?}")
        }));
        lines.push(format!("trust-on-first-use = {}", self.first_use));
        lines.push(format!("require-fresh = {}", self.fresh));
        lines.extend(self.roles.as_ref().map(|roles| format!("roles = {roles:?}")));
        lines.push(format!("signers = {:?}", self.signers));
        lines.join("\n")
    }
}

/// What each server says; 0 is the one that is asked where no policy names any.
#[derive(Clone, Debug)]
struct World(BTreeMap<u8, Server>);

#[derive(Clone, Debug)]
struct Server {
    root: u8,
    vouched: bool,
    fresh: bool,
    /// Digests of the tag, by role.
    signed: BTreeMap<String, Digest>,
}

impl World {
    fn answer(&self, want: Want<'_>, terms: &RepositoryTerms) -> Option<SignedTarget> {
        let number = terms.server.as_ref().map_or(0, |url| {
            url.host_str()
                .and_then(|host| host.strip_prefix("server-")?.chars().next()?.to_digit(10))
                .unwrap_or(9)
        });
        let server = self.0.get(&u8::try_from(number).ok()?)?;
        let pinned = match &terms.pins {
            RootPins::TrustOnFirstUse => true,
            RootPins::Keys(keys) => keys.iter().any(|key| key.as_str() == key_id(server.root)),
            RootPins::Authority(_) => server.vouched,
        };
        if !pinned || terms.require_fresh && !server.fresh {
            return None;
        }
        let roles = match &terms.roles {
            RoleChoice::DockerOrder => vec!["targets/releases".to_owned(), "targets".to_owned()],
            RoleChoice::OneOf(roles) => roles.iter().map(ToString::to_string).collect(),
        };
        let digest = roles.iter().find_map(|role| server.signed.get(role))?;
        let signs = |signer: &String| server.signed.get(&format!("targets/{signer}")) == Some(digest);
        let found = match want {
            Want::Tag(_) => true,
            Want::Digest(wanted) => digest == wanted,
        };
        (found && terms.signers.iter().all(signs)).then(|| target("docker.io/acme/base", "1", digest))
    }
}

impl TrustSource for World {
    fn find<'a>(
        &'a self,
        gun: &'a Gun,
        want: Want<'a>,
        terms: &'a RepositoryTerms,
    ) -> BoxFuture<'a, Result<SignedTarget, TrustError>> {
        let missing = TrustError::NoTrustData { gun: gun.clone(), server: String::new() };
        std::future::ready(self.answer(want, terms).ok_or(missing)).boxed()
    }
}

fn decide<'a>(world: &World, keys: impl IntoIterator<Item = &'a Keys>, reference: &Reference) -> Decided {
    let policies = keys.into_iter().map(|keys| {
        let text = keys.text();
        Policy::parse(&text, "policy.toml", &no_files).unwrap_or_else(|error| panic!("{error}\n{text}"))
    });
    let policies = PolicySet::new(policies).expect("few policies");
    let gate = Gate::new(policies, Arc::new(world.clone()), TrustSwitch::Enabled);
    let report = gate.decide(vec![Request::command_line(reference.clone())]).now_or_never();
    let report = report.expect("the world answers at once");
    report.decided.into_iter().next().expect("one request, one decision")
}

fn key_id(number: u8) -> String {
    format!("{number:02x}").repeat(32)
}

fn keys() -> impl Strategy<Value = Keys> {
    let trust = prop::option::weighted(0.3, prop::sample::select(vec!["required", "audit", "disabled"]));
    let digest = prop::option::weighted(0.3, prop::sample::select(vec!["any", "signed"]));
    let roots = prop::option::weighted(0.5, prop::collection::vec(0_u8..3, 1..3));
    let roles = prop::option::weighted(
        0.3,
        prop::collection::vec(prop::sample::select(ROLES.map(str::to_owned).to_vec()), 1..3),
    );
    let signers = prop_oneof![4 => Just(Vec::new()), 1 => Just(vec!["alice".to_owned()])];
    (
        trust,
        digest,
        prop::option::weighted(0.3, 0_u8..2),
        roots,
        any::<bool>(),
        prop::bool::weighted(0.2),
        roles,
        signers,
    )
        .prop_map(|(trust, digest, server, roots, first_use, fresh, roles, signers)| Keys {
            trust,
            digest,
            server,
            roots,
            first_use,
            fresh,
            roles,
            signers,
        })
}

fn world() -> impl Strategy<Value = World> {
    let signed = prop::collection::btree_map(
        prop::sample::select(ROLES.map(str::to_owned).to_vec()),
        // mostly the same digest, so that much passes
        prop_oneof![4 => Just(0_u8), 1 => Just(1_u8)].prop_map(digest),
        1..4,
    );
    let server =
        (prop_oneof![3 => Just(0_u8), 1 => 1_u8..3], any::<bool>(), prop::bool::weighted(0.8), signed)
            .prop_map(|(root, vouched, fresh, signed)| Server { root, vouched, fresh, signed });
    prop::collection::btree_map(0_u8..2, server, 1..3).prop_map(World)
}

fn reference() -> impl Strategy<Value = Reference> {
    let names = [
        "acme/base:1".to_owned(),
        format!("acme/base@{}", digest(0)),
        format!("acme/base:1@{}", digest(0)),
        format!("acme/base:1@{}", digest(1)),
    ];
    prop::sample::select(names.to_vec()).prop_map(|name| name.parse().expect("an image"))
}

fn digest(number: u8) -> Digest {
    Digest::of(&[b'0' + number])
}

const ROLES: [&str; 3] = ["targets/releases", "targets", "targets/alice"];
