//! The Merkle tree over a list, used for the envelopes of a body and the outcomes of a block, and its proofs.
//!
//! Inner nodes are `M("node", left | right)`; an odd node moves up unchanged; the empty list has the root
//! `M("empty", "")`. Leaves are digests that the caller made with a tag of its own, so that a leaf is never
//! mistaken for an inner node. **Source**: consensus specification, section 2.

use crate::hash::{Digest, m};

/// Hash of an inner node, here and in the state tree.
pub fn node(left: &Digest, right: &Digest) -> Digest {
    m("node", &[&left.0, &right.0])
}

/// Root of the empty tree, here and in the state tree.
pub fn empty() -> Digest {
    m("empty", &[])
}

/// The root over `leaves`.
pub fn root(leaves: &[Digest]) -> Digest {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = parents(&level);
    }
    level.first().copied().unwrap_or_else(empty)
}

/// All hashes over a list: for whoever needs the paths of many leaves of it.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The leaves, their parents, and so on to the root.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// The tree over `leaves`.
    pub fn of(leaves: Vec<Digest>) -> Self {
        let mut levels = Vec::new();
        let mut level = leaves;
        while level.len() > 1 {
            let above = parents(&level);
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Tree { levels }
    }

    /// The path of leaf `index`.
    ///
    /// **Returns** none if there is no such leaf.
    pub fn path(&self, index: usize) -> Option<Path> {
        self.levels.first()?.get(index)?;
        let mut path = Path { sides: 0, siblings: Vec::new() };
        let mut position = index;
        for level in &self.levels {
            if let Some(sibling) = level.get(position ^ 1) {
                let on_the_left = u32::from(position & 1 == 1);
                path.sides |= on_the_left.checked_shl(u32::try_from(path.siblings.len()).ok()?)?;
                path.siblings.push(*sibling);
            }
            position >>= 1;
        }
        Some(path)
    }
}

/// The siblings on a leaf's way to the root, lowest first. For one leaf and root there is exactly one path, so
/// that no byte of it can be changed unseen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Bit i is set iff sibling i stands on the left.
    pub sides: u32,
    /// The siblings; a level on which the node moves up alone has none.
    pub siblings: Vec<Digest>,
}

impl Path {
    /// A list of 2^32 leaves has no more levels.
    pub const SIBLINGS_MAX: usize = 32;

    /// The path of leaf `index`.
    ///
    /// **Returns** none if there is no such leaf.
    pub fn of(leaves: &[Digest], index: usize) -> Option<Path> {
        Tree::of(leaves.to_vec()).path(index)
    }

    /// The root that this path gives for `leaf`.
    pub fn root(&self, leaf: &Digest) -> Digest {
        self.siblings.iter().enumerate().fold(*leaf, |hash, (level, sibling)| {
            let on_the_left =
                self.sides.checked_shr(u32::try_from(level).unwrap_or(u32::MAX)).unwrap_or(0) & 1 == 1;
            if on_the_left { node(sibling, &hash) } else { node(&hash, sibling) }
        })
    }

    /// Whether no side is given for a sibling that is not there: the condition for a canonical encoding.
    pub fn is_canonical(&self) -> bool {
        let levels = u32::try_from(self.siblings.len()).unwrap_or(u32::MAX);
        self.siblings.len() <= Self::SIBLINGS_MAX && self.sides.checked_shr(levels).unwrap_or(0) == 0
    }
}

fn parents(level: &[Digest]) -> Vec<Digest> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node(left, right),
            [alone, ..] => *alone,
            [] => empty(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<Digest> {
        (0..count).map(|i| m("leaf", &[&[i]])).collect()
    }

    #[test]
    fn path_of_every_leaf_of_every_small_tree_leads_to_its_root() {
        for count in 0..40 {
            let leaves = leaves(count);
            for (index, leaf) in leaves.iter().enumerate() {
                let path = Path::of(&leaves, index).expect("in range");
                assert!(path.is_canonical());
                assert_eq!(path.root(leaf), root(&leaves), "{index} of {count}");
            }
            assert_eq!(Path::of(&leaves, leaves.len()), None);
        }
    }

    #[test]
    fn path_with_any_change_is_not_canonical_or_does_not_lead_to_the_root() {
        let leaves = leaves(11);
        let good = Path::of(&leaves, 6).expect("in range");
        let leaf = leaves[6];
        let mut variants: Vec<Path> =
            (0..32).map(|bit| Path { sides: good.sides ^ (1 << bit), ..good.clone() }).collect();
        variants.push(Path { siblings: good.siblings[1..].to_vec(), ..good.clone() });
        let mut longer = good.clone();
        longer.siblings.push(leaf);
        variants.push(longer);
        for i in 0..good.siblings.len() {
            let mut changed = good.clone();
            changed.siblings[i].0[0] ^= 1;
            variants.push(changed);
        }
        for variant in variants {
            assert!(!variant.is_canonical() || variant.root(&leaf) != root(&leaves), "{variant:?}");
        }
        assert_ne!(good.root(&leaves[5]), root(&leaves));
    }
}
