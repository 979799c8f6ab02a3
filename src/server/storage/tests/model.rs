//! Any sequence of changes leaves what a map in memory would hold.

use proptest::prelude::*;

use super::*;

/// Something that is done to one of two repositories.
#[derive(Clone, Debug)]
enum Step {
    /// Files by role and version, on the state that is there or on another.
    Publish {
        gun: usize,
        files: BTreeMap<usize, u64>,
        retired: Option<usize>,
        stale: bool,
    },
    Delete {
        gun: usize,
    },
    Prune,
}

const ROLES: [&str; 4] = ["root", "targets", "targets/a", "timestamp"];

fn step() -> impl Strategy<Value = Step> {
    let files = prop::collection::btree_map(0..ROLES.len(), 1_u64..6, 0..4);
    let publish = (0..2_usize, files, prop::option::weighted(0.2, Just(2_usize)), prop::bool::weighted(0.1));
    prop_oneof![
        8 => publish.prop_map(|(gun, files, retired, stale)| Step::Publish { gun, files, retired, stale }),
        1 => (0..2_usize).prop_map(|gun| Step::Delete { gun }),
        1 => Just(Step::Prune),
    ]
}

/// What each role's newest file is: version and bytes.
type Model = BTreeMap<RoleName, NewFile>;

/// What the model makes of a change.
fn apply(model: &mut Model, change: &Change) -> bool {
    let mut roles = std::collections::BTreeSet::new();
    let fits = change.files.iter().map(|it| &it.role).chain(&change.retired).all(|it| roles.insert(it))
        && change.files.iter().any(|it| it.role == RoleName::TIMESTAMP);
    let expected = model.get(&RoleName::TIMESTAMP).map(|it| it.sha256);
    let newer = |it: &NewFile| model.get(&it.role).is_none_or(|old| old.version < it.version);
    if !fits || change.expected != expected || !change.files.iter().all(newer) {
        return false;
    }
    for role in &change.retired {
        model.remove(role);
    }
    model.extend(change.files.iter().map(|it| (it.role.clone(), it.clone())));
    true
}

async fn run(steps: Vec<Step>) {
    let storage = SqlStorage::in_memory().await.unwrap();
    let guns = [gun("model/one"), gun("model/two")];
    let mut models = [Model::new(), Model::new()];
    let mut changes = [0_usize; 2];
    for (at, step) in steps.into_iter().enumerate() {
        match step {
            Step::Publish { gun, files, retired, stale } => {
                let files = files.into_iter().map(|(it, number)| file(ROLES[it], number, &at.to_string()));
                let current = models[gun].get(&RoleName::TIMESTAMP).map(|it| it.sha256);
                let expected = if stale { Some([9; 32]) } else { current };
                let retired = retired.into_iter().map(|it| role(ROLES[it])).collect();
                let change = Change { expected, files: files.collect(), retired };
                let stored = storage.publish(&guns[gun], &change, now()).await.is_ok();
                assert_eq!(stored, apply(&mut models[gun], &change), "{change:?}");
                changes[gun] += usize::from(stored);
            }
            Step::Delete { gun } => {
                let there = !models[gun].is_empty();
                assert_eq!(storage.delete(&guns[gun], now()).await.unwrap(), there);
                models[gun].clear();
                changes[gun] += usize::from(there);
            }
            Step::Prune => drop(storage.prune(days(1)).await.unwrap()),
        }
        for ((gun, model), changes) in guns.iter().zip(&models).zip(changes) {
            let heads = storage.heads(gun).await.unwrap();
            let expected = model
                .iter()
                .map(|(role, it)| (role.clone(), Head { version: it.version, sha256: it.sha256 }));
            assert_eq!(heads, expected.collect());
            for (role, it) in model {
                assert_eq!(storage.current(gun, role).await.unwrap().unwrap().content, it.content);
            }
            let query = ChangeQuery { gun: Some(gun.clone()), start: ChangeStart::After(0), count: 100 };
            assert_eq!(storage.changes(&query).await.unwrap().len(), changes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn a_storage_is_a_map(steps in prop::collection::vec(step(), 0..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
