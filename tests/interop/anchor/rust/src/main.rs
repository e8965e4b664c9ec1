//! An HTTPS client on rustls that trusts one node and nothing else: anchor HOST:PORT NODE-ID|FILE.pem
//!
//! With a node id it makes the trust anchor itself: to webpki that is a name and a key, no
//! certificate. With a file it takes the one of `meshbox anchor`. It prints what the node answers to
//! GET /health.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, Der, ServerName, TrustAnchor};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// The name in every node's certificate, whatever address was dialled.
const LEAF_NAME: &str = "meshbox.invalid";

/// What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410), whose
/// outer SEQUENCE a trust anchor leaves out.
const ED25519: [u8; 10] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A name that is one common name, an UTF8String; without its outer SEQUENCE.
fn common_name(text: &str) -> Vec<u8> {
    let n = text.len() as u8;
    let head = [0x31, n + 9, 0x30, n + 7, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, n];
    [&head, text.as_bytes()].concat()
}

/// The bytes that base64url without padding spells.
fn from_base64url(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|other| *other == letter).ok_or("no node id")?;
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Ok(bytes)
}

fn roots_of(trusted: &str) -> Result<RootCertStore, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    if trusted.ends_with(".pem") {
        roots.add(CertificateDer::from_pem_file(trusted)?)?;
        return Ok(roots);
    }
    let key = from_base64url(trusted)?;
    if key.len() != 32 {
        return Err("no node id".into());
    }
    roots.roots.push(TrustAnchor {
        subject: Der::from(common_name(trusted)),
        subject_public_key_info: Der::from([&ED25519[..], &key].concat()),
        name_constraints: None,
    });
    Ok(roots)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let config = ClientConfig::builder()
        .with_root_certificates(roots_of(&arguments[2])?)
        .with_no_client_auth();
    let tls = ClientConnection::new(Arc::new(config), ServerName::try_from(LEAF_NAME)?)?;
    let mut stream = StreamOwned::new(tls, TcpStream::connect(&arguments[1])?);
    write!(stream, "GET /health HTTP/1.0\r\nHost: {LEAF_NAME}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    print!("{}", answer.split_once("\r\n\r\n").ok_or("no HTTP")?.1);
    Ok(())
}
