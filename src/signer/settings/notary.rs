//! A notary-signer's JSON configuration, taken over.
//!
//! Notary lets variables override its file (`server.grpc_addr` by `NOTARY_SIGNER_SERVER_GRPC_ADDR`);
//! those of the keys that count here do. Logging and error reporting are passed over.

use std::collections::BTreeMap;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{DatabaseAddress, Sealing, Settings, Storage, alias};
use crate::signer::tls::TlsFiles;
use crate::signer::vault::{Lookup, SecretForm, SecretPlace, SecretSource};

pub(super) fn parse(text: &str, variables: Lookup<'_>) -> Result<Settings, String> {
    let Document { server, storage: kept } = serde_json::from_str(text).map_err(|it| it.to_string())?;
    let value = |key: &str, written: Option<String>| {
        let variable = format!("{PREFIX}{}", key.replace('.', "_").to_uppercase());
        variables(&variable).or(written).filter(|it| !it.is_empty())
    };
    let needed = |key: &str, written| value(key, written).ok_or_else(|| format!("`{key}` is missing"));
    let listen = needed("server.grpc_addr", server.grpc_addr)?;
    let tls = TlsFiles {
        certificate: needed("server.tls_cert_file", server.tls_cert_file)?.into(),
        key: needed("server.tls_key_file", server.tls_key_file)?.into(),
        authorities: value("server.client_ca_file", server.client_ca_file)
            .ok_or(
                "`server.client_ca_file` is missing, without which a notary-signer signs for everybody; \
                 name the authority of the trust server's certificate",
            )?
            .into(),
    };
    let storage = match needed("storage.backend", kept.backend)?.as_str() {
        "memory" => Storage::Memory,
        "postgres" => {
            let address = needed("storage.db_url", kept.db_url)?;
            Storage::Taken { address: DatabaseAddress(Zeroizing::new(address)) }
        }
        "mysql" => return Err(MYSQL.to_owned()),
        other => return Err(format!("keys cannot be kept in {other:.40?}")),
    };
    let default = value("default_alias", None).or(value("storage.default_alias", kept.default_alias));
    let sealing = match default {
        None if storage == Storage::Memory => Sealing::Unknown,
        None => {
            return Err(
                "`storage.default_alias` is missing, which names what keys are sealed with".to_owned()
            );
        }
        Some(name) => {
            let current = alias(&name)?;
            let variable = format!("{PREFIX}{}", name.to_uppercase());
            let source =
                SecretSource { place: SecretPlace::Environment(variable), form: SecretForm::Passphrase };
            Sealing::Keys { sources: BTreeMap::from([(current.clone(), source)]), current }
        }
    };
    // Go reads an address without a host as every one of the machine.
    let listen = if listen.starts_with(':') { format!("[::]{listen}") } else { listen };
    Ok(Settings { listen, tls, storage, sealing })
}

#[derive(Deserialize)]
struct Document {
    server: Server,
    storage: Kept,
}

#[derive(Deserialize)]
struct Server {
    grpc_addr: Option<String>,
    tls_cert_file: Option<String>,
    tls_key_file: Option<String>,
    client_ca_file: Option<String>,
}

#[derive(Deserialize)]
struct Kept {
    backend: Option<String>,
    db_url: Option<String>,
    default_alias: Option<String>,
}

const PREFIX: &str = "NOTARY_SIGNER_";
const MYSQL: &str = "keys cannot be kept in MySQL; write settings with a SQLite file or a PostgreSQL database, and \
    have `trustgate-signer import` read what `mysqldump` makes of the old database";

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = r#"{
        "server": {"http_addr": ":4444", "grpc_addr": ":7899", "tls_cert_file": "./signer.crt",
                   "tls_key_file": "./signer.key", "client_ca_file": "./ca.crt"},
        "logging": {"level": "info"},
        "storage": {"backend": "memory", "default_alias": "alias1"}
    }"#;

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_configuration_is_taken_over() {
        let settings = parse(DEBIAN, &none).unwrap();
        assert_eq!(settings.listen, "[::]:7899");
        assert_eq!(settings.tls.authorities, std::path::Path::new("./ca.crt"));
        let Sealing::Keys { current, sources } = settings.sealing else { panic!("it names an alias") };
        assert_eq!(current.as_str(), "alias1");
        let place = SecretPlace::Environment("NOTARY_SIGNER_ALIAS1".to_owned());
        assert_eq!(sources[&current], SecretSource { place, form: SecretForm::Passphrase });
        let plain = DEBIAN.replace(r#", "default_alias": "alias1""#, "");
        assert_eq!(parse(&plain, &none).unwrap().sealing, Sealing::Unknown);
    }

    #[test]
    fn a_database_is_taken_over_with_its_keys() {
        let url = "postgres://signer:hunter2@db/notarysigner?sslmode=disable";
        let backend = format!(r#""postgres", "db_url": "{url}""#);
        let settings = parse(&DEBIAN.replace(r#""memory""#, &backend), &none).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
        let Storage::Taken { address } = settings.storage else { panic!("it names a database") };
        assert_eq!(address.reveal(), url);
    }

    #[test]
    fn variables_go_before_the_file() {
        let variables = |name: &str| match name {
            "NOTARY_SIGNER_SERVER_GRPC_ADDR" => Some("127.0.0.1:1".to_owned()),
            "NOTARY_SIGNER_DEFAULT_ALIAS" => Some("alias2".to_owned()),
            _ => None,
        };
        let settings = parse(DEBIAN, &variables).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:1");
        let Sealing::Keys { current, .. } = settings.sealing else { panic!("a variable names an alias") };
        assert_eq!(current.as_str(), "alias2");
    }

    #[test]
    fn what_a_signer_must_not_start_without_is_told() {
        let cases = [
            (DEBIAN.replace("client_ca_file", "ca"), "signs for everybody"),
            (DEBIAN.replace("tls_key_file", "key"), "`server.tls_key_file` is missing"),
            (DEBIAN.replace("memory", "rethinkdb"), "cannot be kept in \"rethinkdb\""),
            (DEBIAN.replace("memory", "mysql"), "trustgate-signer import"),
            (DEBIAN.replace("memory", "postgres"), "`storage.db_url` is missing"),
            (
                DEBIAN.replace(r#""memory", "default_alias": "alias1""#, r#""postgres", "db_url": "x""#),
                "`storage.default_alias` is missing",
            ),
            (DEBIAN.replace("alias1", "a b"), "is no alias"),
            (DEBIAN.replace('{', "["), "invalid type"),
        ];
        for (text, reason) in cases {
            let told = parse(&text, &none).unwrap_err();
            assert!(told.contains(reason), "{told}\nnot {reason}");
        }
    }
}
