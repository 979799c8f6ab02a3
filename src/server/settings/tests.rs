use super::*;
use crate::signer::vault::SecretForm;

const NOTARY: &str = r#"{
    "server": {"http_addr": ":4443", "tls_cert_file": "./server.crt", "tls_key_file": "/etc/server.key"},
    "trust_service": {"type": "remote", "hostname": "signer", "port": "7899", "tls_ca_file": "./ca.crt",
                      "tls_client_cert": "./client.crt", "tls_client_key": "./client.key"},
    "logging": {"level": "debug"},
    "reporting": {"bugsnag": {"api_key": "x"}},
    "storage": {"backend": "postgres", "db_url": "postgres://server@db:5432/trust"},
    "auth": {"type": "token", "options": {"realm": "https://auth/token", "service": "trust", "issuer": "auth",
                                          "rootcertbundle": "bundle.crt"}},
    "caching": {"max_age": {"current_metadata": 60, "consistent_metadata": "31536000"}},
    "repositories": {"gun_prefixes": ["docker.io/acme/"]}
}"#;

fn no_variables(_: &str) -> Option<String> {
    None
}

fn toml(text: &str) -> Result<Settings, String> {
    document::parse(text, Path::new("/etc/trust"), Some(PathBuf::from("/state")))
}

fn json(text: &str, variables: Lookup<'_>) -> Result<Settings, String> {
    notary::parse(text, Path::new("/etc/trust"), Some(PathBuf::from("/state")), variables)
}

#[test]
fn an_empty_file_is_none() {
    assert_eq!(toml("").unwrap(), Settings::standalone(Path::new("/state")));
}

#[test]
fn a_file_says_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    std::fs::write(&path, include_str!("../../../testdata/server/settings/everything.toml")).unwrap();
    let settings = Settings::load(&path, &no_variables).unwrap();
    let at = |name: &str| folder.path().join(name);
    let place = SecretPlace::File(at("database-address"));
    let expected = Settings {
        state: PathBuf::from("/srv/trust"),
        listen: vec!["0.0.0.0:4443".to_owned(), "[::1]:4443".to_owned()],
        tls: Tls::Files {
            certificate: at("server.crt"),
            key: at("server.key"),
            authorities: Some(at("clients.crt")),
        },
        storage: Storage::Postgres(DatabaseAddress::Kept(place)),
        signer: Signer::Remote(RemoteSigner {
            host: "signer.internal".to_owned(),
            port: 7899,
            tls: TlsFiles {
                certificate: at("client.crt"),
                key: at("client.key"),
                authorities: at("signer-ca.crt"),
            },
        }),
        key_algorithm: KeyAlgorithm::P256,
        access: AccessSettings::Htpasswd(HtpasswdSettings {
            realm: "trust".to_owned(),
            path: at("htpasswd"),
            anonymous_pull: true,
            groups: BTreeMap::from([("ci".to_owned(), vec!["builder".to_owned()])]),
            rules: vec![RuleSettings {
                who: vec!["@ci".to_owned(), "alice".to_owned()],
                repositories: GunPrefixes::new(vec!["docker.io/acme/".to_owned()]).unwrap(),
                may: vec![Right::Pull, Right::Push],
            }],
        }),
        limits: Limits {
            connections: 500,
            connections_per_client: 50,
            upload_bytes: 32 << 20,
            uploads_bytes: 100_000_000,
            head_patience: Duration::from_secs(5),
            idle_patience: Duration::from_mins(1),
            request_patience: Duration::from_mins(2),
            drain: Duration::from_secs(20),
            requests: Rate { burst: 200, per_minute: 600 },
            failures: Rate { burst: 5, per_minute: 10 },
            proxies: vec!["10.0.0.0/8".parse().unwrap()],
        },
        lifetimes: Lifetimes {
            timestamp: SignedDuration::from_hours(24),
            snapshot: SignedDuration::from_hours(24 * 90),
        },
        caching: Caching { current: Duration::from_mins(1), consistent: Duration::ZERO },
        history: Some(SignedDuration::from_hours(24 * 180)),
        gun_prefixes: GunPrefixes::new(vec!["docker.io/acme/".to_owned()]).unwrap(),
        metrics: Metrics::At("127.0.0.1:9100".to_owned()),
        log: AccessLog::All,
    };
    assert_eq!(settings, expected);
}

