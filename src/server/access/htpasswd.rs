//! Names and passwords, in a file as docker-registry takes it: bcrypt and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::challenge::Scope;
use super::rules::Rules;
use super::watched::Watched;
use super::{AccessError, Action, Caller, Challenge, Decision, credentials};
use crate::image::Gun;
use crate::server::settings::HtpasswdSettings;

/// Lets in who knows a password.
pub(super) struct Htpasswd {
    realm: String,
    anonymous_pull: bool,
    rules: Rules,
    users: Watched<Users>,
    /// Checking takes a core for a quarter of a second: so few are checked at a time.
    turns: Semaphore,
    known: Known,
}

/// What a file says.
struct Users {
    hashes: BTreeMap<String, String>,
    /// What a password is checked against whose name nobody has: as dear as the dearest.
    decoy: String,
}

impl Htpasswd {
    pub(super) fn open(settings: &HtpasswdSettings, now: Timestamp) -> Result<Self, AccessError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            realm: settings.realm.clone(),
            anonymous_pull: settings.anonymous_pull,
            rules: Rules::new(settings),
            users: Watched::open(&settings.path, FILE_LIMIT, Users::parse, now)?,
            turns: Semaphore::new(cores),
            known: Known::new()?,
        })
    }

    pub(super) async fn decide(
        &self,
        authorization: Option<&str>,
        gun: Option<&Gun>,
        action: Action,
        now: Timestamp,
    ) -> Decision {
        let challenge = || Challenge::basic(&self.realm, &Scope::of(gun, action));
        let Some(authorization) = authorization else {
            return Decision::of_nobody(self.anonymous_pull, action, challenge());
        };
        let denied = |caller: Caller, reason: &str| Decision::Denied {
            caller,
            challenge: challenge(),
            reason: reason.to_owned(),
        };
        let Some(credentials) = Credentials::parse(authorization) else {
            return denied(Caller::default(), "the credentials are not a name and a password");
        };
        let name = credentials.name.clone();
        match self.verify(credentials, now).await {
            Err(reason) => Decision::Unavailable { reason },
            Ok(false) => denied(Caller::default(), "the name or the password is wrong"),
            Ok(true) if self.rules.allow(&name, gun, action) => {
                Decision::Granted(Caller { name: Some(name) })
            }
            Ok(true) => denied(Caller { name: Some(name) }, "no rule allows it"),
        }
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.users.problem()
    }

    async fn verify(&self, credentials: Credentials, now: Timestamp) -> Result<bool, String> {
        let users = self.users.value(now);
        let user = users.hashes.get(&credentials.name);
        let mark = user.map(|hash| self.known.mark(&credentials, hash));
        if mark.is_some_and(|it| self.known.has(&it, now)) {
            return Ok(true);
        }
        let busy = || "too many passwords are being checked".to_owned();
        let turn = tokio::time::timeout(TURN_PATIENCE, self.turns.acquire()).await;
        let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let hash = user.unwrap_or(&users.decoy).clone();
        let checked =
            tokio::task::spawn_blocking(move || bcrypt::verify(credentials.password.as_bytes(), &hash));
        let right = checked.await.map_err(|it| it.to_string())?.map_err(|it| it.to_string())?;
        drop(turn);
        match mark {
            Some(mark) if right => {
                self.known.add(mark, now);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// A name and a password, as RFC 7617 sends them.
struct Credentials {
    name: String,
    password: Zeroizing<String>,
}

impl Credentials {
    fn parse(authorization: &str) -> Option<Self> {
        let encoded = credentials(authorization, "basic").filter(|it| it.len() <= CREDENTIALS_LIMIT)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).ok()?);
        let text = std::str::from_utf8(&bytes).ok()?;
        let (name, password) = text.split_once(':')?;
        Some(Self { name: name.to_owned(), password: Zeroizing::new(password.to_owned()) })
    }
}

impl Users {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut hashes = BTreeMap::new();
        let mut dearest = USUAL_COST;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = |reason: &str| format!("line {number}: {reason}");
            let (name, hash) = line.split_once(':').ok_or_else(|| at("it has no `:`"))?;
            if name.is_empty() {
                return Err(at("it has no name"));
            }
            dearest = dearest.max(cost(hash).map_err(|reason| at(&reason))?);
            if hashes.insert(name.to_owned(), hash.to_owned()).is_some() {
                return Err(at("its name stands there twice"));
            }
        }
        Ok(Self { hashes, decoy: format!("$2y${dearest:02}${DECOY}") })
    }
}

