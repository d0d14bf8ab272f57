//! The state tree's hashes, and proofs that an entry is in the state of a block, or that none with its key is.
//!
//! The tree is a binary trie over the bits of an entry's *tree key*, highest bit first. A subtree that holds no
//! entry has the hash of the empty tree; one that holds a single entry has that entry's [leaf hash](crate::leaf); any other
//! has `M("node", left | right)`. The shape follows from the set of entries alone, so equal states have equal roots.
//! **Source**: consensus specification, section 2. `carat-ledger` keeps the tree; this module only verifies.

use crate::codec::{Decode, DecodeError, Encode, Reader, encode_count};
use crate::hash::{Digest, m};
use crate::leaf::{open_leaf, salted_leaf};
use crate::merkle;

/// Where an entry stands in the tree: the hash of its key bytes.
///
/// Key bytes are the XDR of a ledger key, or a u32 of 1000 or more (a kind of our own) followed by XDR.
pub fn tree_key(key: &[u8]) -> Digest {
    m("key", &[key])
}

/// The bit of a tree key that decides at `depth` below the root: true is right.
///
/// **Returns** none below the last bit.
pub fn bit(tree_key: &Digest, depth: usize) -> Option<bool> {
    let byte = tree_key.0.get(depth >> 3)?;
    let mask = 0x80_u8 >> (depth & 7);
    Some(byte & mask != 0)
}

/// The root over leaves that all lie below one place of the tree, `depth` below the root: (tree key, leaf hash),
/// ascending by tree key.
///
/// **Returns** none for leaves that no tree can hold there: two with one key.
pub fn subtree_root(depth: usize, leaves: &[(Digest, Digest)]) -> Option<Digest> {
    match leaves {
        [] => Some(merkle::empty()),
        [(_, hash)] => Some(*hash),
        _ => {
            bit(&leaves.first()?.0, depth)?;
            let middle = leaves.partition_point(|(tree_key, _)| bit(tree_key, depth) == Some(false));
            let (left, right) = leaves.split_at_checked(middle)?;
            let below = depth.checked_add(1)?;
            Some(merkle::node(&subtree_root(below, left)?, &subtree_root(below, right)?))
        }
    }
}

/// The root to which `hash` leads from its place on the way to `tree_key`: as deep as there are siblings, which are
/// given from the root downward.
///
/// **Returns** none for a path longer than a tree can be deep.
pub fn root_above(tree_key: &Digest, siblings: &[Digest], hash: Digest) -> Option<Digest> {
    siblings.iter().enumerate().rev().try_fold(hash, |hash, (depth, sibling)| {
        let right = bit(tree_key, depth)?;
        Some(if right { merkle::node(sibling, &hash) } else { merkle::node(&hash, sibling) })
    })
}

/// What a proof shows at the end of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofEnd {
    /// The entry's own leaf, on an open network.
    Present,
    /// The entry's own leaf with its salt, on a members' network.
    Salted(Digest),
    /// Nothing: no entry's key begins with the bits of this path.
    Empty,
    /// The leaf of another entry, which is alone below this place: on an open network, for it tells which entry that is.
    Other(OtherLeaf),
}

/// An entry in whose place another one would stand. Its value is given whole: a hash could as well be that of an inner
/// node, behind which anything may hide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherLeaf {
    /// Where it stands.
    pub tree_key: Digest,
    /// Its value bytes.
    pub value: Vec<u8>,
}

/// A path from the root to the place of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateProof {
    /// What stands there.
    pub end: ProofEnd,
    /// The other half at each level, from the root downward.
    pub siblings: Vec<Digest>,
}

impl StateProof {
    /// A tree key has no more bits.
    pub const DEPTH_MAX: usize = 256;

