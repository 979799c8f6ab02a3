//! What there is: the database, the signer, three servers, and a book of what they acknowledged.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::client::{Connection, Dialer};
use crate::clock;
use crate::parts::{Part, write_certificates};
use crate::postgres::Postgres;
use crate::private;

pub(crate) struct World {
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) signer: Part,
    pub(crate) postgres: Mutex<Postgres>,
    pub(crate) dialer: Dialer,
    pub(crate) acknowledged: Mutex<Book>,
    pub(crate) folder: tempfile::TempDir,
}

/// Servers that share a storage.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<(Part, SocketAddr)>,
}

/// What was acknowledged of each repository of each cluster: versions of its targets, and their files.
pub(crate) type Book = BTreeMap<(usize, String), BTreeMap<u64, Vec<u8>>>;

impl World {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let postgres = Postgres::start(false).context("PostgreSQL is missing; scripts/deps postgres")?;
        postgres.create("server", "");
        postgres.create("signer", "");
        let folder = tempfile::Builder::new().prefix("trustgate-soak").tempdir()?;
        let place = folder.path();
        write_certificates(place)?;
        private::write(&place.join("kek"), &format!("{:064x}", 7))?;
        clock::set(&place.join("clock"), 0)?;
        let [signer_at, first, second, third] = addresses()?;
        let tls = "certificate = \"leaf.crt\"\nkey = \"leaf.key\"\n";
        for database in ["server", "signer"] {
            private::write(&place.join(format!("{database}-database")), &postgres.url(database))?;
        }
        let settings = format!(
            "listen = \"{signer_at}\"\n[tls]\n{tls}authorities = \"ca.crt\"\n\
             [storage]\nbackend = \"postgres\"\nfile = \"signer-database\"\n\
             [sealing]\ncurrent = \"soak\"\n[sealing.keys.soak]\nfile = \"kek\"\n"
        );
        let signer = Part::start("signer", "signer", place, &settings)?;
        let shared = |address: SocketAddr| {
            format!(
                "listen = \"{address}\"\nstate = \"shared\"\n[tls]\n{tls}[storage]\nbackend = \"postgres\"\n\
                 file = \"server-database\"\n[signer.remote]\nhost = \"127.0.0.1\"\nport = {}\n[signer.remote.tls]\n{tls}authorities = \"ca.crt\"\n",
                signer_at.port()
            )
        };
        let alone = format!("listen = \"{third}\"\nstate = \"alone\"\n[tls]\n{tls}");
        let pair = Cluster {
            servers: vec![
                (Part::start("first", "server", place, &shared(first))?, first),
                (Part::start("second", "server", place, &shared(second))?, second),
            ],
        };
        let single = Cluster { servers: vec![(Part::start("alone", "server", place, &alone)?, third)] };
        let world = Self {
            clusters: vec![pair, single],
            signer,
            postgres: Mutex::new(postgres),
            dialer: Dialer::new(&place.join("ca.crt"))?,
            acknowledged: Mutex::default(),
            folder,
        };
        world.settle().await?;
        Ok(world)
    }

    /// Waits until every server signs.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SETTLING;
        for (part, address) in self.clusters.iter().flat_map(|it| &it.servers) {
            let signing = self.dialer.until_signing(*address, deadline).await;
            signing.with_context(|| format!("{} does not settle", part.name))?;
        }
        Ok(())
    }

    /// A connection to one of a cluster's servers, whichever the number falls on.
    pub(crate) async fn connect(&self, cluster: usize, number: usize) -> anyhow::Result<Connection> {
        let servers = &self.clusters[cluster].servers;
        self.dialer.dial(servers[number % servers.len()].1).await
    }

    /// The file that clocks are put off by.
    pub(crate) fn clock(&self) -> PathBuf {
        self.folder.path().join("clock")
    }

    /// The repositories of a cluster that something was acknowledged of.
    pub(crate) fn paths(&self, cluster: usize) -> Vec<String> {
        let book = self.acknowledged.lock().expect("no panic holds it");
        book.keys().filter(|(it, _)| *it == cluster).map(|(_, path)| path.clone()).collect()
    }

    /// Remembers what a server acknowledged.
    pub(crate) fn note(&self, cluster: usize, path: &str, version: u64, file: Vec<u8>) {
        let mut book = self.acknowledged.lock().expect("no panic holds it");
        book.entry((cluster, path.to_owned())).or_default().insert(version, file);
    }
}

fn addresses() -> anyhow::Result<[SocketAddr; 4]> {
    // All at once, so that none is given twice.
    let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut addresses = Vec::new();
    for listener in listeners {
        addresses.push(listener?.local_addr()?);
    }
    Ok(addresses.try_into().expect("as many as listeners"))
}

const SETTLING: Duration = Duration::from_mins(2);
