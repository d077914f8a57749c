//! Whom a certificate is for.

use rustls::pki_types::CertificateDer;
use x509_cert::{Certificate, der::Decode};

/// The distinguished name of a certificate's subject as RFC 4514 writes it, most specific part first:
/// `CN=alice,O=Example`. `None` where it has no name, or none that can be read.
pub(super) fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let name = certificate.tbs_certificate().subject().to_string();
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn named(parts: &[(DnType, &str)]) -> Option<String> {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (part, value) in parts {
            params.distinguished_name.push(part.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        subject(params.self_signed(&key).unwrap().der())
    }

    #[test]
    fn a_name_is_written_the_usual_way_and_cannot_be_mistaken_for_another() {
        assert_eq!(named(&[(DnType::CommonName, "alice")]).as_deref(), Some("CN=alice"));
        let two = [(DnType::OrganizationName, "Example"), (DnType::CommonName, "alice")];
        assert_eq!(named(&two).as_deref(), Some("CN=alice,O=Example"));
        let tricky = [(DnType::CommonName, "alice,O=Example")];
        assert_eq!(named(&tricky).as_deref(), Some("CN=alice\\,O=Example"));
        assert_eq!(named(&[]), None);
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        assert_eq!(subject(&CertificateDer::from(&b"\x30\x03\x02\x01\x01"[..])), None);
    }
}
