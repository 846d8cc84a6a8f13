//! Objects as numbers in the order of a walk through the tree, so that everything below an object is a range.

use std::collections::HashMap;
use std::ops::Range;

use super::rules::KindId;
use crate::digest::Key;
use crate::record::{ObjectRef, Rights};

/// An object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub(super) u32);

/// What is known of an object.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) reference: ObjectRef,
    pub(super) kind: KindId,
    pub(super) parent: Option<ObjectId>,
    /// The first number behind everything below it.
    pub(super) end: u32,
    /// Objects whose data can be reached through it.
    pub(super) reads: Vec<ObjectId>,
    /// Objects through which its data can be reached.
    pub(super) read_by: Vec<ObjectId>,
    pub(super) rights: Rights,
}

/// An object before the walk.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) reference: ObjectRef,
    pub(super) kind: KindId,
    pub(super) parent: Option<Key>,
    pub(super) reads: Vec<Key>,
    pub(super) rights: Rights,
}

/// All objects of a target.
#[derive(Debug, Default)]
pub(super) struct Objects {
    nodes: Vec<Node>,
    by_key: HashMap<Key, ObjectId>,
}

impl Objects {
    /// Numbers the objects: each before what stands below it. A parent that was not read, or that stands below its own
    /// child, is none.
    pub(super) fn new(raw: Vec<(Key, Raw)>) -> Self {
        let at: HashMap<Key, usize> = raw.iter().enumerate().map(|(at, (key, _))| (*key, at)).collect();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); raw.len()];
        let mut roots = Vec::new();
        for (index, (_, object)) in raw.iter().enumerate() {
            match object.parent.and_then(|parent| at.get(&parent)).filter(|parent| **parent != index) {
                Some(parent) => children[*parent].push(index),
                None => roots.push(index),
            }
        }
        let mut order: Vec<(usize, Option<u32>)> = Vec::with_capacity(raw.len());
        let mut numbered = vec![false; raw.len()];
        let mut starts = roots;
        // What is left behind a ring of parents is numbered from its first object on.
        starts.extend(0..raw.len());
        for start in starts {
            let mut stack = vec![(start, None)];
            while let Some((index, parent)) = stack.pop() {
                if std::mem::replace(&mut numbered[index], true) {
                    continue;
                }
                let number = u32::try_from(order.len()).unwrap_or(u32::MAX);
                order.push((index, parent));
                stack.extend(children[index].iter().rev().map(|child| (*child, Some(number))));
            }
        }
        Self::numbered(raw, &order)
    }

    fn numbered(raw: Vec<(Key, Raw)>, order: &[(usize, Option<u32>)]) -> Self {
        let mut raw: Vec<Option<(Key, Raw)>> = raw.into_iter().map(Some).collect();
        let mut objects = Self::default();
        let mut reads = Vec::new();
        for (number, (index, parent)) in (0_u32..).zip(order) {
            let Some((key, object)) = raw[*index].take() else { continue };
            objects.by_key.insert(key, ObjectId(number));
            reads.push(object.reads);
            objects.nodes.push(Node {
                reference: object.reference,
                kind: object.kind,
                parent: parent.map(ObjectId),
                end: number + 1,
                reads: Vec::new(),
                read_by: Vec::new(),
                rights: object.rights,
            });
        }
        for number in (0..objects.nodes.len()).rev() {
            let (end, parent) = (objects.nodes[number].end, objects.nodes[number].parent);
            if let Some(parent) = parent {
                let above = &mut objects.nodes[parent.0 as usize].end;
                *above = (*above).max(end);
            }
        }
        for (number, keys) in (0_u32..).zip(reads) {
            for read in keys.iter().filter_map(|key| objects.by_key.get(key).copied()).collect::<Vec<_>>() {
                objects.nodes[number as usize].reads.push(read);
                objects.nodes[read.0 as usize].read_by.push(ObjectId(number));
            }
        }
        objects
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, id: ObjectId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(super) fn find(&self, key: Key) -> Option<ObjectId> {
        self.by_key.get(&key).copied()
    }

    /// The object and those above it, from the inside out.
    pub(super) fn chain(&self, id: ObjectId) -> Vec<ObjectId> {
        let mut chain = vec![id];
        while let Some(parent) = self.get(chain[chain.len() - 1]).parent {
            chain.push(parent);
        }
        chain
    }

    /// The numbers of everything below an object.
    pub(super) fn below(&self, id: ObjectId) -> Range<u32> {
        id.0 + 1..self.get(id).end
    }
}
