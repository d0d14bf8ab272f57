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

/// Where a leaf stands in a list, and the siblings on its way to the root, lowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Position of the leaf, from 0.
    pub index: u32,
    /// Number of leaves in the list.
    pub count: u32,
    /// Siblings from the leaf upward; a level on which the node moves up alone has none.
    pub siblings: Vec<Digest>,
}

impl Path {
    /// A list of 2^32 leaves has no more levels.
    pub const SIBLINGS_MAX: usize = 32;

    /// The path of leaf `index`.
    ///
    /// **Returns** none if there is no such leaf.
    pub fn of(leaves: &[Digest], index: usize) -> Option<Path> {
        leaves.get(index)?;
        let mut path = Path {
            index: u32::try_from(index).ok()?,
            count: u32::try_from(leaves.len()).ok()?,
            siblings: Vec::new(),
        };
        let mut level = leaves.to_vec();
        let mut position = index;
        while level.len() > 1 {
            path.siblings.extend(level.get(position ^ 1));
            position >>= 1;
            level = parents(&level);
        }
        Some(path)
    }

    /// The root that this path gives for `leaf`.
    ///
    /// **Returns** none if the path has not exactly the shape that its position demands.
    pub fn root(&self, leaf: &Digest) -> Option<Digest> {
        if self.index >= self.count {
            return None;
        }
        let (mut position, mut width) = (self.index, self.count);
        let mut siblings = self.siblings.iter();
        let mut hash = *leaf;
        while width > 1 {
            if position ^ 1 < width {
                let sibling = siblings.next()?;
                hash = if position & 1 == 0 { node(&hash, sibling) } else { node(sibling, &hash) };
            }
            position >>= 1;
            width = width.div_ceil(2);
        }
        siblings.next().is_none().then_some(hash)
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
                assert_eq!(path.root(leaf), Some(root(&leaves)), "{index} of {count}");
            }
            assert_eq!(Path::of(&leaves, leaves.len()), None);
        }
    }

    #[test]
    fn path_with_any_change_does_not_lead_to_the_root() {
        let leaves = leaves(11);
        let good = Path::of(&leaves, 6).expect("in range");
        let leaf = leaves[6];
        let mut variants = Vec::new();
        variants.push(Path { index: 7, ..good.clone() });
        variants.push(Path { index: 11, ..good.clone() });
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
            assert_ne!(variant.root(&leaf), Some(root(&leaves)), "{variant:?}");
        }
        assert_ne!(good.root(&leaves[5]), Some(root(&leaves)));
    }
}
