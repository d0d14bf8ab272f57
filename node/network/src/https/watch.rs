//! A new certificate while the node runs: the files are looked at from time to time, and shown once they have come to rest.

use std::io;

use carat_types::Digest;
use carat_types::hash::h;
use zeroize::Zeroizing;

use super::{CertificateFiles, Https};
use crate::error::NetworkError;

/// The files of a certificate, and what was last seen in them.
#[derive(Debug)]
pub struct CertificateWatch {
    files: CertificateFiles,
    /// What was shown, or tried and refused.
    tried: Option<Digest>,
    /// What the last look saw.
    seen: Option<Digest>,
}

impl CertificateWatch {
    /// Watches files of which what they hold now is shown already.
    pub fn new(files: CertificateFiles) -> Self {
        let now = contents(&files).ok();
        CertificateWatch { files, tried: now, seen: now }
    }

    /// Looks at the files. Two looks must see the same before they are tried, since a certificate and its key are seldom replaced in one
    /// instant; and what was tried is not tried again.
    ///
    /// **Returns** what to show from now on; or why the new files cannot be used, once.
    pub fn look(&mut self) -> Option<Result<Https, NetworkError>> {
        // Files that are away for the moment of a replacement are looked at again.
        let now = contents(&self.files).ok();
        let at_rest = now.is_some() && now == self.seen;
        self.seen = now;
        if !at_rest || now == self.tried {
            return None;
        }
        self.tried = now;
        Some(Https::of_files(&self.files))
    }
}

fn contents(files: &CertificateFiles) -> io::Result<Digest> {
    let certificate = std::fs::read(&files.certificate)?;
    let key = Zeroizing::new(std::fs::read(&files.key)?);
    Ok(h("certificate-files", &[&certificate, &key]))
}