/// What checking against a hash costs, as a power of two.
fn cost(hash: &str) -> Result<u32, String> {
    let unfit = || "it has no bcrypt hash, and no other is taken; `htpasswd -B` makes one".to_owned();
    if !["$2y$", "$2b$", "$2a$"].iter().any(|it| hash.starts_with(it)) {
        return Err(unfit());
    }
    let cost = hash.parse::<bcrypt::HashParts>().map_err(|_| unfit())?.get_cost();
    if (LEAST_COST..=MOST_COST).contains(&cost) {
        return Ok(cost);
    }
    Err(format!("its hash has cost {cost}, not one between {LEAST_COST} and {MOST_COST}"))
}

/// Credentials that were right a moment ago. They are kept as what a key of this process makes of them,
/// together with the hash that they were right for: a changed password is another mark.
struct Known {
    key: hmac::Key,
    until: Mutex<HashMap<Mark, Timestamp>>,
}

type Mark = [u8; 32];

impl Known {
    fn new() -> Result<Self, AccessError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice())
            .map_err(|it| AccessError::Random { reason: it.to_string() })?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice()), until: Mutex::default() })
    }

    fn mark(&self, credentials: &Credentials, hash: &str) -> Mark {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [credentials.name.as_bytes(), hash.as_bytes(), credentials.password.as_bytes()] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut mark = [0; 32];
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }

    fn has(&self, mark: &Mark, now: Timestamp) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that went back must not make it last longer.
        until.get(mark).is_some_and(|until| now < *until && until.duration_since(now) <= KNOWN_FOR)
    }

    fn add(&self, mark: Mark, now: Timestamp) {
        let mut known = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if KNOWN_LIMIT <= known.len() {
            known.retain(|_, until| now < *until);
        }
        if KNOWN_LIMIT <= known.len() {
            known.clear();
        }
        known.insert(mark, now.saturating_add(KNOWN_FOR).unwrap_or(now));
    }
}