    /// The root of a state in which the key has this value, if the proof is right.
    ///
    /// **Returns** none for a path longer than a tree can be deep, and for a proof of absence. The caller compares with a
    /// certified root.
    pub fn root(&self, key: &[u8], value: &[u8]) -> Option<Digest> {
        let tree_key = tree_key(key);
        let leaf = match &self.end {
            ProofEnd::Present => open_leaf(&tree_key, value),
            ProofEnd::Salted(salt) => salted_leaf(salt, &tree_key, value),
            ProofEnd::Empty | ProofEnd::Other(_) => return None,
        };
        root_above(&tree_key, &self.siblings, leaf)
    }
}

impl StateProof {
    /// The root of a state in which no entry has this key, if the proof is right.
    ///
    /// **Returns** none for a path longer than a tree can be deep, for a proof of presence, and where the other leaf is
    /// the key's own or does not stand on the key's way. The caller compares with a certified root.
    pub fn root_without(&self, key: &[u8]) -> Option<Digest> {
        let tree_key = tree_key(key);
        let hash = match &self.end {
            ProofEnd::Present | ProofEnd::Salted(_) => return None,
            ProofEnd::Empty => merkle::empty(),
            ProofEnd::Other(other) => {
                let stands_there = share_bits(&other.tree_key, &tree_key, self.siblings.len());
                if other.tree_key == tree_key || !stands_there {
                    return None;
                }
                open_leaf(&other.tree_key, &other.value)
            }
        };
        root_above(&tree_key, &self.siblings, hash)
    }
}

/// Whether two keys agree in all bits above `depth`.
pub fn share_bits(one: &Digest, other: &Digest, depth: usize) -> bool {
    (0..depth).all(|place| bit(one, place) == bit(other, place))
}

impl Encode for StateProof {
    fn encode(&self, out: &mut Vec<u8>) {
        match &self.end {
            ProofEnd::Present => out.push(0),
            ProofEnd::Empty => out.push(1),
            ProofEnd::Other(other) => {
                out.push(2);
                other.tree_key.encode(out);
                encode_count(other.value.len(), out);
                out.extend_from_slice(&other.value);
            }
            ProofEnd::Salted(salt) => {
                out.push(3);
                salt.encode(out);
            }
        }
        self.siblings.as_slice().encode(out);
    }
}

impl Decode for StateProof {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let end = match u8::decode(input)? {
            0 => ProofEnd::Present,
            1 => ProofEnd::Empty,
            2 => {
                let tree_key = Decode::decode(input)?;
                let count = input.count("value of a state entry", VALUE_MAX)?;
                ProofEnd::Other(OtherLeaf { tree_key, value: input.take(count)?.to_vec() })
            }
            3 => ProofEnd::Salted(Decode::decode(input)?),
            value => return Err(DecodeError::Tag { what: "state proof", value }),
        };
        Ok(StateProof { end, siblings: decode_siblings(input)? })
    }
}

/// Longest value of an entry in a proof. **Units**: bytes.
const VALUE_MAX: u32 = 1 << 20;

