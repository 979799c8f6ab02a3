//! The processes, which are killed and started again.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::private;

/// A server or a signer: this very program, told to be one.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    kind: &'static str,
    settings: PathBuf,
    clock: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Part {
    pub(crate) fn start(
        name: &'static str,
        kind: &'static str,
        folder: &Path,
        settings: &str,
    ) -> anyhow::Result<Self> {
        let path = folder.join(format!("{name}.toml"));
        std::fs::write(&path, settings)?;
        let part = Self { name, kind, settings: path, clock: folder.join("clock"), child: Mutex::new(None) };
        part.launch()?;
        Ok(part)
    }

    /// Ends the process as told, and starts it again.
    pub(crate) fn restart(&self, signal: Signal) -> anyhow::Result<()> {
        self.end(signal)?;
        self.launch()
    }

    pub(crate) fn end(&self, signal: Signal) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.lock().expect("no panic holds it").take() {
            kill_process(Pid::from_child(&child), signal)?;
            child.wait()?;
        }
        Ok(())
    }

    pub(crate) fn launch(&self) -> anyhow::Result<()> {
        let log: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.settings.with_extension("log"))
            .context("its log")?;
        let child = Command::new(std::env::current_exe()?)
            .arg(self.kind)
            .arg(&self.settings)
            .arg(&self.clock)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.name))?;
        *self.child.lock().expect("no panic holds it") = Some(child);
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.end(Signal::KILL);
    }
}

/// Makes an authority, and a certificate of it for this machine that servers and signers share.
pub(crate) fn write_certificates(folder: &Path) -> anyhow::Result<()> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(DnType::CommonName, "soak");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &authority)?;
    std::fs::write(folder.join("ca.crt"), authority.pem())?;
    std::fs::write(folder.join("leaf.crt"), certificate.pem())?;
    private::write(&folder.join("leaf.key"), &key.serialize_pem())
}
