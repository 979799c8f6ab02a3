//! The list of repositories.

use super::*;

#[tokio::test]
async fn the_role_whose_time_is_over_first_is_shown() {
    let desk = Desk::new().await;
    let mut repository = Repository::new(BASE);
    desk.store(BASE, &repository.publish()).await;
    repository = Repository::new("docker.io/acme/old");
    repository.role("targets").set_expires(days(-3));
    repository.role("targets").set_version(7);
    desk.store("docker.io/acme/old", &repository.publish()).await;

    let rows = desk.json("/status.json").await["repositories"].clone();
    assert_eq!(strings(&rows, "name"), [BASE, "docker.io/acme/old"]);
    let soonest = &rows[0]["soonest"];
    assert_eq!((soonest["role"].as_str(), soonest["days_left"].as_i64()), (Some("timestamp"), Some(13)));
    let soonest = &rows[1]["soonest"];
    assert_eq!((soonest["role"].as_str(), soonest["days_left"].as_i64()), (Some("targets"), Some(-4)));
    assert_eq!(soonest["version"], 7);
    // What has expired is shown as that, and is no error.
    assert_eq!(rows[1]["problem"], Value::Null);

    let page = desk.ask("/").await.body;
    assert!(
        page.contains("aria-label=\"Time left of timestamp of docker.io/acme/base: 13 days left\""),
        "{page}"
    );
    assert!(page.contains("expired 4 days ago"), "{page}");
    assert!(page.contains("href=\"/repository/docker.io/acme/old\""), "{page}");
}

#[tokio::test]
async fn a_repository_that_does_not_verify_has_a_row_that_says_so() {
    let desk = Desk::new().await;
    let repository = Repository::new(BASE);
    let good = repository.publish();
    desk.store(BASE, &good).await;
    let mut broken = good.clone();
    broken.files.insert("root".to_owned(), b"{\"signed\":{}}".to_vec());
    desk.store("docker.io/acme/broken", &broken).await;
    // A root for another repository, and no root at all.
    desk.store("docker.io/acme/foreign", &good).await;
    let mut without = good.clone();
    without.files.remove("root");
    desk.store("docker.io/acme/without", &without).await;

    let rows = desk.json("/status.json").await["repositories"].clone();
    let problems = strings(&rows, "problem");
    assert_eq!(problems.iter().map(String::is_empty).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(problems[3], "it has no `root`");
    let page = desk.ask("/").await.body;
    assert_eq!(page.matches("<strong>Broken: </strong>").count(), 3);
}

#[tokio::test]
async fn pages_lead_through_the_whole_list() {
    let desk = Desk::new().await;
    let names: Vec<String> = (0..7).map(|it| format!("docker.io/acme/base-{it}")).collect();
    for name in &names {
        desk.store(name, &Repository::new(name).publish()).await;
    }
    let (mut found, mut path) = (Vec::new(), "/status.json?limit=3&search=BASE".to_owned());
    loop {
        let answer = desk.json(&path).await;
        found.extend(strings(&answer["repositories"], "name"));
        let Some(next) = answer["next"].as_str() else { break };
        path = format!("/status.json?limit=3&search=BASE&after={next}");
    }
    assert_eq!(found, names);

    let first = desk.ask("/?limit=3&search=base").await.body;
    let next = "/?search=base&amp;limit=3&amp;after=docker.io%2Facme%2Fbase-2";
    assert!(first.contains(&format!("<a rel=\"next\" href=\"{next}\">Next page</a>")), "{first}");
    assert!(!first.contains("First page"), "{first}");
    let second = desk.ask(&next.replace("&amp;", "&")).await.body;
    assert!(second.contains("<a href=\"/?search=base&amp;limit=3\">First page</a>"), "{second}");
    assert!(second.contains("base-5") && !second.contains("base-6</a>"), "{second}");

    let none = desk.ask("/?search=nothing-like-it").await.body;
    assert!(none.contains("No repository has that in its name."), "{none}");
    assert!(Desk::new().await.ask("/").await.body.contains("Nothing was published here yet."));
}