/// A path from the root downward, no longer than a tree can be deep.
pub(crate) fn decode_siblings(input: &mut Reader<'_>) -> Result<Vec<Digest>, DecodeError> {
    let limit = u32::try_from(StateProof::DEPTH_MAX).unwrap_or(u32::MAX);
    let count = input.count("state proof", limit)?;
    let mut siblings = Vec::with_capacity(count.min(input.remaining()));
    for _ in 0..count {
        siblings.push(Digest::decode(input)?);
    }
    Ok(siblings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_counts_from_the_highest_of_the_first_byte() {
        let mut key = Digest::ZERO;
        key.0[0] = 0b0100_0000;
        key.0[31] = 1;
        let set: Vec<usize> = (0..256).filter(|depth| bit(&key, *depth) == Some(true)).collect();
        assert_eq!(set, [1, 255]);
        assert_eq!(bit(&key, 256), None);
    }

    #[test]
    fn proof_of_a_lone_entry_is_empty_and_its_leaf_the_root() {
        let proof = StateProof { end: ProofEnd::Present, siblings: Vec::new() };
        assert_eq!(proof.root(b"key", b"value"), Some(open_leaf(&tree_key(b"key"), b"value")));
    }

    #[test]
    fn proof_of_two_entries_leads_to_their_common_root_only_with_the_right_value() {
        // Find two keys that part at the first bit.
        let key = |n: u32| n.to_be_bytes().to_vec();
        let left = (0..).map(key).find(|k| bit(&tree_key(k), 0) == Some(false)).expect("half of all keys");
        let right = (0..).map(key).find(|k| bit(&tree_key(k), 0) == Some(true)).expect("half of all keys");
        let (l, r) = (open_leaf(&tree_key(&left), b"l"), open_leaf(&tree_key(&right), b"r"));
        let root = merkle::node(&l, &r);
        let proof = StateProof { end: ProofEnd::Present, siblings: vec![l] };
        assert_eq!(proof.root(&right, b"r"), Some(root));
        assert_ne!(proof.root(&right, b"R"), Some(root));
        assert_ne!(proof.root(&left, b"r"), Some(root));
    }

    #[test]
    fn proof_of_absence_holds_for_an_absent_key_and_for_no_other() {
        let key = |n: u32| n.to_be_bytes().to_vec();
        let side = |right: bool| move |k: &Vec<u8>| bit(&tree_key(k), 0) == Some(right);
        let lefts: Vec<_> = (0..).map(key).filter(side(false)).take(2).collect();
        let right = (0..).map(key).find(side(true)).expect("half of all keys");
        let leaf_of = |k: &[u8]| open_leaf(&tree_key(k), b"v");
        let root = merkle::node(&leaf_of(&lefts[0]), &leaf_of(&right));
        let other = OtherLeaf { tree_key: tree_key(&lefts[0]), value: b"v".to_vec() };
        let proof = StateProof { end: ProofEnd::Other(other), siblings: vec![leaf_of(&right)] };
        assert_eq!(proof.root_without(&lefts[1]), Some(root));
        assert_eq!(proof.root_without(&lefts[0]), None, "it is there");
        assert_eq!(proof.root_without(&right), None, "the leaf is not on its way");
        assert_eq!(proof.root(&lefts[0], b"v"), None, "no proof of presence");
        let claims_nothing = StateProof { end: ProofEnd::Empty, siblings: vec![leaf_of(&right)] };
        assert_ne!(claims_nothing.root_without(&lefts[0]), Some(root));
        // An inner node passed off as a leaf would hide both.
        let hidden = OtherLeaf { tree_key: tree_key(&lefts[0]), value: root.0.to_vec() };
        let shorter = StateProof { end: ProofEnd::Other(hidden), siblings: Vec::new() };
        assert_ne!(shorter.root_without(&right), Some(root));
        assert_eq!(StateProof::from_bytes(&proof.to_bytes()), Ok(proof));
        assert_eq!(StateProof::from_bytes(&claims_nothing.to_bytes()), Ok(claims_nothing));
    }

    #[test]
    fn decode_of_encoded_proof_gives_it_back_and_bad_forms_are_refused() {
        let proof = StateProof { end: ProofEnd::Present, siblings: vec![Digest([7; 32]); 100] };
        let bytes = proof.to_bytes();
        assert_eq!(StateProof::from_bytes(&bytes), Ok(proof));
        let mut unknown = bytes.clone();
        unknown[0] = 4;
        assert!(matches!(StateProof::from_bytes(&unknown), Err(DecodeError::Tag { .. })));
        let mut deep = vec![0];
        deep.extend(257_u32.to_be_bytes());
        assert!(matches!(StateProof::from_bytes(&deep), Err(DecodeError::TooLong { .. })));
        assert!(StateProof::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        let too_long = StateProof { end: ProofEnd::Present, siblings: vec![Digest::ZERO; 257] };
        assert_eq!(too_long.root(b"key", b"value"), None);
    }
}
