//! Root certificates that an authority of an organisation signed, with every algorithm it may use.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::image::{succeed, trustgate_program};
use crate::support::{Lab, lab};

/// What an authority is, and how it signs, in OpenSSL's words.
const AUTHORITIES: [(&str, &[&str], &[&str]); 7] = [
    ("rsa-sha256", &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], &["-sha256"]),
    ("rsa-sha384", &["RSA", "-pkeyopt", "rsa_keygen_bits:3072"], &["-sha384"]),
    ("rsa-sha512", &["RSA", "-pkeyopt", "rsa_keygen_bits:4096"], &["-sha512"]),
    ("p256-sha384", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], &["-sha384"]),
    ("p384-sha256", &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], &["-sha256"]),
    ("p384-sha384", &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], &["-sha384"]),
    ("ed25519", &["ED25519"], &[]),
];

#[test]
fn a_root_certificate_holds_under_the_authority_that_signed_it() {
    let Some(lab) = lab() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, key, digest) in AUTHORITIES {
        let repository = format!("{}/authorities/{name}", lab.registry());
        let folder = folder.path().join(name);
        fs::create_dir(&folder).expect("a folder");
        authority(&folder, "ca", key, digest);
        certificate(&folder, &repository, digest);
        publish(lab, &folder, &repository);
        let verified = verify(lab, &folder, &repository, "ca.crt");
        assert_eq!(verified, (Some(0), format!("{repository}:1@sha256:{DIGEST}\n")), "{name}");
    }
}

#[test]
fn another_authority_of_the_same_name_does_not_count() {
    let Some(lab) = lab() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let repository = format!("{}/authorities/other", lab.registry());
    let key = AUTHORITIES[5].1;
    authority(folder.path(), "ca", key, &["-sha384"]);
    authority(folder.path(), "other", key, &["-sha384"]);
    certificate(folder.path(), &repository, &["-sha384"]);
    publish(lab, folder.path(), &repository);
    assert_eq!(verify(lab, folder.path(), &repository, "other.crt"), (Some(1), String::new()));
}

fn authority(folder: &Path, file: &str, key: &[&str], digest: &[&str]) {
    let [key_file, certificate] = [format!("{file}.key"), format!("{file}.crt")];
    openssl(folder, &[&["genpkey", "-out", &key_file, "-algorithm"], key].concat());
    let subject = ["req", "-x509", "-new", "-days", "30", "-subj", "/CN=Acme Root"];
    let extensions = ["-addext", "keyUsage=critical,keyCertSign"];
    openssl(
        folder,
        &[&subject[..], digest, &["-key", &key_file, "-out", &certificate], &extensions].concat(),
    );
}

/// A key for the root role and its certificate for this repository, signed by `ca`.
fn certificate(folder: &Path, repository: &str, digest: &[&str]) {
    openssl(folder, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "plain.key"]);
    // Notary takes none that is not encrypted.
    let pass = format!("pass:{PASSPHRASE}");
    openssl(folder, &["ec", "-in", "plain.key", "-aes256", "-passout", &pass, "-out", "root.key"]);
    let subject = format!("/CN={}", repository.replace('/', "\\/"));
    openssl(folder, &["req", "-new", "-key", "plain.key", "-subj", &subject, "-out", "root.csr"]);
    fs::write(
        folder.join("extensions"),
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n",
    )
    .expect("a file");
    let sign = ["x509", "-req", "-in", "root.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"];
    let rest = ["-days", "20", "-extfile", "extensions", "-out", "root.crt"];
    openssl(folder, &[&sign[..], digest, &rest].concat());
}

fn publish(lab: &Lab, folder: &Path, repository: &str) {
    let notary = |arguments: &[&str]| {
        let mut command = Command::new(lab.variable("LAB_NOTARY"));
        command.arg("--trustDir").arg(folder.join("trust")).current_dir(folder);
        command.arg("--tlscacert").arg(lab.trust_authority()).args(["--server", lab.trust_server()]);
        for role in ["ROOT", "TARGETS", "SNAPSHOT"] {
            command.env(format!("NOTARY_{role}_PASSPHRASE"), PASSPHRASE);
        }
        command.args(arguments);
        succeed(command);
    };
    notary(&["init", "--publish", "--rootkey", "root.key", "--rootcert", "root.crt", repository]);
    notary(&["addhash", "--publish", repository, "1", "528", "--sha256", DIGEST]);
}

/// What `trustgate verify` says where only this authority may vouch.
fn verify(lab: &Lab, folder: &Path, repository: &str, authority: &str) -> (Option<i32>, String) {
    let config = lab.fresh_config();
    let policy = folder.join("policy.toml");
    let rule = format!(
        "version = 1\n[[repository]]\npattern = \"{repository}\"\nroot-authority = \"{authority}\"\n"
    );
    fs::write(&policy, rule).expect("a policy");
    let output = Command::new(trustgate_program())
        .env_clear()
        .env("DOCKER_CONFIG", config.path())
        .env("DOCKER_CONTENT_TRUST_SERVER", lab.trust_server())
        .arg("--policy")
        .arg(&policy)
        .args(["verify", &format!("{repository}:1")])
        .output()
        .expect("trustgate starts");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    command.args(arguments).current_dir(folder);
    succeed(command);
}

/// It guards keys that end with the test.
const PASSPHRASE: &str = "the test's own passphrase";
const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
