//! `trustgate key`, `signer` and `repo`, handed back and forth with docker and notary.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use trustgate::cli;
use trustgate::keys::{KeyStore, StoredKey};

use crate::support::image::{Recipe, trustgate_program};
use crate::support::person::{Person, REPOSITORY_PASSPHRASE, Ran};
use crate::support::{Engine, Lab, lab};

/// A person who administers, signs or reads.
struct Somebody {
    lab: &'static Lab,
    person: Person,
}

impl Somebody {
    fn new(lab: &'static Lab) -> Self {
        Self { lab, person: Person::new(lab) }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.person.config().join(name)
    }

    /// Hands a file to somebody else.
    fn hand(&self, name: &str, to: &Self) {
        std::fs::copy(self.file(name), to.file(name)).expect("a copy");
    }

    fn keys(&self) -> Vec<StoredKey> {
        KeyStore::new(&self.person.config().join("trust")).list().expect("a list of keys").keys
    }

    /// The ID of the one key of this role.
    fn key(&self, role: &str) -> String {
        let keys = self.keys();
        let key = keys.iter().find(|it| it.role.as_str() == role);
        key.unwrap_or_else(|| panic!("no {role} key")).id.to_string()
    }

    fn try_trustgate(&self, words: &str) -> Ran {
        self.person.run(&words.split_whitespace().collect::<Vec<_>>())
    }

    #[track_caller]
    fn trustgate(&self, words: &str) -> String {
        self.try_trustgate(words).expect(0, &[]).output
    }

    fn try_docker(&self, engine: Engine, words: &str) -> Ran {
        self.person.docker(engine, &words.split_whitespace().collect::<Vec<_>>())
    }

    #[track_caller]
    fn docker(&self, engine: Engine, words: &str) -> String {
        self.try_docker(engine, words).expect(0, &[]).output
    }

    #[track_caller]
    fn notary(&self, words: &str) -> String {
        self.person.notary(&words.split_whitespace().collect::<Vec<_>>()).expect(0, &[]).output
    }

    /// Another tag for an image that the registry has as `v0`, pushed by docker, and signed if that can be.
    fn docker_push(&self, engine: Engine, repository: &str, tag: &str) -> Ran {
        let image = format!("{repository}:{tag}");
        engine.run(self.lab, &["pull", &format!("{repository}:v0")]);
        engine.run(self.lab, &["tag", &format!("{repository}:v0"), &image]);
        self.try_docker(engine, &format!("push {image}"))
    }

    /// Runs the program inside of this process, at another time.
    fn trustgate_at(&self, distance: SignedDuration, words: &str) -> cli::Exit {
        let environment = self.person.environment(Arc::new(move || Timestamp::now() + distance));
        let words = std::iter::once("trustgate").chain(words.split_whitespace()).map(Into::into);
        cli::run(words, &environment)
    }
}

/// A repository that docker's content trust began, with an image that has the tag `v0`.
fn begun_by_docker(lab: &'static Lab, name: &str) -> (Somebody, String) {
    let image = lab.push_unsigned(&format!("{name}:v0"), &Recipe::busybox());
    let admin = Somebody::new(lab);
    admin.docker_push(Engine::Bookworm, &image.repository, "v1").expect(0, &[]);
    (admin, image.repository)
}

