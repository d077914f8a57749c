//! A certificate authority that lives as long as a test.

use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// An authority, and the directory of the PEM files that it has made.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
    made: AtomicU32,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

#[allow(dead_code, reason = "no test needs all")]
impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        static AUTHORITIES: AtomicU32 = AtomicU32::new(0);
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("amqp1-{}-{number}", process::id()));
        fs::create_dir_all(&directory).unwrap();
        let mut params = named(&[], name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(directory.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, directory, made: AtomicU32::new(0) }
    }

    /// The file of the authority's own certificate.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// A certificate for these hosts, or for somebody.
    pub(crate) fn certify(&self, hosts: &[&str], name: &str) -> Files {
        self.sign(named(hosts, name))
    }

    pub(crate) fn expired(&self, hosts: &[&str]) -> Files {
        let mut params = named(hosts, "expired");
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(params)
    }

    pub(crate) fn not_yet_valid(&self, hosts: &[&str]) -> Files {
        let mut params = named(hosts, "not yet valid");
        params.not_before = date_time_ymd(3000, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Files {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.write(&certificate, &key)
    }

    fn write(&self, certificate: &Certificate, key: &KeyPair) -> Files {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str| self.directory.join(format!("{number}.{kind}"));
        let files = Files { certificate: file("pem"), key: file("key") };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// A file beside the others.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // What is left is in a directory for such things.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn named(hosts: &[&str], name: &str) -> CertificateParams {
    let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
