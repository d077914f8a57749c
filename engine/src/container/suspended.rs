//! Links that peers have made and lost, kept to be resumed (§2.6.3).

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
};

use super::sending::Queue;
use crate::{UnsettledMap, arena::Key, codec::Str};

/// Which link of which peer: two attaches that say the same are of one link (§2.6.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinkName {
    pub(super) container_id: Str,
    /// Who the peer has proved to be: another who takes its name is not given its links.
    pub(super) user: Option<Str>,
    pub(super) name: Str,
    /// Whether this side sends.
    pub(super) sends: bool,
}

/// What this side needs to go on with a link.
#[derive(Debug)]
pub(super) struct Suspended {
    pub(super) unsettled: UnsettledMap,
    /// Of a sender: what is unresolved, and what waits to be sent.
    pub(super) queue: Option<Box<Queue>>,
    pub(super) next_tag: u64,
    /// The link that it was, which is gone, and how many times that was attached before.
    pub(super) link: (Key, u32),
    /// The listener that accepted its connection.
    pub(super) listener: Option<Key>,
}

/// The suspended links of peers, no more than a limit of them.
#[derive(Debug, Default)]
pub(super) struct SuspendedLinks {
    links: BTreeMap<LinkName, Suspended>,
    /// Their names, the oldest first.
    order: VecDeque<LinkName>,
}

impl SuspendedLinks {
    /// Keeps a link; gives one that is not kept any more: the one of this name, or the oldest where there are more than
    /// `limit`.
    pub(super) fn keep(&mut self, name: LinkName, link: Suspended, limit: usize) -> Option<Suspended> {
        let before = self.take(&name);
        self.order.push_back(name.clone());
        self.links.insert(name, link);
        if before.is_none() && self.links.len() > limit {
            let oldest = self.order.pop_front()?;
            return self.links.remove(&oldest);
        }
        before
    }

    pub(super) fn take(&mut self, name: &LinkName) -> Option<Suspended> {
        let link = self.links.remove(name)?;
        self.order.retain(|known| known != name);
        Some(link)
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    fn name(number: u64) -> LinkName {
        let name = format!("link {number}").into();
        LinkName { container_id: "peer".into(), user: None, name, sends: true }
    }

    fn link(next_tag: u64) -> Suspended {
        let link = (Key::default(), 0);
        Suspended { unsettled: UnsettledMap::new(), queue: None, next_tag, link, listener: None }
    }

    fn number(link: Option<Suspended>) -> Option<u64> {
        link.map(|link| link.next_tag)
    }

    #[test]
    fn the_oldest_goes_where_there_are_too_many() {
        let mut links = SuspendedLinks::default();
        for at in 0..3 {
            assert!(links.keep(name(at), link(at), 3).is_none());
        }
        assert_eq!(number(links.take(&name(0))), Some(0));
        assert_eq!(number(links.keep(name(0), link(0), 3)), None);
        assert_eq!(number(links.keep(name(3), link(3), 3)), Some(1));
        assert_eq!(number(links.keep(name(4), link(4), 3)), Some(2));
        assert_eq!(number(links.take(&name(1))), None);
        assert_eq!((links.links.len(), links.order.len()), (3, 3));
    }

    #[test]
    fn one_of_the_same_name_takes_the_place_of_the_other() {
        let mut links = SuspendedLinks::default();
        assert!(links.keep(name(1), link(1), 2).is_none());
        assert_eq!(number(links.keep(name(1), link(7), 2)), Some(1));
        assert!(links.keep(name(2), link(2), 2).is_none());
        assert_eq!(number(links.take(&name(1))), Some(7));
    }

    #[test]
    fn whoever_differs_in_anything_has_another_link() {
        let mut links = SuspendedLinks::default();
        links.keep(name(1), link(1), 9);
        for other in [
            LinkName { container_id: "other".into(), ..name(1) },
            LinkName { user: Some("alice".into()), ..name(1) },
            LinkName { sends: false, ..name(1) },
            name(2),
        ] {
            assert!(links.take(&other).is_none());
        }
        assert!(links.take(&name(1)).is_some());
    }
}