fn openssl(folder: &Path, words: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(words.split_whitespace()).stdin(Stdio::null());
    let output = command.output().expect("openssl starts");
    assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn signers_come_with_keys_of_any_program_and_go() {
    let Some(lab) = lab() else { return };
    let (admin, repository) = begun_by_docker(lab, "admin/signers");
    let [alice, bob, carol] = [(); 3].map(|()| Somebody::new(lab));

    // Alice's key is trustgate's, Bob's is docker's, Carol's is OpenSSL's and encrypted as docker never reads.
    alice.trustgate("key generate alice");
    bob.docker(Engine::Trixie, "trust key generate bob");
    openssl(carol.person.config(), "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out plain.pem");
    openssl(carol.person.config(), "pkey -in plain.pem -pubout -out carol.pub");
    std::fs::write(carol.file("pass"), REPOSITORY_PASSPHRASE).expect("a file");
    openssl(carol.person.config(), "pkcs8 -topk8 -in plain.pem -passout file:pass -out carol.pem");
    let exposed = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(carol.file("carol.pem"), exposed).expect("a mode");
    carol.try_trustgate("key load carol.pem --name carol").expect(1, &[]);
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(carol.file("carol.pem"), private).expect("a mode");
    let text = carol.trustgate("key load carol.pem --name carol");
    assert_eq!(text, "Loading key from \"carol.pem\"...\nSuccessfully imported key from carol.pem\n");

    for (person, name) in [(&alice, "alice"), (&bob, "bob"), (&carol, "carol")] {
        person.hand(&format!("{name}.pub"), &admin);
        let text = admin.trustgate(&format!("signer add --key {name}.pub {name} {repository}"));
        assert_eq!(
            text,
            format!(
                "Adding signer \"{name}\" to {repository}...\n\
                 Successfully added signer: {name} to {repository}\n"
            )
        );
        let text = person.docker_push(Engine::Bookworm, &repository, &format!("by-{name}"));
        text.expect(0, &["Successfully signed"]);
    }
    let text = admin.trustgate(&format!("signer add --key bob.pub bob {repository}"));
    assert!(text.contains("Signer bob was in"), "{text}");
    let listed: serde_json::Value =
        serde_json::from_str(&admin.trustgate(&format!("signer list {repository} --output json")))
            .expect("JSON");
    assert_eq!(listed[0]["signers"][0]["keys"][0]["id"], alice.key("alice"));
    let reader = Somebody::new(lab);
    for engine in Engine::ALL {
        let text = reader.docker(engine, &format!("trust inspect --pretty {repository}"));
        for name in ["alice", "bob", "carol"] {
            assert!(text.contains(name) && text.contains(&format!("by-{name}")), "{text}");
        }
        reader.docker(engine, &format!("pull {repository}:by-alice"));
    }

    // Alice goes: docker's own command of these versions says so, too, and would have left her in.
    let text = admin.trustgate(&format!("signer remove alice {repository}"));
    assert!(text.contains(&format!("Successfully removed alice from {repository}\n")), "{text}");
    let text = alice.docker_push(Engine::Bookworm, &repository, "after");
    assert_ne!(text.code, Some(0), "{text:?}");
    assert!(!admin.notary(&format!("delegation list {repository}")).contains(&alice.key("alice")));
    // The others go on.
    bob.docker_push(Engine::Bookworm, &repository, "later").expect(0, &[]);
    reader.docker(Engine::Trixie, &format!("pull {repository}:later"));
    let text = reader.docker(Engine::Trixie, &format!("trust inspect --pretty {repository}"));
    // What she released stays released by the others; that it was her word is said no more.
    let row = text.lines().find(|it| it.starts_with("by-alice")).expect("her tag");
    assert!(row.ends_with("(Repo Admin)"), "{text}");
    assert!(!text.lines().any(|it| it.starts_with("alice")), "{text}");
    admin.try_trustgate(&format!("signer remove alice {repository}")).expect(1, &[]);

    // The last one goes only when somebody says that the tags may go, too.
    admin.trustgate(&format!("signer remove carol {repository}"));
    let text = admin.try_trustgate(&format!("signer remove bob {repository}")).expect(1, &[]).talk;
    assert!(text.contains("is the last one of") && text.contains("--force"), "{text}");
    admin.trustgate(&format!("signer remove --force bob {repository}"));
    admin.try_trustgate(&format!("signer list {repository}")).expect(0, &["has no signers"]);
    reader.docker(Engine::Bookworm, &format!("pull {repository}:v1"));
}

#[test]
fn several_repositories_at_once_each_by_itself() {
    let Some(lab) = lab() else { return };
    let admin = Somebody::new(lab);
    admin.trustgate("key generate ci --algorithm ed25519");
    let [one, two] = ["admin/one", "admin/two"].map(|name| lab.reference(name));
    let text = admin.trustgate(&format!("signer add -k ci.pub --path nightly- ci {one}"));
    for line in [
        format!("Adding signer \"ci\" to {one}...\nInitializing signed repository for {one}...\n"),
        format!("Successfully initialized \"{one}\"\nSuccessfully added signer: ci to {one}\n"),
    ] {
        assert!(text.contains(&line), "{text}");
    }
    let text = admin.notary(&format!("delegation list {one}"));
    let role = text.lines().find(|it| it.starts_with("targets/ci")).expect("the role");
    assert!(role.contains("nightly-"), "{text}");
    // A repository that somebody else began: its targets key is not here.
    let (_, foreign) = begun_by_docker(lab, "admin/foreign");
    let ran = admin.try_trustgate(&format!("signer add -k ci.pub ci {foreign} {two}"));
    let ran = ran.expect(1, &[&format!("Successfully added signer: ci to {two}\n")]);
    assert!(ran.talk.ends_with(&format!("failed to add signer to: {foreign}\n")), "{ran:?}");
    assert_eq!(admin.trustgate("repo list").lines().filter(|it| **it == one || **it == two).count(), 2);

    // A key that was stolen goes everywhere.
    let key = admin.key("ci");
    let text = admin.trustgate(&format!("signer purge --key {} {one} {two}", &key[..12]));
    assert_eq!(text.matches("which had no other key").count(), 4, "{text}");
    for repository in [&one, &two] {
        assert!(admin.notary(&format!("delegation list {repository}")).contains("No delegations"));
    }
    // Delegations as notary has them, with two keys, of which one goes.
    admin.trustgate("key generate other");
    admin.trustgate(&format!("signer add -k ci.pub -k other.pub targets/team {one}"));
    let other = admin.key("other");
    admin.trustgate(&format!("signer remove --key {other} targets/team {one}"));
    let text = admin.notary(&format!("delegation list {one}"));
    assert!(text.contains(&key) && !text.contains(&other), "{text}");
    admin.trustgate(&format!("signer remove targets/team {one}"));
    assert!(admin.notary(&format!("delegation list {one}")).contains("No delegations"));
}

#[test]
fn clients_with_old_caches_follow_every_rotation() {
    let Some(lab) = lab() else { return };
    let (admin, repository) = begun_by_docker(lab, "admin/rotation");
    let consumers = Engine::ALL.map(|engine| (engine, Somebody::new(lab)));
    for (engine, consumer) in &consumers {
        consumer.docker(*engine, &format!("pull {repository}:v1"));
    }
    let before = [admin.key("root"), admin.key("targets")];
    let text = admin.try_trustgate(&format!("key rotate {repository} root")).expect(1, &[]).talk;
    assert!(text.contains("Are you sure you want to proceed?") && text.contains("--yes"), "{text}");
    let text = admin.trustgate(&format!("key rotate --yes {repository} root"));
    assert_eq!(text, format!("Successfully rotated root key for repository {repository}\n"));
    for words in ["targets", "snapshot", "--server-managed snapshot", "timestamp"] {
        let words = words.replace("--server-managed snapshot", "snapshot --server-managed");
        let ran = admin.try_trustgate(&format!("key rotate {repository} {words}"));
        let ran = ran.expect(0, &["Successfully rotated"]);
        assert!(!ran.talk.contains("warning"), "{ran:?}");
    }
    // The old root key is needed again, the old targets key never.
    let ids: Vec<String> = admin.keys().iter().map(|it| it.id.to_string()).collect();
    assert!(ids.contains(&before[0]) && !ids.contains(&before[1]), "{ids:?}");
    for (role, words) in [("root", "--server-managed"), ("targets", "-r"), ("timestamp", "--key ffffffff")] {
        admin.try_trustgate(&format!("key rotate --yes {repository} {role} {words}")).expect(2, &[]);
    }
    // Docker signs with the new keys, and those who saw only the beginning follow.
    admin.docker_push(Engine::Bookworm, &repository, "v2").expect(0, &[]);
    for (engine, consumer) in &consumers {
        consumer.docker(*engine, &format!("pull {repository}:v2"));
    }
    assert!(admin.notary(&format!("list {repository}")).contains("v2"));
    // A root key that was made elsewhere, and comes in a file.
    let offline = Somebody::new(lab);
    offline.trustgate("key generate --root");
    offline.trustgate("key export -o root.pem");
    offline.hand("root.pem", &admin);
    admin.trustgate(&format!("key rotate --yes --key root.pem {repository} root"));
    assert!(admin.keys().iter().any(|it| it.id.as_str() == offline.key("root")));
    for (engine, consumer) in &consumers {
        consumer.docker(*engine, &format!("pull {repository}:v1"));
    }
}

#[test]
fn what_expired_is_opened_again() {
    let Some(lab) = lab() else { return };
    let image = lab.push_unsigned("admin/expired:v0", &Recipe::busybox());
    let repository = &image.repository;
    let admin = Somebody::new(lab);
    // Signed almost three years ago: docker gives targets three years, and they end in a moment.
    let age = SignedDuration::from_hours(-24 * 1095) + SignedDuration::from_secs(8);
    assert_eq!(admin.trustgate_at(age, &format!("sign {repository}:v0")), cli::Exit::Done);
    let reader = Somebody::new(lab);
    let mut locked = None;
    for _ in 0..300 {
        let ran = reader.try_docker(Engine::Bookworm, &format!("pull {repository}:v0"));
        if ran.code != Some(0) {
            locked = Some(ran.talk);
            break;
        }
        // Docker goes by the machine's clock, and the server takes nothing that has expired already: so
        // the end has to be awaited. What is tested is that it came, however late.
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let locked = locked.expect("the targets expire");
    assert!(locked.contains("targets expired at"), "{locked}");
    let ran = admin.docker_push(Engine::Bookworm, repository, "v2");
    assert!(!ran.output.contains("Successfully signed"), "docker is locked out, too: {ran:?}");
    let text = admin.try_trustgate(&format!("repo status {repository}")).output;
    assert!(text.lines().any(|it| it.starts_with("targets") && it.contains("expired")), "{text}");
    // Who has no keys opens nothing, and says so.
    reader.try_trustgate(&format!("repo refresh {repository}")).expect(1, &[]);
    let text = admin.trustgate(&format!("repo refresh {repository}"));
    assert!(text.starts_with(&format!("Signed targets of {repository}: version ")), "{text}");
    let text = admin.trustgate(&format!("repo refresh {repository}"));
    assert_eq!(text, format!("Nothing of {repository} expires within that time\n"));
    for engine in Engine::ALL {
        reader.docker(engine, &format!("pull {repository}:v0"));
    }
    admin.docker_push(Engine::Bookworm, repository, "v3").expect(0, &[]);
}

#[test]
fn what_one_stages_another_publishes() {
    let Some(lab) = lab() else { return };
    let admin = Somebody::new(lab);
    let repository = lab.reference("admin/staged");
    let text = admin.trustgate(&format!("repo init {repository}"));
    assert!(text.contains(&format!("Successfully initialized \"{repository}\"\n")), "{text}");
    admin.try_trustgate(&format!("repo init {repository}")).expect(1, &[]);
    std::fs::write(admin.file("content"), "content").expect("a file");
    admin.notary(&format!("add {repository} by-notary content"));
    admin.trustgate(&format!("repo stage add {repository} ours --file content"));
    let digest = "sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
    admin.trustgate(&format!("repo stage add {repository} hash --digest {digest} --size 7"));
    let table = |text: &str| -> Vec<Vec<String>> {
        let rows = text.lines().filter(|it| it.starts_with(|first: char| first.is_ascii_digit()));
        rows.map(|it| it.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let staged = admin.trustgate(&format!("repo staged {repository}"));
    assert_eq!(table(&staged), table(&admin.notary(&format!("status {repository}"))));
    assert_eq!(table(&staged).len(), 3, "{staged}");
    admin.trustgate(&format!("repo reset {repository} -n 1"));
    let text = admin.trustgate(&format!("repo publish {repository}"));
    assert!(
        text.contains(&format!("Successfully published changes for repository {repository}\n")),
        "{text}"
    );
    let list = admin.notary(&format!("list {repository}"));
    assert!(list.contains("by-notary") && list.contains("hash") && !list.contains("ours"), "{list}");
    assert_eq!(list.matches(&digest[7..]).count(), 2, "the same content has the same digest: {list}");

    admin.trustgate(&format!("repo stage remove {repository} hash"));
    admin.trustgate(&format!("repo stage witness {repository} targets"));
    admin.notary(&format!("publish {repository}"));
    assert!(!admin.notary(&format!("list {repository}")).contains("hash"));
    let text = admin.trustgate(&format!("repo publish {repository}"));
    assert!(text.contains("Nothing is staged"), "{text}");
    admin.notary(&format!("remove {repository} by-notary"));
    admin.try_trustgate(&format!("repo reset {repository}")).expect(1, &[]);
    admin.trustgate(&format!("repo reset {repository} --all"));
    assert!(admin.notary(&format!("status {repository}")).contains("No unpublished changes"));

    admin.try_trustgate(&format!("repo delete --remote {repository}")).expect(1, &[]);
    let text = admin.trustgate(&format!("repo delete --remote --yes {repository}"));
    assert!(text.contains("from the trust server\n") && text.contains("from this machine\n"), "{text}");
    admin.try_trustgate(&format!("repo status {repository}")).expect(1, &[]);
    assert!(!admin.trustgate("repo list").contains(&repository));
}

#[test]
fn two_people_sign_together() {
    let Some(lab) = lab() else { return };
    let [admin, ann, ben] = [(); 3].map(|()| Somebody::new(lab));
    let repository = lab.reference("admin/together");
    for (person, name) in [(&ann, "ann"), (&ben, "ben")] {
        person.trustgate(&format!("key generate {name}"));
        person.hand(&format!("{name}.pub"), &admin);
    }
    admin.trustgate(&format!("signer add -k ann.pub -k ben.pub release {repository}"));
    admin.try_trustgate(&format!("repo threshold {repository} release 3")).expect(1, &[]);
    let text = admin.trustgate(&format!("repo threshold {repository} release 2"));
    assert_eq!(text, format!("2 keys of targets/release must sign in {repository}\n"));
    let digest = format!("sha256:{}", "5a".repeat(32));
    ann.trustgate(&format!("repo stage add {repository} v1 --role release --digest {digest} --size 5"));
    let text = ann.try_trustgate(&format!("repo publish {repository}")).expect(1, &[]).talk;
    assert!(text.contains("needs 1 more signature") && text.contains(&ben.key("ben")), "{text}");
    ann.try_trustgate(&format!("repo publish {repository} --partial v1.json")).expect(1, &[]);
    ann.hand("v1.json", &ben);
    // Whoever has neither key adds nothing.
    ann.hand("v1.json", &admin);
    admin.try_trustgate(&format!("repo publish {repository} v1.json")).expect(1, &[]);
    let text = ben.trustgate(&format!("repo publish {repository} v1.json"));
    assert!(text.contains("Successfully published"), "{text}");
    assert!(ben.notary(&format!("list {repository}")).contains(&digest[7..]));
    // A file that somebody changed is worth nothing.
    let changed = std::fs::read_to_string(ann.file("v1.json")).expect("a file").replace("\"v1\"", "\"v2\"");
    std::fs::write(ben.file("v1.json"), changed).expect("a file");
    let ran = ben.try_trustgate(&format!("repo publish {repository} v1.json"));
    assert_ne!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn keys_travel_between_all_three() {
    let Some(lab) = lab() else { return };
    let (admin, repository) = begun_by_docker(lab, "admin/travel");
    let text = admin.trustgate("key list");
    for key in admin.keys() {
        assert!(text.contains(key.id.as_str()), "{text}");
    }
    // The backup of everything lets another machine sign, whichever program it has.
    admin.trustgate("key export -o backup.pem");
    let mode = std::fs::metadata(admin.file("backup.pem")).expect("the backup").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let [ours, theirs] = [(); 2].map(|()| Somebody::new(lab));
    for person in [&ours, &theirs] {
        admin.hand("backup.pem", person);
    }
    ours.trustgate("key import backup.pem");
    theirs.notary("key import backup.pem");
    for person in [&ours, &theirs] {
        assert_eq!(person.keys().len(), admin.keys().len());
        person.docker_push(Engine::Bookworm, &repository, "restored").expect(0, &[]);
    }
    theirs.notary("key export -o notary.pem");
    let third = Somebody::new(lab);
    theirs.hand("notary.pem", &third);
    assert!(third.trustgate("key import notary.pem").contains(&format!("targets key of {repository}")));

    // Another passphrase there and back; in between docker has the wrong one.
    std::fs::write(ours.file("new"), "quite another passphrase\n").expect("a file");
    std::fs::write(ours.file("old"), format!("{REPOSITORY_PASSPHRASE}\n")).expect("a file");
    let key = ours.key("targets");
    ours.trustgate(&format!("key passwd {key} --new-passphrase-file new"));
    let text = ours.docker_push(Engine::Bookworm, &repository, "wrong");
    assert!(!text.output.contains("Successfully signed"), "{text:?}");
    ours.trustgate(&format!("key passwd {key} --passphrase-file new --new-passphrase-file old"));
    ours.docker_push(Engine::Bookworm, &repository, "right").expect(0, &[]);

    // The root key of a repository that is known here goes only after a warning.
    let root = ours.key("root");
    let text = ours.try_trustgate(&format!("key remove {root}")).expect(1, &[]).talk;
    assert!(text.contains("root key of 1 repository known here") && text.contains(&repository), "{text}");
    ours.trustgate(&format!("key remove --yes {root}"));
    assert!(ours.keys().iter().all(|it| it.id.as_str() != root));
    let text = ours.try_trustgate(&format!("key rotate {repository} targets"));
    assert_ne!(text.code, Some(0), "nothing rotates without its root key");
}

#[test]
fn a_person_is_asked() {
    let Some(lab) = lab() else { return };
    let ann = Somebody::new(lab);
    let words = |text: &'static str| text.split_whitespace().collect::<Vec<_>>();
    let mut session = ann.person.at_terminal(&words("key generate ann"));
    session.expect("Generating key for ann...");
    session.expect("Enter passphrase for new ann key with id ").answer("short");
    session.expect("Passphrase is too short.");
    session.expect("Enter passphrase for new ann key with id ").answer("a long passphrase");
    session.expect("Repeat passphrase for new ann key with id ").answer("a long passphrase");
    let (text, code) = session.end();
    assert!(code == Some(0) && text.contains("/ann.pub") && !text.contains("a long passphrase"), "{text}");

    let key = ann.key("ann");
    let mut session = ann.person.at_terminal(&["key", "passwd", &key]);
    for _ in 0..2 {
        session.expect("Enter key passphrase for ann key with id ").answer("not that one");
        session.expect("Passphrase incorrect. Please retry.");
    }
    session.expect("Enter key passphrase for ann key with id ").answer("a long passphrase");
    session.expect("Enter passphrase for new ann key with id ").answer("another passphrase");
    session.expect("Repeat passphrase for new ann key with id ").answer("another passphrase");
    assert_eq!(session.end().1, Some(0));
    // Three wrong ones are enough.
    let mut session = ann.person.at_terminal(&["key", "passwd", &key]);
    for _ in 0..3 {
        session.expect("Enter key passphrase for ann key with id ").answer("a long passphrase");
    }
    let (text, code) = session.end();
    assert!(code == Some(1) && text.contains("does not open the ann key"), "{text}");

    for (answer, stays) in [("", true), ("n", true), ("yes", false)] {
        let mut session = ann.person.at_terminal(&["key", "remove", &key]);
        session.expect("for good? [y/N] ").answer(answer);
        assert_eq!(session.end().1, Some(i32::from(stays)));
        assert_eq!(!ann.keys().is_empty(), stays);
    }
}

/// What docs/signer-in-ci.md tells, with the script that it has to copy.
#[test]
fn the_pipeline_of_the_documents_signs() {
    let Some(lab) = lab() else { return };
    let (admin, repository) = begun_by_docker(lab, "admin/pipeline");
    std::fs::write(admin.file("passphrase"), REPOSITORY_PASSPHRASE).expect("a file");
    admin.trustgate("key generate ci --private-key ci.key");
    admin.trustgate(&format!("signer add --key ci.pub ci {repository}"));
    let inspected = admin.try_trustgate(&format!("inspect {repository}")).json();
    let keys = inspected[0]["AdministrativeKeys"].as_array().expect("keys");
    let root = keys.iter().find(|it| it["Name"] == "Root").expect("the root key");
    let root = root["Keys"][0]["ID"].as_str().expect("its ID");
    let runner = Somebody::new(lab);
    for name in ["ci.key", "passphrase"] {
        admin.hand(name, &runner);
    }
    let policy = |root: &str| {
        let text = format!(
            "version = 1\n[[repository]]\npattern = \"{repository}\"\nroot-keys = [\"{root}\"]\nsigners = [\"ci\"]\n"
        );
        std::fs::write(runner.file("policy.toml"), text).expect("a policy");
    };
    let recipe = "FROM scratch\nCOPY passphrase /file\n";
    std::fs::write(runner.file("Dockerfile"), recipe).expect("a Dockerfile");
    std::fs::write(runner.file(".dockerignore"), "*\n!passphrase\n").expect("a file");
    let script = || {
        let program = trustgate_program();
        let mut command = runner.person.command(&[]);
        let path = format!(
            "{}:{}",
            program.parent().expect("a folder").display(),
            command.get_envs().find(|it| it.0 == "PATH").and_then(|it| it.1?.to_str()).expect("a path")
        );
        let mut shell = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci/sign.sh"));
        shell.current_dir(runner.person.config()).env_clear().stdin(Stdio::null());
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.env("PATH", path).env("IMAGE", format!("{repository}:by-ci"));
        for (name, file) in
            [("SIGNER_KEY", "ci.key"), ("SIGNER_PASSPHRASE", "passphrase"), ("TRUST_POLICY", "policy.toml")]
        {
            shell.env(name, runner.file(file));
        }
        command.stdin(Stdio::null());
        Ran::of(shell)
    };
    // A server that shows another root gets nothing signed.
    policy(&"0".repeat(64));
    assert_ne!(script().code, Some(0));
    policy(root);
    let ran = script().expect(0, &["Successfully signed"]);
    assert!(ran.output.lines().last().is_some_and(|it| it.contains(":by-ci@sha256:")), "{ran:?}");
    // Neither its key nor its cache is left on the runner.
    assert!(runner.keys().is_empty());
    let text = Somebody::new(lab).docker(Engine::Trixie, &format!("trust inspect --pretty {repository}"));
    assert!(text.lines().any(|it| it.starts_with("by-ci") && it.ends_with(" ci")), "{text}");
}
