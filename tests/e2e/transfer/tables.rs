//! Databases for a notary-server and a notary-signer, which make no tables themselves.

use super::world::Backend;
use crate::support::lab::unavailable;
use crate::support::mariadb::MariaDb;
use crate::support::postgres::Postgres;

/// PostgreSQL with both databases; says so where it is missing.
pub(super) fn postgres() -> Option<(Postgres, Backend<'static>)> {
    let Some(postgres) = Postgres::start(false) else { return unavailable("PostgreSQL") };
    postgres.create("notaryserver", POSTGRES_SERVER);
    postgres.create("notarysigner", POSTGRES_SIGNER);
    let (files, keys) = (postgres.url("notaryserver"), postgres.url("notarysigner"));
    Some((postgres, Backend { name: "postgres", files, keys }))
}

/// The same with MariaDB.
pub(super) fn mariadb() -> Option<(MariaDb, Backend<'static>)> {
    let Some(mariadb) = MariaDb::start() else { return unavailable("MariaDB") };
    mariadb.create("notaryserver", MYSQL_SERVER);
    mariadb.create("notarysigner", MYSQL_SIGNER);
    let (files, keys) = (mariadb.address("notaryserver"), mariadb.address("notarysigner"));
    Some((mariadb, Backend { name: "mysql", files, keys }))
}

const POSTGRES_SERVER: &str = include_str!("../../../testdata/notary/server.sql");
const POSTGRES_SIGNER: &str = include_str!("../../../testdata/notary/signer.sql");
const MYSQL_SERVER: &str = include_str!("../../../testdata/notary/server-mysql.sql");
const MYSQL_SIGNER: &str = include_str!("../../../testdata/notary/signer-mysql.sql");