/// Users of a large company.
const FILE_LIMIT: u64 = 4 << 20;
/// A name and a password in base64.
const CREDENTIALS_LIMIT: usize = 4096;
/// The cost that `htpasswd` takes where nothing is said.
const USUAL_COST: u32 = 5;
const LEAST_COST: u32 = 4;
/// Two seconds of a core; each step doubles it.
const MOST_COST: u32 = 15;
/// A salt and what stands for a hash.
const DECOY: &str = "trustgate/decoy/salt/.trustgate/decoy/hash/nobody/ha.";
/// Clients wait a little longer for an answer.
const TURN_PATIENCE: Duration = Duration::from_secs(10);
/// A publish is a few requests, which pay for the password once.
const KNOWN_FOR: SignedDuration = SignedDuration::from_mins(5);
/// Half a megabyte.
const KNOWN_LIMIT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::settings::{GunPrefixes, Right, RuleSettings};

    struct World {
        _folder: tempfile::TempDir,
        settings: HtpasswdSettings,
        access: Htpasswd,
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn line(name: &str, password: &str) -> String {
        format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap().replace("$2b$", "$2y$"))
    }

    fn world(change: impl Fn(&mut HtpasswdSettings)) -> World {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("htpasswd");
        std::fs::write(&path, format!("# users\n\n{}{}", line("alice", "wonder:land"), line("bob", "b")))
            .unwrap();
        let mut settings = HtpasswdSettings {
            realm: "trust".to_owned(),
            path,
            anonymous_pull: false,
            groups: BTreeMap::new(),
            rules: Vec::new(),
        };
        change(&mut settings);
        let access = Htpasswd::open(&settings, at(0)).unwrap();
        World { _folder: folder, settings, access }
    }

    fn basic(name: &str, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
    }

    impl World {
        async fn ask(&self, authorization: Option<&str>, action: Action, seconds: i64) -> String {
            let gun: Gun = "docker.io/acme/web".parse().unwrap();
            match self.access.decide(authorization, Some(&gun), action, at(seconds)).await {
                Decision::Granted(caller) => format!("granted to {caller}"),
                Decision::Challenge(challenge) => challenge.header,
                Decision::Denied { caller, reason, .. } => format!("{caller}: {reason}"),
                Decision::Unavailable { reason } => reason,
            }
        }
    }

    #[tokio::test]
    async fn who_knows_the_password_is_let_in() {
        let world = world(|_| {});
        let alice = basic("alice", "wonder:land");
        assert_eq!(world.ask(Some(&alice), Action::Push, 0).await, "granted to alice");
        assert_eq!(
            world.ask(Some(&alice.replace("Basic", "bAsIc")), Action::Admin, 0).await,
            "granted to alice"
        );
        for (name, password) in
            [("alice", "b"), ("alice", ""), ("bob", "wonder:land"), ("carol", "b"), ("", "")]
        {
            let told = world.ask(Some(&basic(name, password)), Action::Pull, 0).await;
            assert_eq!(told, "-: the name or the password is wrong", "{name}");
        }
        assert_eq!(world.ask(None, Action::Pull, 0).await, "Basic realm=\"trust\"");
    }

    #[tokio::test]
    async fn what_is_no_password_is_refused() {
        let world = world(|_| {});
        let long = format!("Basic {}", "YTpi".repeat(2000));
        let foreign = format!("Basic {}", STANDARD.encode(b"alice:\xff"));
        let empty = format!("Basic {}", STANDARD.encode("alice"));
        for text in ["", "Basic", "Basic !", "Bearer YTpi", long.as_str(), foreign.as_str(), empty.as_str()] {
            let told = world.ask(Some(text), Action::Pull, 0).await;
            assert_eq!(told, "-: the credentials are not a name and a password", "{text:.20}");
        }
    }

    #[tokio::test]
    async fn reading_may_need_no_name() {
        let world = world(|it| it.anonymous_pull = true);
        assert_eq!(world.ask(None, Action::Pull, 0).await, "granted to -");
        for action in [Action::Push, Action::Admin, Action::Any, Action::Catalog] {
            assert_eq!(world.ask(None, action, 0).await, "Basic realm=\"trust\"", "{action:?}");
        }
        // Wrong credentials are an error all the same: they may be a mistake.
        let told = world.ask(Some(&basic("alice", "x")), Action::Pull, 0).await;
        assert_eq!(told, "-: the name or the password is wrong");
    }

    #[tokio::test]
    async fn who_is_known_may_still_not_do_everything() {
        let world = world(|it| {
            it.rules.push(RuleSettings {
                who: vec!["bob".to_owned()],
                repositories: GunPrefixes::new(vec!["docker.io/acme/".to_owned()]).unwrap(),
                may: vec![Right::Pull],
            });
        });
        let bob = basic("bob", "b");
        assert_eq!(world.ask(Some(&bob), Action::Pull, 0).await, "granted to bob");
        assert_eq!(world.ask(Some(&bob), Action::Push, 0).await, "bob: no rule allows it");
        let alice = basic("alice", "wonder:land");
        assert_eq!(world.ask(Some(&alice), Action::Pull, 0).await, "alice: no rule allows it");
        assert_eq!(world.ask(Some(&alice), Action::Any, 0).await, "granted to alice");
    }

    #[tokio::test]
    async fn a_changed_password_counts_at_once() {
        let world = world(|_| {});
        let (old, new) = (basic("bob", "b"), basic("bob", "new"));
        assert_eq!(world.ask(Some(&old), Action::Pull, 0).await, "granted to bob");
        assert_eq!(world.access.known.until.lock().unwrap().len(), 1);
        std::fs::write(&world.settings.path, format!("#\n#\n{}", line("bob", "new"))).unwrap();
        assert_eq!(world.ask(Some(&old), Action::Pull, 1).await, "-: the name or the password is wrong");
        assert_eq!(world.ask(Some(&new), Action::Pull, 1).await, "granted to bob");
        std::fs::write(&world.settings.path, "bob:plain").unwrap();
        assert_eq!(world.ask(Some(&new), Action::Pull, 2).await, "granted to bob");
        assert!(world.access.problem().unwrap().contains("line 1: it has no bcrypt hash"));
    }

    #[tokio::test]
    async fn what_is_remembered_is_right_and_ends() {
        let world = world(|_| {});
        let right = Credentials { name: "bob".to_owned(), password: Zeroizing::new("b".to_owned()) };
        let wrong = Credentials { name: "bo".to_owned(), password: Zeroizing::new("bb".to_owned()) };
        let known = &world.access.known;
        let mark = known.mark(&right, "hash");
        assert_ne!(mark, known.mark(&wrong, "hash"));
        assert_ne!(mark, known.mark(&right, "another"));
        known.add(mark, at(1000));
        assert!(known.has(&mark, at(1000)) && known.has(&mark, at(1299)));
        assert!(!known.has(&mark, at(1300)) && !known.has(&mark, at(999)));
        for number in 0..KNOWN_LIMIT * 2 {
            let mut mark = [0; 32];
            mark[..8].copy_from_slice(&number.to_be_bytes());
            known.add(mark, at(1000));
        }
        assert!(known.until.lock().unwrap().len() <= KNOWN_LIMIT);
    }

    #[test]
    fn a_file_that_is_none_is_told_by_its_line() {
        let hash = bcrypt::hash("x", 4).unwrap();
        let cases = [
            ("alice".to_owned(), "line 1: it has no `:`"),
            (format!("\n:{hash}"), "line 2: it has no name"),
            (
                "alice:$apr1$x$y".to_owned(),
                "line 1: it has no bcrypt hash, and no other is taken; `htpasswd -B` makes one",
            ),
            (format!("alice:{hash}\nalice:{hash}"), "line 2: its name stands there twice"),
            (
                format!("alice:{}", hash.replace("$04$", "$31$")),
                "line 1: its hash has cost 31, not one between 4 and 15",
            ),
            (
                format!("alice:{}", hash.replace("$04$", "$03$")),
                "line 1: its hash has cost 3, not one between 4 and 15",
            ),
            (
                format!("alice:{hash}x"),
                "line 1: it has no bcrypt hash, and no other is taken; `htpasswd -B` makes one",
            ),
        ];
        for (text, told) in cases {
            assert_eq!(Users::parse(text.as_bytes()).map(drop), Err(told.to_owned()), "{text}");
        }
        assert!(Users::parse(b"\xff").is_err());
    }

    #[test]
    fn a_name_that_nobody_has_costs_as_much() {
        let dear = format!("alice:{}\n", bcrypt::hash("x", 4).unwrap().replace("$04$", "$12$"));
        let users = Users::parse(dear.as_bytes()).unwrap();
        assert_eq!(cost(&users.decoy), Ok(12));
        assert_eq!(cost(&Users::parse(b"").unwrap().decoy), Ok(USUAL_COST));
        let cheap = Users::parse(b"").unwrap().decoy;
        assert_eq!(bcrypt::verify("x", &cheap).map_err(|it| it.to_string()), Ok(false));
    }
}