#[test]
fn keys_may_be_sealed_here_or_end_with_the_process() {
    let sealed =
        toml("[signer.sealing]\ncurrent = \"a\"\n[signer.sealing.keys.a]\nfile = \"kek\"\n").unwrap();
    let Signer::Inside(Some(Sealing::Keys { sources, .. })) = sealed.signer else { panic!("{sealed:?}") };
    let source = &sources[&"a".parse().unwrap()];
    assert_eq!((&source.place, source.form), (&SecretPlace::File("/etc/trust/kek".into()), SecretForm::Key));
    let memory = toml("[storage]\nbackend = \"memory\"\n").unwrap();
    assert_eq!(memory.signer, Signer::Inside(Some(Sealing::Unknown)));
}

#[test]
fn tokens_are_verified_with_one_kind_of_keys() {
    let token = |keys: &str| {
        toml(&format!("[access.token]\nrealm = \"https://a/t\"\nservice = \"s\"\nissuer = \"i\"\n{keys}\n"))
    };
    let keys = |text: &str| match token(text).unwrap().access {
        AccessSettings::Token(settings) => settings.keys,
        other => panic!("{other:?}"),
    };
    assert_eq!(keys("bundle = \"b.crt\""), TokenKeys::Bundle("/etc/trust/b.crt".into()));
    assert_eq!(keys("key-set = \"/keys.json\""), TokenKeys::SetFile("/keys.json".into()));
    let url = |text: &str| TokenKeys::SetUrl { url: text.parse().unwrap(), authorities: None };
    assert_eq!(keys("key-set-url = \"https://a/keys\""), url("https://a/keys"));
    assert_eq!(keys("key-set-url = \"http://127.0.0.1/keys\""), url("http://127.0.0.1/keys"));
    for (text, reason) in [
        ("", "needs one of `bundle`"),
        ("bundle = \"b\"\nkey-set = \"k\"", "needs one of `bundle`"),
        ("key-set-url = \"http://a/keys\"", "could be anybody's"),
        ("key-set-url = \"file:///keys\"", "could be anybody's"),
    ] {
        let told = token(text).unwrap_err();
        assert!(told.contains(reason), "{told}\nnot {reason}");
    }
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    for case in include_str!("../../../testdata/server/settings/wrong.txt").split("\n====\n") {
        let (text, told) = case.split_once("\n----\n").expect("a file, a line of dashes, what is told");
        assert_eq!(toml(text).unwrap_err(), told.trim_end(), "{text}");
    }
}

#[test]
fn a_configuration_of_notarys_is_taken_over() {
    let settings = json(NOTARY, &no_variables).unwrap();
    let at = |name: &str| Path::new("/etc/trust").join(name);
    assert_eq!(settings.listen, ["[::]:4443"]);
    let files =
        Tls::Files { certificate: at("./server.crt"), key: "/etc/server.key".into(), authorities: None };
    assert_eq!(settings.tls, files);
    let address = "postgres://server@db:5432/trust?sslmode=require".to_owned();
    assert_eq!(settings.storage, Storage::Postgres(DatabaseAddress::Written(address)));
    let tls =
        TlsFiles { certificate: at("./client.crt"), key: at("./client.key"), authorities: at("./ca.crt") };
    assert_eq!(settings.signer, Signer::Remote(RemoteSigner { host: "signer".to_owned(), port: 7899, tls }));
    assert_eq!(settings.key_algorithm, KeyAlgorithm::P256);
    let AccessSettings::Token(token) = &settings.access else { panic!("{:?}", settings.access) };
    assert_eq!((token.service.as_str(), &token.keys), ("trust", &TokenKeys::Bundle(at("bundle.crt"))));
    let caching = Caching { current: Duration::from_mins(1), consistent: Duration::from_hours(365 * 24) };
    assert_eq!(settings.caching, caching);
    assert_eq!(settings.gun_prefixes.as_slice(), ["docker.io/acme/"]);
    assert_eq!(settings.state, Path::new("/state"));
}

