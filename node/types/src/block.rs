//! A decided and executed slot as it is stored, served and re-executed.

use std::sync::Arc;

use crate::batch::Payload;
use crate::certificate::SealCertificate;
use crate::codec::codec_struct;
use crate::header::Header;

/// A header and the payload that was executed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The result.
    pub header: Header,
    /// The input.
    pub payload: Arc<Payload>,
}

/// A block with the seals that prove it: what a validator that is behind executes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedBlock {
    /// The block.
    pub block: Block,
    /// At least f+1 seals on its header.
    pub certificate: SealCertificate,
}

codec_struct!(Block { header, payload });
codec_struct!(CertifiedBlock { block, certificate });
