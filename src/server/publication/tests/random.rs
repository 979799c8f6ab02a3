//! Whatever is handed in, in whatever order: a client that comes for the first time can read it.

use proptest::prelude::*;

use super::desk::upload;
use super::*;

/// Something that a client hands in, or that a server does.
#[derive(Clone, Debug)]
enum Step {
    /// A role's file with so many versions more, by its key or by a stranger's.
    Publish {
        roles: Vec<usize>,
        jump: u64,
        stranger: bool,
    },
    /// A delegation more or less, published or not.
    Delegate {
        role: usize,
        publish: bool,
    },
    Withdraw,
    Rotate,
    Renew(Renewal),
    Delete,
}

const ROLES: [&str; 3] = ["targets", "targets/a", "targets/a/b"];

fn step() -> impl Strategy<Value = Step> {
    let roles = prop::sample::subsequence(vec![0, 1, 2], 0..=3);
    prop_oneof![
        6 => (roles, 0_u64..3, prop::bool::weighted(0.2))
            .prop_map(|(roles, jump, stranger)| Step::Publish { roles, jump, stranger }),
        3 => (1..3_usize, any::<bool>()).prop_map(|(role, publish)| Step::Delegate { role, publish }),
        1 => Just(Step::Withdraw),
        1 => Just(Step::Rotate),
        1 => prop_oneof![Just(Renewal::Timestamp), Just(Renewal::Snapshot)].prop_map(Step::Renew),
        1 => Just(Step::Delete),
    ]
}

async fn run(steps: Vec<Step>) {
    let (desk, mut repository) = Desk::with(Desk::repository).await;
    let mut rotations = 0;
    for step in steps {
        match step {
            Step::Publish { roles, jump, stranger } => {
                let heads = desk.storage.heads(&gun()).await.unwrap();
                let names: Vec<&str> = roles
                    .into_iter()
                    .map(|it| ROLES[it])
                    .filter(|it| repository.roles.contains_key(*it))
                    .collect();
                for name in &names {
                    let current = heads.get(&role(name)).map_or(0, |it| it.version.get());
                    repository.role(name).set_version(current + jump);
                }
                let signers = stranger.then(|| repository.role("targets").signers.clone());
                if stranger {
                    repository.role("targets").signers = vec![TestKey::ed25519("mallory")];
                }
                let files = repository.publish();
                let files = names.iter().map(|it| (role(it), files.get(it)));
                if let Ok(upload) = Upload::new(files) {
                    let stored = desk.publisher.publish(&gun(), upload, now()).await.is_ok();
                    assert!(!(stored && stranger && names.contains(&"targets")));
                }
                if let Some(signers) = signers {
                    repository.role("targets").signers = signers;
                }
            }
            Step::Delegate { role: index, publish } => {
                let (name, parent) = (ROLES[index], ROLES[index - 1]);
                if repository.roles.contains_key(name) || !repository.roles.contains_key(parent) {
                    continue;
                }
                repository.delegate(name, &[TestKey::ed25519(name)], 1, &[""]);
                let heads = desk.storage.heads(&gun()).await.unwrap();
                let next = heads.get(&role(parent)).map_or(1, |it| it.version.get() + 1);
                repository.role(parent).set_version(next);
                let both = [parent, name];
                let upload = upload(&repository, if publish { &both } else { &both[..1] });
                let _ = desk.publisher.publish(&gun(), upload, now()).await;
            }
            Step::Withdraw => {
                repository.role("targets").signed["delegations"] = json!({"keys": {}, "roles": []});
                repository.roles.retain(|name, _| !name.starts_with("targets/"));
            }
            Step::Rotate => {
                rotations += 1;
                let key = repository.root_key(&format!("root {rotations}"));
                let version = repository.role("root").signed["version"].clone();
                repository.rotate_root(&[key]);
                if desk.publish(&repository, &["root"]).await.is_err() {
                    repository.role("root").signed["version"] = version;
                }
            }
            Step::Renew(renewal) => drop(desk.publisher.renew(&gun(), renewal, now()).await),
            Step::Delete => {
                desk.storage.delete(&gun(), now()).await.unwrap();
                (repository, rotations) = (desk.repository(), 0);
                desk.publish(&repository, &["root", "targets"]).await.unwrap();
            }
        }
        let read = desk.read().await;
        // What the snapshot lists is there, and what is there it lists.
        let heads = desk.storage.heads(&gun()).await.unwrap();
        let listed: Vec<&RoleName> = read.snapshot.roles().collect();
        let there: Vec<&RoleName> =
            heads.keys().filter(|it| !matches!(it.as_str(), "snapshot" | "timestamp")).collect();
        assert_eq!(listed, there);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_client_can_always_read(steps in prop::collection::vec(step(), 0..10)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