#[test]
fn variables_go_before_notarys_file() {
    let variables = |name: &str| {
        let value = match name {
            "NOTARY_SERVER_SERVER_HTTP_ADDR" => "127.0.0.1:1",
            "NOTARY_SERVER_STORAGE_DB_URL" => "postgres://other/db?sslmode=disable",
            "NOTARY_SERVER_TRUST_SERVICE_KEY_ALGORITHM" => "ed25519",
            "NOTARY_SERVER_AUTH_OPTIONS_ISSUER" => "another",
            "NOTARY_SERVER_CACHING_MAX_AGE_CURRENT_METADATA" => "0",
            "NOTARY_SERVER_REPOSITORIES_GUN_PREFIXES" => "a/ b/",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let settings = json(NOTARY, &variables).unwrap();
    assert_eq!(settings.listen, ["127.0.0.1:1"]);
    let address = "postgres://other/db?sslmode=disable".to_owned();
    assert_eq!(settings.storage, Storage::Postgres(DatabaseAddress::Written(address)));
    assert_eq!(settings.key_algorithm, KeyAlgorithm::Ed25519);
    assert!(matches!(&settings.access, AccessSettings::Token(it) if it.issuer == "another"));
    assert_eq!(settings.caching.current, Duration::ZERO);
    assert_eq!(settings.gun_prefixes.as_slice(), ["a/", "b/"]);
}

#[test]
fn what_notary_has_and_we_do_not_is_told() {
    let cases = [
        ("\"postgres\"", "\"mysql\"", "bring what is there over with `trustgate-server import`"),
        (
            "\"postgres\"",
            "\"mysql\"",
            "`trustgate-server --config server.toml import --notary-server files.sql`",
        ),
        ("\"postgres\"", "\"rethinkdb\"", "cannot be kept in rethinkdb"),
        ("\"postgres\"", "\"sqlite3\"", "`memory` and `postgres` are taken over"),
        ("\"db_url\"", "\"db_user\"", "`storage.db_user` is nothing that a notary-server is told"),
        ("\"remote\"", "\"vault\"", "`remote` or `local`"),
        ("\"tls_client_cert\": \"./client.crt\", ", "", "certificates on both sides"),
        ("\"type\": \"token\"", "\"type\": \"silly\"", "`auth.type` is \"silly\""),
        (
            "\"rootcertbundle\": \"bundle.crt\"",
            "\"autoredirect\": true",
            "one of `rootcertbundle` and `jwks`",
        ),
        ("\"docker.io/acme/\"", "\"docker.io/acme\"", "does not end with `/`"),
        ("\"31536000\"", "\"31536001\"", "seconds up to 31536000"),
        ("\"7899\"", "\"70000\"", "`trust_service.port` is \"70000\""),
        ("\"7899\"", "[7899]", "`trust_service.port` is not a text"),
        ("\"tls_cert_file\": \"./server.crt\", ", "", "go together"),
        ("{\n    \"server\"", "[\n    \"server\"", "line 2"),
    ];
    for (from, to, reason) in cases {
        assert!(NOTARY.contains(from), "{from}");
        let told = json(&NOTARY.replacen(from, to, 1), &no_variables).unwrap_err();
        assert!(told.contains(reason), "{told}\nnot {reason}");
    }
    let rsa = |name: &str| name.ends_with("KEY_ALGORITHM").then(|| "rsa".to_owned());
    assert!(json(NOTARY, &rsa).unwrap_err().contains("\"rsa\" are not made here"));
}

#[test]
fn a_local_signer_of_notarys_keeps_its_keys_where_the_files_are() {
    let local = NOTARY.replace("\"remote\"", "\"local\"");
    assert_eq!(json(&local, &no_variables).unwrap().signer, Signer::Inside(None));
    let memory = local.replace("\"postgres\"", "\"memory\"");
    assert_eq!(json(&memory, &no_variables).unwrap().signer, Signer::Inside(Some(Sealing::Unknown)));
}

#[tokio::test]
async fn an_address_with_a_password_is_kept_elsewhere_and_never_shown() {
    let variables = |name: &str| (name == "DB").then(|| "postgres://u:secret@db/x\n".to_owned());
    let kept = DatabaseAddress::Kept(SecretPlace::Environment("DB".to_owned()));
    assert_eq!(*kept.fetch(&variables).await.unwrap(), "postgres://u:secret@db/x");
    let error = kept.fetch(&no_variables).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the address of the database cannot be had from the variable `DB`: the variable is not set"
    );
    let written = DatabaseAddress::Written("postgres://u:secret@db/x".to_owned());
    assert_eq!(format!("{written:?}"), "Written(…)");
}

#[test]
fn the_state_folder_is_the_systems_or_the_users() {
    let folder = |variables: &[(&str, &str)], root| {
        let lookup =
            |name: &str| variables.iter().find(|(it, _)| *it == name).map(|(_, it)| (*it).to_owned());
        state_folder(&lookup, root)
    };
    let path = |text: &str| Some(PathBuf::from(text));
    assert_eq!(folder(&[("TRUSTGATE_SERVER_STATE", "/x"), ("HOME", "/h")], true), path("/x"));
    assert_eq!(folder(&[("HOME", "/root")], true), path("/var/lib/trustgate-server"));
    assert_eq!(folder(&[("HOME", "/h")], false), path("/h/.local/state/trustgate-server"));
    let xdg = [("HOME", "/h"), ("XDG_STATE_HOME", "/s")];
    assert_eq!(folder(&xdg, false), path("/s/trustgate-server"));
    let relative = [("HOME", "/h"), ("XDG_STATE_HOME", "s")];
    assert_eq!(folder(&relative, false), path("/h/.local/state/trustgate-server"));
    assert_eq!(folder(&[], false), None);
}
